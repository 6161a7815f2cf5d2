import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { bucketStore } from '../acceptance/backup-store.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startS3 } from '../helpers/s3-double.ts';
import type { S3Double } from '../helpers/s3-double.ts';
import { emptyFolder } from '../scripts/cli.ts';
import { attached, randomText } from './attached.ts';
import { CONFIRM, json, place as newInstallation } from './people-backups.ts';
import type { Place } from './service.ts';

/** An attachment, or the list of them, that is damaged in a destination: told, and mended by the next backup. */

const LONG = { timeout: 240_000 };

/** What lies in a destination, past everything that writes there properly. */
interface Store {
  keys(): string[];
  /** As a reader gets it who asks for no version; null: nothing. */
  read(key: string): Buffer | null;
  /** Null: it goes. */
  harm(key: string, bytes: Buffer | null): Promise<void>;
}

function folder({ data }: Place): Store {
  const root = join(data, 'backups');
  const pathOf = (key: string): string => join(root, key);
  return {
    keys: () =>
      readdirSync(root, { recursive: true, withFileTypes: true })
        .filter((one) => one.isFile())
        .map((one) => join(one.parentPath, one.name).slice(root.length + 1)),
    read: (key) => (existsSync(pathOf(key)) ? readFileSync(pathOf(key)) : null),
    harm: async (key, bytes) => (bytes === null ? rmSync(pathOf(key)) : writeFileSync(pathOf(key), bytes)),
  };
}

const PREFIX = 'team/';

const compact = (at: Date): string => at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '');

const inBucket = (server: S3Double): Store => ({
  keys: () => [...server.objects.keys()].map((key) => key.slice(PREFIX.length)),
  read: (key) => server.objects.get(PREFIX + key)?.body ?? null,
  async harm(key, body) {
    if (body === null) {
      const headers = { authorization: 'Credential=key/', 'x-amz-date': `${compact(new Date())}Z` };
      await fetch(`${server.endpoint}/backups/${PREFIX}${key}`, { method: 'DELETE', headers });
      return;
    }
    // Where versions are kept it is the disk below that changes: every version of it, and none is added.
    for (const one of server.versions) if (one.key === PREFIX + key && one.body !== null) one.body = body;
    if (!server.objects.get(PREFIX + key)?.body.equals(body))
      server.objects.set(PREFIX + key, { body, at: new Date().toISOString() });
  },
});

async function bucket(place: Place, versioned: boolean): Promise<{ store: Store; server: S3Double }> {
  const server = await startS3({ provider: 'aws', versioned });
  onTestFinished(() => server.close());
  await bucketStore(place, server);
  return { store: inBucket(server), server };
}

const HARM: Record<string, (bytes: Buffer) => Buffer | null> = {
  flip(bytes) {
    const changed = Buffer.from(bytes);
    changed[bytes.length >> 1]! ^= 1;
    return changed;
  },
  truncate: (bytes) => bytes.subarray(0, bytes.length - 1),
  delete: () => null,
  swap: (bytes) => randomText(2 * bytes.length).subarray(0, bytes.length),
};

interface Listed {
  backups: { backupId: string; verifiedHow: string | null; damaged: boolean }[];
}
interface Made {
  backupId: string;
  kind: string;
  destinations: { url: string; status: string; sentAgain?: string[]; error?: { code: string } }[];
}

async function installation(at: (place: Place) => Promise<Store>) {
  const host = newInstallation();
  mkdirSync(host.data, { recursive: true });
  const store = await at(host);
  const content = randomText();
  const added = await attached(host, ({ add }) => add(content));
  expect((await backup(host)).kind).toBe('full');
  expect((await json(host, 'backups', 'verify')).exit).toBe(0);
  return { host, store, content, added };
}

const backup = async (host: Place, exit = 0): Promise<Made> => {
  const ran = await json(host, 'backup');
  expect(ran.exit, ran.stdout).toBe(exit);
  return ran.json<Made>();
};
const listed = async (host: Place): Promise<Listed['backups']> =>
  (await json(host, 'backups', 'list')).json<Listed>().backups;
const restored = async (host: Place, ...which: string[]): Promise<number> => {
  const to = join(emptyFolder(), 'restored.db');
  return (await json(host, 'restore', ...which, '--to', to)).exit;
};
const healthOf = async (host: Place): Promise<{ status: string }> =>
  attached(host, async ({ call }) => (await call.get('/api/health')).body as { status: string });

const keyIn = (store: Store, end: string): string =>
  store.keys().find((key) => key.startsWith('blobs/') && key.endsWith(end)) ?? '';
