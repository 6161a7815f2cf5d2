import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startS3 } from '../helpers/s3-double.ts';
import type { S3Double } from '../helpers/s3-double.ts';
import { factory } from '../scripts/cli.ts';
import { newPlace } from './service.ts';

/** Prune in a bucket: what goes, by whose key, and what every verb says of its size. */

const DAY_MS = 86_400_000;
const NAMED = ['--name', 'app', '--json'];

interface Plan {
  delete: string[];
  leftovers: string[];
  digest: string;
  needsPruneKey: boolean;
}

async function installation(options: Parameters<typeof startS3>[0] = {}) {
  const server = await startS3({ provider: 'b2', ...options });
  const place = newPlace();
  onTestFinished(async () => {
    await server.close();
    rmSync(place.dir, { recursive: true, force: true });
  });
  mkdirSync(place.data, { recursive: true });
  const db = new Database(join(place.dir, 'app.db'));
  db.exec('create table t (id integer primary key, n integer)');
  onTestFinished(() => void db.close());
  const url = `s3://backups/team?endpoint=${encodeURIComponent(server.endpoint)}&region=eu&forcePathStyle=true`;
  const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };
  const env: Record<string, string> = { ...place.env, ...keys, FACTORY_BACKUP_DESTINATIONS: url };
  const run = async <T>(argv: string[], more: Record<string, string> = {}): Promise<[number, T]> => {
    const ran = await factory(place.dir, argv, { ...env, ...more });
    return [ran.exit, ran.json<T>()];
  };
  return {
    ...{ server, place, url, run },
    async backup(words = ['--full']): Promise<{ backupId: string; storedBytes: number }> {
      db.exec('insert into t (n) values (random())');
      const argv = ['backup', ...words, '--db', 'app.db', ...NAMED];
      const [exit, made] = await run<{ backupId: string; storedBytes: number }>(argv);
      expect(exit).toBe(0);
      return made;
    },
    plan: async (more = {}): Promise<Plan> =>
      (await run<{ plan: Plan }>(['backups', 'prune', ...NAMED], more))[1].plan,
    apply: (digest: string, more: Record<string, string> = {}, ...rest: string[]) =>
      run<{ error?: { code: string; hint: string }; applied?: { deleted: string[]; leftovers: string[] } }>(
        ['backups', 'prune', '--apply', digest, ...rest, ...NAMED],
        more,
      ),
  };
}

function ageOf(server: S3Double, stem: string, days: number): void {
  for (const [key, stored] of server.objects)
    if (key.includes(stem)) stored.at = new Date(Date.now() - days * DAY_MS).toISOString();
}

