import type { Config } from '../../../service/config.ts';
import { readEpoch } from '../../../service/epoch.ts';
import { asFactoryError } from '../../../service/errors.ts';
import type { FactoryError } from '../../../service/errors.ts';
import { OWN_NAME } from '../../../service/jobs/facts.ts';
import { assertHolds } from '../backup/emptied.ts';
import { folderOf } from '../backup/read.ts';
import { storedIn } from '../backup/stored.ts';
import { trustedSigners } from '../backup/trust.ts';
import type { Destination } from '../destinations/destination.ts';
import { openAll } from '../destinations/open.ts';
import type { Surroundings } from '../verb.ts';
import { leaveMark } from './epoch-mark.ts';
import { signingKey } from '../backup/keys.ts';

/** Told to every destination as soon as an epoch has begun, and again until each has it. */

/** A restore is done: nobody waits longer for a destination that is away. */
const LEAVE_MS = 15_000;

export interface LeftMark {
  url: string;
  error: FactoryError | null;
}

/** Leaves the mark of this machine's epoch; empty: it is the first one. `more`: a place that is not configured. Never rejects. */
export async function leaveMarks(
  config: Config,
  env: Surroundings['env'],
  more: readonly Destination[] = [],
): Promise<LeftMark[]> {
  const { epoch, since, at } = readEpoch(config);
  if (since === null || at === null) return [];
  const configured = await openAll(config.backup.destinations, env);
  const others = more.filter(({ url }) => configured.every((one) => one.url !== url));
  const signing = signingKey(config);
  const stored = storedIn(folderOf(config, OWN_NAME));
  const holding = { name: OWN_NAME, stored, trusted: trustedSigners(config) };
  const began = { name: OWN_NAME, epoch, since, at };
  const limits = { signal: AbortSignal.timeout(LEAVE_MS) };
  return Promise.all(
    [...configured, ...others].map(async (destination) => {
      try {
        await assertHolds(destination, holding, limits);
        await leaveMark(destination, began, signing, limits);
        return { url: destination.url, error: null };
      } catch (error) {
        return { url: destination.url, error: asFactoryError(error, 'mark epoch') };
      }
    }),
  );
}

/** What a reader of each destination can tell now. */
export function marksText(epoch: number, marks: readonly LeftMark[]): string[] {
  const missing = marks.filter(({ error }) => error !== null);
  const done = marks.length > missing.length;
  return [
    ...(done
      ? [
          `What a replaced host uploads from now on counts nowhere: epoch ${epoch} is marked in the destinations.`,
        ]
      : []),
    ...(marks.length === 0 ? [untilSent(epoch, 'a destination')] : []),
    ...missing.map(({ url, error }) => `${untilSent(epoch, url)} ${error?.message ?? ''}`),
  ];
}

const untilSent = (epoch: number, where: string): string =>
  `Until a mark or a backup of epoch ${epoch} lies in ${where}, what a replaced host still uploads cannot be told there from what counts.`;
