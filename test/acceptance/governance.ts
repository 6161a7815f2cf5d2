import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_CLASS } from '../../service/chat/policy.ts';
import { parseConfig } from '../../service/config.ts';
import type { Outcome, Run } from './lab.ts';
import { discard, onServer } from './governance-copies.ts';
import { attempt, STEPS } from './governance-steps.ts';
import { covers, owner, Walk } from './governance-walk.ts';

/**
 * Random steps of everything that takes content away or keeps it: deletion, holds, retention, erasure, a stop in the middle,
 * the database put back from a copy of before. What is held is never lost, and what went never returns.
 */

async function takeStep(walk: Walk): Promise<void> {
  const total = STEPS.reduce((sum, [, weight]) => sum + weight, 0);
  let draw = walk.random.below(total);
  const [name, , step] = STEPS.find(([, weight]) => (draw -= weight) < 0)!;
  walk.clock.advance(1000);
  walk.count(name);
  const [before, held] = [await walk.live(), walk.holds];
  await step(walk);
  if (name === 'restore') return readSome(walk);
  const after = new Set((await walk.live()).map(({ key }) => key));
  const through = held.filter(({ id }) => walk.holds.some((hold) => hold.id === id));
  for (const message of before) {
    if (after.has(message.key)) continue;
    const keeping = through.find((hold) => covers(hold, message));
    if (keeping) walk.fail(`${message.key} was lost under hold ${JSON.stringify(keeping)}`);
    walk.gone.add(message.key);
  }
  await readSome(walk);
}

/** What is there can be read, and what is of an erased subject is there only while it is held. */
async function readSome(walk: Walk): Promise<void> {
  const live = await walk.live();
  for (const message of live)
    if (
      message.subject !== null &&
      walk.erased.has(message.subject) &&
      !walk.holds.some((hold) => covers(hold, message))
    )
      walk.fail(`${message.key} is of an erased subject and not held`);
  if (live.length === 0) return;
  const { session } = walk.random.pick(live);
  const wanted = live.filter((one) => one.session === session && !one.binned).map(({ seq }) => seq);
  const hidden = await attempt(walk, async () => {
    const page = await walk.context.chat.reading.page(owner, session, { limit: 10_000 });
    if (JSON.stringify(page.messages.map(({ seq }) => seq)) !== JSON.stringify(wanted.sort((a, b) => a - b)))
      walk.fail(`${session} shows other messages than it has`);
  });
  if (hidden !== null && wanted.length > 0) walk.fail(`${session} cannot be read: ${hidden}`);
}

async function prepare(walk: Walk): Promise<void> {
  const dataDir = join(walk.dir, 'data');
  mkdirSync(dataDir);
  const database = `governance_${randomUUID().replaceAll('-', '')}`;
  let url = `sqlite:${join(dataDir, 'factory.db')}`;
  if (walk.run.engine === 'postgres') {
    await onServer(walk, `create database ${database}`);
    url = Object.assign(new URL(walk.run.postgresUrl!), { pathname: `/${database}` }).href;
  }
  const env = {
    FACTORY_DATA_DIR: dataDir,
    FACTORY_DATABASE_URL: url,
    FACTORY_LOG_LEVEL: 'silent',
    FACTORY_JOBS: 'off',
  };
  const parsed = parseConfig(env, { cwd: walk.dir });
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  walk.config = parsed.config;
  await walk.open();
  const { policies } = walk.context.chat;
  const { general } = await policies.all();
  const keep = (days: number, binDays: number) => ({
    ...DEFAULT_CLASS,
    retention: { ...DEFAULT_CLASS.retention, message: { days, binDays } },
  });
  const classes = { general: DEFAULT_CLASS, short: keep(4, 2), brief: keep(8, 0) };
  await policies.put(owner, { general, classes }, null);
}

export async function governance(run: Run): Promise<Outcome> {
  const walk = new Walk(run);
  await prepare(walk);
  try {
    for (let n = 1; n <= run.count && walk.failures.length < 10; n += 1) {
      walk.step = `step ${n}`;
      await takeStep(walk);
      if (n % 500 === 0)
        run.say(`${n} steps, ${walk.gone.size} messages gone, ${walk.failures.length} failures`);
    }
    for (const { id } of walk.holds) await walk.context.chat.governance.holds.release(owner, id);
    await walk.context.chat.governance.erasures.resume();
    await walk.settled();
    walk.holds = [];
    walk.step = 'the end';
    await readSome(walk);
    const { erasures, holds } = walk.context.chat.governance;
    const inForce = (await holds.list(owner, { limit: 10_000 })).holds;
    if (inForce.length > 0) walk.fail(`holds are in force that nobody placed: ${JSON.stringify(inForce)}`);
    for (const { status, certificate } of (await erasures.list({ limit: 10_000 })).erasures)
      if (status !== 'done')
        walk.fail(`an erasure is ${status} without a hold: ${JSON.stringify(certificate?.kept)}`);
  } finally {
    await walk.close();
    for (const one of walk.copies) await discard(walk, one);
    rmSync(walk.dir, { recursive: true, force: true });
  }
  return { failures: walk.failures, figures: { ...walk.figures, gone: walk.gone.size } };
}