describe('prune in a bucket', () => {
  it('takes an old backup, and what interrupted runs left', { timeout: 120_000 }, async () => {
    const app = await installation();
    const { server } = app;
    const made: string[] = [];
    for (let n = 0; n < 4; n += 1) made.push((await app.backup()).backupId);
    const [oldest = ''] = made;
    expect((await app.run(['backups', 'verify', '--all', ...NAMED]))[0]).toBe(0);
    ageOf(server, oldest, 40);
    const left = `full/app/20260101T000000Z-000099.sqlite.zst.age`;
    const young = `diff/app/20260101T000000Z-000100.diff.zst.age`;
    const body = Buffer.from('half');
    server.objects.set(`team/${left}`, { body, at: new Date(Date.now() - 2 * DAY_MS).toISOString() });
    server.objects.set(`team/${young}`, { body, at: new Date().toISOString() });
    server.objects.set('team/full/app/notes.txt', { body, at: new Date(0).toISOString() });
    const plan = await app.plan();
    expect(plan).toMatchObject({ delete: [oldest], leftovers: [left], needsPruneKey: false });
    expect(await app.apply(plan.digest)).toMatchObject([
      0,
      { applied: { deleted: [oldest], leftovers: [left] } },
    ]);
    const keys = [...server.objects.keys()];
    expect(keys.filter((key) => key.includes(oldest) || key.includes(left))).toEqual([]);
    expect(keys).toEqual(expect.arrayContaining([`team/${young}`, 'team/full/app/notes.txt']));
  });

  it('cut off between two backups leaves none without what it rests on', { timeout: 120_000 }, async () => {
    const app = await installation();
    const { server } = app;
    const [base, differential] = [(await app.backup()).backupId, (await app.backup([])).backupId];
    expect(differential).toMatch(/^diff/);
    for (let n = 0; n < 4; n += 1) await app.backup();
    expect((await app.run(['backups', 'verify', '--all', ...NAMED]))[0]).toBe(0);
    for (const stem of [base, differential]) ageOf(server, stem, 40);
    const plan = await app.plan();
    expect([...plan.delete].sort()).toEqual([differential, base].sort());
    const [first = '', second = ''] = plan.delete;
    server.fault = ({ method, key }) =>
      method === 'DELETE' && key.includes(second) ? { kind: 'status', status: 403 } : undefined;
    expect((await app.apply(plan.digest))[0]).not.toBe(0);
    server.fault = () => undefined;
    const [, { backups }] = await app.run<{ backups: { backupId: string }[] }>(['backups', 'list', ...NAMED]);
    const ids = backups.map(({ backupId }) => backupId);
    expect([ids.length, ids.includes(first), ids.includes(second)]).toEqual([5, false, true]);
    for (const id of ids) {
      const argv = ['restore', '--backup', id, '--to', `${id.replaceAll('/', '-')}.db`, ...NAMED];
      expect((await app.run(argv))[0]).toBe(0);
    }
    const rest = await app.plan();
    expect([rest.delete, (await app.apply(rest.digest))[0]]).toEqual([[second], 0]);
  });

  it('takes what rests on a full backup that is gone when its time is over, and no sooner', async () => {
    const app = await installation();
    const { server } = app;
    const [base, differential] = [(await app.backup()).backupId, (await app.backup([])).backupId];
    for (let n = 0; n < 3; n += 1) await app.backup();
    expect((await app.run(['backups', 'verify', '--all', ...NAMED]))[0]).toBe(0);
    for (const key of [...server.objects.keys()]) if (key.includes(base)) server.objects.delete(key);
    expect(await app.plan()).toMatchObject({ delete: [], leftovers: [], refused: null });
    ageOf(server, differential, 3);
    const plan = await app.plan();
    expect(plan).toMatchObject({ delete: [differential], leftovers: [] });
    expect((await app.apply(plan.digest))[0]).toBe(0);
    expect([...server.objects.keys()].filter((key) => key.includes(differential))).toEqual([]);
    const [, { problems }] = await app.run<{ problems: { code: string }[] }>(['backups', 'list', ...NAMED]);
    expect(problems.map(({ code }) => code)).not.toContain('base-missing');
  });

  it(
    'takes old backups of a lost host’s signer, once the keyring trusts it',
    { timeout: 120_000 },
    async () => {
      const app = await installation();
      const { server, place } = app;
      const [oldest] = [await app.backup(), await app.backup()];
      const keyring = join(place.data, 'keyring');
      const [, signer = ''] = JSON.stringify((await app.run(['keys', 'show', '--json']))[1]).match(
        /"publicKey":"([^"]+)"/,
      ) ?? [''];
      rmSync(join(keyring, 'backup-signing.pem'));
      for (let n = 0; n < 3; n += 1) await app.backup();
      expect((await app.run(['backups', 'verify', '--all', ...NAMED]))[0]).toBe(0);
      ageOf(server, oldest?.backupId ?? '', 40);
      expect((await app.plan()).delete).toEqual([]);
      writeFileSync(join(keyring, 'backup-trusted.txt'), `${signer}\n`);
      expect((await app.plan()).delete).toEqual([oldest?.backupId]);
    },
  );

  it('is only planned by the host in production, and applied with the keys that are elsewhere', async () => {
    const app = await installation();
    await app.backup();
    const left = 'team/full/app/20260101T000000Z-000099.key.age';
    app.server.objects.set(left, { body: Buffer.from('x'), at: new Date(0).toISOString() });
    const production = { FACTORY_ENV: 'production' };
    const plan = await app.plan(production);
    expect(plan).toMatchObject({ leftovers: [left.slice(5)], needsPruneKey: true });
    const [exit, refused] = await app.apply(plan.digest, production);
    expect([exit, refused.error]).toEqual([
      4,
      expect.objectContaining({ code: 'prune-needs-key', hint: expect.stringContaining('--credentials') }),
    ]);
    expect(app.server.objects.has(left)).toBe(true);
    writeFileSync(
      join(app.place.dir, 'prune-key'),
      'aws_access_key_id = key\naws_secret_access_key = secret\n',
    );
    const [applied] = await app.apply(plan.digest, production, '--credentials', 'prune-key');
    expect([applied, app.server.objects.has(left)]).toEqual([0, false]);
  });

  it('with a key that may not delete breaks nothing, and says who can', async () => {
    const app = await installation({ forbidden: ['DELETE'] });
    await app.backup();
    const left = 'team/full/app/20260101T000000Z-000099.key.age';
    app.server.objects.set(left, { body: Buffer.from('x'), at: new Date(0).toISOString() });
    const [exit, refused] = await app.apply((await app.plan()).digest);
    expect([exit, refused.error?.code]).toEqual([4, 'prune-forbidden']);
    expect(refused.error?.hint).toContain('prune key');
    expect((await app.run(['backups', 'verify', '--all', ...NAMED]))[0]).toBe(0);
  });
});

it('a backup has one size, whoever tells it', async () => {
  const app = await installation();
  const { storedBytes } = await app.backup();
  const [, listed] = await app.run<{ backups: { bytes: number }[]; destinations: unknown[] }>([
    ...['backups', 'list', ...NAMED],
  ]);
  const [, planned] = await app.run<{ plan: { fetchBytes: number } }>([
    ...['restore', '--plan', '--to', 'r.db', ...NAMED],
  ]);
  const stored = [...app.server.objects.values()].reduce((sum, { body }) => sum + body.length, 0);
  expect([storedBytes, listed.backups[0]?.bytes, planned.plan.fetchBytes]).toEqual([stored, stored, stored]);
  expect(listed.destinations).toEqual([
    { url: app.url, sameDisk: false, keyrings: [], otherNames: [], hint: null },
  ]);
  const folder = await factory(app.place.dir, ['backups', 'list', '--name', 'app'], { FACTORY_PORT: '0' });
  expect(folder.stdout).toContain('(same disk: not a backup)');
});
