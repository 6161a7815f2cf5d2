import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startS3 } from '../helpers/s3-double.ts';
import type { Asked, Fault, S3Double } from '../helpers/s3-double.ts';
import { callerOf, newToken } from './client.ts';
import type { Caller } from './client.ts';
import { factory, newPlace, serve } from './service.ts';
import type { Place, Service } from './service.ts';

/**
 * The product's own backups, to a folder and to a bucket that gets into trouble while the service runs: the folder has each
 * of them, and whoever asks (a script, a monitor, Prometheus, a person with the page open) is told of the bucket.
 */

let server: S3Double;
let place: Place;
let service: Service;
let caller: Caller;
let folder: string;
/** The server's clock against ours. */
let skew = 0;

const KEYS = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };

beforeAll(async () => {
  server = await startS3({ provider: 'b2', now: () => Date.now() + skew, storedAt: Date.now });
  const query = `endpoint=${encodeURIComponent(server.endpoint)}&region=eu&forcePathStyle=true`;
  place = newPlace();
  folder = pathToFileURL(join(place.dir, 'folder')).href;
  Object.assign(place.env, KEYS, {
    FACTORY_BACKUP_DESTINATIONS: `s3://backups/team?${query} ${folder}`,
    FACTORY_BACKUP_GIVE_UP_SECONDS: '2',
  });
  service = await serve(place);
  const { token } = await newToken(place, 'owner');
  caller = callerOf(() => service.url, token);
  expect((await factory(place, 'jobs', 'run', 'backup')).code).toBe(0);
  expect(await told()).toEqual(WELL);
}, 60_000);
afterAll(async () => {
  await service.stop();
  await server.close();
  rmSync(place.dir, { recursive: true, force: true });
});

interface Told {
  /** Exit of the command line. */
  code: number | null;
  /** Of each destination: whether its gauge says that it fails. */
  failing: Record<string, number>;
  /** What the page says below each destination; null: nothing is wrong. */
  page: { bucket: string | null; folder: string | null };
  health: number;
  status: string;
}

/** A change, the run that sends it, and what everybody is told then. */
async function told(env: Record<string, string> = {}): Promise<Told> {
  await factory(place, 'login-link');
  const run = await factory({ ...place, env: { ...place.env, ...env } }, 'jobs', 'run', 'differential');
  const [health, metrics, page] = await Promise.all(
    ['/api/health/backups', '/metrics', '/operations'].map((path) => caller.get(path)),
  );
  const gauges = [
    ...(metrics?.text ?? '').matchAll(/^factory_backup_destination_failing\{destination="([^"]+)"\} (\d)$/gm),
  ];
  const why = (number: number): string | null =>
    new RegExp(`id="destination-${number}"[\\s\\S]*?</tr>\\s*(<tr class="why">[\\s\\S]*?</tr>)?`).exec(
      page?.text ?? '',
    )?.[1] ?? null;
  return {
    code: run.code,
    failing: Object.fromEntries(gauges.map(([, url = '', value]) => [url.split(':')[0], Number(value)])),
    page: { bucket: why(1), folder: why(2) },
    health: health?.status ?? 0,
    status: (health?.body as { status: string }).status,
  };
}

const WELL: Told = {
  ...{ code: 0, failing: { s3: 0, file: 0 }, page: { bucket: null, folder: null } },
  ...{ health: 200, status: 'ok' },
};

const always = (fault: Fault) => (): Fault => fault;
const mostly = (fault: Fault): ((asked: Asked) => Fault | undefined) => {
  let n = 0;
  return () => ([3, 6, 9].includes((n += 1) % 10) ? undefined : fault);
};

// First, while few backups have to be read.
it.each<[string, (asked: Asked) => Fault | undefined]>([
  ['is slow', always({ kind: 'delay', ms: 150 })],
  ['answers 503 to seven calls of ten', mostly({ kind: 'status', status: 503 })],
])('a bucket that %s has its backup, and nothing is told', { timeout: 120_000 }, async (_what, fault) => {
  server.fault = fault;
  expect(await told({ FACTORY_BACKUP_GIVE_UP_SECONDS: '60' })).toEqual(WELL);
  server.fault = () => undefined;
});

it.each<[string, (asked: Asked) => Fault | undefined, number, Record<string, string>]>([
  ['is down', always({ kind: 'drop' }), 0, {}],
  ['is silent', always({ kind: 'delay', ms: 60_000 }), 0, {}],
  ['answers 503 to everything', always({ kind: 'status', status: 503 }), 0, {}],
  [
    'is full',
    ({ method }) => (method === 'PUT' ? { kind: 'status', status: 403, code: 'QuotaExceeded' } : undefined),
    0,
    {},
  ],
  ['has another clock', () => undefined, 3_600_000, {}],
  ['does not know the key', () => undefined, 0, { AWS_ACCESS_KEY_ID: 'other' }],
])(
  'a bucket that %s is told by everything that speaks of backups',
  { timeout: 120_000 },
  async (_what, fault, off, env) => {
    server.fault = fault;
    skew = off;
    const bad = await told(env);
    expect(bad).toMatchObject({ code: 3, failing: { s3: 1, file: 0 }, page: { folder: null } });
    expect(bad.page.bucket).toContain('class="why"');
    expect(bad.status).not.toBe('ok');
    server.fault = () => undefined;
    skew = 0;
    expect(await told()).toEqual(WELL);
  },
);

it(
  'a bucket that was given up is not waited for once more in the same run',
  { timeout: 120_000 },
  async () => {
    server.fault = always({ kind: 'drop' });
    server.asked.length = 0;
    expect((await told()).code).toBe(3);
    // Neither for the keyring's copy nor by the verification that follows, which lists backups and copies anew.
    expect(server.asked.filter(({ query }) => query.get('prefix')?.includes('keyring'))).toEqual([]);
    expect(server.asked.filter(({ key }) => key.includes('keyring'))).toEqual([]);
    server.fault = () => undefined;
  },
);