const isItself = (store: Store, key: string): boolean =>
  createHash('sha256')
    .update(store.read(key) ?? '')
    .digest('hex') === key.split('/').at(-1)?.split('.')[0];

/** Who finds it, and what that answers. */
const TOLD_BY: Record<string, [exit: number, ...words: string[]]> = {
  verify: [3, 'backups', 'verify'],
  restore: [1, 'restore', '--to', 'never.db'],
  drill: [1, 'drill'],
};

type Round = [end: '.sealed' | '.list', harm: keyof typeof HARM, by: keyof typeof TOLD_BY];

async function goRound(host: Place, store: Store, [end, harm, by]: Round): Promise<void> {
  const key = keyIn(store, end);
  await store.harm(key, HARM[harm]!(store.read(key) as Buffer));
  expect(isItself(store, key)).toBe(false);
  // Else what was read within a day is not read again, unless somebody found it damaged.
  if (by === 'verify') rmSync(join(host.data, 'backup/factory/blobs-read.json'), { force: true });
  const [exit, ...words] = TOLD_BY[by]!;
  const told = await json(host, ...words);
  expect([told.exit, told.stdout]).toEqual([exit, expect.stringContaining(key)]);
  const bad = await listed(host);
  expect(bad.filter(({ damaged, verifiedHow }) => !damaged || verifiedHow !== null)).toEqual([]);

  expect((await json(host, 'backups', 'verify')).exit).toBe(3);

  const made = await backup(host);
  // What a full one cannot cure makes none. Without its list, a backup is nothing that another one could rest on.
  const isGone = end === '.list' && (harm === 'truncate' || harm === 'delete');
  expect(made.kind).toBe(isGone ? 'full' : 'differential');
  if (!isGone) expect(made.destinations[0]?.sentAgain).toEqual([key]);
  expect(isItself(store, key)).toBe(true);
  // What could not even be listed meanwhile has to be read again.
  expect((await json(host, 'backups', 'verify', ...(isGone ? ['--all'] : []))).exit).toBe(0);
  const good = await listed(host);
  expect(good.filter(({ damaged, verifiedHow }) => damaged || verifiedHow === null)).toEqual([]);
  expect(await restored(host, '--backup', good[0]?.backupId ?? '')).toBe(0);
  expect((await backup(host)).kind).toBe('skipped');
}

const ROUNDS: [string, (place: Place) => Promise<Store>, Round[]][] = [
  [
    ...(['a folder', async (place: Place) => folder(place)] as const),
    [
      ['.sealed', 'flip', 'restore'],
      ['.sealed', 'truncate', 'verify'],
      ['.sealed', 'delete', 'verify'],
      ['.sealed', 'swap', 'drill'],
      ['.list', 'flip', 'verify'],
      ['.list', 'truncate', 'verify'],
      ['.list', 'delete', 'verify'],
      ['.list', 'swap', 'restore'],
    ],
  ],
  [
    ...(['a bucket', async (place: Place) => (await bucket(place, false)).store] as const),
    [
      ['.sealed', 'flip', 'verify'],
      ['.sealed', 'truncate', 'verify'],
      ['.list', 'swap', 'verify'],
      ['.list', 'delete', 'verify'],
    ],
  ],
  [
    ...(['a bucket with versions', async (place: Place) => (await bucket(place, true)).store] as const),
    [
      ['.sealed', 'swap', 'verify'],
      ['.sealed', 'delete', 'verify'],
      ['.list', 'flip', 'verify'],
      ['.list', 'truncate', 'verify'],
    ],
  ],
];

it.each(ROUNDS)(
  'in %s it is told, and sent again by the next backup, for all that name it',
  LONG,
  async (_, at, rounds) => {
    const { host, store, content, added } = await installation(at);
    for (const round of rounds) await goRound(host, store, round);
    const drill = (await json(host, 'drill')).json<{ outcome: string; checks: { name: string }[] }>();
    expect([drill.outcome, drill.checks.map(({ name }) => name)]).toEqual([
      'pass',
      expect.arrayContaining(['attachments']),
    ]);
    rmSync(join(host.data, 'blobs'), { recursive: true });
    expect((await json(host, 'restore', '--in-place', '--confirm', CONFIRM)).exit).toBe(0);
    expect(await attached(host, ({ get }) => get(added))).toEqual([200, content.toString()]);
  },
);

