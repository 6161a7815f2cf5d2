import type { Config } from '../../../service/config.ts';
import { readEpoch, writeFence } from '../../../service/epoch.ts';
import { OWN_NAME } from '../../../service/jobs/facts.ts';
import { openDestination } from '../destinations/open.ts';
import type { Surroundings } from '../verb.ts';
import { newerEpoch } from './replaced.ts';
import { ask } from '../backup/send.ts';
import { trustedSigners } from '../backup/trust.ts';

/** A host that was replaced and comes back asks before it serves anybody: only its destinations know of the other one. */

/** What does not answer by then does not hold up a start. */
const START_MS = 3_000;
/** One that did not answer is asked again so soon; the others are asked again now and then, for as long as this runs. */
const AGAIN_MS = 60_000;
const ALL_EVERY = 10;
const AGAIN_WAIT_MS = 30_000;

type Asking = Pick<Config, 'backup' | 'keyringDir' | 'dataDir'>;

/** Writes the fence where a destination knows of a newer epoch; those that did not answer. Never rejects. */
export async function askForFence(
  config: Asking,
  env: Surroundings['env'],
  { waitMs = START_MS, only }: { waitMs?: number; only?: ReadonlySet<string> } = {},
): Promise<Set<string>> {
  const trusted = trustedSigners(config);
  const unanswered = new Set<string>();
  // Nobody can have taken over from a host that has sent nothing yet.
  if (trusted.length === 0) return unanswered;
  const { epoch } = readEpoch(config);
  const signal = AbortSignal.timeout(waitMs);
  const late = new Promise<'late'>((resolve) => {
    signal.addEventListener('abort', () => resolve('late'), { once: true });
  });
  const folder = `${config.dataDir}/backup/${OWN_NAME}`;
  const look = async (configured: Config['backup']['destinations'][number]): Promise<boolean> => {
    const destination = await openDestination(configured, env);
    const found = await ask(destination, { name: OWN_NAME, signal, folder });
    if (found.error !== null) return false;
    const newer = await newerEpoch(destination, found, { epoch, trusted, signal });
    if (newer === null) return !signal.aborted;
    const { url } = destination;
    writeFence(config, {
      ...{ epoch: newer.epoch, backupId: newer.backupId },
      ...{ url, at: new Date().toISOString() },
    });
    return true;
  };
  await Promise.all(
    config.backup.destinations.map(async (one) => {
      if (only && !only.has(one.url)) return;
      const answered = await Promise.race([look(one).catch(() => false), late]);
      if (answered !== true) unanswered.add(one.url);
    }),
  );
  return unanswered;
}

/** Goes on asking while the service runs, whether or not it runs jobs; returns what ends it. */
export function watchForFence(
  config: Asking,
  env: Surroundings['env'],
  unanswered: ReadonlySet<string>,
  againMs = AGAIN_MS,
): () => void {
  let [open, round, busy] = [unanswered, 0, false];
  const timer = setInterval(() => {
    round += 1;
    const all = round % ALL_EVERY === 0;
    if (busy || (!all && open.size === 0)) return;
    busy = true;
    void askForFence(config, env, { waitMs: AGAIN_WAIT_MS, ...(all ? {} : { only: open }) })
      .then((still) => (open = still))
      // A keyring that cannot be read is told by health.
      .catch(() => undefined)
      .finally(() => (busy = false));
  }, againMs);
  timer.unref();
  return () => clearInterval(timer);
}
