import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { SYSTEM } from '../../../service/audit/events.ts';
import { DEFAULT_CLASS, DEFAULT_GENERAL } from '../../../service/chat/policy.ts';
import type { MessageInput, Part } from '../../../service/chat/types.ts';
import type { Context } from '../../../service/context.ts';
import { FactoryError } from '../../../service/errors.ts';
import type { manualClock } from '../../../service/clock.ts';
import type { Principal } from '../../../service/work-items/types.ts';
import { secretSample } from '../corpus.ts';
import { IDENTITIES } from '../lanes.ts';
import type { Random } from '../random.ts';
import { word, words } from './words.ts';

/** What people and agents do, and how likely it is. */

type Name = 'owner' | 'second' | 'planner' | 'reviewer' | 'auditor' | 'operator';

export interface Using {
  random: Random;
  clock: ReturnType<typeof manualClock>;
  context: Context;
  people: Record<Name, Principal>;
  items: string[];
  sessions: string[];
  subjects: string[];
  holds: string[];
  plans: string[];
  /** That no message names yet. */
  files: { session: string; id: string }[];
  /** As many at once at most, as a rule. */
  batch: number;
  /** How likely it is that something goes over all, against a small installation. */
  overAll: number;
  /** Messages. */
  written: number;
  /** Of these, by the last step. */
  lastWritten: number;
  figures: Record<string, number>;
  close(): Promise<void>;
}

const FEW = 5;

type Step = (using: Using) => Promise<unknown>;

const STEPS: [name: string, weight: number, step: Step][] = [
  ['begin', 12, begin],
  ['append', 30, append],
  ['batch', 25, batch],
  ['attach', 5, attach],
  ['withhold', 3, withhold],
  ['decide', 1, decide],
  ['delete-message', 4, deleteMessage],
  ['delete-session', 1, deleteSession],
  ['hold', 2, placeHold],
  ['release', 1, releaseHold],
  ['erase', 0.5, erase],
  ['retain', 1, retain],
  ['grant', 3, grant],
  ['rotate', 0.2, rotate],
  ['import', 0.5, importSession],
  ['read', 3, read],
  ['act', 8, act],
  ['record-history', 1, recordHistory],
  ['create', 1, createItem],
  ['person', 0.5, person],
];

export const everyStep: readonly string[] = STEPS.map(([name]) => name);

/** Of the policy, of a hold, of what is gone, of an action that is not possible: all of that is use, too. */
const REFUSALS = new Set([
  ...['on-hold', 'gone', 'not-found', 'subject-erased', 'plan-outdated', 'action-blocked', 'input-refused'],
  ...[
    'bad-input',
    'permission-missing',
    'second-person-needed',
    'in-flight',
    'create-refused',
    'grant-decided',
  ],
]);

/** What goes over everything that is there takes the longer, the more there is, and happens no more often then. */
const OVER_ALL = new Set(['delete-session', 'erase', 'retain', 'rotate']);

/** One that is named, or one that is drawn. */
export async function takeStep(using: Using, wanted?: string): Promise<void> {
  const weights = STEPS.map(([name, weight]) => (OVER_ALL.has(name) ? weight * using.overAll : weight));
  let draw = using.random.next() * weights.reduce((sum, weight) => sum + weight, 0);
  const drawn =
    wanted === undefined
      ? STEPS.find((_, at) => (draw -= weights[at] ?? 0) < 0)
      : STEPS.find(([name]) => name === wanted);
  const [name, , step] = drawn ?? STEPS[0]!;
  const before = using.written;
  try {
    await step(using);
    count(using, name);
  } catch (error) {
    if (!(error instanceof FactoryError) || !REFUSALS.has(error.code))
      throw new Error(`${name} was refused`, { cause: error });
    count(using, `${name}: ${error.code}`);
  }
  using.lastWritten = using.written - before;
}

function count({ figures }: Using, name: string): void {
  figures[name] = (figures[name] ?? 0) + 1;
}

/** Short ones expire while the story goes on; secrets of held ones wait for a decision; all is counted. */
export async function putPolicies({ context, people }: Using): Promise<void> {
  const most = 1_000_000_000;
  const general = {
    ...DEFAULT_GENERAL,
    quotas: {
      ...{ messagesPerSubjectAndDay: most, bytesPerSubjectAndDay: most },
      ...{ messagesPerSession: most, bytesPerSession: most },
    },
  };
  const short = {
    ...DEFAULT_CLASS,
    retention: {
      ...DEFAULT_CLASS.retention,
      ...{ message: { days: 10, binDays: 5 }, toolOutput: { days: 3, binDays: 2 } },
    },
  };
  const held = {
    ...DEFAULT_CLASS,
    sensitive: { ...DEFAULT_CLASS.sensitive, secrets: 'quarantine' as const },
  };
  await context.chat.policies.put(people.owner, { general, classes: { short, held } }, null);
}

