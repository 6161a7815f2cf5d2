import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { factory, factoryJson, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';

function keyringOf({ data }: Place): Record<string, string> {
  const dir = join(data, 'keyring');
  const files = existsSync(dir) ? readdirSync(dir).sort() : [];
  const digest = (name: string): string =>
    createHash('sha256')
      .update(readFileSync(join(dir, name)))
      .digest('hex');
  return Object.fromEntries(files.map((name) => [name, digest(name)]));
}

const RECIPIENT_KEYS = ['backup-recovery.key', 'backup-drill.key'];

it('the keyring comes back from a destination, and its keys are in no backup of the database', async () => {
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  const service = await serve(place);
  await service.stop();
  const made = await factoryJson<{ keyring: { sequence: number } }>(place, 'backup');
  expect([made.code, made.answer.keyring.sequence]).toEqual([0, 1]);
  const before = keyringOf(place);
  const listed = await factory(place, 'backups', 'list');
  expect(listed.stdout).toContain('copies of the keyring: 1');

  const restored = join(place.dir, 'restored.db');
  expect((await factory(place, 'restore', '--to', restored)).code).toBe(0);
  const database = readFileSync(restored);
  for (const name of ['audit-signing.pem', 'commitment.key', 'backup-signing.pem'])
    expect(database.includes(readFileSync(join(place.data, 'keyring', name)))).toBe(false);

  const full = await factoryJson<{ error: { code: string } }>(place, 'keys', 'restore');
  expect([full.code, full.answer.error.code]).toEqual([4, 'keyring-exists']);
  const recovery = join(place.dir, 'recovery.key');
  renameSync(join(place.data, 'keyring', 'backup-recovery.key'), recovery);
  rmSync(join(place.data, 'keyring'), { recursive: true });

  // What lies on a host without the recovery key opens none of it.
  const without = await factoryJson<{ error: { code: string } }>(place, 'keys', 'restore');
  expect([without.code, without.answer.error.code]).toEqual([1, 'identity-missing']);
  mkdirSync(join(place.data, 'keyring'));
  const from = pathToFileURL(join(place.data, 'backups')).href;
  const wrongSigner = await factoryJson<{ error: { code: string } }>(
    ...([
      place,
      'keys',
      'restore',
      '--from',
      from,
      '--identity',
      recovery,
      '--trust',
      '0123456789abcdef',
    ] as const),
  );
  expect([wrongSigner.code, wrongSigner.answer.error.code]).toEqual([1, 'signer-foreign']);
  expect(keyringOf(place)).toEqual({});

  // Somebody puts a newer one there that is none.
  const [copy = ''] = readdirSync(join(place.data, 'backups/keyring/factory'));
  writeFileSync(join(place.data, 'backups/keyring/factory', copy.replace('000001', '000009')), 'no copy');
  const back = await factoryJson<{ files: string[]; passedOver: unknown[] }>(
    ...([place, 'keys', 'restore', '--from', from, '--identity', recovery] as const),
  );
  expect([back.code, back.answer.passedOver.length]).toEqual([3, 1]);
  const expected = Object.entries(before).filter(([name]) => !RECIPIENT_KEYS.includes(name));
  expect(keyringOf(place)).toEqual(Object.fromEntries(expected));
  expect((await factoryJson<{ ok: boolean }>(place, 'verify-audit')).answer.ok).toBe(true);
});

it('a copy of the keyring that went, or was written over, is told of and sent again', async () => {
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  await (await serve(place)).stop();
  expect((await factory(place, 'backup')).code).toBe(0);
  const folder = join(place.data, 'backups/keyring/factory');
  const problems = async (...args: string[]) => {
    const { code, answer } = await factoryJson<{ problems: { code: string }[] }>(place, 'backups', ...args);
    return [code, ...answer.problems.map((one) => one.code)];
  };
  for (const [verb, code, happens] of [
    ['verify', 'keyring-copy-damaged', (path: string) => writeFileSync(path, flipped(readFileSync(path)))],
    ['list', 'keyring-copy-damaged', (path: string) => writeFileSync(path, 'shorter')],
    ['list', 'keyring-copy-missing', (path: string) => rmSync(path)],
    ['verify', 'keyring-copy-missing', (path: string) => rmSync(path)],
  ] as const) {
    expect(await problems(verb)).toEqual([0]);
    happens(join(folder, readdirSync(folder).sort().at(-1)!));
    expect(await problems(verb)).toEqual([3, code]);
    expect(await problems(verb)).toEqual([3, code]);
    expect((await factory(place, 'backup')).code).toBe(0);
  }
  expect(await problems('verify')).toEqual([0]);
});

function flipped(bytes: Buffer): Buffer {
  bytes[400] = (bytes[400] ?? 0) ^ 1;
  return bytes;
}
