import { randomUUID } from 'node:crypto';
import { FactoryError } from '../../service/errors.ts';
import type { Transaction } from '../../service/storage/transaction.ts';
import { duplicate, putBack, discard } from './governance-copies.ts';
import { covers, owner, RECENT } from './governance-walk.ts';
import type { Hold, Walk } from './governance-walk.ts';

/** Each step of the campaign, and how likely it is. */

const CLASSES = ['general', 'short', 'brief'];
const COPIES = 4;

export const STEPS: [name: string, weight: number, step: (walk: Walk) => Promise<void>][] = [
  ['append', 30, append],
  ['begin', 8, begin],
  ['delete-message', 8, deleteMessage],
  ['delete-session', 4, deleteSession],
  ['hold', 6, placeHold],
  ['release', 9, releaseHold],
  ['erase', 3, erase],
  ['retain', 8, retain],
  ['undo', 1, undo],
  ['days', 8, async ({ clock, random }) => clock.advance((1 + random.below(3)) * 86_400_000)],
  ['stop', 2, stopInTheMiddle],
  ['copy', 3, copy],
  ['restore', 2, restore],
];

/** What may be refused: by a hold, for what is gone, for what is not there after a restore. */
const REFUSALS = new Set(['on-hold', 'gone', 'not-found', 'subject-erased', 'plan-outdated']);

export async function attempt(walk: Walk, work: () => Promise<unknown>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    if (error instanceof FactoryError && REFUSALS.has(error.code)) return error.code;
    throw error;
  }
}

async function begin(walk: Walk): Promise<void> {
  const subjectId = walk.random.pick(walk.names);
  const input = { subjectId, class: walk.random.pick(CLASSES), title: `About ${subjectId}` };
  const refused = await attempt(walk, async () => {
    const made = await walk.context.chat.sessions.create(owner, input);
    walk.sessions = [...walk.sessions, made.id].slice(-RECENT);
  });
  // An erasure that a stop interrupted was in the journal already.
  if (refused === 'subject-erased') forgetName(walk, subjectId);
  else await learn(walk, subjectId);
}

async function append(walk: Walk): Promise<void> {
  if (walk.sessions.length === 0) return begin(walk);
  const session = walk.random.pick(walk.sessions);
  const subjectId = walk.random.chance(0.4) ? walk.random.pick(walk.names) : undefined;
  const parts = [{ type: 'text' as const, text: `words ${walk.random.below(1e9)}` }];
  await attempt(walk, () =>
    walk.context.chat.append.message(owner, session, { role: 'user', parts, subjectId }, randomUUID()),
  );
  if (subjectId !== undefined) await learn(walk, subjectId);
}

/** Which id a name has: a restored database may give another one. */
async function learn(walk: Walk, name: string): Promise<void> {
  const rows = await walk.context.storage.read.query((db) =>
    db.selectFrom('chat_subjects').select('id').orderBy('number', 'desc').limit(1),
  );
  const id = rows[0]?.id;
  if (id !== undefined && !walk.nameById.has(id)) walk.nameById.set(id, name);
}

async function deleteMessage(walk: Walk): Promise<void> {
  const live = await walk.live();
  if (live.length === 0) return;
  const { session, seq, ...one } = walk.random.pick(live);
  const held = walk.holds.some((hold) => covers(hold, { session, seq, ...one }));
  const refused = await attempt(walk, () =>
    walk.context.chat.deleteMessage(owner, session, `${session}.${seq}`),
  );
  if (held && refused === null) walk.fail(`${session}.${seq} was deleted under a hold`);
}

async function deleteSession(walk: Walk): Promise<void> {
  if (walk.sessions.length === 0) return;
  const session = walk.random.pick(walk.sessions);
  const refused = await attempt(walk, () => walk.context.chat.deleteSession(owner, session));
  if (refused === null) walk.closed.add(session);
}

