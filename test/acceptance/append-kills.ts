import { randomUUID } from 'node:crypto';
import { eventually } from '../process/client.ts';
import type { Answer } from '../process/client.ts';
import { alive, killNowAndThen } from './kill-actions.ts';
import { auditFailures, inLab, queueOf } from './lab.ts';
import type { Lab, Outcome, Run } from './lab.ts';
import type { Random } from './random.ts';

/**
 * kill -9 at random moments while eight clients append to the same few sessions, one request of five sent once more, and what
 * was not answered until it is. Afterwards the sessions hold exactly the distinct keys, each once, where its answer said, with
 * `seq` from 1 on without a gap, and the log verifies.
 */

const CLIENTS = 8;
const SESSIONS = 4;
const RETRIES = 0.2;
const PAGE = 200;
/** What was not answered is sent again so often at most. */
const TRIES = 50;

/** A service lives for up to so long. With many appends a longer life: else most of the time goes into starts. */
const lifeFor = (count: number): number => (count < 4000 ? 1_500 : 4_000);

interface Sent {
  session: string;
  key: string;
  /** As the answer said; null: it never came. */
  seq: number | null;
}

export function appendKills(run: Run): Promise<Outcome> {
  return inLab(run, queueOf(0, []), async (lab) => {
    const sessions: string[] = [];
    for (let n = 0; n < SESSIONS; n += 1) {
      const { body } = await lab.as('owner').post('/api/sessions', { title: `Session ${n}` });
      sessions.push((body as { id: string }).id);
    }
    const failures: string[] = [];
    const state = { done: false };
    const killing = killNowAndThen(lab, run.random.fork('kills'), state, lifeFor(run.count));
    const each = Math.ceil(run.count / CLIENTS);
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, (_, n) =>
        append(lab, run.random.fork(`client ${n}`), { sessions, count: each, failures }),
      ),
    );
    state.done = true;
    const kills = await killing;
    const sent = clients.flatMap((one) => one.sent);
    const retries = clients.reduce((sum, one) => sum + one.retries, 0);
    run.say(`${sent.length} appends, ${retries} sent again, ${kills} kills`);
    failures.push(...(await compare(lab, sessions, sent)), ...(await auditFailures(lab.place)));
    return { failures, figures: { appended: sent.length, retries, kills } };
  });
}

async function append(
  lab: Lab,
  random: Random,
  { sessions, count, failures }: { sessions: string[]; count: number; failures: string[] },
): Promise<{ sent: Sent[]; retries: number }> {
  const sent: Sent[] = [];
  let retries = 0;
  for (let n = 0; n < count; n += 1) {
    const one: Sent = { session: random.pick(sessions), key: randomUUID(), seq: null };
    const again = random.chance(RETRIES) ? 1 : 0;
    for (let [left, tries] = [again + 1, 0]; left > 0 && tries < TRIES; tries += 1) {
      const answer = await post(lab, one);
      if (tries > 0) retries += 1;
      if (answer === null) {
        await eventually(() => alive(lab), Boolean, 180_000);
        continue;
      }
      left -= 1;
      const seq = (answer.body as { seq?: number } | null)?.seq ?? null;
      if (answer.status !== 201 && answer.status !== 200)
        failures.push(`${one.key} was answered ${answer.status}: ${answer.text.slice(0, 200)}`);
      else if (one.seq !== null && one.seq !== seq)
        failures.push(`${one.key} was said to be ${one.seq}, then ${seq}`);
      one.seq ??= seq;
    }
    sent.push(one);
  }
  return { sent, retries };
}

async function post(lab: Lab, { session, key }: Sent): Promise<Answer | null> {
  try {
    const body = { role: 'user', parts: [{ type: 'text', text: key }] };
    const answer = await lab
      .as('owner')
      .post(`/api/sessions/${session}/messages`, body, { 'idempotency-key': key });
    // A service that stops says so, and nothing was kept.
    return answer.status === 503 ? null : answer;
  } catch {
    return null;
  }
}

async function compare(lab: Lab, sessions: readonly string[], sent: readonly Sent[]): Promise<string[]> {
  const failures: string[] = [];
  for (const session of sessions) {
    const expected = new Map(sent.filter((one) => one.session === session).map((one) => [one.key, one.seq]));
    const kept = await messagesOf(lab, session);
    kept.forEach(({ seq }, index) => {
      if (seq !== index + 1) failures.push(`${session}: seq ${seq} stands at place ${index + 1}`);
    });
    if (kept.length !== expected.size)
      failures.push(`${session} holds ${kept.length} messages for ${expected.size} keys`);
    for (const { seq, key } of kept) {
      if (!expected.has(key)) failures.push(`${session}.${seq} is there twice, or nobody sent it: ${key}`);
      else if (expected.get(key) !== seq)
        failures.push(`${key} was said to be ${expected.get(key)}, and is ${seq}`);
      expected.delete(key);
    }
  }
  return failures;
}

async function messagesOf(lab: Lab, session: string): Promise<{ seq: number; key: string }[]> {
  const all: { seq: number; key: string }[] = [];
  for (;;) {
    const after = all.at(-1)?.seq ?? 0;
    const { body } = await lab
      .as('owner')
      .get(`/api/sessions/${session}/messages?after=${after}&limit=${PAGE}`);
    const { messages } = body as { messages: { seq: number; parts: { text: string }[] }[] };
    if (messages.length === 0) return all;
    all.push(...messages.map(({ seq, parts }) => ({ seq, key: parts[0]?.text ?? '' })));
  }
}
