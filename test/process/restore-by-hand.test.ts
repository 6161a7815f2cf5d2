import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it, onTestFinished } from 'vitest';
import { createDatabase } from '../helpers/postgres.ts';
import { attached, randomText } from './attached.ts';
import { factory, factoryJson, newPlace, ROOT } from './service.ts';
import type { Place } from './service.ts';

const PAGE = 'docs/restore-by-hand.md';

type Part = 'sqlite' | 'postgres' | 'attachments';

/** Blocks of commands of a part of the page, in order. */
function commands(part: Part): string[] {
  const [sqlite, postgres, attachments] = readFileSync(join(ROOT, PAGE), 'utf8').split(/\n## .*\n/);
  const text = { sqlite, postgres, attachments }[part] ?? '';
  return [...text.matchAll(/```sh\n(.*?)```/gs)].map((block) => block[1] ?? '');
}

function assertTools(...tools: string[]): void {
  for (const tool of tools)
    if (spawnSync(tool, ['--version']).error) throw new Error(`${tool} is missing: apt-get install ${tool}`);
}

/** Keys and backup of an installation with one backup, as the page names them. */
function namesIn(place: Place, name: string): { KEY: string; BACKUP: string } {
  const folder = join(place.data, 'backups/full', name);
  const [manifest = ''] = readdirSync(folder).filter((file) => file.endsWith('.manifest.json'));
  return {
    KEY: join(place.data, 'keyring/backup-recovery.key'),
    BACKUP: join(folder, manifest.replace('.manifest.json', '')),
  };
}

/** Runs the page's commands; its first block sets the names, here they are set to what they are here. */
function runPage(engine: Part, names: Record<string, string>, cwd: string): string {
  const [setting = '', ...rest] = commands(engine);
  expect([...setting.matchAll(/^(\w+)=/gm)].map((line) => line[1])).toEqual(Object.keys(names));
  const values = Object.entries(names).map(([name, value]) => `${name}='${value}'`);
  return execFileSync('bash', ['-c', ['set -eu', ...values, ...rest].join('\n')], { cwd, encoding: 'utf8' });
}

it('the commands of docs/restore-by-hand.md restore a backup', async () => {
  assertTools('age', 'zstd');
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  const db = new Database(join(place.dir, 'app.db'));
  db.exec("create table t (v text); insert into t values ('here')");
  db.close();
  expect((await factory(place, 'backup', '--db', 'app.db')).code).toBe(0);
  const names = { ...namesIn(place, 'app'), TO: join(place.dir, 'restored.db') };
  const out = runPage('sqlite', names, place.dir);

  const digest = createHash('sha256').update(readFileSync(names.TO)).digest('hex');
  expect(out.match(new RegExp(digest, 'g'))).toHaveLength(2);
  const restored = new Database(names.TO, { readonly: true });
  expect(restored.prepare('select v from t').pluck().get()).toBe('here');
  restored.close();
});

it('and those for attachments, which find one that was changed', async () => {
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  const [first, second] = await attached(place, async ({ add }) => [
    await add(randomText()),
    await add(randomText()),
  ]);
  expect((await factory(place, 'backup')).code).toBe(0);
  const blobs = join(place.data, 'blobs');
  const read = (folder: string) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile() && /^[0-9a-f]{64}$/.test(one.name))
      .map((one) => join(one.parentPath, one.name))
      .map((path) => [path.slice(folder.length), readFileSync(path).toString('base64')]);
  const wanted = read(blobs);
  const [from, to] = [join(place.data, 'backups'), join(place.dir, 'by-hand')];
  const { BACKUP } = namesIn(place, 'factory');
  const names = { BACKUP, FROM: from, NAME: 'factory', BLOBS: to };
  runPage('attachments', names, place.dir);
  expect([read(to), wanted.length]).toEqual([wanted, 2]);
  // They are what the application reads.
  rmSync(blobs, { recursive: true });
  renameSync(to, blobs);
  await attached(place, async ({ get }) => {
    for (const one of [first, second]) expect((await get(one))[0]).toBe(200);
  });
  const stored = readdirSync(join(from, 'blobs/factory')).map((name) => join(from, 'blobs/factory', name));
  for (const end of ['.list', '.sealed']) {
    const path = stored.find((one) => one.endsWith(end)) ?? '';
    const bytes = readFileSync(path);
    writeFileSync(path, Buffer.from([(bytes[0] ?? 0) ^ 1, ...bytes.subarray(1)]));
    expect(() => runPage('attachments', { ...names, BLOBS: `${to}${end}` }, place.dir)).toThrow(/sha256sum/);
    writeFileSync(path, bytes);
  }
});

it('and those for Postgres', async () => {
  assertTools('age', 'zstd', 'pg_restore');
  const url = new URL(await createDatabase());
  const place = newPlace({ databaseUrl: url.href });
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  expect((await factory(place, 'login-link')).code).toBe(0);
  expect((await factory(place, 'backup')).code).toBe(0);
  const NEW = `${url.pathname.slice(1)}_by_hand`;
  url.pathname = '';
  const out = runPage('postgres', { ...namesIn(place, 'factory'), SERVER: url.href, NEW }, place.dir);

  const digests = [...out.matchAll(/[0-9a-f]{64}/g)].map(([digest]) => digest);
  expect([digests.length, new Set(digests).size]).toEqual([2, 1]);
  const second = { ...place, env: { ...place.env, FACTORY_DATABASE_URL: `${url.href}/${NEW}` } };
  expect((await factoryJson<{ ok: boolean }>(second, 'verify-audit')).answer.ok).toBe(true);
});