async function placeHold(walk: Walk): Promise<void> {
  const { random, clock } = walk;
  const hold: Omit<Hold, 'id'> = {};
  if (random.chance(0.5)) hold.subject = random.pick(walk.names);
  if (random.chance(0.4) && walk.sessions.length > 0) hold.session = random.pick(walk.sessions);
  if (random.chance(0.3)) hold.class = random.pick(CLASSES);
  if (random.chance(0.2)) hold.from = new Date(clock.now() - random.below(20) * 86_400_000).toISOString();
  if (random.chance(0.2)) hold.to = new Date(clock.now() - random.below(5) * 86_400_000).toISOString();
  if (hold.from !== undefined && hold.to !== undefined && hold.from > hold.to) delete hold.to;
  // One that covers all would leave nothing to do.
  if (hold.subject === undefined && hold.session === undefined) hold.subject = random.pick(walk.names);
  const { subject, session, ...rest } = hold;
  await attempt(walk, async () => {
    const input = { reason: 'case', subjectId: subject, sessionId: session, ...rest };
    const { id } = await walk.context.chat.governance.holds.place(owner, input);
    walk.holds.push({ id, ...hold });
  });
  if (subject !== undefined) await learn(walk, subject);
}

async function releaseHold(walk: Walk): Promise<void> {
  if (walk.holds.length === 0) return;
  const { id } = walk.random.pick(walk.holds);
  await walk.context.chat.governance.holds.release(owner, id);
  walk.holds = walk.holds.filter((hold) => hold.id !== id);
  await walk.context.chat.governance.erasures.resume();
  await walk.settled();
}

async function erase(walk: Walk): Promise<void> {
  const subjectId = walk.random.pick(walk.names);
  const { erasures, erasurePlan } = walk.context.chat.governance;
  const planned = await erasurePlan(subjectId).catch(() => null);
  let id = '';
  if (
    (await attempt(
      walk,
      async () => (id = (await erasures.request(owner, { subjectId, reason: 'asked' })).id),
    )) !== null
  )
    return;
  forgetName(walk, subjectId);
  await walk.settled();
  const { status, certificate } = await erasures.show(id);
  walk.count(`erasure ${status}`);
  // One that there was before counts what went then, too.
  if (planned === null || planned.erasure !== null || certificate === null) return;
  walk.count('erasure planned');
  const { erased, held } = planned;
  const kept = Object.fromEntries(certificate.kept.map(({ what, count = 0 }) => [what, count]));
  for (const what of ['messages', 'attachments', 'quarantined', 'sessions'] as const)
    if ((kept[what] ?? 0) !== held[what]) walk.fail(`plan of ${id}: ${held[what]} ${what} held`);
  if (JSON.stringify(erased.total) !== JSON.stringify(certificate.erased.total))
    walk.fail(`plan of ${id}: ${JSON.stringify(erased.total)}, ${JSON.stringify(certificate.erased.total)}`);
}

async function retain(walk: Walk): Promise<void> {
  const { retention } = walk.context.chat.governance;
  const plan = await retention.plan(owner);
  // A run that a stop interrupted can go on meanwhile.
  const refused = await attempt(walk, () => retention.apply(owner, plan.id, plan.digest));
  if (refused !== null) return walk.count(refused);
  const done = await retention.show(plan.id);
  if (!walk.interrupted && (done.state !== 'applied' || done.record === null))
    walk.fail(`plan ${plan.id} is ${done.state}`);
  if (done.purge.message + done.purge.session > 0) walk.count('purges');
  walk.plans.push(plan.id);
}

async function undo(walk: Walk): Promise<void> {
  const plan = walk.plans.at(-1);
  if (plan !== undefined) await attempt(walk, () => walk.context.chat.governance.retention.undo(owner, plan));
}

