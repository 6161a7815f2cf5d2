import type { Clock } from '../clock.ts';
import { param, statement } from '../storage/statement.ts';
import type { Storage } from '../storage/transaction.ts';

/** The policy that was last read without a problem. `text` null: the folder was there and had none. */
export interface KnownPolicy {
  text: string | null;
  readAt: string;
}

/** Outlives the process: a folder that is gone at the next start must not open gates. */
export interface PolicyMemory {
  /** Null: no work-items folder was ever read into this database. */
  known(): KnownPolicy | null;
  /** Resolves when it is on disk. */
  keep(text: string | null): Promise<void>;
}

const row = statement<{ key: string }>()((db) =>
  db.selectFrom('meta').select('value').where('key', '=', param('key')),
);

const save = statement<{ key: string; value: string }>()((db) =>
  db
    .insertInto('meta')
    .values({ key: param('key'), value: param('value') })
    .onConflict((conflict) =>
      conflict.column('key').doUpdateSet((e) => ({ value: e.ref('excluded.value') })),
    ),
);

const anyItem = statement<{ project_id: string }>()((db) =>
  db.selectFrom('work_items').select('id').where('project_id', '=', param('project_id')).limit(1),
);

/** Stands for a policy that nobody can tell: it reads as the strictest pack. */
export const UNKNOWN_POLICY = 'gatePack: unknown\n';

/** Reads what is remembered. A database that has items from before policies were remembered counts as strict. */
export async function openPolicyMemory(
  storage: Storage,
  projectId: string,
  clock: Clock,
): Promise<PolicyMemory> {
  const key = `policy:${projectId}`;
  const found = await storage.read.get(row, { key });
  let known = found ? (JSON.parse(found.value) as KnownPolicy) : null;
  if (!known && (await storage.read.get(anyItem, { project_id: projectId })))
    known = { text: UNKNOWN_POLICY, readAt: clock.iso() };
  return {
    known: () => known,
    async keep(text) {
      const before = known;
      const next = (known = { text, readAt: clock.iso() });
      try {
        await storage.write((tx) => tx.run(save, { key, value: JSON.stringify(next) }));
      } catch (error) {
        if (known === next) known = before;
        throw error;
      }
    },
  };
}
