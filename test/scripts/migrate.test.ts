import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it } from 'vitest';
import { SCHEMA } from '../../service/storage/migrate.ts';
import { openStorage } from '../../service/storage/open.ts';
import { emptyFolder, factory } from './cli.ts';

/** A database that an older release made: its tables are today's, which a migration that adds nothing new leaves alone. */
async function older(dir: string): Promise<string> {
  const path = join(dir, 'data', 'factory.db');
  await (await openStorage(`sqlite:${path}`)).close();
  const handle = new Database(path);
  handle.exec('alter table chat_quarantine drop column reason');
  handle.exec('drop index chat_quarantine_by_session');
  handle.exec('alter table chat_quarantine drop column seq');
  handle.exec('alter table chat_quarantine add column decided_by text');
  handle.pragma(`user_version = ${SCHEMA - 1}`);
  handle.close();
  return path;
}

it('plans, copies, migrates, and then has nothing to do', async () => {
  const dir = emptyFolder();
  const path = await older(dir);
  const version = (file: string): unknown => {
    const handle = new Database(file, { readonly: true });
    const found = handle.pragma('user_version', { simple: true });
    handle.close();
    return found;
  };
  const plan = (await factory(dir, ['migrate', '--plan', '--json'])).json();
  expect(plan).toMatchObject({
    from: SCHEMA - 1,
    to: SCHEMA,
    minReader: 1,
    minReaderAfter: 1,
    snapshot: null,
  });
  expect(version(path)).toBe(SCHEMA - 1);
  const done = await factory(dir, ['migrate', '--copy', 'copies/before.db', '--json']);
  expect(done.json()).toMatchObject({
    from: SCHEMA - 1,
    to: SCHEMA,
    snapshot: join(dir, 'copies/before.db'),
  });
  expect([version(path), version(join(dir, 'copies/before.db'))]).toEqual([SCHEMA, SCHEMA - 1]);
  const again = await factory(dir, ['migrate', '--copy', 'copies/again.db']);
  expect(again.stdout).toContain('nothing to do');
  expect(readdirSync(join(dir, 'copies'))).toEqual(['before.db']);
});

it('makes nothing while it plans', async () => {
  const dir = emptyFolder();
  const { exit, json } = await factory(dir, ['migrate', '--plan', '--json']);
  expect([exit, json()]).toMatchObject([0, { from: 0, to: SCHEMA, snapshot: null }]);
  expect(existsSync(join(dir, 'data'))).toBe(false);
});
