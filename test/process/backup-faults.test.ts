import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startS3 } from '../helpers/s3-double.ts';
import type { Asked, Fault, S3Double } from '../helpers/s3-double.ts';
import { factory as inProcess } from '../scripts/cli.ts';
import { APP, assertRestores, listed, newPairs } from './pairs.ts';
import type { Listed, Made } from './pairs.ts';
import { eventually } from './client.ts';
import { factoryJson, launch } from './service.ts';
import type { Ran } from '../scripts/cli.ts';
import type { Place } from './service.ts';

/** Whole backups to a folder and to a bucket in trouble: each has its own result, and what is listed restores. */

const ROWS = 500;
const KEYS = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };

/** Two destinations of a database. */
function installation(endpoint: string, env: Record<string, string> = {}) {
  const { place } = newPairs(ROWS, "printf('note %d', random())");
  const folder = pathToFileURL(join(place.dir, 'folder')).href;
  const bucket = `s3://backups/team?endpoint=${encodeURIComponent(endpoint)}&region=eu&forcePathStyle=true`;
  Object.assign(place.env, KEYS, {
    FACTORY_BACKUP_DESTINATIONS: `${bucket} ${folder}`,
    FACTORY_BACKUP_GIVE_UP_SECONDS: '2',
    ...env,
  });
  return { place, folder, bucket };
}

async function double(options: Parameters<typeof startS3>[0] = {}): Promise<S3Double> {
  const server = await startS3({ provider: 'b2', ...options });
  onTestFinished(() => server.close());
  return server;
}

/** In this process: the same command line, without the time that a start takes. */
async function backup({ dir, env }: Place): Promise<{ code: number; answer: Made }> {
  const ran: Ran = await inProcess(dir, ['backup', ...APP, '--json'], env);
  return { code: ran.exit, answer: ran.json() };
}

/** Where everything that is listed restores from. */
async function restoring(place: Place): Promise<string[]> {
  return (await assertRestores(place, ROWS)).backups.map(({ destination }) => destination);
}

const always = (fault: Fault) => (): Fault => fault;
/** Seven of ten in a pattern, so that no luck is needed: whoever asks again gets through. */
const mostly = (fault: Fault): ((asked: Asked) => Fault | undefined) => {
  let n = 0;
  return () => ([3, 6, 9].includes((n += 1) % 10) ? undefined : fault);
};
const everyThirdWrite = (fault: Fault): ((asked: Asked) => Fault | undefined) => {
  let n = 0;
  return ({ method }) => (method === 'PUT' && (n += 1) % 3 === 1 ? fault : undefined);
};
const writes =
  (fault: Fault) =>
  ({ method }: Asked): Fault | undefined =>
    method === 'PUT' ? fault : undefined;

/** The index says something else than its table: nothing but SQLite's own check sees that. */
function damage(path: string): void {
  const db = new Database(path);
  db.exec('create table noise (content blob not null); create index by_note on pair (note)');
  db.exec(
    'with recursive n (i) as (select 1 union all select i + 1 from n where i < 5000) ' +
      'insert into noise select randomblob(4000) from n',
  );
  db.unsafeMode();
  db.pragma('writable_schema = on');
  db.exec("update sqlite_schema set sql = 'CREATE INDEX by_note ON pair (a)' where name = 'by_note'");
  db.close();
}

describe('a database that SQLite finds damaged', () => {
  it('is in no destination, although sending begins before the check ends', async () => {
    const server = await double();
    const { place } = installation(server.endpoint);
    damage(join(place.dir, 'app.db'));
    const ran = await inProcess(place.dir, ['backup', ...APP, '--json'], place.env);
    expect([ran.exit, ran.json<{ error: { code: string } }>().error.code]).toEqual([1, 'snapshot-damaged']);
    expect([...server.objects.keys()]).toEqual([]);
    expect(existsSync(join(place.dir, 'folder'))).toBe(false);
    const uploads = server.asked.filter(({ query }) => query.has('uploads')).length;
    const ended = server.asked.filter(({ method, query }) => method === 'DELETE' && query.has('uploadId'));
    expect(ended).toHaveLength(uploads);
  });
});

