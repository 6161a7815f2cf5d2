import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { databaseName } from '../../service/storage/postgres-databases.ts';
import { createDatabase, databases, query, scratchesThatStay, serverUrl } from '../helpers/postgres.ts';
import { startS3 } from '../helpers/s3-double.ts';
import type { S3Double } from '../helpers/s3-double.ts';
import { factory, factoryJson, launch, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';

interface Made {
  backupId: string;
  kind: string;
  error?: { code: string; hint: string };
}

/** An installation on a Postgres database with its first owner in it. */
async function newInstallation(env: Record<string, string> = {}): Promise<Place & { url: string }> {
  const url = await createDatabase();
  const place = newPlace({ databaseUrl: url, env });
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  expect((await factory(place, 'login-link')).code).toBe(0);
  return { ...place, url };
}

/** An address on the shared server where no database is. */
async function nowhere(): Promise<string> {
  const url = new URL(await createDatabase());
  url.pathname += '_new';
  return url.href;
}

/** The objects of backups; the copy of the keyring beside them is none. */
const dataOf = (place: Place): string[] =>
  readdirSync(join(place.data, 'backups', 'full'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe('a Postgres database', () => {
  it('is backed up while it is served, and restored into one that starts', async () => {
    const place = await newInstallation();
    const service = await serve(place);
    onTestFinished(async () => void (await service.stop()));
    const made = await factoryJson<Made>(place, 'backup');
    expect([made.code, made.answer.kind]).toEqual([0, 'full']);
    await service.stop();
    expect(
      dataOf(place)
        .map((path) => path.replace(/^.*-000001/, ''))
        .sort(),
    ).toEqual(['.key.age', '.manifest.json', '.pgdump.zst.age']);
    const verified = await factoryJson<{ verified: unknown[] }>(place, 'backups', 'verify');
    expect([verified.code, verified.answer.verified]).toEqual([0, [expect.anything()]]);

    const to = await nowhere();
    const restored = await factoryJson<{ verified: boolean }>(place, 'restore', '--to', to);
    expect([restored.code, restored.answer.verified]).toEqual([0, true]);
    const second = { ...place, env: { ...place.env, FACTORY_DATABASE_URL: to } };
    expect((await factoryJson<{ ok: boolean }>(second, 'verify-audit')).answer.ok).toBe(true);
    const started = await serve(second);
    expect((await fetch(`${started.url}/api/health`)).status).toBe(200);
    await started.stop();
    expect(await scratchesThatStay()).toEqual([]);
    expect(readdirSync(join(place.data, 'backup/restore'))).toEqual([]);
  });

  it('goes into an empty database, and never into one that holds something', async () => {
    const place = await newInstallation();
    await factory(place, 'backup');
    const empty = await createDatabase();
    expect((await factory(place, 'restore', '--to', empty)).code).toBe(0);
    expect(await query(empty, 'select count(*)::int as n from people')).toEqual([{ n: 1 }]);
    const again = await factoryJson<Made>(place, 'restore', '--to', empty);
    expect([again.code, again.answer.error?.code]).toEqual([4, 'restore-target-exists']);
    const file = await factoryJson<Made>(place, 'restore', '--to', 'r.db', '--plan');
    expect([file.code, file.answer.error?.code]).toEqual([1, 'restore-engine']);
  });

  it('is told by doctor to have what dumps need, and what they cannot do', async () => {
    const place = await newInstallation();
    const { answer } = await factoryJson<{ checks: { name: string; status: string; hint: string }[] }>(
      place,
      'doctor',
    );
    const check = answer.checks.find(({ name }) => name === 'dumps');
    expect(check).toMatchObject({ status: 'ok', hint: expect.stringContaining('point-in-time') });
  });

  it('of a role that may not make databases is told by doctor, by the drill and by a restore', async () => {
    const place = await newInstallation();
    await factory(place, 'backup');
    const url = new URL(place.env['FACTORY_DATABASE_URL'] ?? '');
    const role = `poor_${url.pathname.slice(-12)}`;
    await query(await serverUrl(), `create role ${role} login password 'poor' in role ${url.username}`);
    await query(url.href, `grant all on all tables in schema public to ${role}`);
    [url.username, url.password] = [role, 'poor'];
    const poor = { ...place, env: { ...place.env, FACTORY_DATABASE_URL: url.href } };
    const mend = `ALTER ROLE "${role}" CREATEDB`;
    const { answer } = await factoryJson<{ checks: { name: string; status: string; hint: string }[] }>(
      ...([poor, 'doctor'] as const),
    );
    expect(answer.checks.find(({ name }) => name === 'createdb')).toMatchObject({
      ...{ status: 'warn', hint: expect.stringContaining(mend) },
    });
    const drill = await factoryJson<{ outcome: string; checks: { status: string; detail: string }[] }>(
      ...([poor, 'drill'] as const),
    );
    expect(drill.answer.outcome).not.toBe('pass');
    expect(drill.answer.checks.find(({ detail }) => detail.includes('create database'))?.detail).toContain(
      mend,
    );
    url.pathname += '_new';
    const restored = await factoryJson<Made>(poor, 'restore', '--to', url.href);
    expect(restored.answer.error).toMatchObject({ hint: expect.stringContaining(mend) });
  }, 120_000);

  it('that was changed on the way never reaches the server', async () => {
    const place = await newInstallation();
    await factory(place, 'backup');
    const to = await nowhere();
    for (const path of dataOf(place)) {
      const whole = readFileSync(path);
      for (const at of [0, 0.6].map((share) => Math.floor(share * whole.length))) {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] ?? 0) ^ 4;
        writeFileSync(path, changed);
        expect([path, at, (await factory(place, 'restore', '--to', to)).code]).toEqual([path, at, 1]);
      }
      writeFileSync(path, whole);
    }
    expect(await databases()).not.toContain(databaseName(to));
    expect(await scratchesThatStay()).toEqual([]);
    expect((await factory(place, 'restore', '--to', to)).code).toBe(0);
  }, 240_000);
});

/** The same installation with a bucket beside its folder. */
async function withBucket(
  place: Place,
): Promise<Place & { server: S3Double; folder: string; bucket: string }> {
  const server = await startS3({ provider: 'b2' });
  onTestFinished(() => server.close());
  const bucket = `s3://backups/team?endpoint=${encodeURIComponent(server.endpoint)}&region=eu&forcePathStyle=true`;
  const folder = pathToFileURL(join(place.dir, 'folder')).href;
  const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };
  const env = { ...place.env, ...keys, FACTORY_BACKUP_DESTINATIONS: `${bucket} ${folder}` };
  return { ...place, env, server, folder, bucket };
}

