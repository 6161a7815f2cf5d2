import nodeFs, { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { AuditLog } from '../audit/log.ts';
import { FactoryError } from '../errors.ts';
import { readMeta, writeMeta } from '../storage/meta.ts';
import { param, statement } from '../storage/statement.ts';
import type { Reader, Storage } from '../storage/transaction.ts';
import { FIRST_ID } from './init.ts';
import { POLICY_FILE } from './queue-files.ts';
import { listQueue } from './queue-scan.ts';
import { LANES } from './types.ts';

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

/**
 * `first`: nothing was read from elsewhere; `moved`: from a folder that is gone, and this one may be it; `foreign`: from
 * one that is there, or whose items this one has not.
 */
export type HomeVerdict = 'same' | 'first' | 'moved' | 'foreign';

export interface HomeFacts {
  known: QueueHome | null;
  here: QueueHome;
  /** Whether the known folder is there still. */
  isThere: boolean;
  /** Whether the database holds items. */
  hasItems: boolean;
  /** Whether the folder holds a record that the database knows, or none at all; read only where it decides. */
  mayBeSame: boolean;
}

export function judgeHome({ known, here, isThere, hasItems, mayBeSame }: HomeFacts): HomeVerdict {
  if (known?.path === here.path || known?.real === here.real) return 'same';
  if (known === null || !hasItems) return 'first';
  return isThere || !mayBeSame ? 'foreign' : 'moved';
}

const KEY = 'queue';

const anyItem = statement<{ project_id: string }>()((db) =>
  db.selectFrom('work_items').select('id').where('project_id', '=', param('project_id')).limit(1),
);

const itemIds = statement<{ project_id: string }>()((db) =>
  db.selectFrom('work_items').select('id').where('project_id', '=', param('project_id')),
);

/** What the database remembers beside the folder that is configured; changes nothing. */
export async function lookHome(reader: Reader, projectId: string, dir: string): Promise<HomeFacts> {
  const text = await readMeta(reader, KEY);
  const known = text === null ? null : (JSON.parse(text) as QueueHome);
  const facts: HomeFacts = {
    known,
    here: { path: dir, real: realPath(dir) },
    isThere: known !== null && existsSync(known.real),
    hasItems: (await reader.get(anyItem, { project_id: projectId })) !== undefined,
    mayBeSame: true,
  };
  return judgeHome(facts) === 'moved'
    ? { ...facts, mayBeSame: await sharesItems(reader, projectId, dir) }
    : facts;
}

/** Compares names only. What every queue begins with tells nothing, unless the database has nothing else. */
async function sharesItems(reader: Reader, projectId: string, dir: string): Promise<boolean> {
  const { records, unreadable } = listQueue({ dir, fs: nodeFs });
  if (records.size === 0) return unreadable.length === 0;
  const known = (await reader.all(itemIds, { project_id: projectId })).map(({ id }) => id);
  const own = known.filter((id) => id !== FIRST_ID);
  return (own.length > 0 ? own : known).some((id) => records.has(id));
}

/** Lets a database remember its folder. */
export function createQueueHome({ storage, audit, projectId }: HomeDependencies, dir: string) {
  /** Remembers the folder; a change of it, which stands in the log, answers with what was remembered before. */
  function take(mayReplace: (facts: HomeFacts) => boolean): Promise<QueueHome | null> {
    return storage.write(async (tx) => {
      const facts = await lookHome(tx, projectId, dir);
      const verdict = judgeHome(facts);
      const changed = verdict === 'moved' || verdict === 'foreign';
      if (changed && !mayReplace(facts)) throw foreign(facts, storage);
      await writeMeta(tx, KEY, JSON.stringify(facts.here));
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
    /** At a start. Answers the folder of before where this one was taken for it. Errors: `queue-foreign`. */
    settle: () => take((facts) => judgeHome(facts) === 'moved'),
    /**
     * Somebody says that it is the same queue at another place. Answers the folder of before, null: it was this one.
     * Errors: `not-a-queue`.
     */
    adopt: async () => {
      assertQueue(dir);
      return take(() => true);
    },
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

/** A path that leads to no queue would count as one that is gone, and any other would be taken for it. */
function assertQueue(dir: string): void {
  const stats = statOf(dir);
  const isQueue =
    existsSync(join(dir, POLICY_FILE)) || LANES.some((lane) => statOf(join(dir, lane))?.isDirectory());
  if (stats?.isDirectory() && isQueue) return;
  const why = stats
    ? stats.isDirectory()
      ? `holds neither ${POLICY_FILE} nor one of the folders ${LANES.join(', ')}`
      : 'is no folder'
    : 'does not exist or cannot be reached';
  throw new FactoryError({
    code: 'not-a-queue',
    op: 'adopt queue',
    target: dir,
    message: `${dir} ${why}: there is no queue to adopt, and nothing was changed.`,
    hint: 'Set FACTORY_WORK_ITEMS_DIR to the folder that the queue moved to, and adopt again.',
  });
}

function statOf(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** What to do about a folder that is not the database's. */
export function foreignHint({ here }: Pick<HomeFacts, 'here'>, storage: Named): string {
  const adopt = 'If it is the same queue at another place: `npx factory queue adopt`.';
  const beside = ['data', `${basename(here.path)}-data`].map((name) => join(dirname(here.path), name));
  const file = storage.engine === 'sqlite' ? / at (.+)$/.exec(storage.description)?.[1] : undefined;
  if (file !== undefined && basename(file) === 'factory.db') {
    const free = beside.find((dir) => dir !== dirname(file));
    return `Give this queue a database of its own, e.g. FACTORY_DATA_DIR=${free}. ${adopt}`;
  }
  // The database is named apart from the data folder, and a keyring belongs to one database.
  const free = beside.find((dir) => !existsSync(join(dir, 'keyring'))) ?? beside[1];
  return `Give this queue a database of its own: FACTORY_DATABASE_URL with another database, and with it a keyring of its own, e.g. FACTORY_DATA_DIR=${free}. ${adopt}`;
}

type Named = Pick<Storage, 'engine' | 'description'>;

function foreign(facts: HomeFacts, storage: Named): FactoryError {
  const { known, here, isThere } = facts;
  const from = isThere ? known?.path : `${known?.path}, which is gone, and knows no record of this one`;
  return new FactoryError({
    code: 'queue-foreign',
    op: 'open queue',
    target: here.path,
    message: `The database (${storage.description}) was filled from ${from}; ${here.path} would be mixed into it for good.`,
    hint: foreignHint(facts, storage),
  });
}
