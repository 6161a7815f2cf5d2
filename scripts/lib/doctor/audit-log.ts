import { join } from 'node:path';
import { readCheckpoints } from '../../../service/audit/checkpoint-files.ts';
import { verifyCheckpoint } from '../../../service/audit/checkpoint.ts';
import { readEntries } from '../../../service/audit/entries.ts';
import { readVerifierKeys } from '../../../service/audit/keys.ts';
import { readProof } from '../../../service/audit/merkle.ts';
import { storedSource } from '../../../service/audit/store.ts';
import { subtreeReader } from '../../../service/audit/tiles.ts';
import type { Config } from '../../../service/config.ts';
import type { Reader } from '../../../service/storage/transaction.ts';
import { fail, ok, warn } from './check.ts';
import type { Check } from './check.ts';

const NAME = 'audit log';

/** The newest entry; null: the log is empty. */
export async function newestEntry(reader: Reader): Promise<{ seq: number; at: number } | null> {
  const [entry] = (await readEntries(reader, { limit: 1 })).entries;
  return entry ? { seq: entry.seq, at: Date.parse((JSON.parse(entry.leaf) as { at: string }).at) } : null;
}

/**
 * The newest checkpoint against the log: its signature, and its root from the stored tiles and the leaves after the
 * last full one. Cheap at any size; only `verify-audit` reads everything.
 */
export async function auditCheck(
  reader: Reader,
  { dataDir, keyringDir }: Pick<Config, 'dataDir' | 'keyringDir'>,
  newestSeq: number,
): Promise<Check> {
  const folder = join(dataDir, 'checkpoints');
  const [newest] = await readCheckpoints(folder, 1);
  if (newestSeq === 0 && newest === undefined) return ok(NAME, 'It has no entries yet.');
  if (newest === undefined) {
    return warn(
      NAME,
      `${newestSeq} entries and no checkpoint in ${folder}.`,
      'Start the service: it signs one at once.',
    );
  }
  const { size, root, at } = verifyCheckpoint(newest.text, readVerifierKeys(keyringDir).vkey);
  const hint = 'Run `npx factory verify-audit`: it names what was changed.';
  if (size > newestSeq)
    return fail(NAME, `The newest checkpoint covers ${size} entries, ${newestSeq} are there.`, hint);
  const [stored] = await readProof(subtreeReader(storedSource(reader)), [{ from: 0, to: size }]);
  if (!stored?.equals(root)) return fail(NAME, 'Its newest entries are not those that were signed.', hint);
  const rest = newestSeq - size;
  const unsigned = rest > 0 ? ` ${rest} more are signed by the running service or at the next start.` : '';
  return ok(NAME, `${size} entries signed at ${at ?? 'an unknown time'}.${unsigned}`);
}