describe('with a bucket', () => {
  it('that answers 503 the other destination gets its dump, and nobody says that all is well', async () => {
    const place = await withBucket(await newInstallation({ FACTORY_BACKUP_GIVE_UP_SECONDS: '2' }));
    place.server.fault = () => ({ kind: 'status', status: 503 });
    const { code, answer } = await factoryJson<{
      destinations: { url: string; status: string; error?: { code: string } }[];
    }>(place, 'backup');
    expect(answer.destinations.map(({ url, status, error }) => [url, status, error?.code])).toEqual([
      [place.bucket, 'failed', 'destination-failed'],
      [place.folder, 'ok', undefined],
    ]);
    expect(code).toBe(3);
    expect((await factory(place, 'restore', '--from', place.folder, '--to', await nowhere())).code).toBe(0);
  });

  it('prunes an old dump with its objects, and what a run that was cut off left', async () => {
    const place = await withBucket(await newInstallation());
    const { server, bucket } = place;
    const made: string[] = [];
    for (let n = 0; n < 4; n += 1)
      made.push((await factoryJson<Made>(place, 'backup', '--full')).answer.backupId);
    const [oldest = ''] = made;
    expect((await factory(place, 'backups', 'verify', '--all', '--from', bucket)).code).toBe(0);
    const days = (count: number): string => new Date(Date.now() - count * 86_400_000).toISOString();
    for (const [key, stored] of server.objects) if (key.includes(oldest)) stored.at = days(40);
    const left = 'full/factory/20260101T000000Z-000099.pgdump.zst.age';
    server.objects.set(`team/${left}`, { body: Buffer.from('half'), at: days(2) });
    const prune = (...args: string[]) =>
      factoryJson<{ plan: { delete: string[]; leftovers: string[]; digest: string } }>(
        ...([place, 'backups', 'prune', '--from', bucket, ...args] as const),
      );
    const { plan } = (await prune()).answer;
    expect(plan).toMatchObject({ delete: [oldest], leftovers: [left] });
    expect((await prune('--apply', plan.digest)).code).toBe(0);
    const keys = [...server.objects.keys()];
    expect(keys.filter((key) => key.includes(oldest) || key.includes(left))).toEqual([]);
    expect(keys.filter((key) => key.endsWith('.pgdump.zst.age'))).toHaveLength(3);
    expect((await factory(place, 'restore', '--from', bucket, '--to', await nowhere())).code).toBe(0);
  }, 240_000);
});

