import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { childEnv, loadConfig, loadEnv, problemLines } from '../service/config-load.ts';
import { nearestName, SECRETS, VARIABLES } from '../service/config-names.ts';
import { parseConfig } from '../service/config.ts';
import type { Config, Environment } from '../service/config.ts';

const cwd = '/srv/app';
const RECIPIENT = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p';

function parsed(env: Environment): Config {
  const result = parseConfig(env, { cwd });
  if ('problems' in result) throw new Error(problemLines(result.problems));
  return result.config;
}

function problemNames(env: Environment): string[] {
  const result = parseConfig(env, { cwd });
  return 'problems' in result ? result.problems.map((problem) => problem.name) : [];
}

describe('parseConfig', () => {
  it('has a default for everything', () => {
    expect(parsed({ PATH: '/bin' })).toEqual({
      environment: 'development',
      release: null,
      deployLog: null,
      logLevel: 'info',
      listen: { host: '127.0.0.1', port: 8700 },
      baseUrl: null,
      trustProxy: 0,
      dataDir: '/srv/app/data',
      databaseUrl: 'sqlite:/srv/app/data/factory.db',
      keyringDir: '/srv/app/data/keyring',
      checkpointDir: null,
      workItemsDir: '/srv/app/work-items',
      queueWrites: true,
      jobs: true,
      backup: {
        destinations: [
          {
            kind: 'folder',
            url: 'file:///srv/app/data/backups',
            path: '/srv/app/data/backups',
            giveUpMs: 60_000,
          },
        ],
        recipients: [],
        identityFile: null,
        schedule: '15 2 * * *',
        differentialSeconds: null,
        retentionDays: 30,
        giveUpMs: 60_000,
        verifySchedule: '45 3 * * *',
        drillSchedule: '15 4 * * *',
        pruneSchedule: '15 5 * * *',
      },
      drillSigners: [],
      client: { url: null, token: null },
    });
  });

  it.each<[string, Environment, Partial<Config>]>([
    [
      'paths follow the data folder',
      { FACTORY_DATA_DIR: '/d' },
      { keyringDir: '/d/keyring', databaseUrl: 'sqlite:/d/factory.db' },
    ],
    [
      'a relative database path',
      { FACTORY_DATABASE_URL: 'sqlite:x/y.db' },
      { databaseUrl: 'sqlite:/srv/app/x/y.db' },
    ],
    [
      'Postgres as it stands',
      { FACTORY_DATABASE_URL: 'postgres://u:p@h/db' },
      { databaseUrl: 'postgres://u:p@h/db' },
    ],
    ['a socket', { FACTORY_SOCKET: 'run/s' }, { listen: { socket: '/srv/app/run/s' } }],
    ['any free port', { FACTORY_PORT: '0' }, { listen: { host: '127.0.0.1', port: 0 } }],
    [
      'an origin without its slash',
      { FACTORY_BASE_URL: 'https://f.example/' },
      { baseUrl: 'https://f.example' },
    ],
    ['queue writes off', { FACTORY_QUEUE_WRITES: 'off' }, { queueWrites: false }],
    ['an empty value is an absent one', { FACTORY_PORT: '' }, { listen: { host: '127.0.0.1', port: 8700 } }],
    [
      'client names',
      { FACTORY_URL: 'http://h:1', FACTORY_TOKEN: 't' },
      { client: { url: 'http://h:1', token: 't' } },
    ],
  ])('reads %s', (_, env, expected) => {
    expect(parsed(env)).toMatchObject(expected);
  });

  it.each<[string, string]>([
    ['FACTORY_ENV', 'prod'],
    ['FACTORY_RELEASE', 'a b'],
    ['FACTORY_LOG_LEVEL', 'loud'],
    ['FACTORY_HOST', 'not a host'],
    ['FACTORY_PORT', '65536'],
    ['FACTORY_PORT', '8700x'],
    ['FACTORY_PORT', '-1'],
    ['FACTORY_PORT', '1e3'],
    ['FACTORY_BASE_URL', 'factory.example'],
    ['FACTORY_BASE_URL', 'https://f.example/path'],
    ['FACTORY_BASE_URL', 'https://u@f.example'],
    ['FACTORY_BASE_URL', 'ftp://f.example'],
    ['FACTORY_TRUST_PROXY', 'yes'],
    ['FACTORY_DATABASE_URL', 'mysql://h/db'],
    ['FACTORY_DATABASE_URL', 'postgres://h'],
    ['FACTORY_DATABASE_URL', 'sqlite:'],
    ['FACTORY_DATABASE_URL', 'sqlite::memory:'],
    ['FACTORY_QUEUE_WRITES', 'true'],
    ['FACTORY_BACKUP_DESTINATIONS', '/var/backups'],
    ['FACTORY_BACKUP_DESTINATIONS', 'file:///'],
    ['FACTORY_BACKUP_DESTINATIONS', 'file://host/folder'],
    ['FACTORY_BACKUP_DESTINATIONS', 'file:///a file:///a'],
    ['FACTORY_BACKUP_DESTINATIONS', 's3://B_/p'],
    ['FACTORY_BACKUP_DESTINATIONS', 's3://bucket/p?endpont=https://s3.example'],
    ['FACTORY_BACKUP_DESTINATIONS', 's3://bucket/p?endpoint=s3.example'],
    ['FACTORY_BACKUP_DESTINATIONS', 's3://bucket/p?forcePathStyle=yes'],
    ['FACTORY_BACKUP_DESTINATIONS', 's3://key:secret@bucket/p'],
    ['FACTORY_BACKUP_RECIPIENTS', 'age1short'],
    ['FACTORY_BACKUP_RECIPIENTS', `${RECIPIENT} AGE-SECRET-KEY-1QQQ`],
    ['FACTORY_BACKUP_SCHEDULE', '61 2 * * *'],
    ['FACTORY_BACKUP_SCHEDULE', '0 15 2 * * *'],
    ['FACTORY_BACKUP_SCHEDULE', 'nightly'],
    ['FACTORY_BACKUP_SCHEDULE', '15 2 L * *'],
    ['FACTORY_VERIFY_SCHEDULE', '* * * *'],
    ['FACTORY_DRILL_SCHEDULE', '0 24 * * *'],
    ['FACTORY_PRUNE_SCHEDULE', '0 0 0 * *'],
    ['FACTORY_JOBS', 'yes'],
    ['FACTORY_BACKUP_DIFFERENTIAL_SECONDS', '0'],
    ['FACTORY_BACKUP_RETENTION_DAYS', '0'],
    ['FACTORY_BACKUP_CREDENTIALS_1_FILE', '/c'],
    ['FACTORY_BACKUP_CREDENTIALS_0_FILE', '/c'],
    ['FACTORY_URL', 'localhost:8700'],
    ['FACTORY_TOKEN', 'two words'],
    ['FACTORY_PROT', '8700'],
  ])('refuses %s=%s with a message and a hint', (name, value) => {
    const result = parseConfig({ [name]: value }, { cwd });
    const problems = 'problems' in result ? result.problems : [];
    expect(problems.map((problem) => problem.name)).toEqual([name]);
    expect(problems[0]?.message).toMatch(/\.$/);
    expect(problems[0]?.hint).toMatch(/\S/);
  });

  it('tells every problem at once', () => {
    const env = { FACTORY_PORT: 'x', FACTORY_ENV: 'x', FACTORY_BACKUP_SCHEDULE: 'x', FACTORY_DATA_DIRR: 'x' };
    expect(problemNames(env).sort()).toEqual(Object.keys(env).sort());
  });

  it('refuses a socket beside a port', () => {
    expect(problemNames({ FACTORY_SOCKET: 's', FACTORY_PORT: '1' })).toEqual(['FACTORY_SOCKET']);
  });

  it.each([
    ['FACTORY_PROT', 'FACTORY_PORT'],
    ['FACTORY_DATABASE', 'FACTORY_DATABASE_URL'],
    ['FACTORY_RETENTION_DAYS', 'FACTORY_BACKUP_RETENTION_DAYS'],
  ])('answers %s with %s', (name, nearest) => {
    expect(nearestName(name)).toBe(nearest);
    const result = parseConfig({ [name]: 'x' }, { cwd });
    expect('problems' in result && result.problems[0]?.hint).toContain(nearest);
  });

  it.each(['FACTORY_FOO', 'FACTORY_', 'FACTORY_SOMETHING_ELSE'])('guesses nothing for %s', (name) => {
    expect(nearestName(name)).toBeNull();
    const result = parseConfig({ [name]: 'x' }, { cwd });
    expect('problems' in result && result.problems[0]?.hint).toBe('.env.example lists every name.');
  });

  it('guesses what is meant where one letter is wrong', () => {
    const slip = fc.tuple(fc.constantFrom(...VARIABLES), fc.nat());
    fc.assert(
      fc.property(slip, ([name, at]) => {
        const place = 'FACTORY_'.length + (at % (name.length - 'FACTORY_'.length));
        expect(nearestName(name.slice(0, place) + '9' + name.slice(place + 1))).not.toBeNull();
      }),
    );
  });

  it.each([
    ['FACTORY_PORT', '8700'],
    ['FACTORY_TRUST_PROXY', '1'],
    ['FACTORY_BACKUP_DIFFERENTIAL_SECONDS', '300'],
    ['FACTORY_BACKUP_RETENTION_DAYS', '30'],
  ])('gives an example for %s that can be used', (name, example) => {
    const result = parseConfig({ [name]: 'abc' }, { cwd });
    expect('problems' in result && result.problems[0]?.hint).toBe(`For example ${example}.`);
    expect(problemNames({ [name]: example })).toEqual([]);
  });

  it('never repeats a value that may be secret', () => {
    for (const name of [...SECRETS, 'FACTORY_BACKUP_RECIPIENTS', 'FACTORY_BACKUP_DESTINATIONS']) {
      const result = parseConfig({ [name]: 'AGE-SECRET-KEY-1hunter2 s3://k:hunter2@b' }, { cwd });
      expect('problems' in result && result.problems).toHaveLength(1);
      expect(JSON.stringify(result)).not.toContain('hunter2');
    }
  });

  it('reads buckets with their options and credentials', () => {
    const { destinations } = parsed({
      FACTORY_BACKUP_DESTINATIONS:
        'file:///b%20c s3://bucket/a/b/?endpoint=http://127.0.0.1:9&region=eu&forcePathStyle=true',
      FACTORY_BACKUP_CREDENTIALS_2_FILE: 'cred',
      FACTORY_BACKUP_RECIPIENTS: RECIPIENT,
    }).backup;
    expect(destinations[0]).toMatchObject({ kind: 'folder', path: '/b c' });
    expect(destinations[1]).toMatchObject({
      bucket: 'bucket',
      prefix: 'a/b',
      endpoint: 'http://127.0.0.1:9',
      region: 'eu',
      forcePathStyle: true,
      credentialsFile: '/srv/app/cred',
    });
  });

  it('answers any text with a configuration or problems, never a throw', () => {
    const value = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.webUrl(), fc.constant('s3://%zz/'));
    const env = fc.dictionary(fc.constantFrom(...VARIABLES, 'FACTORY_BACKUP_CREDENTIALS_1_FILE'), value);
    fc.assert(
      fc.property(env, (input) => {
        const result = parseConfig(input, { cwd });
        expect('config' in result || result.problems.length > 0).toBe(true);
      }),
    );
  });
});

