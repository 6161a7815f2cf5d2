import { createPrivateKey } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { publicKeyOf } from '../../service/ed25519.ts';
import { evidenceDigest } from '../../service/jobs/evidence.ts';
import type { Evidence } from '../../service/jobs/evidence.ts';
import { startS3 } from '../helpers/s3-double.ts';
import { callerOf, eventually, newToken } from './client.ts';
import { factory, factoryJson, launch, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';
import { itemFiles } from './queue.ts';

/** Drills of the product's own data, as they are typed; one installation serves all. */

interface Drill {
  outcome: string;
  backupId: string | null;
  rpoSeconds: number | null;
  rtoSeconds: number | null;
  restoreSeconds: number | null;
  bootSeconds: number | null;
  checks: { name: string; status: string; detail: string }[];
  canary: { name: string; caught: boolean }[] | null;
  file: string;
  reported: boolean | null;
  evidence: Evidence;
}

let place: Place;
beforeAll(async () => {
  place = ownTmp(newPlace({ files: { ...itemFiles('wi-D-1', 'ready'), ...itemFiles('wi-D-2', 'backlog') } }));
  const service = await serve(place);
  await service.stop();
  expect((await factory(place, 'backup')).code).toBe(0);
});
afterAll(() => rmSync(place.dir, { recursive: true, force: true }));

/** Sockets of other tests are none of ours. */
function ownTmp(made: Place): Place {
  const tmp = join(made.dir, 't');
  mkdirSync(tmp);
  return { ...made, env: { ...made.env, TMPDIR: tmp } };
}

const drill = (at: Place, ...args: string[]) => factoryJson<Drill>(at, 'drill', ...args);
const failed = ({ checks }: Drill) =>
  checks.filter(({ status }) => status === 'fail').map(({ name }) => name);
const destination = (at: Place): string => join(at.data, 'backups');

/** What a drill must not leave: folders with a database in plain text, processes, sockets. */
function leftovers(at: Place): string[] {
  const work = readdirSync(join(at.data, 'drills')).filter((name) => name.startsWith('work-'));
  const sockets = readdirSync(join(at.dir, 't')).filter((name) => name.startsWith('bf-drill-'));
  return [...work, ...sockets, ...processesIn(at.dir).map((pid) => `process ${pid}`)];
}

function processesIn(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((pid) => {
      try {
        return (readFileSync(`/proc/${pid}/cmdline`, 'utf8') + readlinkSync(`/proc/${pid}/cwd`)).includes(
          folder,
        );
      } catch {
        return false;
      }
    });
}

/** The same data once more, elsewhere; what is done to it harms no other test. */
function copyOf(original: Place): Place {
  const copy = ownTmp(newPlace());
  cpSync(original.data, copy.data, { recursive: true });
  return { ...copy, env: { ...copy.env, FACTORY_WORK_ITEMS_DIR: original.queue } };
}

describe("a drill of the product's own data", () => {
  let first: Drill;
  beforeAll(async () => {
    const { code, answer } = await drill(place);
    expect(failed(answer), JSON.stringify(answer.checks, null, 1)).toEqual([]);
    expect({ code, outcome: answer.outcome }).toEqual({ code: 0, outcome: 'pass' });
    first = answer;
  });

  it('passes with no configuration at all, and measures', () => {
    const { rpoSeconds, rtoSeconds, restoreSeconds, bootSeconds } = first;
    expect(rpoSeconds).toBeLessThan(900);
    expect(bootSeconds).toBeGreaterThan(0);
    expect(rtoSeconds).toBeGreaterThan(restoreSeconds ?? Infinity);
    const names = first.checks.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining(['fetch', 'restore', 'fresh', 'audit log', 'boot', 'canary']),
    );
    expect(names.filter((name) => name.startsWith('read: '))).toHaveLength(11);
    expect(first.checks.find(({ name }) => name === 'read: items')?.detail).toBe('2 of 2 items.');
  });

  it('finds every backup that is wrong on purpose, once a week', async () => {
    expect(first.canary).toEqual(
      ['corrupt', 'stale', 'empty', 'newer schema'].map((name) =>
        expect.objectContaining({ name, caught: true }),
      ),
    );
    const before = new Date(Date.now() - 8 * 86_400_000).toISOString();
    const copy = copyOf(place);
    expect((await drill(copy)).answer.canary).toBeNull();
    writeFileSync(join(copy.data, 'drills', 'canary-at'), before);
    expect((await drill(copy)).answer.canary).toHaveLength(4);
  });

  it('leaves signed evidence, a record and an audit entry, and nothing else', async () => {
    const { evidence, file } = first;
    const key = createPrivateKey(readFileSync(join(place.data, 'keyring', 'backup-signing.pem')));
    expect(evidence.signature.publicKey).toBe(publicKeyOf(key));
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(evidence);
    expect(leftovers(place)).toEqual([]);
    const { stdout } = await factory(place, 'audit', 'export');
    expect(stdout).toContain(evidenceDigest(evidence));
    expect((await factory(place, 'verify-audit')).code).toBe(0);
  });

  it('takes one destination after the other where the schedule holds it', async () => {
    const copy = copyOf(place);
    const folders = [destination(copy), join(copy.dir, 'second')];
    cpSync(folders[0]!, folders[1]!, { recursive: true });
    const urls = folders.map((folder) => pathToFileURL(folder).href);
    const both = { ...copy, env: { ...copy.env, FACTORY_BACKUP_DESTINATIONS: urls.join(' ') } };
    const drilled: string[] = [];
    for (let night = 0; night < 3; night += 1) {
      const { code, answer } = await factoryJson<{ result: { outcome: string; url: string } }>(
        ...([both, 'jobs', 'run', 'drill'] as const),
      );
      expect([code, answer.result.outcome]).toEqual([0, 'pass']);
      drilled.push(answer.result.url);
    }
    expect(drilled).toEqual([urls[0], urls[1], urls[0]]);
  });

  it('is no change that could be lost: what only drills recorded is not missed', async () => {
    const { answer } = await drill(place);
    expect(answer).toMatchObject({ outcome: 'pass', rpoSeconds: 0 });
  });

  it('runs beside the service, which is told of it where it is reported', async () => {
    const service = await serve(place);
    try {
      const { token } = await newToken(place, 'operator');
      const told = { ...place, env: { ...place.env, FACTORY_URL: service.url, FACTORY_TOKEN: token } };
      const { answer } = await drill(told);
      expect(answer).toMatchObject({ outcome: 'pass', reported: true });
      const again = await callerOf(() => service.url, token).post('/api/operations/drills', answer.evidence);
      expect(again).toMatchObject({ status: 200, body: { digest: evidenceDigest(answer.evidence) } });
    } finally {
      await service.stop();
    }
  });
});

