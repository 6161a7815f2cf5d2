import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, inject, it } from 'vitest';
import { tamper } from '../acceptance/database.ts';
import { createDatabase, query } from '../helpers/postgres.ts';
import { factory, newPlace, serve, tryServe } from './service.ts';
import type { Place } from './service.ts';

/** Everything that keeps the service from starting: one clear message with the next step, and nothing changed. */

interface Refusal {
  name: string;
  arrange(place: Place): Promise<void> | void;
  exit: number;
  code: string;
  /** What the message, or one of its problems, has to name. */
  says: RegExp[];
  /** The next step. */
  hint: RegExp;
}

const set = (env: Record<string, string>) => (place: Place) => void Object.assign(place.env, env);

/** An installation that ran once. */
async function ranOnce(place: Place): Promise<void> {
  await (await serve(place)).stop();
}

const CASES: Refusal[] = [
  {
    name: 'an unknown variable, with the nearest name',
    arrange: set({ FACTORY_PROT: '8700' }),
    exit: 2,
    code: 'config-invalid',
    says: [/FACTORY_PROT/, /FACTORY_PORT/],
    hint: /\.env/,
  },
  {
    name: 'a bad cron line',
    arrange: set({ FACTORY_BACKUP_SCHEDULE: '61 2 * *' }),
    exit: 2,
    code: 'config-invalid',
    says: [/FACTORY_BACKUP_SCHEDULE/, /15 2 \* \* \*|five|cron/i],
    hint: /\.env/,
  },
  {
    name: 'several problems at once',
    arrange: set({
      FACTORY_PORT: 'eighty',
      FACTORY_DATABASE_URL: 'mysql://x',
      FACTORY_LOG_LEVEL: 'loud',
      FACTORY_QUEU: '1',
    }),
    exit: 2,
    code: 'config-invalid',
    says: [/FACTORY_PORT/, /FACTORY_DATABASE_URL/, /FACTORY_LOG_LEVEL/, /FACTORY_QUEU\b/],
    hint: /\.env/,
  },
  {
    name: 'a file where the data folder should be',
    arrange: (place) => writeFileSync(place.data, 'mine'),
    exit: 1,
    code: 'database-unwritable',
    says: [/data/],
    hint: /FACTORY_DATA_DIR/,
  },
  {
    name: 'a data folder that cannot be made',
    // Nobody may make folders there, root neither.
    arrange: set({ FACTORY_DATA_DIR: '/sys/factory-data' }),
    exit: 1,
    code: 'database-unwritable',
    says: [/\/sys\/factory-data/],
    hint: /FACTORY_DATA_DIR/,
  },
  {
    name: 'a file where the keyring should be',
    arrange(place) {
      writeFileSync(join(place.dir, 'keys'), 'mine');
      place.env.FACTORY_KEYRING_DIR = join(place.dir, 'keys');
    },
    exit: 1,
    code: 'keyring-unwritable',
    says: [/keys/],
    hint: /FACTORY_KEYRING_DIR/,
  },
  {
    name: 'an SQLite file of another application',
    arrange(place) {
      const path = join(place.dir, 'other.db');
      const other = new Database(path);
      other.exec('create table notes (text); insert into notes values (1)');
      other.close();
      place.env.FACTORY_DATABASE_URL = `sqlite:${path}`;
    },
    exit: 1,
    code: 'database-foreign',
    says: [/other\.db/],
    hint: /Nothing was changed.*FACTORY_DATABASE_URL/,
  },
  {
    name: 'a file that is no database',
    arrange(place) {
      writeFileSync(join(place.dir, 'notes.txt'), 'These are my notes.\n'.repeat(500));
      place.env.FACTORY_DATABASE_URL = `sqlite:${join(place.dir, 'notes.txt')}`;
    },
    exit: 1,
    code: 'database-foreign',
    says: [/notes\.txt/],
    hint: /Nothing was changed/,
  },
  {
    name: 'a database that needs a newer release',
    async arrange(place) {
      await ranOnce(place);
      await tamper(place, [{ sql: `update meta set value = '99' where key = 'min_reader'` }]);
    },
    exit: 1,
    code: 'database-newer',
    says: [/99/],
    hint: /newer release/,
  },
  {
    name: 'a log without its keyring',
    async arrange(place) {
      await ranOnce(place);
      rmSync(join(place.data, 'keyring'), { recursive: true });
    },
    exit: 1,
    code: 'audit-key-missing',
    says: [/keyring/],
    hint: /Restore the keyring/,
  },
  {
    name: 'the keyring of another installation',
    async arrange(place) {
      await ranOnce(place);
      const other = newPlace({ below: place.dir });
      await ranOnce(other);
      place.env.FACTORY_KEYRING_DIR = join(other.data, 'keyring');
    },
    exit: 1,
    code: 'audit-key-foreign',
    says: [/audit-log\.vkey/],
    hint: /keyring/,
  },
  {
    name: 'a Postgres database of another application',
    async arrange(place) {
      const url = await createDatabase();
      await query(url, 'create table notes (text text)');
      place.env.FACTORY_DATABASE_URL = url;
    },
    exit: 1,
    code: 'database-foreign',
    says: [/Postgres database test_/],
    hint: /Nothing was changed/,
  },
  {
    name: 'a Postgres database that needs a newer release',
    async arrange(place) {
      const url = await createDatabase();
      place.env.FACTORY_DATABASE_URL = url;
      await ranOnce(place);
      await query(url, `update meta set value = '99' where key = 'min_reader'`);
    },
    exit: 1,
    code: 'database-newer',
    says: [/99/],
    hint: /newer release/,
  },
  {
    name: 'a Postgres server that does not answer, without telling the password',
    arrange: set({ FACTORY_DATABASE_URL: 'postgres://someone:hunter2@127.0.0.1:1/factory' }),
    exit: 1,
    code: 'database-unreachable',
    says: [/127\.0\.0\.1/],
    hint: /FACTORY_DATABASE_URL/,
  },
];

