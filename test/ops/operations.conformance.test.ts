import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { loadAuditKeys } from '../../service/audit/keys.ts';
import { createAuditLog } from '../../service/audit/log.ts';
import type { AuditLog } from '../../service/audit/log.ts';
import { manualClock } from '../../service/clock.ts';
import { parseConfig } from '../../service/config.ts';
import { backupFacts, OWN_NAME, saveFacts, verifyFacts } from '../../service/jobs/facts.ts';
import { claim, finish } from '../../service/jobs/leases.ts';
import { insertEnded } from '../../service/jobs/runs.ts';
import type { JobRun, OperationsPort } from '../../service/jobs/types.ts';
import { createLogger } from '../../service/logger.ts';
import { createOperations } from '../../service/ops/operations.ts';
import { pauseAfterRestore } from '../../service/restored/pause.ts';
import { onSameDisk } from '../../service/same-disk.ts';
import { createCursors } from '../../service/storage/cursor.ts';
import { openStorage } from '../../service/storage/open.ts';
import type { Storage } from '../../service/storage/transaction.ts';
import { createEngineDatabase } from '../helpers/postgres.ts';

/** What pages and API are told, from what runs wrote down. */

/** A mount whose server is gone: whoever asks for anything there gets no answer. */
const DEAD = '/srv/dead-mount';
const device = (path: string): Promise<number> =>
  path === DEAD ? new Promise(() => undefined) : Promise.resolve(1);

const URL = 's3://far/backups?endpoint=https%3A%2F%2Fs3.example.org';
let storage: Storage;
let clock: ReturnType<typeof manualClock>;
let operations: OperationsPort;
let log: AuditLog;
let covered: Map<string, string>;
let began: { job: string; startedBy: JobRun['startedBy'] }[];

beforeEach(async () => {
  storage = await openStorage(await createEngineDatabase());
  clock = manualClock('2026-05-01T10:00:00.000Z');
  [covered, began] = [new Map(), []];
  const folder = mkdtempSync(join(inject('scratch'), 'operations-'));
  const keys = loadAuditKeys(join(folder, 'keyring'), 'test', false);
  const logger = createLogger('silent');
  log = createAuditLog({ storage, keys, clock, checkpointDirs: [join(folder, 'checkpoints')], logger });
  operations = make();
});
afterEach(() => storage.close());

function make(
  env: Record<string, string> = {},
  able = true,
  audit: Pick<AuditLog, 'append'> = log,
): OperationsPort {
  const all = { FACTORY_BACKUP_DESTINATIONS: URL, FACTORY_BACKUP_DIFFERENTIAL_SECONDS: '300', ...env };
  const parsed = parseConfig(all, { cwd: '/nowhere' });
  if ('problems' in parsed) throw new Error(parsed.problems[0]?.message);
  return createOperations({
    ...{ config: parsed.config, storage, clock, cursors: createCursors(Buffer.alloc(32)) },
    ...{ audit: audit as AuditLog, projectId: 'main' },
    drills: { history: async () => [] },
    sameDisk: (destinations, of) => onSameDisk(destinations, of, { device, ms: 50 }),
    scheduler: {
      able,
      covered: () => covered,
      begin: async (job, startedBy) => {
        began.push({ job, startedBy });
        return 'run';
      },
    },
  });
}

async function backedUp(): Promise<void> {
  const [startedAt, backupId] = [clock.iso(), 'full/factory/1'];
  const made = { backupId, kind: 'full' as const, startedAt, storedBytes: 5, destinations: [{ url: URL }] };
  await saveFacts(storage, OWN_NAME, startedAt, backupFacts(made, 'mark'));
  const verified = { at: startedAt, how: 'ciphertext' as const };
  const listed = [{ backupId, kind: 'full', takenAt: startedAt, bytes: 5, verified }];
  await saveFacts(storage, OWN_NAME, startedAt, verifyFacts(URL, listed, null));
}

const differential = async () => (await operations.jobs()).find(({ name }) => name === 'differential');

