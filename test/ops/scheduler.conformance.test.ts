import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditLog } from '../../service/audit/log.ts';
import { canonicalJson } from '../../service/canonical-json.ts';
import { manualClock } from '../../service/clock.ts';
import { parseConfig } from '../../service/config.ts';
import { FactoryError } from '../../service/errors.ts';
import { backupFacts, errorFact, OWN_NAME, saveFacts } from '../../service/jobs/facts.ts';
import type { Fact } from '../../service/jobs/facts.ts';
import { finish } from '../../service/jobs/leases.ts';
import type { Claim } from '../../service/jobs/leases.ts';
import { ownMark } from '../../service/jobs/mark.ts';
import { listRuns } from '../../service/jobs/runs.ts';
import type { JobName, RunOutcome } from '../../service/jobs/types.ts';
import { createLogger } from '../../service/logger.ts';
import { createScheduler } from '../../service/ops/scheduler.ts';
import type { RunChild } from '../../service/ops/run-child.ts';
import { acceptRestore, driftReport, pauseAfterRestore, reportDigest } from '../../service/restored/pause.ts';
import { openStorage } from '../../service/storage/open.ts';
import { param, statement } from '../../service/storage/statement.ts';
import type { Storage } from '../../service/storage/transaction.ts';
import type { Tables } from '../../service/storage/tables.ts';
import { createEngineDatabase } from '../helpers/postgres.ts';

/** The scheduler with work that takes no time, on a clock that stands still until it is moved. */

const URL = 'file:///backups';
const SECOND = 1000;
const damaged = new FactoryError({ code: 'backup-damaged', op: 'verify', message: 'A byte.', hint: 'Look.' });
const leaf = statement<Tables['audit_entries']>()((db) =>
  db.insertInto('audit_entries').values({ seq: param('seq'), leaf: param('leaf') }),
);

let storage: Storage;
let clock: ReturnType<typeof manualClock>;
let did: JobName[];
let outcome: RunOutcome | 'dies' | 'hangs';
let scheduler: ReturnType<typeof createScheduler>;
let schedulers: (typeof scheduler)[];

beforeEach(async () => {
  storage = await openStorage(await createEngineDatabase());
  clock = manualClock('2026-05-01T10:00:00.000Z');
  [did, outcome, schedulers] = [[], 'ok', []];
  scheduler = newScheduler();
});
afterEach(async () => {
  for (const one of schedulers) await one.stop();
  await storage.close();
});

/** What the child does: it records that everything is in a backup now. */
const work: RunChild = async (held, signal) => {
  did.push(held.job);
  if (outcome === 'hangs')
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  if (outcome === 'dies' || outcome === 'hangs') return { code: 1, talk: 'out of memory' };
  if (outcome === 'ok') await record(held);
  await finish(storage, held, { outcome, endedAt: clock.iso(), result: null, log: '' });
  return { code: 0, talk: '' };
};

async function record({ job }: Claim): Promise<void> {
  if (job !== 'backup' && job !== 'differential') return;
  const kind = job === 'backup' ? ('full' as const) : job;
  const made = { backupId: job, kind, startedAt: clock.iso(), storedBytes: 1, destinations: [{ url: URL }] };
  await saveFacts(storage, OWN_NAME, clock.iso(), backupFacts(made, await ownMark(storage.read)));
}

function newScheduler(run: RunChild = work) {
  const env = {
    FACTORY_BACKUP_DESTINATIONS: URL,
    FACTORY_BACKUP_DIFFERENTIAL_SECONDS: '60',
    FACTORY_DATA_DIR: '/nowhere',
    // A day of nightly jobs that is not today.
    FACTORY_BACKUP_SCHEDULE: '0 0 1 1 *',
    FACTORY_VERIFY_SCHEDULE: '0 0 1 1 *',
    FACTORY_DRILL_SCHEDULE: '0 0 1 1 *',
    FACTORY_PRUNE_SCHEDULE: '0 0 1 1 *',
  };
  const parsed = parseConfig(env, { cwd: '/' });
  if ('problems' in parsed) throw new Error(canonicalJson(parsed.problems));
  const made = createScheduler({
    ...{ config: parsed.config, storage, clock, logger: createLogger('silent'), run },
    times: { tickMs: 5 },
  });
  schedulers.push(made);
  return made;
}

const runs = async () => (await listRuns(storage.read, { after: null, limit: 99 })).reverse();
const change = () =>
  storage.write(async (tx) => {
    const seq = await tx.nextSeq('audit_entries');
    await tx.run(leaf, { seq, leaf: `entry ${seq}` });
  });

/** Moves the clock and lets every scheduler look several times, all at once; what they begin ends before it goes on. */
async function pass(seconds: number): Promise<void> {
  clock.advance(seconds * SECOND);
  for (let n = 0; n < 3; n += 1) {
    await Promise.all(schedulers.map((one) => one.look()));
    if (outcome !== 'hangs') await Promise.all(schedulers.map((one) => one.settled()));
  }
}