describe('a bucket in trouble', () => {
  const BAD: [what: string, fault: (asked: Asked) => Fault | undefined, code: string][] = [
    ['is silent', always({ kind: 'delay', ms: 60_000 }), 'destination-timeout'],
    ['breaks every connection', always({ kind: 'drop' }), 'destination-failed'],
    ['loses every answer', always({ kind: 'lost-reply' }), 'destination-failed'],
    ['answers 503 to everything', always({ kind: 'status', status: 503 }), 'destination-failed'],
    ['is full', writes({ kind: 'status', status: 403, code: 'QuotaExceeded' }), 'destination-full'],
    ['is full, as B2 says it', writes({ kind: 'status', status: 507 }), 'destination-full'],
    ['answers 500 to every write', writes({ kind: 'status', status: 500 }), 'destination-failed'],
    ['loses the answer to every write', writes({ kind: 'lost-reply' }), 'destination-failed'],
  ];

  it.each(BAD)('that %s is named, and holds up nobody', async (_what, fault, code) => {
    const server = await double();
    const { place, folder, bucket } = installation(server.endpoint);
    server.fault = fault;
    const started = performance.now();
    const { code: exit, answer } = await backup(place);
    expect(answer.destinations.map(({ url, status, error }) => [url, status, error?.code])).toEqual([
      [bucket, 'failed', code],
      [folder, 'ok', undefined],
    ]);
    expect([exit, answer.destinations[0]?.error?.hint]).toEqual([3, expect.stringMatching(/\.$/)]);
    // Asked and sent to, twice two seconds at most; the rest is a busy machine.
    expect(performance.now() - started).toBeLessThan(15_000);
    server.fault = () => undefined;
    expect(await restoring(place)).toContain(folder);
  });

  it('that never answers holds up nobody: the folder has its backup while the bucket is still waited for', async () => {
    const server = await double();
    // As it is shipped: a minute is what a destination gets.
    const { place, folder } = installation(server.endpoint, { FACTORY_BACKUP_GIVE_UP_SECONDS: '60' });
    server.fault = always({ kind: 'delay', ms: 600_000 });
    const running = launch(place, ['backup', ...APP]);
    const closed = new Promise((resolve) => running.once('close', resolve));
    const sent = await eventually(
      () => inProcess(place.dir, ['backups', 'list', '--from', folder, '--name', 'app', '--json'], place.env),
      (ran) => ran.exit === 0 && ran.json<Listed>().backups.length === 1,
      30_000,
    );
    expect(running.exitCode).toBeNull();
    running.kill('SIGKILL');
    await closed;
    const [one] = sent.json<Listed>().backups;
    const from = ['--from', folder, '--backup', one?.backupId ?? '', '--name', 'app', '--to', 'early.db'];
    expect((await inProcess(place.dir, ['restore', ...from], place.env)).exit).toBe(0);
  });

  it('takes its keys from .env, where the variables are not set', async () => {
    const server = await double();
    const { place, bucket } = installation(server.endpoint);
    for (const name of Object.keys(KEYS)) place.env[name] = '';
    const without = await backup(place);
    expect(without.answer.destinations.map(({ status }) => status)).toEqual(['failed', 'ok']);
    for (const name of Object.keys(KEYS)) delete place.env[name];
    const lines = Object.entries(KEYS).map(([name, value]) => `${name}=${value}`);
    writeFileSync(join(place.dir, '.env'), lines.join('\n'));
    expect((await backup(place)).code).toBe(0);
    expect(await restoring(place)).toContain(bucket);
  });

  it.each([
    ['a clock that is off', { now: () => Date.now() + 3_600_000 }, {}, 'destination-clock'],
    ['a wrong key', {}, { AWS_ACCESS_KEY_ID: 'other' }, 'destination-credentials'],
    ['a bucket that is not there', { bucket: 'elsewhere' }, {}, 'destination-missing'],
    ['a key that may not write', { forbidden: ['PUT'] }, {}, 'destination-forbidden'],
  ])('because of %s is named', async (_what, options, env, code) => {
    const server = await double(options);
    const { place, folder } = installation(server.endpoint, env);
    const { code: exit, answer } = await backup(place);
    expect([exit, answer.destinations[0]?.error?.code]).toEqual([3, code]);
    expect(await restoring(place)).toEqual([folder]);
  });

  const PASSING: [what: string, fault: (asked: Asked) => Fault | undefined][] = [
    ['is slow', always({ kind: 'delay', ms: 150 })],
    ['answers 503 to seven calls of ten', mostly({ kind: 'status', status: 503 })],
    ['breaks seven connections of ten', mostly({ kind: 'drop' })],
    ['loses answers to writes', everyThirdWrite({ kind: 'lost-reply' })],
  ];

  it.each(PASSING)('that %s gets its backup', async (what, fault) => {
    const server = await double();
    const { place, folder, bucket } = installation(server.endpoint, { FACTORY_BACKUP_GIVE_UP_SECONDS: '20' });
    server.fault = fault;
    const { code, answer } = await backup(place);
    expect([code, answer.destinations.map(({ status }) => status)]).toEqual([0, ['ok', 'ok']]);
    // Restores ask in the same way; one kind of trouble is enough to see it.
    if (!what.includes('503')) server.fault = () => undefined;
    expect(await restoring(place)).toEqual([bucket, folder]);
  });

  it('that is away is told by the process as well', async () => {
    const { place, folder } = installation('http://127.0.0.1:9');
    const { code, answer } = await factoryJson<Made>(place, 'backup', ...APP);
    expect([code, answer.destinations.map(({ status }) => status)]).toEqual([3, ['failed', 'ok']]);
    expect((await listed(place)).backups.map(({ destination }) => destination)).toEqual([folder]);
  });

  it('that is not there fails a run that has no other, and says so', async () => {
    const { place, bucket } = installation('http://127.0.0.1:9');
    place.env.FACTORY_BACKUP_DESTINATIONS = bucket;
    const { code, answer } = await backup(place);
    expect([code, answer.destinations[0]?.error?.code]).toEqual([1, 'destination-failed']);
    expect((await listed(place)).backups).toEqual([]);
  });
});

describe('a bucket that gives back something else', () => {
  const READING: [what: string, fault: Fault][] = [
    ['flips bits', { kind: 'flip' }],
    ['breaks off', { kind: 'truncate' }],
  ];

  it.each(READING)(
    'and %s: verify finds it, and a restore takes the other destination',
    async (_what, fault) => {
      const server = await double();
      const { place, folder } = installation(server.endpoint);
      expect((await backup(place)).code).toBe(0);
      // Manifests arrive, so that the backup is listed and its data is what is wrong.
      server.fault = ({ method, key }) => (method === 'GET' && key.endsWith('.age') ? fault : undefined);
      const verified = await inProcess(place.dir, ['backups', 'verify', '--name', 'app'], place.env);
      expect(verified.exit).toBe(3);
      const args = ['restore', '--name', 'app', '--to', 'r.db'];
      const restored = await inProcess(place.dir, args, place.env);
      expect([restored.exit, restored.stderr]).toEqual([3, expect.stringContaining(`Asking ${folder}`)]);
      server.fault = ({ key }) => (key !== '' ? fault : undefined);
      const { backups, problems } = await listed(place);
      expect(backups.map(({ destination }) => destination)).toEqual([folder]);
      expect(problems).toHaveLength(1);
    },
  );
});
