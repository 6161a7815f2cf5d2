import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { knownInstallation } from '../../service/storage/open.ts';
import { createEngineDatabase } from '../helpers/postgres.ts';
import { emptyFolder, factory } from './cli.ts';

describe('verbs on the data', () => {
  it('make, list, verify, export and examine an installation', async () => {
    const folder = emptyFolder();
    const env = { FACTORY_DATABASE_URL: await createEngineDatabase(), FACTORY_PORT: '0' };
    const run = (...argv: string[]) => factory(folder, [...argv, '--json'], env);
    interface Checks {
      checks: { name: string; status: string; detail: string }[];
    }
    const database = async () =>
      (await run('doctor')).json<Checks>().checks.find(({ name }) => name === 'database');

    expect((await database())?.detail).toContain('none yet');
    expect(await knownInstallation(env.FACTORY_DATABASE_URL)).toBeNull();
    expect((await run('people', 'invite', '--name', 'Ada', '--role', 'planner')).exit).toBe(0);
    expect((await database())?.detail).toMatch(/^(SQLite|Postgres) .*schema \d+\.$/);
    expect(await knownInstallation(env.FACTORY_DATABASE_URL)).toMatch(/^[\da-f-]{36}$/);
    const token = (await run('token', 'create', '--name', 'T', '--role', 'agent', '--owner', 'Ada')).json<{
      id: string;
    }>();
    expect((await run('token', 'revoke', token.id)).exit).toBe(0);
    expect((await run('login-link')).exit).toBe(0);
    const { people } = (await run('people', 'list')).json<{ people: { name: string }[] }>();
    expect(people.map(({ name }) => name)).toEqual(['Owner', 'Ada']);

    const verified = await run('verify-audit');
    expect(verified.json()).toMatchObject({ ok: true, size: 6, problems: [] });
    expect((await run('audit', 'export', '--output', 'log.jsonl')).json()).toMatchObject({ entries: 6 });
    const actions = readFileSync(join(folder, 'log.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { action: string }).action);
    expect(actions).toEqual([
      'person.added',
      'person.invited',
      'person.joined',
      'token.created',
      'token.revoked',
      'person.login-link',
    ]);
  });
});