describe('loadEnv', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'factory-config-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('puts the real environment over .env', () => {
    writeFileSync(join(folder, '.env'), 'FACTORY_PORT=1\nFACTORY_ENV="staging" # words\n');
    const { env, problems } = loadEnv(folder, { FACTORY_PORT: '2' });
    expect(problems).toEqual([]);
    expect(env).toMatchObject({ FACTORY_PORT: '2', FACTORY_ENV: 'staging' });
  });

  it('reads a secret from its file', () => {
    writeFileSync(join(folder, 'secret'), 'postgres://u:p@h/db\n');
    const result = loadConfig(folder, { FACTORY_DATABASE_URL_FILE: 'secret' });
    expect('config' in result && result.config.databaseUrl).toBe('postgres://u:p@h/db');
  });

  it('tells problems of files and of values together', () => {
    const result = loadConfig(folder, {
      FACTORY_TOKEN_FILE: 'nowhere',
      FACTORY_DATABASE_URL: 'sqlite:x',
      FACTORY_DATABASE_URL_FILE: 'x',
      FACTORY_PORT: 'x',
    });
    const names = 'problems' in result ? result.problems.map((problem) => problem.name).sort() : [];
    expect(names).toEqual(['FACTORY_DATABASE_URL_FILE', 'FACTORY_PORT', 'FACTORY_TOKEN_FILE']);
  });
});