it(
  'of a Postgres database it is mended by one full backup, and the next finds nothing to do',
  LONG,
  async () => {
    const host = newInstallation({ FACTORY_DATABASE_URL: await createDatabase() });
    mkdirSync(host.data, { recursive: true });
    const store = folder(host);
    await attached(host, ({ add }) => add(randomText()));
    await backup(host);
    const key = keyIn(store, '.sealed');
    await store.harm(key, HARM['flip']!(store.read(key) as Buffer));
    expect((await json(host, 'backups', 'verify')).exit).toBe(3);
    const made = await backup(host);
    expect([made.kind, made.destinations[0]?.sentAgain]).toEqual(['full', [key]]);
    expect((await json(host, 'backups', 'verify', '--all')).exit).toBe(0);
    expect((await backup(host)).kind).toBe('skipped');
  },
);

it(
  'what was deleted since stays damaged where it was, and is told until a later backup is verified',
  LONG,
  async () => {
    const { host, store, added } = await installation(async (place) => folder(place));
    const key = keyIn(store, '.sealed');
    await attached(host, ({ remove }) => remove(added));
    await store.harm(key, HARM['flip']!(store.read(key) as Buffer));
    expect(await restored(host)).toBe(1);
    expect((await backup(host)).kind).toBe('differential');
    expect((await json(host, 'backups', 'verify')).exit).toBe(0);
    expect((await healthOf(host)).status).toBe('ok');
    expect((await listed(host)).map(({ damaged }) => damaged)).toEqual([true, false]);
    expect((await json(host, 'backups', 'verify', '--all')).exit).toBe(3);
    expect((await backup(host)).kind).toBe('differential');
    expect((await backup(host)).kind).toBe('skipped');
  },
);

it('health tells it until it is mended', LONG, async () => {
  const { host, store } = await installation(async (place) => folder(place));
  const key = keyIn(store, '.sealed');
  await store.harm(key, HARM['flip']!(store.read(key) as Buffer));
  rmSync(join(host.data, 'backup/factory/blobs-read.json'));
  expect((await json(host, 'jobs', 'run', 'verify')).exit).toBe(3);
  expect(await healthOf(host)).toMatchObject({ status: 'degraded' });
  expect((await json(host, 'jobs', 'run', 'differential')).exit).toBe(0);
  expect(await healthOf(host)).toMatchObject({ status: 'ok' });
  expect((await listed(host)).map(({ verifiedHow }) => verifiedHow)).toContain('restored');
});

it('what somebody put there before under its name is not what is restored', LONG, async () => {
  const host = newInstallation();
  mkdirSync(host.data, { recursive: true });
  const { store, server } = await bucket(host, true);
  await attached(host, ({ add }) => add(randomText()));
  const [path = ''] = readdirSync(join(host.data, 'blobs'), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name));
  const bytes = readFileSync(path);
  const key = `blobs/factory/${createHash('sha256').update(bytes).digest('hex')}.sealed`;
  const body = HARM['swap']!(bytes) as Buffer;
  server.objects.set(PREFIX + key, { body, at: new Date().toISOString() });
  await backup(host);
  const told = await json(host, 'backups', 'verify');
  expect([told.exit, told.stdout]).toEqual([3, expect.stringContaining(key)]);
  const made = await backup(host);
  expect(made.destinations[0]?.sentAgain).toEqual([key]);
  expect(server.versions.filter((one) => one.key === PREFIX + key).map((one) => one.body)).toEqual([
    body,
    bytes,
  ]);
  expect((await json(host, 'backups', 'verify', '--all')).exit).toBe(0);
  for (const { backupId } of await listed(host)) expect(await restored(host, '--backup', backupId)).toBe(0);
  // Another one on top of it is nothing to whoever reads.
  await store.harm(key, null);
  server.objects.set(PREFIX + key, { body, at: new Date().toISOString() });
  expect(await restored(host)).toBe(0);
});

it('a backup is not restored where its attachments are not', LONG, async () => {
  const { host, store, added } = await installation(async (place) => folder(place));
  await attached(host, ({ remove }) => remove(added));
  await backup(host);
  const key = keyIn(store, '.sealed');
  await store.harm(key, HARM['flip']!(store.read(key) as Buffer));
  rmSync(join(host.data, 'backup/factory/blobs-read.json'));
  // The newest has none; the one before is restored for a trial, too.
  expect((await json(host, 'jobs', 'run', 'backup')).exit).toBe(3);
  const found = await listed(host);
  expect(found.map(({ damaged, verifiedHow }) => [damaged, verifiedHow])).toEqual([
    [true, null],
    [false, 'restored'],
    [false, 'restored'],
  ]);
});
