import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import type { Candidate, Copy } from './candidates.ts';
import { inTurn } from './catalog.ts';
import type { Entry } from './catalog.ts';
import { dataIdentities, openBeginning } from './data-identity.ts';
import { inFirstVersions } from './first-version.ts';
import { withBase } from './pick.ts';
import type { Picked } from './pick.ts';
import type { Fetching } from './restore.ts';
import { verifyCiphertext, verifyOwn } from './verify.ts';
import { inParallel } from '../parallel.ts';

/** The best backup that really restores, and what had to be passed over for it. */

export interface Attempted {
  picked: Picked;
  /** Where it was taken from. */
  url: string;
  /** Better answers that were tried and are damaged, or no backups at all. */
  failed: { backupId: string; takenAt: string; error: FactoryError }[];
  /** Later ones that were not tried, because their destination does not confirm the time that they claim. */
  doubted: string[];
  /** What a destination could not give on the way: its copy of what another one gave, or anything at all. */
  troubles: Trouble[];
}

export interface Trouble {
  url: string;
  error: FactoryError;
}

/** Errors after which another backup may do better. */
export const OF_THE_BACKUP =
  /^(backup-(damaged|incomplete)|ciphertext-|difference-|identity-wrong|destination-object-missing)/;

/** Errors after which another destination may do better. */
const OF_THE_DESTINATION = /^destination-(?!object-)/;

/** Why one copy does not restore, of whichever kind. */
export const OF_A_COPY = new RegExp(`${OF_THE_BACKUP.source}|${OF_THE_DESTINATION.source}`);

interface Job {
  identities: readonly string[];
  signal: AbortSignal;
  /** Restores this one to where it belongs. */
  write(job: Fetching & Picked): Promise<void>;
  progress(text: string): void;
  /** One line of talk. */
  say(text: string): void;
  /** Is told why a copy does not restore. */
  damaged?(copy: Copy, error: FactoryError): Promise<void>;
}

/** So many candidates are looked at together: where one is no backup there may be a thousand. */
const AT_ONCE = 16;

/**
 * Restores the best candidate, from the first destination that gives it whole; where none does, the next best, until one
 * does. A destination that stopped answering is not asked again. Errors: of the best one, where none does.
 */
export async function restoreBest(candidates: readonly Candidate[], job: Job): Promise<Attempted> {
  const failed: Attempted['failed'] = [];
  const gone = new Map<string, FactoryError>();
  let first: FactoryError | null = null;
  for (let at = 0; at < candidates.length;) {
    const batch = candidates.slice(at, at + (at === 0 ? 1 : AT_ONCE));
    const problems = at === 0 ? new Map<Copy, FactoryError>() : await lookAt(batch, gone, job);
    for (const candidate of batch) {
      const tried = await tryCopies(candidate, { problems, gone }, job);
      if ('taken' in tried) {
        const { taken, troubles } = tried;
        return {
          ...{ picked: withBase(taken.catalog, taken.entry), url: taken.destination.url, failed },
          doubted: laterThan(taken.entry, candidates, failed),
          troubles: [...[...gone].map(([url, error]) => ({ url, error })), ...troubles],
        };
      }
      first ??= tried.error;
      const { backupId, startedAt: takenAt } = candidate.entry.manifest;
      failed.push({ backupId, takenAt, error: tried.error });
    }
    at += batch.length;
    job.progress(`Passed over ${failed.length}: the newest are damaged, or no backups`);
  }
  throw first ?? new TypeError('nothing was tried');
}

interface Known {
  problems: ReadonlyMap<Copy, FactoryError>;
  /** Destinations that stopped answering, and why. */
  gone: Map<string, FactoryError>;
}

/** The copy that was restored, and those before it that were not; else why the first one was not. */
async function tryCopies(
  { copies }: Candidate,
  { problems, gone }: Known,
  job: Job,
): Promise<{ taken: Copy; troubles: Trouble[] } | { error: FactoryError }> {
  const troubles: Trouble[] = [];
  let first: FactoryError | null = null;
  for (const [index, copy] of copies.entries()) {
    const { url } = copy.destination;
    const wasGone = gone.get(url);
    const found = wasGone ?? problems.get(copy) ?? (await attempt(copy, gone, job));
    if (found === null) return { taken: copy, troubles };
    await job.damaged?.(copy, found);
    const error = found.code === 'identity-wrong' ? ofOtherKeys(copy.entry, found) : found;
    first ??= error;
    if (!gone.has(url)) troubles.push({ url, error });
    const next = copies.slice(index + 1).find(({ destination }) => !gone.has(destination.url));
    // A wrong key is no reason to promise anything; what is tried all the same is told if it helps.
    if (next !== undefined && wasGone === undefined && error.code !== 'identity-wrong')
      job.say(`${url}: ${error.message} Asking ${next.destination.url}.`);
  }
  return { error: first as FactoryError };
}

/** A key that was replaced: nothing is wrong with the backup. */
function ofOtherKeys({ manifest: { backupId, startedAt } }: Entry, cause: FactoryError): FactoryError {
  return new FactoryError({
    ...{ code: 'identity-wrong', op: 'restore', target: backupId, cause },
    message: `This key does not open ${backupId} of ${startedAt}: it was made for other keys.`,
    hint: 'Give a key that it was made for: --identity FILE. `npx factory keys show` names those of now.',
  });
}

/** Null: it was restored. Errors: those that are neither of this backup nor of its destination. */
function attempt({ entry, catalog, destination }: Copy, gone: Known['gone'], job: Job) {
  return ofCopy(destination.url, gone, job, () =>
    job.write({ ...withBase(catalog, entry), destination, identities: job.identities, signal: job.signal }),
  );
}

async function ofCopy(
  url: string,
  gone: Known['gone'],
  { signal }: Job,
  work: () => Promise<void>,
): Promise<FactoryError | null> {
  try {
    await work();
    return null;
  } catch (error) {
    const known = asFactoryError(error, 'restore');
    if (OF_THE_BACKUP.test(known.code)) return known;
    if (!OF_THE_DESTINATION.test(known.code) || signal.aborted) throw error;
    gone.set(url, known);
    return known;
  }
}

/** What is cheap to find out, before anything that takes long: whether these keys open the beginning of the data. */
async function lookAt(
  candidates: readonly Candidate[],
  gone: Known['gone'],
  job: Job,
): Promise<Map<Copy, FactoryError>> {
  const problems = new Map<Copy, FactoryError>();
  const copies = candidates.flatMap((one) => one.copies);
  await inParallel(copies, AT_ONCE, async (copy) => {
    const { entry, catalog, destination } = copy;
    if (gone.has(destination.url)) return;
    const error = await ofCopy(destination.url, gone, job, async () => {
      withBase(catalog, entry);
      await assertOpens({ destination, identities: job.identities, signal: job.signal }, entry);
    });
    if (error !== null) problems.set(copy, error);
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
    const read = one === entry ? verifyCiphertext : verifyOwn;
    const error = await read(job.destination, one, job.signal);
    if (error !== null) throw error;
    if (job.identities.length > 0) await assertOpens(job, one);
  }
}

/** Of those in order: what is later than the one that was taken, and was not tried. */
export function laterThan(
  taken: Entry,
  candidates: readonly Pick<Candidate, 'entry'>[],
  failed: readonly { backupId: string }[],
): string[] {
  return candidates
    .filter(({ entry }) => inTurn(entry.manifest, taken.manifest) > 0)
    .map(({ entry }) => entry.manifest.backupId)
    .filter((id) => !failed.some(({ backupId }) => backupId === id));
}
