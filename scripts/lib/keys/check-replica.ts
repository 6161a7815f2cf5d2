import { hash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { FactoryError } from '../../../service/errors.ts';
import type { Destination, Stored } from '../destinations/destination.ts';
import { replicaPrefix } from './replica.ts';
import { isAsSent, lastSentTo, sendAgain } from './send-replica.ts';
import type { SentReplica } from './send-replica.ts';

export interface KeyringProblem {
  key: string;
  error: FactoryError;
}

/**
 * Whether a destination still has the last copy of the keyring that this machine sent, byte for byte; none: it has, or this
 * machine sent none. Where it has not, a new one goes with the next backup. Errors: those of the destination.
 */
export async function checkReplica(
  folder: string,
  destination: Destination,
  { name, signal }: { name: string; signal: AbortSignal },
): Promise<KeyringProblem[]> {
  // Before the listing: a backup may send one meanwhile.
  const last = lastSentTo(folder, destination.url);
  if (last === null) return [];
  const listed = await destination.list(replicaPrefix(name), { signal });
  const problems = missingReplica(last, listed);
  if (problems.length === 0) {
    const bytes = await buffer(await destination.get(last.key, { signal }));
    if (hash('sha256', bytes) !== last.sha256) problems.push(problem('damaged', last.key));
  }
  if (problems.length > 0) sendAgain(folder);
  return problems;
}

/** As far as a listing tells. */
export function missingReplica(last: SentReplica | null, listed: readonly Stored[]): KeyringProblem[] {
  if (last === null) return [];
  const found = listed.find(({ key }) => key === last.key);
  if (found === undefined) return [problem('missing', last.key)];
  return isAsSent(found, last) ? [] : [problem('damaged', last.key)];
}

function problem(kind: 'missing' | 'damaged', target: string): KeyringProblem {
  const what = kind === 'missing' ? 'is not there any more' : 'is not as it was sent';
  const error = new FactoryError({
    ...{ code: `keyring-copy-${kind}`, op: 'check copy of the keyring', target },
    message: `The last copy of the keyring, ${target}, ${what}.`,
    hint: 'The next backup sends a new one: `npx factory backup`. Look who else writes there.',
  });
  return { key: target, error };
}
