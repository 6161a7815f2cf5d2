import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import { lastSequence } from '../../../service/plausible.ts';
import type { Destination } from '../destinations/destination.ts';
import { whyEmptied } from './emptied.ts';
import type { BackupJob } from './job.ts';
import { NOTHING_DAMAGED } from './damaged-objects.ts';
import { publicKeyOf } from './manifest.ts';
import { ownNumbers } from './numbers.ts';
import { assertNotReplaced } from '../epoch/replaced.ts';
import { ask, everywhere } from './send.ts';
import type { Found, SentBackup } from './send.ts';
import { storedIn } from './stored.ts';

/**
 * Asking destinations what they hold without letting one that is dead or slow hold up the others: after a moment the backup
 * goes on without its answer, and what it answers later decides what it gets.
 */

/** Every destination that is well has answered by then. */
const GRACE_MS = 5_000;

/** What each destination answered in time; of the others `late` is what they will answer. */
export async function askAll(job: BackupJob): Promise<Found[]> {
  const graceOver = Promise.withResolvers<null>();
  const timer = setTimeout(() => graceOver.resolve(null), GRACE_MS);
  try {
    return await Promise.all(
      job.destinations.map(async (destination) => {
        const answer = askHolding(destination, job);
        const inTime = await Promise.race([answer, graceOver.promise]);
        if (inTime !== null) return inTime;
        job.say(`${destination.url} has not answered yet; the backup goes on without waiting for it.`);
        return unanswered(destination, answer);
      }),
    );
  } finally {
    clearTimeout(timer);
  }
}

/** One that lost what was stored there gets nothing. */
async function askHolding(destination: Destination, job: BackupJob): Promise<Found> {
  const found = await ask(destination, job);
  if (found.error !== null || job.emptied?.has(destination.url)) return found;
  const { name, folder, signing, trusted = [], signal } = job;
  const holding = { name, stored: storedIn(folder), trusted: [publicKeyOf(signing), ...trusted] };
  try {
    return { ...found, error: await whyEmptied(destination, found.newest, holding, { signal }) };
  } catch (error) {
    return { ...found, error: asFactoryError(error, 'list destination') };
  }
}

function unanswered(destination: Destination, late: Promise<Found>): Found {
  const error = lateError(destination.url, 'It has not answered yet.');
  const known = { damaged: new Set<string>(), lacking: new Set<string>(), damagedObjects: NOTHING_DAMAGED };
  return { ...known, destination, newest: [], sizes: new Map(), error, late };
}

/**
 * A destination as it answered at last. What was decided without it must hold for it as well: another machine has not taken
 * over there, what the backup rests on lies there, and everything there comes before it. Never rejects: what keeps it from
 * its backup is its `error`. `sequence`: of the backup that it is to get; null: none.
 */
export async function settle(
  one: Found,
  job: BackupJob,
  needed: readonly SentBackup[],
  sequence: number | null,
): Promise<Found> {
  if (one.late === undefined) return one;
  const answered = await one.late;
  if (answered.error !== null) return answered;
  try {
    await assertNotReplaced(job, [answered]);
  } catch (error) {
    if (error instanceof FactoryError) return { ...answered, error };
    throw error;
  }
  const late = (why: string): FactoryError => lateError(one.destination.url, `It answered only after ${why}`);
  if (!needed.every((backup) => everywhere([answered], backup)))
    return { ...answered, error: late('the copy was made, and lacks what this backup rests on.') };
  if (sequence === null) return answered;
  try {
    const numbers = await ownNumbers(answered, job, sequence - 1);
    const last = lastSequence([sequence, ...numbers]);
    const higher = numbers.filter((number) => number <= last);
    if (higher.length === 0) return answered;
    // The lower number would make the newer backup look like the older one.
    const why = `this backup got the number ${sequence}, and holds number ${last} already.`;
    return { ...answered, numbers: higher, error: late(why) };
  } catch (error) {
    return { ...answered, error: asFactoryError(error, 'read manifests') };
  }
}

function lateError(target: string, why: string): FactoryError {
  return new FactoryError({
    ...{ code: 'destination-late', op: 'ask destination', target, message: why, retryable: true },
    hint: 'The next run sends it what it lacks.',
  });
}
