import { rmSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { SCHEMA } from '../../service/storage/migrate.ts';
import { createDatabase, query } from '../helpers/postgres.ts';
import { factory, factoryJson, newPlace } from './service.ts';

/** The database as a release before the last migration left it. */
const OLDER = [
  ...['drop column reason', 'drop column seq', 'add column decided_by text'].map(
    (change) => `alter table chat_quarantine ${change}`,
  ),
  `update meta set value = '${SCHEMA - 1}' where key = 'schema'`,
];

interface Migrated {
  from: number;
  to: number;
  minReaderAfter: number;
  snapshot: string | null;
}

it('makes a full backup of Postgres before it migrates, and nothing where that fails', async () => {
  const url = await createDatabase();
  const place = newPlace({ databaseUrl: url });
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  expect((await factory(place, 'login-link')).code).toBe(0);
  for (const sql of OLDER) await query(url, sql);

  const nowhere = { ...place, env: { ...place.env, FACTORY_BACKUP_DESTINATIONS: 'file:///proc/nowhere' } };
  expect((await factory(nowhere, 'migrate', '--copy', 'before.db')).code).toBe(1);
  const planned = await factoryJson<Migrated>(place, 'migrate', '--plan');
  expect(planned.answer).toMatchObject({ from: SCHEMA - 1, to: SCHEMA, minReaderAfter: 1, snapshot: null });

  const { code, answer } = await factoryJson<Migrated>(place, 'migrate', '--copy', 'before.db');
  expect([code, answer.snapshot]).toEqual([0, expect.stringMatching(/^backup full\//)]);
  const listed = await factoryJson<{ backups: { backupId: string }[] }>(place, 'backups', 'list');
  expect(listed.answer.backups.map(({ backupId }) => `backup ${backupId}`)).toEqual([answer.snapshot]);
  expect((await factoryJson<Migrated>(place, 'migrate', '--plan')).answer).toMatchObject({ from: SCHEMA });
});