describe('a first start', () => {
  it('makes a backup after seconds, and then differentials of what changes only', async () => {
    await pass(4);
    expect(did).toEqual([]);
    await pass(2);
    expect(did).toEqual(['backup']);
    await pass(120);
    await pass(600);
    expect(did).toEqual(['backup']);
    expect(scheduler.covered().get(URL)).toBe(clock.iso());
    await change();
    await pass(61);
    expect(did).toEqual(['backup', 'differential']);
    expect((await runs()).map(({ startedBy }) => startedBy.kind)).toEqual(['schedule', 'schedule']);
  });

  it.each([
    ['another backup is the newest there', 'newest'],
    ['a check found damage', 'verify'],
    ['a drill failed', 'drill'],
  ] as const)('asks destinations at once after %s', async (_, what) => {
    await pass(6);
    expect(did).toEqual(['backup']);
    await pass(61);
    expect(did).toEqual(['backup']);
    const value = { backupId: 'older', kind: 'full', takenAt: clock.iso(), bytes: 1 };
    const found: Fact =
      what === 'newest' ? { url: URL, kind: 'newest', value } : errorFact(what, URL, damaged);
    await saveFacts(storage, OWN_NAME, clock.iso(), [found]);
    await pass(61);
    expect(did).toEqual(['backup', 'differential']);
    // It was asked, and has everything.
    await pass(61);
    expect(did).toEqual(['backup', 'differential']);
  });

  it('asks destinations once an hour all the same', async () => {
    await pass(6);
    expect(did).toEqual(['backup']);
    await pass(3601);
    expect(did).toEqual(['backup', 'differential']);
  });
});

describe('a job', () => {
  it('that failed is tried again, more and more seldom', async () => {
    outcome = 'failed';
    await pass(6);
    expect(did).toEqual(['backup']);
    // Differentials go on in its place: one makes a full backup where there is none.
    await pass(60);
    expect(did).toEqual(['backup', 'differential']);
    await pass(30);
    expect(did).toHaveLength(2);
    for (let n = 0; n < 30; n += 1) await pass(60);
    // Not thirty.
    expect(did.length).toBeGreaterThan(2);
    expect(did.length).toBeLessThan(10);
  });

  it('whose process dies is recorded as failed, with its last words', async () => {
    outcome = 'dies';
    await pass(6);
    await expect
      .poll(async () => (await runs())[0])
      .toMatchObject({
        ...{ outcome: 'failed', log: 'out of memory', result: { error: { code: 'job-died' } } },
      });
  });

  it('that is stopped with the service is lost, and begun again by the next', async () => {
    outcome = 'hangs';
    await pass(6);
    expect(did).toEqual(['backup']);
    await scheduler.stop();
    expect((await runs()).map((run) => run.outcome)).toEqual(['lost']);
    outcome = 'ok';
    schedulers = [(scheduler = newScheduler())];
    // By itself: it looks again and again.
    scheduler.start();
    await expect.poll(async () => (await runs()).map((run) => run.outcome)).toEqual(['lost', 'ok']);
    const [first, second] = await runs();
    expect(second?.dueAt).toBe(first?.dueAt);
  });

  it('is started by hand at once, and not beside itself', async () => {
    outcome = 'hangs';
    const id = await scheduler.begin('verify', { kind: 'person', id: 'p' });
    await expect(scheduler.begin('verify', { kind: 'person', id: 'p' })).rejects.toMatchObject({
      code: 'job-running',
    });
    expect(await runs()).toMatchObject([{ id, dueAt: null, startedBy: { kind: 'person', id: 'p' } }]);
  });
});

describe('after a restore in place', () => {
  const pause = {
    backupId: 'full/factory/x',
    takenAt: '',
    epoch: 1,
    by: 'someone@host',
    why: 'restore' as const,
  };
  const restore = () => storage.write((tx) => pauseAfterRestore(tx, { ...pause, restoredAt: clock.iso() }));
  const accept = async (): Promise<void> => {
    const report = await driftReport(storage.read, 'p');
    if (report === null) throw new Error('nothing waits');
    // That it is in the log is of another test.
    const audit = { append: () => Promise.resolve() } as unknown as AuditLog;
    await acceptRestore(
      { storage, audit, projectId: 'p' },
      { kind: 'person', id: 'p' },
      reportDigest(report),
    );
  };

  it('a full backup of the new epoch is made as soon as it is accepted, and once', async () => {
    await pass(6);
    clock.advance(SECOND);
    await restore();
    await pass(600);
    expect(did).toEqual(['backup']);
    await accept();
    await pass(1);
    expect(did).toEqual(['backup', 'backup']);
    await pass(1);
    expect(did).toEqual(['backup', 'backup']);
  });

  it('it is tried again where it failed, and not made where somebody made one by hand', async () => {
    await pass(6);
    clock.advance(SECOND);
    await restore();
    await accept();
    outcome = 'failed';
    await pass(1);
    outcome = 'ok';
    await pass(1);
    expect(did.filter((job) => job === 'backup')).toHaveLength(2);
    await pass(61);
    expect(did.filter((job) => job === 'backup')).toHaveLength(3);

    clock.advance(SECOND);
    await restore();
    clock.advance(SECOND);
    await record({ job: 'backup', runId: 'by hand', fence: 1 });
    await accept();
    await pass(1);
    expect(did.filter((job) => job === 'backup')).toHaveLength(3);
  });
});

describe('two schedulers', () => {
  it('on one database do each due time once', async () => {
    newScheduler();
    for (let n = 0; n < 20; n += 1) {
      await change();
      await pass(60);
    }
    const due = (await runs()).map(({ job, dueAt }) => `${job} ${dueAt}`);
    expect(due.length).toBeGreaterThan(18);
    expect(new Set(due).size).toBe(due.length);
  });
});
