import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import type { Catalog, Entry } from './catalog.ts';
import { dataIdentities, openBeginning } from './data-identity.ts';
import { inFirstVersions } from './first-version.ts';
import { inOrder, withBase } from './pick.ts';
import type { Picked, Wanted } from './pick.ts';
import type { Fetching } from './restore.ts';
import { verifyCiphertext } from './verify.ts';
import { inParallel } from '../parallel.ts';

/** The best backup that really restores, and what had to be passed over for it. */

export interface Attempted {
  picked: Picked;
  /** Better answers that were tried and are damaged, or no backups at all. */
  failed: { backupId: string; takenAt: string; error: FactoryError }[];
  /** Later ones that were not tried, because their destination does not confirm the time that they claim. */
  doubted: string[];
}

/** Errors after which another backup may do better. */
export const OF_THE_BACKUP =
  /^(backup-(damaged|incomplete)|ciphertext-|difference-|identity-wrong|destination-object-missing)/;

interface Job extends Fetching {
  /** Restores this one to where it belongs. */
  write(job: Fetching & Picked): Promise<void>;
  progress(text: string): void;
}

/** So many candidates are looked at together: where one is no backup there may be a thousand. */
const AT_ONCE = 16;

/**
 * Restores the best answer; with `older`, where that one does not restore, the next best, until one does. Errors: of the
 * best one, where none does; those of `inOrder`.
 */
export async function restoreBest(
  catalog: Catalog,
  { wanted, now, older }: { wanted: Wanted; now: number; older: boolean },
  job: Job,
): Promise<Attempted> {
  const entries = inOrder(catalog, wanted, now);
  const failed: Attempted['failed'] = [];
  let first: FactoryError | null = null;
  for (let at = 0; at < (older ? entries.length : 1);) {
    const batch = entries.slice(at, at + (at === 0 ? 1 : AT_ONCE));
    const problems = at === 0 ? new Map<Entry, FactoryError>() : await lookAt(batch, catalog, job);
    for (const entry of batch) {
      const found = problems.get(entry) ?? (await attempt(entry, catalog, job));
      const error = found?.code === 'identity-wrong' ? ofOtherKeys(entry, found) : found;
      if (error === null)
        return { picked: withBase(catalog, entry), failed, doubted: laterThan(entry, entries, failed) };
      first ??= error;
      failed.push({ backupId: entry.manifest.backupId, takenAt: entry.manifest.startedAt, error });
    }
    at += batch.length;
    job.progress(`Passed over ${failed.length}: the newest are damaged, or no backups`);
  }
  throw first ?? new TypeError('nothing was tried');
}

/** A key that was replaced: nothing is wrong with the backup. */
function ofOtherKeys({ manifest: { backupId, startedAt } }: Entry, cause: FactoryError): FactoryError {
  return new FactoryError({
    ...{ code: 'identity-wrong', op: 'restore', target: backupId, cause },
    message: `This key does not open ${backupId} of ${startedAt}: it was made for other keys.`,
    hint: 'Give a key that it was made for: --identity FILE. `npx factory keys show` names those of now.',
  });
}

/** Null: it was restored. Errors: those that are none of this backup. */
async function attempt(entry: Entry, catalog: Catalog, job: Job): Promise<FactoryError | null> {
  return ofBackup(async () => job.write({ ...job, ...withBase(catalog, entry) }));
}

async function ofBackup(work: () => Promise<void>): Promise<FactoryError | null> {
  try {
    await work();
    return null;
  } catch (error) {
    const known = asFactoryError(error, 'restore');
    if (OF_THE_BACKUP.test(known.code)) return known;
    throw error;
  }
}

/** What is cheap to find out, before anything that takes long: whether these keys open the beginning of the data. */
async function lookAt(
  entries: readonly Entry[],
  catalog: Catalog,
  job: Job,
): Promise<Map<Entry, FactoryError>> {
  const problems = new Map<Entry, FactoryError>();
  await inParallel(entries, AT_ONCE, async (entry) => {
    const error = await ofBackup(async () => {
      withBase(catalog, entry);
      await assertOpens(job, entry);
    });
    if (error !== null) problems.set(entry, error);
  });
  return problems;
}

/** Errors: those of a key that does not open it, or of a beginning that was changed. */
async function assertOpens(job: Fetching, entry: Entry): Promise<void> {
  const destination = inFirstVersions(job.destination, entry.versions);
  const identities = await dataIdentities({ ...job, destination }, entry);
  await openBeginning(await destination.get(entry.manifest.objects.data.key, job), identities);
}

/**
 * For a plan: reads every byte of a backup, and of what it rests on, and where there are identities, whether they open it;
 * writes nothing. Errors: as of a restore.
 */
export async function assertRestores({ entry, base, ...job }: Fetching & Picked): Promise<void> {
  for (const one of base === null ? [entry] : [base, entry]) {
    const error = await verifyCiphertext(job.destination, one, job.signal);
    if (error !== null) throw error;
    if (job.identities.length > 0) await assertOpens(job, one);
  }
}

/** Of those in order: what is later than the one that was taken, and was not tried. */
export function laterThan(
  taken: Entry,
  entries: readonly Entry[],
  failed: readonly { backupId: string }[],
): string[] {
  return entries
    .filter(({ manifest }) => manifest.sequence > taken.manifest.sequence)
    .map(({ manifest }) => manifest.backupId)
    .filter((id) => !failed.some(({ backupId }) => backupId === id));
}
