import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { AuditLog } from '../audit/log.ts';
import { FactoryError } from '../errors.ts';
import { param, statement } from '../storage/statement.ts';
import type { Reader, Storage } from '../storage/transaction.ts';

/**
 * The work-items folder that a database was filled from. Two queues in one database could never be told apart again,
 * so a start on another folder is refused. The same folder may be reached by another path, or by a link that leads
 * elsewhere after a deploy: one of the two is enough.
 */
export interface QueueHome {
  /** As configured, absolute. */
  path: string;
  /** Where that led, links followed. */
  real: string;
}

/** `first`: nothing was read from elsewhere; `moved`: from a folder that is gone; `foreign`: from one that is there. */
export type HomeVerdict = 'same' | 'first' | 'moved' | 'foreign';

export interface HomeFacts {
  known: QueueHome | null;
  here: QueueHome;
  /** Whether the known folder is there still. */
  isThere: boolean;
  /** Whether the database holds items. */
  hasItems: boolean;
}

export function judgeHome({ known, here, isThere, hasItems }: HomeFacts): HomeVerdict {
  if (known?.path === here.path || known?.real === here.real) return 'same';
  if (known === null || !hasItems) return 'first';
  return isThere ? 'foreign' : 'moved';
}

const KEY = 'queue';

const remembered = statement<{ key: string }>()((db) =>
  db.selectFrom('meta').select('value').where('key', '=', param('key')),
);

const remember = statement<{ key: string; value: string }>()((db) =>
  db
    .insertInto('meta')
    .values({ key: param('key'), value: param('value') })
    .onConflict((conflict) =>
      conflict.column('key').doUpdateSet((row) => ({ value: row.ref('excluded.value') })),
    ),
);

const anyItem = statement<{ project_id: string }>()((db) =>
  db.selectFrom('work_items').select('id').where('project_id', '=', param('project_id')).limit(1),
);

/** What the database remembers beside the folder that is configured; changes nothing. */
export async function lookHome(reader: Reader, projectId: string, dir: string): Promise<HomeFacts> {
  const row = await reader.get(remembered, { key: KEY });
  const known = row ? (JSON.parse(row.value) as QueueHome) : null;
  const here = { path: dir, real: realPath(dir) };
  const isThere = known !== null && existsSync(known.real);
  return {
    known,
    here,
    isThere,
    hasItems: (await reader.get(anyItem, { project_id: projectId })) !== undefined,
  };
}

/** Lets a database remember its folder. */
export function createQueueHome({ storage, audit, projectId }: HomeDependencies, dir: string) {
  /** Remembers the folder; a change of it, which stands in the log, answers with what was remembered before. */
  function take(mayReplace: (facts: HomeFacts) => boolean): Promise<QueueHome | null> {
    return storage.write(async (tx) => {
      const facts = await lookHome(tx, projectId, dir);
      const verdict = judgeHome(facts);
      const changed = verdict === 'moved' || verdict === 'foreign';
      if (changed && !mayReplace(facts)) throw foreign(facts, storage.description);
      await tx.run(remember, { key: KEY, value: JSON.stringify(facts.here) });
      if (!changed) return null;
      await audit.append(tx, {
        project: projectId,
        actor: { kind: 'system', id: 'system' },
        action: `queue.${verdict === 'moved' ? 'moved' : 'adopted'}`,
        object: null,
        outcome: 'applied',
      });
      return facts.known;
    });
  }
  return {
    /** At a start. Answers the folder of before where that is gone. Errors: `queue-foreign`. */
    settle: () => take((facts) => judgeHome(facts) === 'moved'),
    /** Somebody says that it is the same queue at another place. Answers the folder of before, null: it was this one. */
    adopt: () => take(() => true),
  };
}

export interface HomeDependencies {
  storage: Storage;
  audit: Pick<AuditLog, 'append'>;
  projectId: string;
}

function realPath(dir: string): string {
  try {
    return realpathSync(dir);
  } catch {
    // It may come later; until then its path is all that is known of it.
    return dir;
  }
}

/** What to do about a folder that is not the database's. */
export const foreignHint = ({ here }: Pick<HomeFacts, 'here'>): string =>
  `Give this queue a database of its own, e.g. FACTORY_DATA_DIR=${join(dirname(here.path), 'data')}. If it is the same queue at another place: \`npx factory queue adopt\`.`;

function foreign(facts: HomeFacts, database: string): FactoryError {
  return new FactoryError({
    code: 'queue-foreign',
    op: 'open queue',
    target: facts.here.path,
    message: `The database (${database}) was filled from ${facts.known?.path}; ${facts.here.path} would be mixed into it for good.`,
    hint: foreignHint(facts),
  });
}
