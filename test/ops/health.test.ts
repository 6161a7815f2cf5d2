import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { manualClock } from '../../service/clock.ts';
import { FactoryError } from '../../service/errors.ts';
import { healthDocument, type HealthFacts } from '../../service/ops/health.ts';
import { createHealth } from '../../service/ops/probes.ts';
import type { Storage } from '../../service/storage/transaction.ts';
import { backupStatus, destination, fakeOperations, firstMinutes, jobRun } from '../helpers/operations.ts';

const NOW = Date.parse('2026-05-01T12:10:00.000Z');
const JOBS = await fakeOperations({ now: () => NOW }).jobs();
const [BACKUP, ...OTHERS] = JOBS as [(typeof JOBS)[0], ...typeof JOBS];
/** Every job, the backup with these words. */
const jobsWith = (change: Partial<typeof BACKUP>) => [{ ...BACKUP, ...change }, ...OTHERS];

const FINE: HealthFacts = {
  installation: 'an-id',
  release: '2026-05-01.1',
  schema: 1,
  startedAt: '2026-05-01T12:00:00.000Z',
  now: '2026-05-01T12:10:00.000Z',
  database: { error: null },
  disk: { freeBytes: 50e9, totalBytes: 100e9 },
  audit: { signing: true, size: 10, signedSize: 10 },
  queue: {
    readAt: '2026-05-01T12:09:50.000Z',
    problems: 0,
    policy: null,
    absence: null,
    known: true,
    unreadable: [],
    failing: 0,
  },
  jobs: JOBS,
  backups: backupStatus(NOW),
  scheduled: true,
  restore: { paused: null, replaced: null },
  search: { error: null },
};

const UNREACHABLE = { code: 'destination-unreachable', message: 'No.', hint: 'Wait.', at: FINE.now };

const GONE = {
  code: 'queue-missing',
  message: 'The work-items folder does not exist.',
  hint: 'Bring it back.',
};

describe('the rule', () => {
  it.each<[string, Partial<HealthFacts>, string, string]>([
    ['all is well', {}, 'ok', 'database ok'],
    [
      'the database cannot be written',
      { database: { error: 'database-write-failed' } },
      'failing',
      'database failing',
    ],
    [
      'a restore waits for an answer',
      { restore: { paused: 'It waits.', replaced: null } },
      'degraded',
      'restore degraded',
    ],
    [
      'another machine took over',
      { restore: { paused: null, replaced: { epoch: 2, own: 1 } } },
      'failing',
      'restore failing',
    ],
    ['the disk is at 500 MB', { disk: { freeBytes: 499e6, totalBytes: 1e9 } }, 'degraded', 'disk degraded'],
    ['the disk is at 5 %', { disk: { freeBytes: 49e9, totalBytes: 1000e9 } }, 'degraded', 'disk degraded'],
    ['a small disk has room', { disk: { freeBytes: 500e6, totalBytes: 1e9 } }, 'ok', 'disk ok'],
    ['the disk tells nothing', { disk: null }, 'degraded', 'disk degraded'],
    [
      'the log is not signed',
      { audit: { signing: false, size: 9, signedSize: 3 } },
      'degraded',
      'audit degraded',
    ],
    ['the search index cannot be kept', { search: { error: 'SQLITE_FULL' } }, 'degraded', 'search degraded'],
    ['records are broken', { queue: { ...FINE.queue, problems: 3 } }, 'degraded', 'queue degraded'],
    [
      'the queue is not read any more',
      { queue: { ...FINE.queue, readAt: '2026-05-01T12:07:00.000Z' } },
      'degraded',
      'queue degraded',
    ],
    ['the queue was never read', { queue: { ...FINE.queue, readAt: null } }, 'degraded', 'queue degraded'],
    [
      'the first reading is under way',
      { queue: { ...FINE.queue, readAt: null }, now: '2026-05-01T12:00:01.000Z' },
      'ok',
      'queue ok',
    ],
    ['the queue folder is gone', { queue: { ...FINE.queue, absence: GONE } }, 'degraded', 'queue degraded'],
    [
      'there never was a queue folder',
      { queue: { ...FINE.queue, readAt: null, absence: GONE, known: false } },
      'ok',
      'queue ok',
    ],
    ['queue files cannot be written', { queue: { ...FINE.queue, failing: 2 } }, 'degraded', 'queue degraded'],
    [
      'a folder of the queue cannot be read',
      { queue: { ...FINE.queue, unreadable: ['ready'] } },
      'degraded',
      'queue degraded',
    ],
  ])('%s', (_, facts, status, check) => {
    const document = healthDocument({ ...FINE, ...facts });
    const [name, verdict] = check.split(' ') as ['database', string];
    expect([document.status, document.checks[name].status]).toEqual([status, verdict]);
  });

  it('says of a missing queue folder what stays in force and what to do', () => {
    const { detail } = healthDocument({ ...FINE, queue: { ...FINE.queue, absence: GONE } }).checks.queue;
    expect(detail).toBe(
      'The work-items folder does not exist. The policy read last stays in force, and what the queue says is unknown. Bring it back.',
    );
  });

  it.each([
    [{ problems: 0 }, "0 problems in the queue's files."],
    [{ problems: 1 }, "1 problem in the queue's files; the board and `npx factory validate` name it."],
    [{ problems: 2 }, "2 problems in the queue's files; the board and `npx factory validate` name them."],
    [
      { problems: 1, policy: { file: 'policy.yaml', line: 3, code: 'policy-invalid' } },
      'policy.yaml:3 cannot be used (policy-invalid); the policy read last stays in force. ' +
        "Correct the file; `npx factory validate` says what is wrong with it. 1 problem in the queue's files.",
    ],
    [{ failing: 1 }, 'Queue files of 1 item could not be written; its page says why. It is tried again.'],
  ])('says of %j: %s', (queue, detail) => {
    expect(healthDocument({ ...FINE, queue: { ...FINE.queue, ...queue } }).checks.queue.detail).toBe(detail);
  });

  const first = firstMinutes(NOW).backups;
  const never = JOBS.map((job) => ({ ...job, last: null }));
  const failed = [jobRun(NOW, 'backup', 60_000, { outcome: 'failed' })].map((last) => jobsWith({ last }));

  it.each<[string, Partial<HealthFacts>, string]>([
    ['all is well', {}, 'ok ok'],
    ['a job is two minutes late', { jobs: jobsWith({ nextAt: '2026-05-01T12:07:59.000Z' }) }, 'degraded ok'],
    [
      'a job is late that still runs',
      { jobs: jobsWith({ nextAt: '2026-05-01T12:07:59.000Z', running: jobRun(NOW, 'backup', 0) }) },
      'ok ok',
    ],
    ['jobs are paused', { jobs: jobsWith({ paused: 'after a restore' }) }, 'degraded ok'],
    [
      'a run was lost',
      { jobs: jobsWith({ last: jobRun(NOW, 'backup', 9e6, { outcome: 'lost' }) }) },
      'degraded ok',
    ],
    ['there are no jobs', { jobs: [] }, 'not-configured ok'],
    ['others start the jobs', { scheduled: false, jobs: jobsWith({ paused: 'off' }) }, 'not-configured ok'],
    ['jobs cannot be read', { jobs: { error: 'database-busy' } }, 'degraded ok'],
    ['backups cannot be read', { backups: { error: 'database-busy' } }, 'ok degraded'],
    ['a backup is late', { backups: backupStatus(NOW, { ageSeconds: 901 }) }, 'ok degraded'],
    ['backups fail', { backups: backupStatus(NOW, { status: 'failing' }) }, 'ok degraded'],
    ['nothing was backed up yet, 10 minutes after the start', { backups: first, jobs: never }, 'ok ok'],
    [
      'a destination failed before the first one ended',
      { backups: { ...first, destinations: [destination(NOW, { error: UNREACHABLE })] }, jobs: never },
      'ok degraded',
    ],
    ['the first one failed', { backups: first, jobs: failed[0] ?? [] }, 'ok degraded'],
    [
      'nothing was backed up within the budget',
      { backups: first, jobs: never, startedAt: '2026-05-01T11:55:00.000Z' },
      'ok degraded',
    ],
    [
      'nothing is configured',
      { backups: backupStatus(NOW, { status: 'not-configured' }) },
      'ok not-configured',
    ],
  ])('of jobs and backups: %s', (_, facts, expected) => {
    const { status, checks } = healthDocument({ ...FINE, ...facts });
    expect(`${checks.scheduler.status} ${checks.backup.status}`).toBe(expected);
    expect(status).toBe(expected.includes('degraded') ? 'degraded' : 'ok');
  });

  it('says nothing in public of why a job is paused', () => {
    const { checks } = healthDocument({ ...FINE, jobs: jobsWith({ paused: '/secret/path' }) });
    expect(checks.scheduler.detail).toBe('Paused: backup; the Operations page says why.');
  });
});

