import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  claim,
  finish,
  giveUpRuns,
  heartbeat,
  heldRun,
  LEASE_MS,
  readLeases,
  takeBack,
} from '../../service/jobs/leases.ts';
import type { Wanted } from '../../service/jobs/leases.ts';
import { lastRun, listRuns, runById } from '../../service/jobs/runs.ts';
import { lastRestore, pauseAfterRestore } from '../../service/restored/pause.ts';
import { openStorage } from '../../service/storage/open.ts';
import type { Storage } from '../../service/storage/transaction.ts';
import { createEngineDatabase } from '../helpers/postgres.ts';

/** Two processes, as far as the database can tell: a connection each. */
let one: Storage;
let other: Storage;
beforeEach(async () => {
  const url = await createEngineDatabase();
  one = await openStorage(url);
  other = await openStorage(url);
});
afterEach(async () => {
  await one.close();
  await other.close();
});

const NOW = Date.parse('2026-05-01T10:00:00.000Z');
const DUE = '2026-05-01T10:00:00.000Z';
const LATER = '2026-05-01T10:05:00.000Z';
const wanted = (change: Partial<Wanted> = {}): Wanted => ({
  ...{ job: 'differential', dueAt: DUE, startedBy: { kind: 'schedule', id: null }, holder: 'host', now: NOW },
  ...change,
});
const PAUSE = {
  ...{ backupId: 'full/factory/x', takenAt: DUE, restoredAt: LATER, epoch: 1, by: 'someone@host' },
  why: 'restore' as const,
};
const ended = (outcome: 'ok' | 'failed' | 'lost') => ({
  outcome,
  endedAt: DUE,
  result: { kind: 'full' },
  log: 'said',
});
const code = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'done',
    (error: { code?: string }) => error.code,
  );

describe('a lease', () => {
  it('is given to nobody while a restore waits to be accepted', async () => {
    await one.write((tx) => pauseAfterRestore(tx, PAUSE));
    for (const dueAt of [DUE, null]) expect(await code(claim(other, wanted({ dueAt })))).toBe('job-paused');
    expect(await lastRun(one.read, 'differential')).toBeNull();
  });

  it('of the time that a restore gave up ends with it: the run is given up, not lost, and its due time is open', async () => {
    const held = await claim(one, wanted());
    await one.write(async (tx) => {
      await giveUpRuns(tx, LATER);
      await pauseAfterRestore(tx, PAUSE);
    });
    expect(await runById(one.read, held.runId)).toMatchObject({ outcome: 'given-up', endedAt: LATER });
    expect(await takeBack(other, NOW + 10 * LEASE_MS)).toEqual([]);
    expect((await readLeases(one.read)).differential).toMatchObject({ runId: null, lost: true });
    expect(await lastRestore(one.read)).toEqual(PAUSE);
  });

  it('of a due time goes to one of many, whoever asks at once', async () => {
    for (let n = 0; n < 10; n += 1) {
      const dueAt = new Date(NOW + n * 60_000).toISOString();
      const asked = [one, other, one, other].map((storage) =>
        claim(storage, wanted({ dueAt, now: NOW + n * 60_000 })),
      );
      const settled = await Promise.allSettled(asked);
      const got = settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      expect(got).toHaveLength(1);
      await finish(other, got[0]!, ended('ok'));
      // Also after it was done.
      expect(await code(claim(one, wanted({ dueAt, now: NOW + n * 60_000 })))).toBe('job-done');
    }
    expect(await listRuns(one.read, { after: null, limit: 99 })).toHaveLength(10);
  });

  it('is of one job alone, and of one run at a time', async () => {
    const held = await claim(one, wanted());
    expect(await code(claim(other, wanted({ dueAt: null })))).toBe('job-running');
    expect(await code(claim(other, wanted({ job: 'verify' })))).toBe('done');
    await finish(one, held, ended('ok'));
    expect(await code(claim(other, wanted({ dueAt: null })))).toBe('done');
    expect((await readLeases(one.read)).differential).toMatchObject({
      dueAt: DUE,
      holder: 'host',
      lost: false,
    });
  });

  it('that ran out is taken over; whoever had it can neither keep it nor end the run', async () => {
    const first = await claim(one, wanted());
    await heartbeat(one, first, NOW + LEASE_MS - 1);
    expect(await takeBack(other, NOW + LEASE_MS + 1)).toEqual([]);
    const late = NOW + 2 * LEASE_MS;
    const second = await claim(other, wanted({ dueAt: LATER, now: late }));
    expect(second.fence).toBeGreaterThan(first.fence);
    expect((await runById(one.read, first.runId)).outcome).toBe('lost');
    expect(await code(heartbeat(one, first, late))).toBe('lease-lost');
    expect(await code(finish(one, first, ended('ok')))).toBe('lease-lost');
    expect((await runById(one.read, first.runId)).outcome).toBe('lost');
    expect(await heldRun(one.read, second.runId)).toEqual(second);
    expect(await code(heldRun(one.read, first.runId))).toBe('lease-lost');
    await finish(other, second, ended('ok'));
    expect(await lastRun(one.read, 'differential')).toMatchObject({
      ...{ id: second.runId, outcome: 'ok', result: { kind: 'full' }, log: 'said' },
    });
  });

  it('that was lost lets its due time be tried again, three times in all', async () => {
    for (let n = 0; n < 3; n += 1) {
      await claim(one, wanted());
      expect(await takeBack(other, NOW + 2 * LEASE_MS)).toEqual(['differential']);
      expect((await readLeases(one.read)).differential?.lost).toBe(n < 2);
    }
    expect(await code(claim(other, wanted()))).toBe('job-done');
    expect(await code(claim(other, wanted({ dueAt: LATER })))).toBe('done');
  });

  it('of a time that failed is not given again', async () => {
    await finish(one, await claim(one, wanted()), ended('failed'));
    expect(await code(claim(other, wanted()))).toBe('job-done');
  });

  it('of a clock that ran ahead holds nobody up', async () => {
    const year = NOW + 365 * 86_400_000;
    await claim(one, wanted({ dueAt: new Date(year).toISOString(), now: year }));
    expect(await takeBack(other, NOW)).toEqual(['differential']);
    expect(await code(claim(other, wanted()))).toBe('done');
  });
});
