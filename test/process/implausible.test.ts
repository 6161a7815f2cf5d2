import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { signingKey } from '../../scripts/lib/backup/keys.ts';
import type { Manifest } from '../../scripts/lib/backup/format.ts';
import { manifestText, signManifest } from '../../scripts/lib/backup/manifest.ts';
import { oldReplicas } from '../../scripts/lib/keys/replica.ts';
import { backup, CONFIRM, fileOf, installation, invite, json, names, run } from './people-backups.ts';
import type { Place } from './service.ts';

/**
 * Somebody who has the host's signing key plants one manifest with a number that leaves no room above it. It is named, and
 * nothing follows it.
 */

interface Found {
  problems: { code: string; key: string }[];
  backups: { backupId: string }[];
}

/** A copy of a real backup, whole, under another stem and with other numbers. */
function plant(
  where: Place,
  model: string,
  { sequence, ...numbers }: Partial<Pick<Manifest, 'epoch' | 'epochSince'>> & { sequence: number },
): string {
  const stem = `full/factory/20991231T235959Z-${String(sequence).padStart(6, '0')}`;
  const path = fileOf(where, model, '.manifest.json');
  const { signature: _, ...real } = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
  const objects = structuredClone(real.objects);
  for (const object of Object.values(objects).filter((one) => one !== null)) {
    const suffix = object.key.slice(model.length);
    copyFileSync(fileOf(where, model, suffix), fileOf(where, stem, suffix));
    object.key = stem + suffix;
  }
  const key = signingKey({ keyringDir: join(where.data, 'keyring') });
  const manifest = signManifest({ ...real, backupId: stem, sequence, ...numbers, objects }, key);
  writeFileSync(fileOf(where, stem, '.manifest.json'), manifestText(manifest));
  return stem;
}

const HIGHEST = Number.MAX_SAFE_INTEGER;
const PLANTED: [what: string, numbers: Parameters<typeof plant>[2]][] = [
  ['an epoch', { sequence: 3, epoch: HIGHEST, epochSince: 1 }],
  ['a sequence', { sequence: 999_999_999_999_999 }],
  ['both', { sequence: 999_999_999_999_998, epoch: HIGHEST, epochSince: 999_999_999_999_998 }],
];

describe('a manifest with numbers that no host comes to', () => {
  it.each(PLANTED)(
    '%s: is named, and the backup that was there is restored in its place',
    async (_, numbers) => {
      const { made, first } = await installation();
      const stem = plant(made, first, numbers);
      const listed = await json(made, 'backups', 'list');
      const { problems, backups } = listed.json<Found>();
      expect([listed.exit, problems.map(({ code, key }) => [code, key])]).toEqual([
        3,
        [['manifest-implausible', `${stem}.manifest.json`]],
      ]);
      expect(backups).toHaveLength(2);
      const url = pathToFileURL(join(made.data, 'backups')).href;
      const seen = await json(made, 'observe', '--from', url);
      expect(seen.json()).toMatchObject({ status: 'degraded', backups: 2 });

      const words = ['restore', '--in-place', '--backup', first, '--confirm', CONFIRM];
      const done = await json(made, ...words);
      expect([done.exit, done.json<{ epoch: number }>().epoch]).toEqual([0, 1]);
      expect(await names(made)).toBe('A');
      await invite(made, 'D');
      const after = await json(made, 'backup', '--full');
      expect(after.json()).toMatchObject({ kind: 'full', sequence: 3 });
      const again = await json(made, 'restore', '--in-place', '--confirm', CONFIRM);
      expect([again.exit, again.json<{ epoch: number }>().epoch]).toEqual([0, 2]);
      expect(await names(made)).toBe('AD');
    },
  );

  it.each(PLANTED)('%s: keeps no later backup from being made and restored', async (_, numbers) => {
    const { made, first } = await installation();
    plant(made, first, numbers);
    // As if this machine had forgotten everything: the destinations say what is next.
    rmSync(join(made.data, 'backup'), { recursive: true });
    const third = await json(made, 'backup', '--full');
    expect([third.exit, third.json<{ sequence: number }>().sequence]).toEqual([0, 3]);
    expect(existsSync(join(made.data, 'keyring/fence.json'))).toBe(false);
    await invite(made, 'D');
    const next = await json(made, 'backup', '--full');
    expect(next.json()).toMatchObject({ sequence: 4 });
    expect((await run(made, 'restore', '--in-place', '--confirm', CONFIRM)).exit).toBe(0);
    expect(await names(made)).toBe('ABCD');
  });

  it('that an older release remembered as the epoch of another machine fences nobody', async () => {
    const { made } = await installation();
    const fence = { epoch: HIGHEST, url: 'file:///x', backupId: 'x', at: '2026-05-01T00:00:00.000Z' };
    writeFileSync(join(made.data, 'keyring/fence.json'), JSON.stringify(fence));
    expect(await backup(made)).toMatch(/-000003$/);
  });
});

it('a copy of the keyring with such a number is named, and is neither followed nor taken', async () => {
  const { made } = await installation();
  const key = 'keyring/factory/20991231T235959Z-999999999999999.keyring.age';
  writeFileSync(join(made.data, 'backups', key), 'no copy');
  const listed = await json(made, 'backups', 'list');
  expect([listed.exit, listed.json<Found>().problems]).toEqual([
    3,
    [expect.objectContaining({ key, code: 'keyring-copy-implausible' })],
  ]);
  rmSync(join(made.data, 'backup'), { recursive: true });
  const next = (await json(made, 'backup', '--full')).json<{ keyring: { sequence: number } }>();
  expect(next.keyring.sequence).toBeLessThan(10);
  const identity = join(made.dir, 'recovery.key');
  copyFileSync(join(made.data, 'keyring', 'backup-recovery.key'), identity);
  rmSync(join(made.data, 'keyring'), { recursive: true });
  const from = pathToFileURL(join(made.data, 'backups')).href;
  const restored = await json(made, 'keys', 'restore', '--from', from, '--identity', identity);
  expect([restored.exit, restored.json()]).toMatchObject([
    3,
    { passedOver: [{ key, code: 'keyring-copy-implausible' }] },
  ]);
  // Prune counts only real ones: this would be the newest for ever.
  const day = 24 * 60 * 60_000;
  const one = (number: number) => `keyring/factory/20260501T000000Z-00000${number}.keyring.age`;
  const stored = [one(1), one(2), key].map((name) => ({ key: name, storedAt: 0, whole: true }));
  expect(oldReplicas(stored, 2 * day)).toEqual([one(1)]);
});