/** Rows enough that a dump of them takes a while. */
async function fill(url: string): Promise<void> {
  await query(
    url,
    `create table load as select n, repeat(md5(n::text), 60) as text from generate_series(1, 40000) as n`,
  );
}

/** Connections of ours that the database still has, once the server had time to see them go. */
async function connectionsLeft(url: string): Promise<number> {
  const name = new URL(url).pathname.slice(1);
  const count = `select count(*)::int as n from pg_stat_activity where datname = '${name}'`;
  for (let tries = 0; ; tries += 1) {
    const [row] = await query<{ n: number }>(await serverUrl(), count);
    if (row?.n === 0 || tries === 100) return row?.n ?? -1;
    await sleep(100);
  }
}

/** What is being dumped, and what a killed dump left. */
function staged(folder: string): string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name, 'data.age'))
    .filter((path) => existsSync(path));
}

describe('kill -9 in the middle of a dump', () => {
  it(
    'leaves a catalog of backups that all restore, and nothing to clean up',
    { timeout: 240_000 },
    async () => {
      const place = await newInstallation();
      await fill(place.url);
      expect((await factory(place, 'backup')).code).toBe(0);
      const folder = join(place.data, 'backup/factory');
      // From the moment at which the dump begins.
      for (const ms of [0, 300, 900]) {
        const child = launch(place, ['backup', '--full']);
        // It may be done before.
        const ended = new Promise((resolve) => child.once('close', resolve));
        const before = staged(folder);
        while (child.exitCode === null && staged(folder).every((path) => before.includes(path)))
          await sleep(5);
        await sleep(ms);
        child.kill('SIGKILL');
        await ended;
      }
      expect(await connectionsLeft(place.url)).toBe(0);
      const { code, answer } = await factoryJson<Made>(place, 'backup', '--full');
      expect([code, answer.kind]).toEqual([0, 'full']);
      const listed = await factoryJson<{ backups: Made[]; problems: unknown[] }>(place, 'backups', 'list');
      expect(listed.answer.problems).toEqual([]);
      for (const { backupId } of listed.answer.backups) {
        const to = await nowhere();
        expect(await factory(place, 'restore', '--backup', backupId, '--to', to)).toMatchObject({ code: 0 });
        expect(await query(to, 'select count(*)::int as n from load')).toEqual([{ n: 40_000 }]);
      }
      expect(readdirSync(folder).filter((name) => name.startsWith('work-'))).toEqual([]);
    },
  );
});