/** The next step fails at some statement, and the service with it: what a start finds is whole. */
async function stopInTheMiddle(walk: Walk): Promise<void> {
  const { storage } = walk.context;
  const write = storage.write.bind(storage);
  const at = walk.random.below(12);
  let statements = 0;
  storage.write = (unit) =>
    write((tx) => {
      const counted: Transaction = {
        ...tx,
        run: (statement, params) => {
          statements += 1;
          if (statements > at) throw new Error('interrupted');
          return tx.run(statement, params);
        },
      };
      return unit(counted);
    });
  const step = walk.random.pick([deleteMessage, deleteSession, erase, retain, releaseHold, placeHold]);
  walk.interrupted = true;
  await step(walk).catch((error: unknown) => {
    if (!(error instanceof Error) || !/interrupted|journal|has no/.test(error.message)) throw error;
  });
  storage.write = write;
  walk.interrupted = false;
  await reopen(walk);
  await readHolds(walk);
  await readErased(walk);
}

async function readErased(walk: Walk): Promise<void> {
  const rows = await walk.context.storage.read.query((db) =>
    db.selectFrom('chat_subjects').select(['id', 'state']),
  );
  for (const { id, state } of rows) {
    const name = walk.nameById.get(id);
    if (state !== 'active' && name !== undefined) forgetName(walk, name);
  }
}

/** Nothing can be written about it any more: another one takes its part. */
function forgetName(walk: Walk, name: string): void {
  walk.erased.add(name);
  if (walk.names.includes(name))
    walk.names = [
      ...walk.names.filter((one) => one !== name),
      `subject ${walk.clock.now()} ${walk.erased.size}`,
    ];
}

/** What was asked for when it was interrupted may stand in the journal, and then it was carried out. */
async function readHolds(walk: Walk): Promise<void> {
  const inForce = await walk.context.chat.governance.holds.list(owner, { limit: 10_000 });
  const known = new Map(walk.holds.map((hold) => [hold.id, hold]));
  walk.holds = inForce.holds.map((view) => {
    const own = known.get(view.id);
    if (own) return own;
    const hold: Hold = { id: view.id };
    if (view.subject !== null) hold.subject = walk.nameById.get(view.subject) ?? view.subject;
    if (view.sessionId !== null) hold.session = view.sessionId;
    if (view.class !== null) hold.class = view.class;
    if (view.from !== null) hold.from = view.from;
    if (view.to !== null) hold.to = view.to;
    return hold;
  });
}

async function reopen(walk: Walk): Promise<void> {
  await walk.close();
  await walk.open();
}

async function copy(walk: Walk): Promise<void> {
  const live = await walk.live();
  await walk.close();
  const at = await duplicate(walk, walk.config.databaseUrl);
  walk.copies.push({ at, live, abandoned: false });
  if (walk.copies.length > COPIES) await discard(walk, walk.copies.shift()!);
  await walk.open();
}

async function restore(walk: Walk): Promise<void> {
  if (walk.copies.length === 0) return;
  const chosen = walk.random.pick(walk.copies);
  await walk.close();
  await putBack(walk, chosen.at);
  const held = walk.holds.map(({ id }) => id).sort();
  await walk.open();
  const after = await walk.live();
  const keys = new Set(after.map(({ key }) => key));
  for (const key of keys) if (walk.gone.has(key)) walk.fail(`${key} was gone and is there again`);
  const inForce = (await walk.context.chat.governance.holds.list(owner, { limit: 10_000 })).holds;
  if (JSON.stringify(inForce.map(({ id }) => id).sort()) !== JSON.stringify(held))
    walk.fail('other holds are in force');
  if (!chosen.abandoned)
    for (const message of chosen.live)
      if (!keys.has(message.key) && !walk.gone.has(message.key))
        walk.fail(`${message.key} is lost, and was not deleted`);
  // What came after it belongs to another timeline now.
  for (const later of walk.copies.slice(walk.copies.indexOf(chosen) + 1)) later.abandoned = true;
}
