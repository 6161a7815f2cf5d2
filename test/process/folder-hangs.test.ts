import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { holdOpens } from '../helpers/lease.ts';
import { APP, NAMED, newPairs } from './pairs.ts';
import type { Listed, Made } from './pairs.ts';
import { factory, factoryJson } from './service.ts';
import type { Place } from './service.ts';

/** One of two folders hangs, as a mount whose server is gone: it is named, the other is served, and the process ends. */

const GIVE_UP_SECONDS = 2;
/** Linux ends a hang of the tests after 45 seconds; before that nothing but our own patience does. */
const IN_TIME_MS = 25_000;

interface Folders {
  place: Place;
  /** Its path. */
  hanging: string;
  hangingUrl: string;
  wellUrl: string;
}

async function twoFolders(): Promise<Folders> {
  const { place } = newPairs(100, 'hex(randomblob(20))');
  const [hanging, well] = [join(place.dir, 'hanging'), join(place.dir, 'well')];
  const [hangingUrl, wellUrl] = [pathToFileURL(hanging).href, pathToFileURL(well).href];
  place.env['FACTORY_BACKUP_DESTINATIONS'] = `${hangingUrl} ${wellUrl}`;
  place.env['FACTORY_BACKUP_GIVE_UP_SECONDS'] = String(GIVE_UP_SECONDS);
  const { code } = await factoryJson(place, 'backup', ...APP);
  expect(code).toBe(0);
  return { place, hanging, hangingUrl, wellUrl };
}

/** The file below a folder whose name ends like that. */
function fileOf(folder: string, end: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return join(folder, names.find((name) => name.endsWith(end)) as string);
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const started = performance.now();
  const done = await work;
  expect(performance.now() - started).toBeLessThan(IN_TIME_MS);
  return done;
}

const timeoutOf = (url: string): unknown =>
  expect.objectContaining({ destination: url, code: 'destination-timeout' });

describe('a folder where a manifest cannot be read', { timeout: 90_000 }, () => {
  it('is named by list, verify and prune, and the other is served', async () => {
    const { place, hanging, hangingUrl, wellUrl } = await twoFolders();
    await holdOpens(fileOf(hanging, '.json'));
    const list = await inTime(factoryJson<Listed>(place, 'backups', 'list', ...NAMED));
    expect([list.code, list.answer.problems]).toEqual([3, [timeoutOf(hangingUrl)]]);
    expect(list.answer.backups.map(({ destination }) => destination)).toEqual([wellUrl]);
    const verify = await inTime(
      factoryJson<{ verified: { destination: string }[]; problems: unknown[] }>(
        place,
        'backups',
        'verify',
        ...NAMED,
      ),
    );
    expect([verify.code, verify.answer.problems]).toEqual([3, [timeoutOf(hangingUrl)]]);
    expect(verify.answer.verified.map(({ destination }) => destination)).toEqual([wellUrl]);
    const prune = await inTime(
      factoryJson<{ plans: { url: string }[]; problems: unknown[] }>(place, 'backups', 'prune', ...NAMED),
    );
    expect([prune.code, prune.answer.problems]).toEqual([3, [timeoutOf(hangingUrl)]]);
    expect(prune.answer.plans.map(({ url }) => url)).toEqual([wellUrl]);
  });
});

describe('a folder where data cannot be read', { timeout: 90_000 }, () => {
  it('is no damage for verify, and a drill of it is inconclusive', async () => {
    const { place, hanging, hangingUrl, wellUrl } = await twoFolders();
    await holdOpens(fileOf(hanging, '.sqlite.zst.age'));
    const verify = await inTime(
      factoryJson<{ verified: { destination: string }[]; damaged: unknown[]; problems: unknown[] }>(
        place,
        'backups',
        'verify',
        ...NAMED,
      ),
    );
    expect([verify.code, verify.answer.damaged, verify.answer.problems]).toEqual([
      3,
      [],
      [timeoutOf(hangingUrl)],
    ]);
    expect(verify.answer.verified.map(({ destination }) => destination)).toEqual([wellUrl]);
    const boot = ['--boot', 'true', '--check', 'http://127.0.0.1:9/'];
    const from = ['--from', hangingUrl];
    const drill = await inTime(factoryJson<{ outcome: string }>(place, 'drill', ...NAMED, ...boot, ...from));
    expect([drill.code, drill.answer.outcome]).toEqual([3, 'inconclusive']);
  });
});

describe('a folder that cannot be written', { timeout: 90_000 }, () => {
  it('is named by doctor, which ends', async () => {
    const { place, hanging, hangingUrl } = await twoFolders();
    // Nobody reads it, so that opening it for writing waits.
    execFileSync('mkfifo', [join(hanging, '.factory-doctor-probe')]);
    const { code, answer } = await inTime(
      factoryJson<{ checks: { name: string; status: string; detail: string; hint: string }[] }>(
        place,
        'doctor',
      ),
    );
    expect(code).toBe(1);
    const [first, second] = answer.checks.filter(({ name }) => name.startsWith('destination'));
    expect(first).toMatchObject({
      ...{ status: 'fail', hint: expect.stringContaining('Look at the disk or the mount') },
      detail: expect.stringContaining(`${hangingUrl}: `),
    });
    expect(first?.detail).toContain('gave no answer in time');
    expect(second?.status).toBe('warn');
  });

  it('does not keep a backup from the other', async () => {
    const { place, hanging, hangingUrl, wellUrl } = await twoFolders();
    await holdOpens(fileOf(hanging, '.json'));
    const { code, answer } = await inTime(factoryJson<Made>(place, 'backup', ...APP, '--full'));
    expect(code).toBe(3);
    expect(answer.destinations.map(({ url, status }) => [url, status])).toEqual([
      [hangingUrl, 'failed'],
      [wellUrl, 'ok'],
    ]);
  });

  it('ends in text as it does in JSON, with nothing but the answer', async () => {
    const { place, hanging } = await twoFolders();
    await holdOpens(fileOf(hanging, '.json'));
    const ran = await inTime(factory(place, 'backups', 'list', ...NAMED));
    expect([ran.code, ran.stderr]).toEqual([3, '']);
    expect(ran.stdout).toMatch(/gave no answer in time\.\n {2}Look at the disk or the mount[^]*VERIFIED/);
  });
});
