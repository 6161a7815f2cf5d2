import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { actionPath, eventually } from '../process/client.ts';
import type { Answer } from '../process/client.ts';
import { readRows } from './database.ts';
import type { Identity, Lane } from './lanes.ts';
import { auditFailures, lanesNow, inLab, queueOf, strayInTheEnd } from './lab.ts';
import type { Lab, Outcome, Run } from './lab.ts';
import type { Random } from './random.ts';

/**
 * kill -9 at random moments while several clients act, each request with an Idempotency-Key. Afterwards every answered
 * action is there exactly once, every unanswered one zero or one times, its retry gives one and the same result, the
 * log verifies, and the queue folder follows the lanes.
 */

const CLIENTS = 8;
const ITEMS = 40;
const START_LANES: Lane[] = ['backlog', 'ready', 'executing', 'review'];
const ACTIONS: Identity[] = [
  ...([
    'record-history',
    'refresh-truth',
    'mark-ready',
    'start-execution',
    'claim',
    'release-handoff',
  ] as const),
  ...(['request-review', 'request-changes', 'prepare-release'] as const),
];
/** Milliseconds of life between two kills, at most; short ones hit the start itself. */
const LIFE_MS = 1200;

interface Sent {
  id: string;
  identity: Identity;
  key: string;
  note: string;
  /** Null: the process died first. */
  answer: Answer | null;
}

export function killActions(run: Run): Promise<Outcome> {
  return inLab(run, queueOf(ITEMS, START_LANES), async (lab) => {
    const sent: Sent[] = [];
    const state = { done: false };
    const killing = killNowAndThen(lab, run.random.fork('kills'), state);
    const each = Math.ceil(run.count / CLIENTS);
    const clients = Array.from({ length: CLIENTS }, (_, n) =>
      act(lab, run.random.fork(`client ${n}`), each, sent),
    );
    await Promise.all(clients);
    state.done = true;
    const kills = await killing;
    run.say(`${sent.length} actions, ${kills} kills`);
    return judge(lab, sent, kills);
  });
}

/** Ends with a service that runs. */
export async function killNowAndThen(
  lab: Lab,
  random: Random,
  state: { done: boolean },
  lifeMs = LIFE_MS,
): Promise<number> {
  for (let kills = 0; ; kills += 1) {
    await sleep(random.below(lifeMs));
    if (state.done) return kills;
    await lab.service.kill();
    await lab.restart();
  }
}

async function act(lab: Lab, random: Random, count: number, sent: Sent[]): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const key = randomUUID();
    const request = {
      id: random.pick(lab.ids),
      identity: random.pick(ACTIONS),
      key,
      note: `Request ${key}.`,
    };
    const answer = await post(lab, request);
    sent.push({ ...request, answer });
    // The port is new after a restart; sending into the void would only count requests that never left.
    if (answer === null) await eventually(() => alive(lab), Boolean, 60_000);
  }
}

async function post(lab: Lab, { id, identity, key, note }: Omit<Sent, 'answer'>): Promise<Answer | null> {
  try {
    return await lab
      .as('owner')
      .post(actionPath(id, identity), { input: { note } }, { 'idempotency-key': key });
  } catch {
    return null;
  }
}

export async function alive(lab: Lab): Promise<boolean> {
  try {
    return (await lab.as('owner').get('/api/health')).status === 200;
  } catch {
    return false;
  }
}

async function judge(lab: Lab, sent: Sent[], kills: number): Promise<Outcome> {
  const failures: string[] = [];
  const decided = new Map<string, string>();
  let retried = 0;
  let replayed = 0;
  for (const request of sent) {
    const first = request.answer ?? (await post(lab, request));
    if (first === null) {
      failures.push(`${request.key} got no answer from a service that was left alone`);
      continue;
    }
    if (first.status >= 500)
      failures.push(`${request.identity} answered ${first.status}: ${first.text.slice(0, 300)}`);
    if (first.status !== 200) continue;
    if (request.answer === null) retried += 1;
    if (first.headers.get('idempotency-replayed') === 'true') replayed += 1;
    const again = await post(lab, request);
    if (again?.text !== first.text)
      failures.push(`${request.key}: a retry gave another answer (${again?.status})`);
    decided.set(request.key, first.body.decisionId as string);
  }
  failures.push(...(await compareDecisions(lab, decided)), ...(await auditFailures(lab.place)));
  const lanes = await lanesNow(lab.as('owner'), lab.ids);
  failures.push(...(await strayInTheEnd(lab.place, lanes)));
  const unanswered = sent.filter(({ answer }) => answer === null).length;
  return {
    failures,
    figures: { actions: sent.length, kills, unanswered, applied: decided.size, retried, replayed },
  };
}

/** The database holds one applied decision for each key that was answered with 200, and no other. */
async function compareDecisions(lab: Lab, decided: ReadonlyMap<string, string>): Promise<string[]> {
  const rows = await readRows<{ id: string; body: string }>(
    lab.place,
    `select id, body from decisions where outcome = 'applied'`,
  );
  const answered = new Set(decided.values());
  const applied = new Set(rows.map((row) => row.id));
  const notes = Map.groupBy(
    rows,
    (row) => (JSON.parse(row.body) as { input: { note?: string } }).input.note ?? '',
  );
  return [
    ...[...answered]
      .filter((id) => !applied.has(id))
      .map((id) => `answered decision ${id} is not in the database`),
    ...rows
      .filter((row) => !answered.has(row.id))
      .map((row) => `decision ${row.id} was applied and nobody got it`),
    ...[...notes]
      .filter(([, of]) => of.length > 1)
      .map(([note, of]) => `applied ${of.length} times: ${note}`),
  ];
}
