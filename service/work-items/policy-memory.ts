import { createHash } from 'node:crypto';
import { SYSTEM } from '../audit/events.ts';
import type { AuditLog } from '../audit/log.ts';
import { canonicalJson } from '../canonical-json.ts';
import type { Clock } from '../clock.ts';
import { BUILT_IN_PACKS } from './packs.ts';
import { parsePolicy } from './policy.ts';
import { readMeta, writeMeta } from '../storage/meta.ts';
import { param, statement } from '../storage/statement.ts';
import type { Reader, Storage, Transaction } from '../storage/transaction.ts';

/** The policy that was last read without a problem. `text` null: the folder was there and had none. */
export interface KnownPolicy {
  text: string | null;
  readAt: string;
  /** The pack and the digest of all that is in force, as the log has it; absent: kept by an earlier release. */
  effective?: string;
}

/** Outlives the process: a folder that is gone at the next start must not open gates. */
export interface PolicyMemory {
  /** Null: no work-items folder was ever read into this database. */
  known(): KnownPolicy | null;
  /** Whether it is what was kept last, and counts the same in this release. */
  isKept(text: string | null): boolean;
  /** Resolves when it is on disk, with an entry in the log where another policy was in force. */
  keep(text: string | null): Promise<void>;
}

const anyItem = statement<{ project_id: string }>()((db) =>
  db.selectFrom('work_items').select('id').where('project_id', '=', param('project_id')).limit(1),
);

/** Stands for a policy that nobody can tell: it reads as the strictest pack. */
export const UNKNOWN_POLICY = 'gatePack: unknown\n';

/**
 * What of a policy counts, without its content: its pack and a digest. Two files that say the same in other words, and
 * a file with the defaults and none, are one policy.
 */
export function effectivePolicy(text: string | null): string {
  const { policy } = parsePolicy(text, BUILT_IN_PACKS);
  return `${policy.gatePack}:${createHash('sha256').update(canonicalJson(policy)).digest('base64url')}`;
}

/** Reads what is remembered. A database that has items from before policies were remembered counts as strict. */
export async function openPolicyMemory(
  storage: Storage,
  audit: Pick<AuditLog, 'append'>,
  projectId: string,
  clock: Clock,
): Promise<PolicyMemory> {
  const key = `policy:${projectId}`;
  const read = async (reader: Reader): Promise<KnownPolicy | null> => {
    const text = await readMeta(reader, key);
    return text === null ? null : (JSON.parse(text) as KnownPolicy);
  };

  /** A change stands in the log. The row says what was in force: another process may have noted it already. */
  async function note(tx: Transaction, next: string): Promise<void> {
    const before = (await read(tx)) ?? unstored;
    const was = before?.effective ?? effectivePolicy(before?.text ?? null);
    if (was === next) return;
    await audit.append(tx, {
      project: projectId,
      actor: { kind: SYSTEM.kind, id: SYSTEM.id },
      action: 'policy.changed',
      object: { kind: 'policy', id: `${was}..${next}` },
      outcome: 'applied',
    });
  }

  let known = await read(storage.read);
  if (!known && (await storage.read.get(anyItem, { project_id: projectId })))
    known = { text: UNKNOWN_POLICY, readAt: clock.iso() };
  const unstored = known;
  return {
    known: () => known,
    isKept: (text) => known?.text === text && known.effective === effectivePolicy(text),
    async keep(text) {
      const before = known;
      const effective = effectivePolicy(text);
      const next = (known = { text, readAt: clock.iso(), effective });
      try {
        await storage.write(async (tx) => {
          await note(tx, effective);
          await writeMeta(tx, key, JSON.stringify(next));
        });
      } catch (error) {
        if (known === next) known = before;
        throw error;
      }
    },
  };
}