describe('a drill fails', () => {
  const flip = (path: string): void => {
    const bytes = readFileSync(path);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  };
  const newest = (at: Place, suffix: string): string => {
    const folder = join(destination(at), 'full', 'factory');
    return join(
      folder,
      readdirSync(folder)
        .sort()
        .findLast((name) => name.endsWith(suffix)) ?? '',
    );
  };

  it.each<[string, (at: Place) => void, string, string[]]>([
    ['where the data is damaged', (at) => flip(newest(at, '.sqlite.zst.age')), 'restore', []],
    ['where the key object is missing', (at) => rmSync(newest(at, '.key.age')), 'fetch', []],
    ['where the manifest was changed', (at) => flip(newest(at, '.manifest.json')), 'fetch', []],
    ['where there is no backup', (at) => rmSync(destination(at), { recursive: true }), 'fetch', []],
    ['where nobody who is trusted signed', () => undefined, 'fetch', ['--trust', 'stranger']],
  ])('%s', async (_what, spoil, check, args) => {
    const copy = copyOf(place);
    spoil(copy);
    if (args.length > 0) rmSync(join(copy.data, 'keyring', 'backup-signing.pem'));
    const trust = Buffer.alloc(32, 7).toString('base64');
    const from = pathToFileURL(destination(copy)).href;
    const { code, answer } = await drill(
      ...([copy, '--from', from, ...args.map((arg) => (arg === 'stranger' ? trust : arg))] as const),
    );
    expect(answer).toMatchObject({ outcome: 'fail' });
    expect({ code, failed: failed(answer) }).toEqual({ code: 1, failed: [check] });
  });

  it('where more would be lost than may be', async () => {
    const copy = copyOf(place);
    await newToken(copy, 'operator');
    await sleep(1100);
    const from = pathToFileURL(destination(copy)).href;
    const { code, answer } = await drill(copy, '--from', from, '--max-age', '1s');
    expect({ code, failed: failed(answer) }).toEqual({ code: 1, failed: ['fresh'] });
    expect(answer.rpoSeconds).toBeGreaterThan(1);
  });
});

describe('a drill is inconclusive', () => {
  it('without a key that opens the backup, as a job', async () => {
    const copy = copyOf(place);
    for (const name of ['backup-drill.key', 'backup-recovery.key'])
      rmSync(join(copy.data, 'keyring', name), { force: true });
    const { code, answer } = await factoryJson<{ outcome: string; result: Drill }>(
      copy,
      'jobs',
      'run',
      'drill',
    );
    expect({ code, outcome: answer.result.outcome }).toEqual({ code: 3, outcome: 'inconclusive' });
    expect(answer.result.checks.at(-1)?.detail).toContain('identity-missing');
  });

  it('where the destination cannot be asked', async () => {
    const from = 's3://bucket/place?endpoint=http://127.0.0.1:9&region=eu&forcePathStyle=true';
    const reachless = {
      ...place,
      env: { ...place.env, AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'y', AWS_MAX_ATTEMPTS: '1' },
    };
    const { code, answer } = await drill(reachless, '--from', from, '--timeout', '5s');
    expect({ code, outcome: answer.outcome }).toEqual({ code: 3, outcome: 'inconclusive' });
  });
});