const somebody = ({ random, people }: Using): Principal =>
  random.pick([people.owner, people.owner, people.planner, people.reviewer]);

function subject(using: Using): string {
  const { random, subjects } = using;
  if (subjects.length > 3 && random.chance(0.8)) return random.pick(subjects);
  const name = `subject ${random.below(1e9)} ${word(random)}`;
  subjects.push(name);
  return name;
}

async function begin(using: Using): Promise<string> {
  const { random, context, items } = using;
  const { id } = await context.chat.sessions.create(somebody(using), {
    ...(random.chance(0.8) ? { title: words(random, 12) } : {}),
    class: random.pick(['general', 'general', 'general', 'general', 'general', 'general', 'short', 'held']),
    ...(random.chance(0.7) ? { subjectId: subject(using) } : {}),
    ...(random.chance(0.3) ? { itemId: random.pick(items) } : {}),
  });
  using.sessions.push(id);
  return id;
}

/** Also one that is gone by now. */
const session = async (using: Using): Promise<string> =>
  using.sessions.length < FEW || using.random.chance(0.05) ? begin(using) : using.random.pick(using.sessions);

function message(using: Using): MessageInput {
  const { random } = using;
  const call = { toolCallId: `call-${random.below(1e6)}`, name: random.pick(['shell', 'read', 'search']) };
  const parts: Part[] = [{ type: 'text', text: words(random, 40) }];
  if (random.chance(0.2))
    parts.push({ type: 'tool-call', ...call, arguments: { path: words(random, 3), n: random.below(9) } });
  if (random.chance(0.2))
    parts.push({
      type: 'tool-result',
      ...call,
      output: { text: words(random, 60), '\0': ['\ud83d'] },
      isError: random.chance(0.2),
    });
  return {
    role: random.pick(['user', 'assistant', 'system', 'tool']),
    parts,
    ...(random.chance(0.2) ? { subjectId: subject(using) } : {}),
  };
}

async function append(using: Using): Promise<void> {
  const { context, random, people } = using;
  const input = message(using);
  let id = await session(using);
  const file = using.files.pop();
  if (file) {
    id = file.session;
    input.parts.push({ type: 'attachment', attachmentId: file.id });
  }
  const key = random.chance(0.5) ? randomUUID() : undefined;
  await context.chat.append.message(people.owner, id, input, key);
  if (key !== undefined) await context.chat.append.message(people.owner, id, input, key);
  using.written += 1;
}

async function batch(using: Using): Promise<void> {
  const { context, random, people } = using;
  // A few sessions are long.
  const size = random.chance(0.1) ? 15 * using.batch : using.batch;
  const inputs = Array.from({ length: 1 + random.below(size) }, () => ({
    message: message(using),
    key: random.chance(0.1) ? randomUUID() : undefined,
  }));
  await context.chat.append.batch(people.owner, await session(using), inputs);
  using.written += inputs.length;
}

async function attach(using: Using): Promise<void> {
  const { context, random, people } = using;
  const id = await session(using);
  const bytes = Array.from({ length: random.below(3000) }, () => random.below(256));
  const content = random.chance(0.5) ? Buffer.from(bytes) : Buffer.from(words(random, 500));
  const about = {
    name: `${word(random)}.txt`,
    mediaType: random.pick(['text/plain', 'application/octet-stream']),
  };
  const made = await context.chat.attachments.add(people.owner, id, about, Readable.from([content]));
  if (random.chance(0.8)) using.files.push({ session: id, id: made.id });
}

async function withhold(using: Using): Promise<void> {
  const { context, random, people } = using;
  const { id } = await context.chat.sessions.create(people.owner, {
    class: 'held',
    subjectId: subject(using),
  });
  using.sessions.push(id);
  for (const kind of ['GitHub classic token', 'Stripe live key']) {
    const { text } = secretSample(kind, 'plain', random);
    const parts = [{ type: 'text' as const, text: `${words(random, 5)} ${text}` }];
    await context.chat.append.message(people.owner, id, { role: 'user', parts }, undefined);
    using.written += 1;
  }
  // A file waits as well.
  const { text } = secretSample('Stripe live key', 'plain', random);
  const about = { name: `${word(random)}.txt`, mediaType: 'text/plain' };
  await context.chat.attachments.add(people.owner, id, about, Readable.from([Buffer.from(text)]));
}

async function decide({ context, random, people }: Using): Promise<void> {
  const { quarantine } = context.chat.governance;
  const { quarantined } = await quarantine.list({});
  const { id } = random.pick(quarantined);
  if (random.chance(0.3)) return quarantine.reject(people.owner, id, 'a real key');
  await quarantine.release(people.owner, id, 'a test account');
  if (random.chance(0.5)) await quarantine.release(people.second, id, 'as he says');
}

