import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { rawSql } from '../storage/engine.ts';
import { factory, factoryJson, newPlace } from './service.ts';
import type { Place } from './service.ts';

/** What verbs on the product's own database leave in it. */

function placeWith(): Place {
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  return place;
}

const sql = (place: Place, ...statements: string[]) =>
  rawSql(`sqlite:${join(place.data, 'factory.db')}`, ...statements);
const runs = async (place: Place): Promise<unknown[][]> =>
  (await sql(place, 'select job, outcome from job_runs order by started_at')).map(Object.values);
const kindOf = async (place: Place, ...args: string[]): Promise<string> =>
  (await factoryJson<{ kind: string }>(place, 'backup', ...args)).answer.kind;

it('a run, what it found out, and the time at which the copy was taken', { timeout: 120_000 }, async () => {
  const place = placeWith();
  await factory(place, 'login-link');
  expect(await kindOf(place)).toBe('full');
  expect(await kindOf(place)).toBe('skipped');
  // A sign-in link is a change with an audit entry.
  await factory(place, 'login-link');
  expect(await kindOf(place)).not.toBe('skipped');
  // A run that is recorded is none.
  expect(await kindOf(place)).toBe('skipped');
  expect(await kindOf(place, '--full')).toBe('full');
  await factory(place, 'backups', 'verify');
  // A slip in an id is no run, and no fact about a destination.
  expect((await factory(place, 'backups', 'verify', 'nope')).code).toBe(1);
  expect(await runs(place)).toEqual([
    ['backup', 'ok'],
    ['differential', 'skipped'],
    ['differential', 'ok'],
    ['differential', 'skipped'],
    ['backup', 'ok'],
    ['verify', 'ok'],
  ]);
  const facts = await sql(place, 'select kind, value from backup_facts order by kind');
  const value = (kind: string): unknown =>
    JSON.parse(String(facts.find((fact) => fact['kind'] === kind)?.['value']));
  const newest = value('newest') as { backupId: string; takenAt: string };
  expect(value('verified')).toMatchObject({ backupId: newest.backupId, how: 'ciphertext' });
  expect(value('error.verify')).toBeNull();
  expect(value('covered')).toMatchObject({ at: newest.takenAt });
  expect(value('total')).toMatchObject({ backups: 3 });

  const to = join(place.dir, 'restored.db');
  await factory(place, 'restore', '--to', to);
  const [sentinel] = await rawSql(`sqlite:${to}`, "select value from meta where key = 'backup.sentinel'");
  expect(sentinel).toEqual({ value: newest.takenAt });
});

it(
  'nothing, and makes the backup all the same, where that cannot be written',
  { timeout: 60_000 },
  async () => {
    const place = placeWith();
    await factory(place, 'login-link');
    await sql(place, 'drop table job_runs');
    const broken = await factory(place, 'backup');
    expect([broken.code, broken.stderr]).toEqual([0, expect.stringContaining('could not be recorded')]);
    await sql(place, 'pragma user_version = 2');
    const older = await factory(place, 'backup', '--full');
    expect([older.code, older.stderr]).toEqual([0, expect.stringContaining('an older release')]);
    expect(await sql(place, 'pragma user_version')).toEqual([{ user_version: 2 }]);
  },
);

it('what went wrong in each destination', { timeout: 60_000 }, async () => {
  const place = placeWith();
  await factory(place, 'login-link');
  const away = 's3://bucket/prefix?endpoint=http://127.0.0.1:9';
  const env = { ...place.env, FACTORY_BACKUP_DESTINATIONS: away };
  expect((await factory({ ...place, env }, 'backup')).code).toBe(1);
  expect(await runs(place)).toEqual([['backup', 'failed']]);
  const errors = await sql(place, "select url, value from backup_facts where kind = 'error.backup'");
  expect(errors).toEqual([{ url: away, value: expect.stringContaining('hint') as string }]);
});

it('nothing, where there is no database yet, and says that', async () => {
  const { stderr } = await factory(placeWith(), 'backups', 'verify', 'nope');
  expect(stderr).toContain('there is no database here yet');
  expect(stderr).not.toContain('older release');
});