it('on a drill host needs the key and the bucket alone, and its word is believed where it is named', async () => {
  const host = newPlace();
  const identity = join(host.dir, 'drill.key');
  cpSync(join(place.data, 'keyring', 'backup-drill.key'), identity);
  const trust = publicKeyOf(
    createPrivateKey(readFileSync(join(place.data, 'keyring', 'backup-signing.pem'))),
  );
  const from = pathToFileURL(destination(place)).href;
  const { answer } = await drill(host, '--from', from, '--identity', identity, '--trust', trust);
  expect(answer).toMatchObject({ outcome: 'pass' });
  expect(answer.evidence.signature.publicKey).not.toBe(trust);
  const trusting = {
    ...place,
    env: { ...place.env, FACTORY_DRILL_SIGNERS: answer.evidence.signature.publicKey },
  };
  const service = await serve(trusting);
  try {
    const { token } = await newToken(place, 'ci');
    const reported = await callerOf(() => service.url, token).post('/api/operations/drills', answer.evidence);
    expect(reported.status).toBe(201);
  } finally {
    await service.stop();
  }
});

it('killed in the middle leaves nothing running, and the next one cleans up', async () => {
  const copy = copyOf(place);
  const from = pathToFileURL(destination(copy)).href;
  const child = launch(copy, ['drill', '--from', from, '--json']);
  const ended = new Promise((resolve) => child.once('close', resolve));
  await eventually(
    async () => processesIn(copy.dir).length,
    (running) => running >= 2,
    40_000,
  );
  child.kill('SIGKILL');
  await ended;
  await eventually(
    async () => processesIn(copy.dir),
    (running) => running.length === 0,
  );
  expect(leftovers(copy)).toHaveLength(2);
  expect((await drill(copy, '--from', from)).answer.outcome).toBe('pass');
  expect(leftovers(copy)).toEqual([]);
});

it('out of time ends, and leaves nothing of what it began', async () => {
  const copy = copyOf(place);
  // A machine can be quick enough for a drill of a second; one whose backup never comes is not.
  const bucket = await startS3();
  onTestFinished(() => bucket.close());
  const at = new Date().toISOString();
  for (const name of readdirSync(destination(copy), { recursive: true, encoding: 'utf8' })) {
    const path = join(destination(copy), name);
    if (statSync(path).isFile()) bucket.objects.set(`p/${name}`, { body: readFileSync(path), at });
  }
  bucket.fault = ({ key, method }) =>
    method === 'GET' && key.endsWith('.sqlite.zst.age') ? { kind: 'delay', ms: 60_000 } : undefined;
  Object.assign(copy.env, { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' });
  const from = `s3://backups/p?endpoint=${encodeURIComponent(bucket.endpoint)}&forcePathStyle=true`;
  const { code, answer } = await drill(copy, '--from', from, '--timeout', '1s');
  expect({ code, outcome: answer.outcome }).toEqual({ code: 3, outcome: 'inconclusive' });
  expect(leftovers(copy)).toEqual([]);
});

describe('an observer', () => {
  const observe = (at: Place, ...args: string[]) =>
    factoryJson<{ status: string; checks: { name: string; status: string; detail: string }[] }>(
      ...([at, 'observe', '--from', pathToFileURL(destination(place)).href, ...args] as const),
    );
  const bad = (checks: { name: string; status: string }[]) =>
    checks.filter(({ status }) => status === 'failing' || status === 'degraded').map(({ name }) => name);

  it('needs nothing but the destination', async () => {
    const nowhere = newPlace();
    const { code, answer } = await observe(nowhere, '--verify');
    expect(answer).toMatchObject({ status: 'ok', newest: { kind: 'full' } });
    expect({ code, bad: bad(answer.checks) }).toEqual({ code: 0, bad: [] });
    expect(existsSync(nowhere.data)).toBe(false);
  });

  it('finds that a job lied: it says that all is well, and there is no object', async () => {
    const copy = copyOf(place);
    const away = join(copy.dir, 'away');
    const original = destination(copy);
    // As a mount that is gone: what the job wrote is elsewhere, and what it remembers says that all is well.
    renameSync(original, away);
    mkdirSync(original);
    const from = pathToFileURL(original).href;
    const { code, answer } = await factoryJson<{ checks: { name: string; status: string }[] }>(
      ...([copy, 'observe', '--from', from] as const),
    );
    expect({ code, bad: bad(answer.checks) }).toEqual({ code: 1, bad: ['age'] });
  });

  it('finds a backup that is too old, and signers that were not named', async () => {
    await sleep(1100);
    expect((await observe(place, '--max-age', '1s')).code).toBe(1);
    const stranger = Buffer.alloc(32, 7).toString('base64');
    expect((await observe(place, '--trust', stranger)).code).toBe(1);
    expect((await observe(place, '--trust', 'x')).code).toBe(2);
  });
});