async function deleteMessage(using: Using): Promise<void> {
  const { context, random, people } = using;
  const id = await session(using);
  const { lastSeq } = await context.chat.sessions.show(people.owner, id);
  await context.chat.deleteMessage(people.owner, id, `${id}.${1 + random.below(lastSeq + 1)}`);
}

async function deleteSession(using: Using): Promise<void> {
  const { context, random, people, sessions } = using;
  const at = random.below(Math.max(1, sessions.length - 1));
  await context.chat.deleteSession(people.owner, sessions[at] ?? '');
  if (random.chance(0.5)) sessions.splice(at, 1);
}

async function placeHold(using: Using): Promise<void> {
  const { context, random, people, clock } = using;
  const { id } = await context.chat.governance.holds.place(people.owner, {
    reason: `case ${word(random)}`,
    ...random.pick([
      { subjectId: subject(using) },
      { sessionId: await session(using) },
      { subjectId: subject(using), class: 'short', from: new Date(clock.now() - 864e5).toISOString() },
    ]),
  });
  using.holds.push(id);
}

async function releaseHold({ context, random, people, holds }: Using): Promise<void> {
  if (holds.length > 0) await context.chat.governance.holds.release(people.owner, random.pick(holds));
}

async function erase(using: Using): Promise<void> {
  const { context, random, people, subjects } = using;
  const { erasures } = context.chat.governance;
  const at = random.below(subjects.length);
  const [name = ''] = subjects.splice(at, 1);
  await erasures.request(people.owner, { subjectId: name, reason: `asked, ${word(random)}` });
  await erasures.idle();
}

async function retain(using: Using): Promise<void> {
  const { context, random, people, clock } = using;
  if (random.chance(0.5)) clock.advance(864e5);
  const { retention } = context.chat.governance;
  const last = using.plans.at(-1);
  if (last !== undefined && random.chance(0.2)) await retention.undo(people.owner, last);
  const { id, digest } = await retention.plan(people.owner);
  // There is one run's record at least.
  if (using.plans.length === 0 || random.chance(0.7)) await retention.apply(people.owner, id, digest);
  using.plans.push(id);
}

async function grant(using: Using): Promise<void> {
  const { context, random, people, clock } = using;
  const { grants } = context.chat.governance;
  const { id } = await grants.make(people.owner, {
    ...{ sessionId: await session(using), reason: words(random, 4).replaceAll(/[\0\ud800-\udfff]/g, '') },
    grantee: random.pick(['team', people.planner.id, people.reviewer.id]),
    expiresAt: new Date(clock.now() + (1 + random.below(200)) * 864e5).toISOString(),
  });
  if (random.chance(0.2)) await grants.revoke(people.owner, id);
}

async function rotate({ context, people }: Using): Promise<void> {
  const { rotations } = context.chat.governance;
  await rotations.begin(people.owner);
  await rotations.idle();
}

/** Of another tool, as it writes conversations. */
async function importSession(using: Using): Promise<void> {
  const { context, random, people } = using;
  const messages = Array.from({ length: 1 + random.below(20) }, (_, n) => ({
    ...{ role: n % 2 === 0 ? 'user' : 'assistant', content: words(random, 20) },
  }));
  const lines = Readable.from([Buffer.from(`${JSON.stringify({ messages })}\n`)]);
  const [made] = await context.chat.import.openai(people.owner, lines);
  if (made) using.sessions.push(made.id);
  using.written += messages.length;
}

async function read(using: Using): Promise<void> {
  const { context, people } = using;
  await context.chat.reading.page(somebody(using), await session(using), { limit: 20 });
  await context.chat.search.find(people.owner, { q: word(using.random).replaceAll('"', '') });
}

async function act(using: Using): Promise<void> {
  const { context, random, people, items } = using;
  const identity = random.pick(IDENTITIES);
  const key = random.chance(0.5) ? { idempotencyKey: randomUUID() } : {};
  await context.items.act(people.owner, random.pick(items), identity, {
    ...key,
    input: { note: word(random) },
  });
}

async function recordHistory({ context, random, people, items }: Using): Promise<void> {
  await context.items.act(people.owner, random.pick(items), 'record-history');
}

async function createItem({ context, random, people, items }: Using): Promise<void> {
  const { item } = await context.items.create(
    people.owner,
    {
      ...{ title: `Item ${word(random)}`, summary: 'What it is about.', workType: 'implementation' },
      ...{ criteria: ['It works.'], prompt: 'Do it.' },
    },
    { idempotencyKey: randomUUID() },
  );
  items.push(item.id);
}

async function person({ context, random }: Using): Promise<void> {
  const { id } = await context.people.invite(SYSTEM, {
    name: `Somebody ${random.below(1000)}`,
    role: 'reviewer',
  });
  if (random.chance(0.5)) await context.people.remove(SYSTEM, id);
}
