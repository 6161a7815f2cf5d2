import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createDatabase } from '../helpers/postgres.ts';
import { rawSql } from '../storage/engine.ts';
import { factory, factoryJson, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';

/** The service as it is started, with jobs; a schedule of seconds, and nothing else configured. */

const SECONDS = { FACTORY_JOBS: 'on', FACTORY_BACKUP_DIFFERENTIAL_SECONDS: '2' };
const PATIENCE = { timeout: 90_000, interval: 250 };

function placeWith(env: Record<string, string> = {}, databaseUrl?: string): Place {
  const place = newPlace({ env: { ...SECONDS, ...env }, databaseUrl });
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  return place;
}

const sql = (place: Place, ...statements: string[]) =>
  rawSql(place.env['FACTORY_DATABASE_URL'] ?? `sqlite:${join(place.data, 'factory.db')}`, ...statements);

async function outcomes(place: Place, job: string): Promise<string[]> {
  const rows = await sql(place, `select outcome from job_runs where job = '${job}' order by started_at, id`);
  return rows.map((row) => String(row['outcome']));
}

async function started(place: Place) {
  const service = await serve(place);
  onTestFinished(async () => void (await service.stop()));
  return service;
}

describe('a first start', () => {
  it(
    'makes a full backup, differentials of what changes, and reads each again',
    { timeout: 240_000 },
    async () => {
      const place = placeWith();
      const service = await started(place);
      await expect.poll(() => outcomes(place, 'backup'), PATIENCE).toEqual(['ok']);
      await expect.poll(() => outcomes(place, 'verify'), PATIENCE).toContain('ok');
      expect(service.stderr().match(/The recovery key was made: .*backup-recovery.key/g)).toHaveLength(1);

      // Nothing changed, so no process is started for it.
      const before = await outcomes(place, 'differential');
      await sleep(5000);
      expect(await outcomes(place, 'differential')).toEqual(before);
      await factory(place, 'login-link');
      await expect
        .poll(async () => (await outcomes(place, 'differential')).slice(before.length), PATIENCE)
        .toContain('ok');
      const kinds = await sql(place, "select value from backup_facts where kind = 'newest'");
      expect(String(kinds[0]?.['value'])).toContain('takenAt');

      const stopped = await service.stop();
      expect(stopped).toMatchObject({ code: 0 });
      expect(stopped.ms).toBeLessThan(5000);
      const { answer } = await factoryJson<{ jobs: { name: string; last: { outcome: string } | null }[] }>(
        place,
        'jobs',
        'list',
      );
      expect(answer.jobs.map(({ name }) => name)).toEqual([
        'backup',
        'differential',
        'verify',
        'drill',
        'prune',
      ]);
      expect(answer.jobs[0]?.last?.outcome).toBe('ok');
    },
  );
});

describe('the schedule', () => {
  it('holds a drill of the product’s own data, with nothing configured', { timeout: 240_000 }, async () => {
    const place = placeWith({ FACTORY_DRILL_SCHEDULE: '* * * * *' });
    await started(place);
    await expect.poll(() => outcomes(place, 'drill'), { ...PATIENCE, timeout: 180_000 }).toContain('ok');
    const held = await sql(place, 'select outcome, subject from drills');
    expect(held[0]).toEqual({ outcome: 'pass', subject: 'factory' });
  });
});

describe('a service that ends in mid job', () => {
  const running = async (place: Place) =>
    (await sql(place, 'select run_id from jobs where run_id is not null')).length;

  it('by kill -9 takes the job with it; the next start does it', { timeout: 240_000 }, async () => {
    const place = placeWith();
    const first = await serve(place);
    await expect.poll(() => running(place), { ...PATIENCE, interval: 20 }).toBe(1);
    await first.kill();
    // At whatever point of its start it was.
    expect(await outcomes(place, 'backup')).toEqual(['null']);
    // The lease would last for another minute.
    await sql(place, "update jobs set lease_until = '2020-01-01T00:00:00.000Z' where run_id is not null");
    await started(place);
    await expect.poll(() => outcomes(place, 'backup'), PATIENCE).toEqual(['lost', 'ok']);
  });

  it(
    'in good order ends the job, too, and the next start does it at once',
    { timeout: 240_000 },
    async () => {
      const place = placeWith();
      const first = await serve(place);
      await expect.poll(() => running(place), { ...PATIENCE, interval: 20 }).toBe(1);
      const stopped = await first.stop();
      expect(stopped).toMatchObject({ code: 0 });
      expect(stopped.ms).toBeLessThan(5000);
      expect(await outcomes(place, 'backup')).toEqual(['lost']);
      expect(await running(place)).toBe(0);
      await started(place);
      await expect.poll(() => outcomes(place, 'backup'), PATIENCE).toEqual(['lost', 'ok']);
    },
  );
});

describe('two services on one database', () => {
  it.each(['sqlite', 'postgres'])('do no due time twice (%s)', { timeout: 240_000 }, async (engine) => {
    const place = placeWith(
      { FACTORY_BACKUP_SCHEDULE: '* * * * *' },
      engine === 'postgres' ? await createDatabase() : undefined,
    );
    await started(place);
    await started({ ...place, env: { ...place.env } });
    const done = async () => (await outcomes(place, 'backup')).filter((one) => one !== 'null').length;
    await expect.poll(done, { ...PATIENCE, timeout: 150_000 }).toBeGreaterThanOrEqual(2);
    const twice = await sql(
      place,
      'select due_at from job_runs where due_at is not null group by job, due_at having count(*) > 1',
    );
    expect(twice).toEqual([]);
  });
});

describe('jobs run', () => {
  it(
    'does a job without a service, one at a time, and answers with the run',
    { timeout: 120_000 },
    async () => {
      const place = placeWith();
      await factory(place, 'login-link');
      const { code, answer } = await factoryJson<{ job: string; outcome: string }>(
        place,
        'jobs',
        'run',
        'backup',
      );
      expect([code, answer]).toEqual([0, expect.objectContaining({ job: 'backup', outcome: 'ok' })]);
      expect(await outcomes(place, 'verify')).toEqual(['ok']);
      expect((await factory(place, 'jobs', 'run', 'prune')).code).toBe(0);
      expect(await outcomes(place, 'prune')).toEqual(['ok']);

      await sql(
        place,
        "update jobs set run_id = 'r', lease_until = '2999-01-01T00:00:00.000Z' where name = 'prune'",
      );
      // A lease of a clock that ran ahead holds nobody up; one of now does.
      expect((await factory(place, 'jobs', 'run', 'prune')).code).toBe(0);
      const soon = new Date(Date.now() + 50_000).toISOString();
      await sql(place, `update jobs set run_id = 'r', lease_until = '${soon}' where name = 'prune'`);
      const { code: refused, answer: why } = await factoryJson<{ error: { code: string } }>(
        place,
        'jobs',
        'run',
        'prune',
      );
      expect([refused, why.error.code]).toEqual([4, 'job-running']);
      expect((await factory(place, 'jobs', 'run', 'prune', '--claim', 'nobody')).code).toBe(4);
      expect((await factory(place, 'jobs', 'run', 'something')).code).toBe(2);
    },
  );

  it('tells by its exit code and its run what failed', { timeout: 60_000 }, async () => {
    const place = placeWith({
      FACTORY_BACKUP_DESTINATIONS: 's3://bucket/prefix?endpoint=http://127.0.0.1:9',
    });
    await factory(place, 'login-link');
    const { code, answer } = await factoryJson<{ outcome: string; result: unknown }>(
      place,
      'jobs',
      'run',
      'backup',
    );
    expect([code, answer.outcome]).toEqual([1, 'failed']);
  });
});