describe('the probe', () => {
  /** A storage whose writes do what the test says. */
  function healthOf(write: () => Promise<void>, times = {}) {
    let writes = 0;
    const storage = {
      write: async () => {
        writes += 1;
        await write();
        return { changes: 1 };
      },
    } as unknown as Storage;
    const health = createHealth({
      search: { trouble: () => null },
      storage,
      clock: manualClock('2026-05-01T12:00:00Z'),
      audit: { health: () => ({ status: 'ok', size: 1, signedSize: 1, problem: null }) },
      items: { queueHealth: () => ({ ...FINE.queue, readAt: null }) },
      operations: fakeOperations({ now: () => NOW }),
      config: { release: null, dataDir: '/', keyringDir: '/nonexistent', jobs: true },
      installation: 'an-id',
      times,
    });
    return { health, writes: () => writes };
  }

  it('writes once for everybody who asks at once, and again later', async () => {
    const { health, writes } = healthOf(() => sleep(5), { reuseMs: 20 });
    const all = await Promise.all(Array.from({ length: 20 }, () => health.check()));
    expect([new Set(all.map(({ status }) => status)).size, writes()]).toEqual([1, 1]);
    await sleep(30);
    await health.check();
    expect(writes()).toBe(2);
  });

  it('names the code of a failure, never its text', async () => {
    const { health } = healthOf(() =>
      Promise.reject(
        new FactoryError({ code: 'database-write-failed', op: 'commit', message: '/secret/path', hint: 'x' }),
      ),
    );
    const { status, checks } = await health.check();
    expect(status).toBe('failing');
    expect(checks.database.detail).toBe('The database cannot be written (database-write-failed).');
  });

  it('gives up a write that hangs, waits for it instead of repeating it, and recovers', async () => {
    let release = (): void => undefined;
    const hanging = new Promise<void>((resolve) => (release = resolve));
    const { health, writes } = healthOf(() => hanging, { reuseMs: 0, timeoutMs: 10 });
    expect((await health.check()).status).toBe('failing');
    expect((await health.check()).checks.database.detail).toContain('timeout');
    expect(writes()).toBe(1);
    release();
    await sleep(1);
    expect((await health.check()).checks.database.status).toBe('ok');
  });

  it('tells the pages what was found last', async () => {
    const { health } = healthOf(() => Promise.resolve());
    expect(health.summary()).toEqual({ status: 'starting', text: 'Starting' });
    await health.check();
    expect(health.summary().status).toMatch(/ok|degraded/);
  });
});
