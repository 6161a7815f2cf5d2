import type { Insertable } from 'kysely';
import { recordChange } from '../audit/events.ts';
import { canonicalJson } from '../canonical-json.ts';
import { FactoryError } from '../errors.ts';
import { param, statement } from '../storage/statement.ts';
import type { Tables } from '../storage/tables.ts';
import type { Reader } from '../storage/transaction.ts';
import type { Caller, ChatDependencies } from './dependencies.ts';
import { ALL, CLASS_POLICY, DEFAULT_CLASS, DEFAULT_GENERAL, GENERAL_POLICY } from './policy.ts';
import type { ClassPolicy, GeneralPolicy } from './policy.ts';

/** Reading and changing policies; who may is asked by the faces. */

export interface PolicyDocument {
  general: GeneralPolicy;
  /** Of every class that has one; `general` stands for all others. */
  classes: Record<string, ClassPolicy>;
  /** Grows with each change. */
  version: number;
}

/** A version as it was put. */
export interface PolicyVersion extends PolicyDocument {
  at: string;
  /** Who put it. */
  by: string;
  /** What was in force before: of the first version, the policies of a new installation. */
  before: Omit<PolicyDocument, 'version'>;
}

export interface Policies {
  general(): Promise<GeneralPolicy>;
  ofClass(name: string): Promise<ClassPolicy>;
  all(): Promise<PolicyDocument>;
  /** Replaces all of them. Errors: `version-mismatch`. */
  put(
    caller: Caller,
    document: Omit<PolicyDocument, 'version'>,
    expected: number | null,
  ): Promise<PolicyDocument>;
  /** Every version that was put, the newest first. Errors: `cursor-unknown`. */
  history(query: { cursor?: string | undefined; limit?: number | undefined }): Promise<{
    versions: PolicyVersion[];
    nextCursor: string | null;
  }>;
}

type Scoped<T> = T & { project_id: string };

const find = statement<Scoped<{ class: string }>>()((db) =>
  db
    .selectFrom('chat_policies')
    .select(['document', 'version'])
    .where('project_id', '=', param('project_id'))
    .where('class', '=', param('class')),
);
const listed = statement<Scoped<object>>()((db) =>
  db
    .selectFrom('chat_policies')
    .select(['class', 'document', 'version'])
    .where('project_id', '=', param('project_id'))
    .orderBy('class'),
);
const clear = statement<Scoped<object>>()((db) =>
  db.deleteFrom('chat_policies').where('project_id', '=', param('project_id')),
);
const insert = statement<Insertable<Tables['chat_policies']>>()((db) =>
  db.insertInto('chat_policies').values({
    project_id: param('project_id'),
    class: param('class'),
    document: param('document'),
    version: param('version'),
    created_at: param('created_at'),
    updated_at: param('updated_at'),
  }),
);

const LIST = 'policy-versions';
const PAGE = 20;

/** For so long a change by another process may go unseen. */
const KEPT_MS = 1000;

/** The class whose policy counts where a session's class has none of its own. */
export const GENERAL = 'general';

export function createPolicies({ storage, audit, clock, cursors, projectId }: ChatDependencies): Policies {
  async function stored(reader: Reader, name: string): Promise<string | null> {
    return (await reader.get(find, { project_id: projectId, class: name }))?.document ?? null;
  }

  async function all(reader: Reader): Promise<PolicyDocument> {
    const rows = await reader.all(listed, { project_id: projectId });
    const general = rows.find((row) => row.class === ALL);
    return {
      general: general ? GENERAL_POLICY.parse(JSON.parse(general.document)) : DEFAULT_GENERAL,
      classes: {
        [GENERAL]: DEFAULT_CLASS,
        ...Object.fromEntries(
          rows
            .filter((row) => row.class !== ALL)
            .map((row) => [row.class, CLASS_POLICY.parse(JSON.parse(row.document))]),
        ),
      },
      version: Math.max(0, ...rows.map(({ version }) => version)),
    };
  }

  /** Parsed documents by class, for a moment: another process may change them. */
  let kept = new Map<string, GeneralPolicy | ClassPolicy>();
  let keptAt = 0;

  async function remembered<T extends GeneralPolicy | ClassPolicy>(
    name: string,
    read: () => Promise<T>,
  ): Promise<T> {
    const now = performance.now();
    if (now - keptAt > KEPT_MS) {
      kept = new Map();
      keptAt = now;
    }
    const known = kept.get(name) as T | undefined;
    if (known) return known;
    const found = await read();
    kept.set(name, found);
    return found;
  }

  return {
    general: () =>
      remembered(ALL, async () => {
        const text = await stored(storage.read, ALL);
        return text === null ? DEFAULT_GENERAL : GENERAL_POLICY.parse(JSON.parse(text));
      }),
    ofClass: (name) =>
      remembered(name, async () => {
        const text = (await stored(storage.read, name)) ?? (await stored(storage.read, GENERAL));
        return text === null ? DEFAULT_CLASS : CLASS_POLICY.parse(JSON.parse(text));
      }),
    all: () => all(storage.read),
    put: (caller, { general, classes }, expected) =>
      storage.write(async (tx) => {
        const before = await all(tx);
        if (expected !== null && expected !== before.version) throw changedMeanwhile(before.version);
        const version = before.version + 1;
        const at = clock.iso();
        await tx.run(clear, { project_id: projectId });
        for (const [name, document] of Object.entries({ ...classes, [ALL]: general }))
          await tx.run(insert, {
            ...{ project_id: projectId, class: name, document: canonicalJson(document), version },
            ...{ created_at: at, updated_at: at },
          });
        await recordChange(tx, audit, {
          ...{ projectId, stream: 'governance', streamId: 'policies', version, type: 'policies-changed' },
          payload: { general, classes },
          actor: { kind: caller.kind, id: caller.id, personId: caller.personId, roles: caller.roles },
          ...{ at, action: 'governance.policies' },
        });
        tx.afterCommit(() => {
          keptAt = -Infinity;
        });
        return { general, classes, version };
      }),

    async history({ cursor, limit = PAGE }) {
      const before = cursor === undefined ? null : Number(cursors.decode(LIST, cursor));
      const rows = await storage.read.query((db) => {
        let query = db
          .selectFrom('events')
          .select(['version', 'payload', 'actor', 'at'])
          .where('project_id', '=', projectId)
          .where('stream', '=', 'governance')
          .where('stream_id', '=', 'policies');
        if (before !== null) query = query.where('version', '<', before);
        return query.orderBy('version', 'desc').limit(limit + 1);
      });
      const puts = rows.map(({ version, payload, actor, at }) => ({
        ...(JSON.parse(payload) as Pick<PolicyDocument, 'general' | 'classes'>),
        ...{ version, at, by: (JSON.parse(actor) as { id: string }).id },
      }));
      const page = puts.slice(0, limit);
      return {
        versions: page.map((one, n) => ({ ...one, before: puts[n + 1] ?? AS_INSTALLED })),
        nextCursor: puts.length > limit ? cursors.encode(LIST, page.at(-1)?.version) : null,
      };
    },
  };
}

const AS_INSTALLED = { general: DEFAULT_GENERAL, classes: { [GENERAL]: DEFAULT_CLASS } };

function changedMeanwhile(version: number): FactoryError {
  return new FactoryError({
    ...{ code: 'version-mismatch', op: 'change policies', target: 'policies' },
    message: 'The policies were changed since you read them.',
    hint: 'Read them again and repeat the change.',
    details: { etag: `"${version}"` },
  });
}