describe('backups', () => {
  it('are as old as what is known to be covered, written down or not', async () => {
    expect(await operations.backups()).toMatchObject({ status: 'degraded', ageSeconds: null });
    await backedUp();
    clock.advance(1200_000);
    expect(await operations.backups()).toMatchObject({
      status: 'failing',
      ageSeconds: 1200,
      budgetSeconds: 660,
    });
    covered.set(URL, clock.iso());
    clock.advance(30_000);
    expect(await operations.backups()).toMatchObject({ status: 'ok', ageSeconds: 30 });
  });

  it('are told although the folder of one lies on a mount that gives no answer', async () => {
    await backedUp();
    const destinations = `${URL} file://${DEAD}`;
    const answer = await make({ FACTORY_BACKUP_DESTINATIONS: destinations }).backups();
    expect(answer.destinations.map(({ url, sameDisk }) => [url, sameDisk])).toEqual([
      [URL, false],
      [`file://${DEAD}`, false],
    ]);
  });

  it('have a day where something outside makes them, unless an interval is set', async () => {
    await backedUp();
    clock.advance(1200_000);
    const day = make({ FACTORY_JOBS: 'off', FACTORY_BACKUP_DIFFERENTIAL_SECONDS: '' });
    expect(await day.backups()).toMatchObject({ status: 'ok', budgetSeconds: 93_600 });
    const set = make({ FACTORY_JOBS: 'off', FACTORY_BACKUP_DIFFERENTIAL_SECONDS: '60' });
    expect(await set.backups()).toMatchObject({ status: 'failing', budgetSeconds: 180 });
  });

  it('may be older while a full one keeps differentials waiting', async () => {
    await backedUp();
    const by = { startedBy: { kind: 'schedule' as const, id: null }, holder: 'host', dueAt: null };
    const first = await claim(storage, { ...by, job: 'backup', now: clock.now() });
    clock.advance(600_000);
    await finish(storage, first, { outcome: 'ok', endedAt: clock.iso(), result: null, log: '' });
    await backedUp();
    clock.advance(300_000);
    await claim(storage, { ...by, job: 'backup', now: clock.now() });
    clock.advance(500_000);
    expect(await operations.backups()).toMatchObject({ status: 'ok', ageSeconds: 800, budgetSeconds: 1160 });
  });
});

describe('jobs', () => {
  it('are next at their times, and not late while there is nothing to do', async () => {
    clock.advance(60_000);
    expect(await differential()).toMatchObject({
      schedule: 'every 300 s',
      nextAt: '2026-05-01T10:05:00.000Z',
    });
    clock.advance(600_000);
    expect((await differential())?.nextAt).toBe('2026-05-01T10:10:00.000Z');
    covered.set(URL, clock.iso());
    expect((await differential())?.nextAt).toBe('2026-05-01T10:15:00.000Z');
  });

  it('are soon in a new installation, and a drill not while there is nothing to restore', async () => {
    const drill = async () => (await operations.jobs()).find(({ name }) => name === 'drill')?.nextAt;
    const [backup] = await operations.jobs();
    expect([backup?.nextAt, await drill()]).toEqual(['2026-05-01T10:00:05.000Z', '2026-05-01T10:01:30.000Z']);
    const ended = { outcome: 'failed' as const, endedAt: clock.iso(), result: null, log: '' };
    const startedBy = { kind: 'schedule' as const, id: null };
    await insertEnded(storage, { job: 'backup', startedBy, startedAt: clock.iso(), ...ended });
    expect(await drill()).toBe('2026-05-02T04:15:00.000Z');
    await backedUp();
    expect(await drill()).toBe('2026-05-01T10:01:30.000Z');
  });

  it('show what runs and how the last one ended', async () => {
    const wanted = {
      job: 'backup' as const,
      dueAt: null,
      startedBy: { kind: 'schedule' as const, id: null },
    };
    const first = await claim(storage, { ...wanted, holder: 'host', now: clock.now() });
    await finish(storage, first, { outcome: 'ok', endedAt: clock.iso(), result: null, log: '' });
    clock.advance(1000);
    const second = await claim(storage, { ...wanted, holder: 'host', now: clock.now() });
    const [backup] = await operations.jobs();
    expect(backup).toMatchObject({ running: { id: second.runId }, last: { id: first.runId, outcome: 'ok' } });
    expect((await operations.plan('backup')).refused).toMatch(/running/);
  });

  it('are paused by configuration, and none of this installation in production', async () => {
    const off = await make({ FACTORY_JOBS: 'off' }).jobs();
    expect(off.map(({ paused, nextAt }) => [typeof paused, nextAt])).toEqual(off.map(() => ['string', null]));
    const production = await make({ FACTORY_ENV: 'production' }).jobs();
    expect(production.find(({ name }) => name === 'drill')).toMatchObject({ nextAt: null, paused: null });
  });
});