interface Told {
  code: string;
  op: string;
  message: string;
  hint: string;
  retryable: boolean;
}

describe('the service does not start on', () => {
  it.each(CASES)('$name', async ({ arrange, exit, code, says, hint }) => {
    const place = newPlace({ below: inject('scratch') });
    await arrange(place);
    const before = photograph(place);
    const machine = await tryServe(place);
    if ('url' in machine) {
      await machine.kill();
      expect.fail('It started.');
    }
    expect({ exit: machine.code, signal: machine.signal }).toEqual({ exit, signal: null });
    const { error } = JSON.parse(machine.stdout) as { error: Told };
    expect(error).toMatchObject({ code, op: expect.any(String), retryable: expect.any(Boolean) });
    for (const pattern of says) expect(error.message).toMatch(pattern);
    expect(error.hint).toMatch(hint);

    const person = await factory(place, 'serve');
    expect(person).toMatchObject({ code: exit, stdout: '' });
    for (const pattern of says) expect(person.stderr).toMatch(pattern);
    expect(person.stderr).toMatch(hint);
    for (const { stdout, stderr } of [machine, person]) {
      expect(`${stdout}${stderr}`).not.toMatch(/^\s+at .+:\d+/m);
      expect(`${stdout}${stderr}`).not.toContain('hunter2');
    }
    expect(photograph(place), 'what was there is as it was').toMatchObject(before);
  });
});

/** Every file of the place with its digest. WAL files come and go with each look. */
function photograph({ dir }: Place): Record<string, string> {
  if (!existsSync(dir)) return {};
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && !/-(wal|shm)$/.test(entry.name),
  );
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, createHash('sha256').update(readFileSync(path)).digest('hex')] as const;
    }),
  );
}