describe('.env.example', () => {
  const lines = readFileSync(new URL('../.env.example', import.meta.url), 'utf8').split('\n');
  const settings = lines.flatMap((line) => /^# (FACTORY_\w+)=(.*)$/.exec(line)?.slice(1, 3) ?? []);
  const env = Object.fromEntries(
    settings.flatMap((name, index) => (index % 2 === 0 ? [[name, settings[index + 1]]] : [])),
  ) as Record<string, string>;

  it('names every variable once', () => {
    expect(Object.keys(env).sort()).toEqual([...VARIABLES, 'FACTORY_BACKUP_CREDENTIALS_1_FILE'].sort());
    expect(settings).toHaveLength(Object.keys(env).length * 2);
  });

  it('has only values that the parser takes', () => {
    const { FACTORY_SOCKET, ...rest } = env;
    expect(problemNames(rest)).toEqual([]);
    expect(problemNames({ FACTORY_SOCKET })).toEqual([]);
  });
});

describe('childEnv', () => {
  it('has glibc give memory back, and keeps what the operator set', () => {
    expect(childEnv(tmpdir(), { A: '1' })).toMatchObject({ A: '1', MALLOC_MMAP_THRESHOLD_: '131072' });
    expect(childEnv(tmpdir(), { MALLOC_MMAP_THRESHOLD_: '5' })).toMatchObject({
      MALLOC_MMAP_THRESHOLD_: '5',
    });
  });
});