describe('a run by hand', () => {
  const actor = { kind: 'person' as const, id: 'p' };

  it('is started by the plan that was shown, once', async () => {
    const plan = await operations.plan('verify');
    expect(plan).toMatchObject({ refused: null, steps: [expect.stringContaining(URL)] });
    expect(await operations.start(actor, 'verify', plan.digest)).toEqual({ runId: 'run' });
    expect(began).toEqual([{ job: 'verify', startedBy: actor }]);
    const run = {
      startedAt: clock.iso(),
      endedAt: clock.iso(),
      outcome: 'ok' as const,
      result: null,
      log: '',
    };
    await insertEnded(storage, { ...run, job: 'verify', startedBy: actor });
    await expect(operations.start(actor, 'verify', plan.digest)).rejects.toMatchObject({
      code: 'plan-outdated',
    });
    expect(began).toHaveLength(1);
  });

  it('is refused where none can run, with its reason', async () => {
    const unable = make({}, false);
    const { digest, refused } = await unable.plan('verify');
    expect(refused).toMatch(/cannot run jobs/);
    await expect(unable.start(actor, 'verify', digest)).rejects.toMatchObject({ code: 'job-paused' });
    expect((await make({ FACTORY_ENV: 'production' }).plan('backup')).refused).toMatch(
      /FACTORY_BACKUP_RECIPIENTS/,
    );
  });
});

describe('after a restore', () => {
  const restore = () =>
    storage.write((tx) =>
      pauseAfterRestore(tx, {
        ...{ backupId: 'full/factory/x', takenAt: '2026-05-01T00:00:00.000Z', epoch: 1, by: 'someone@host' },
        ...{ restoredAt: '2026-05-01T01:00:00.000Z', why: 'restore' },
      }),
    );
  const actor = { kind: 'person' as const, id: 'p' };
  const entries = async () => {
    await log.integrate();
    const { entries: found } = await log.entries({ after: null, limit: 50, filters: {} });
    return found.map(({ leaf }) => JSON.parse(leaf) as Record<string, unknown>);
  };

  it('somebody accepts exactly the report that was shown, and the log says who', async () => {
    expect(await operations.driftReport()).toBeNull();
    await expect(operations.acceptRestore(actor, 'x')).rejects.toMatchObject({ code: 'restore-not-paused' });
    await restore();
    const report = await operations.driftReport();
    expect(report).toMatchObject({ pause: { backupId: 'full/factory/x' }, drifted: [], owed: [] });
    await expect(operations.acceptRestore(actor, 'x')).rejects.toMatchObject({ code: 'report-outdated' });
    expect([await operations.restored(), await entries()]).toMatchObject([{ open: true }, []]);
    await operations.acceptRestore(actor, report?.digest ?? '');
    expect([await operations.restored(), await operations.driftReport()]).toMatchObject([
      { open: false },
      null,
    ]);
    expect(await entries()).toMatchObject([
      { actor, action: 'database.restore-accepted', object: { kind: 'backup', id: 'full/factory/x' } },
    ]);
    expect((await operations.plan('backup')).refused).toBeNull();
  });

  it('nothing is accepted that the log does not have', async () => {
    await restore();
    const digest = (await operations.driftReport())?.digest ?? '';
    const append = () => Promise.reject(new Error('disk full'));
    await expect(make({}, true, { append }).acceptRestore(actor, digest)).rejects.toThrow('disk full');
    expect(await operations.restored()).toMatchObject({ open: true });
    expect((await operations.driftReport())?.digest).toBe(digest);
  });

  it('nothing is started before somebody accepted what drifted, and the plan says so', async () => {
    const { digest } = await operations.plan('backup');
    await restore();
    expect((await operations.plan('backup')).refused).toMatch(/paused until .*factory restore --accept/);
    await expect(operations.start(actor, 'backup', digest)).rejects.toMatchObject({
      ...{ code: 'job-paused', hint: expect.stringContaining('factory restore --accept') as string },
    });
    expect(began).toEqual([]);
  });
});

describe('the history', () => {
  it('comes in pages, newest first', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      clock.advance(n === 2 ? 0 : 1000);
      const run = {
        startedAt: clock.iso(),
        endedAt: clock.iso(),
        outcome: 'ok' as const,
        result: null,
        log: '',
      };
      ids.push(
        await insertEnded(storage, { ...run, job: 'verify', startedBy: { kind: 'schedule', id: null } }),
      );
    }
    const found: string[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await operations.runs({ limit: 2, ...(cursor ? { cursor } : {}) });
      found.push(...page.runs.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(new Set(found)).toEqual(new Set(ids));
    expect(found).toHaveLength(5);
    expect(found[0]).toBe(ids[4]);
    await expect(operations.runs({ limit: 2, cursor: 'made-up' })).rejects.toMatchObject({
      code: 'cursor-unknown',
    });
  });
});
