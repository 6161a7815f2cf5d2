import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { mayRestore } from '../../../scripts/lib/backup/restore-each.ts';

const NOW = Date.parse('2026-05-01T00:00:00.000Z');
const progress = (): void => undefined;

function installation() {
  const dir = mkdtempSync(join(tmpdir(), 'factory-restoring-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const keyringDir = join(dir, 'keyring');
  mkdirSync(keyringDir);
  writeFileSync(join(keyringDir, 'backup-drill.key'), 'AGE-SECRET-KEY-1TEST\n');
  const backup = { identityFile: null } as Parameters<typeof mayRestore>[0]['backup'];
  return { folder: join(dir, 'backup'), config: { keyringDir, backup, environment: 'development' as const } };
}

const pausedUntil = (folder: string, at: number): void =>
  writeFileSync(join(folder, 'restoring.json'), JSON.stringify({ pausedUntil: at }));

it('restores with the keys that lie here, and in production or without any not', () => {
  const { folder, config } = installation();
  expect(mayRestore(config, folder, NOW, progress)?.identities).toEqual(['AGE-SECRET-KEY-1TEST']);
  expect(mayRestore({ ...config, environment: 'production' }, folder, NOW, progress)).toBeNull();
  rmSync(join(config.keyringDir, 'backup-drill.key'));
  expect(mayRestore(config, folder, NOW, progress)).toBeNull();
});

it('waits until what the last one took is paid back, but not for a clock that was set back', () => {
  const { folder, config } = installation();
  mkdirSync(folder);
  pausedUntil(folder, NOW + 1);
  expect(mayRestore(config, folder, NOW, progress)).toBeNull();
  expect(mayRestore(config, folder, NOW + 2, progress)).not.toBeNull();
  pausedUntil(folder, NOW + 365 * 24 * 3_600_000);
  expect(mayRestore(config, folder, NOW, progress)).not.toBeNull();
});

it('removes what a run left that was killed', () => {
  const { folder, config } = installation();
  mkdirSync(join(folder, 'restoring-abc'), { recursive: true });
  mayRestore(config, folder, NOW, progress);
  expect(readdirSync(folder)).toEqual([]);
});
