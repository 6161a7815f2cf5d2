import { FactoryError } from '../../../service/errors.ts';
import { healthProblem, paceProblem, p95, READS, replyProblem } from './rules/gates.ts';
import type { GateLimits } from './rules/gates.ts';
import { turnedBad } from './rules/watch.ts';
import type { Sample, WatchLimits } from './rules/watch.ts';
import type { DeployHost } from './types.ts';

/** Slots that are started, questioned and watched. */

const HEALTH = '/api/health';
const POLL_MS = 100;

/** Starts a slot and waits until it answers as the release that it should be. Errors: `slot-failed`. */
export async function startSlot(
  host: DeployHost,
  release: string,
  { startMs, replyMs }: GateLimits,
): Promise<string> {
  await host.start(release);
  const until = host.now() + startMs;
  for (let problem = 'it was not asked yet'; ;) {
    const ended = await host.ended(release);
    if (ended !== null) throw slotFailed(release, `its process ended: ${ended}`);
    if (host.now() > until)
      throw slotFailed(release, `it was not ready within ${startMs / 1000} s: ${problem}`);
    const reply = await host.ask(release, HEALTH, Math.min(replyMs, startMs));
    const found = healthProblem(reply, release);
    if (found === null) return `answers on its own socket`;
    // A stranger on the socket will not become ours.
    if (reply.status === 200) throw slotFailed(release, found);
    problem = found;
    await host.sleep(POLL_MS);
  }
}

/** Asks all reads several times, over the slot's own socket. Errors: `gate-failed`. */
export async function passGates(host: DeployHost, release: string, limits: GateLimits): Promise<string> {
  const times: number[] = [];
  const all = READS.length * Math.max(1, limits.rounds - 1);
  for (let round = 0; round < limits.rounds; round += 1) {
    const health = await host.ask(release, HEALTH, limits.replyMs);
    const problem = healthProblem(health, release);
    if (problem !== null) throw gateFailed(release, problem);
    for (const read of READS) {
      const reply = await host.ask(release, read.path, limits.replyMs);
      const wrong = replyProblem(read, reply);
      if (wrong !== null) throw gateFailed(release, wrong);
      // The first answers load what a start leaves for later.
      if (round > 0 || limits.rounds === 1) times.push(reply.ms);
      const slow = paceProblem(times, all, limits.p95Ms);
      if (slow !== null) throw gateFailed(release, slow);
    }
  }
  const ended = await host.ended(release);
  if (ended !== null) throw gateFailed(release, `its process ended: ${ended}`);
  return `${READS.length} reads, ${limits.rounds} times, 95 of 100 within ${Math.ceil(p95(times))} ms`;
}

/** Questions that wait for their answers at the same time, at the most. */
const AT_ONCE = 50;

/**
 * Asks what people reach until the time is over; answers why the way back has to be taken, or null. Nobody waits for an
 * answer before the next question: a release that became slow is asked as often as before.
 */
export async function watchLive(
  host: DeployHost,
  release: string,
  limits: WatchLimits,
): Promise<{ bad: string | null; asked: number }> {
  const samples: Sample[] = [];
  const waiting = new Map<number, number>();
  async function question(turn: number): Promise<void> {
    const read = READS[turn % READS.length];
    if (read === undefined) return;
    waiting.set(turn, host.now());
    const reply = await host.ask(null, read.path, limits.replyMs);
    waiting.delete(turn);
    const problem = read.path === HEALTH ? healthProblem(reply, release) : replyProblem(read, reply);
    samples.push({ at: host.now(), ms: reply.ms, problem });
  }
  const until = host.now() + limits.ms;
  for (let turn = 0; host.now() < until; turn += 1) {
    if (waiting.size < AT_ONCE) void question(turn);
    await host.sleep(limits.everyMs);
    const now = host.now();
    const late = [...waiting.values()].map((since) => ({ at: now, ms: now - since, problem: null }));
    const bad = turnedBad([...samples, ...late.filter(({ ms }) => ms > limits.p95Ms)], now, limits);
    if (bad !== null) return { bad, asked: turn + 1 };
  }
  return { bad: null, asked: samples.length };
}

function slotFailed(target: string, why: string): FactoryError {
  return new FactoryError({
    ...{ code: 'slot-failed', op: 'start slot', target },
    message: `${target} did not start: ${why}.`,
    hint: 'Requests went on to the release before. Read its log on the host, mend it, and deploy the new release.',
  });
}

function gateFailed(target: string, why: string): FactoryError {
  return new FactoryError({
    ...{ code: 'gate-failed', op: 'pass gates', target },
    message: `${target} is not fit to be live: ${why}.`,
    hint: 'Requests went on to the release before. Mend what the gate found, and deploy the new release.',
  });
}
