import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { judge } from '../../scripts/lib/doctor/destinations.ts';
import type { Check } from '../../scripts/lib/doctor/check.ts';
import type { Provider } from '../../scripts/lib/doctor/destinations.ts';
import { nothingKnown } from '../../scripts/lib/destinations/capabilities.ts';
import type { Capabilities } from '../../scripts/lib/destinations/capabilities.ts';
import { emptyFolder, factory } from './cli.ts';

const folder = { kind: 'folder' as const, url: 'file:///there', path: '/there', giveUpMs: 1000 };
const facts = {
  provider: 'other' as Provider,
  sameDisk: false,
  retentionDays: 30,
  nextBytes: null as number | null,
};
const GB = 1e9;
/** As good as a bucket can be. */
const best: Capabilities = {
  ...{ ...nothingKnown(folder, '2026-05-01T00:00:00.000Z'), kind: 's3' as const, write: true, read: true },
  ...{ versioning: 'enabled' as const, lock: { mode: 'COMPLIANCE', days: 30 } },
  ...{ delete: false, deleteVersions: false },
};

describe('what a destination can do', () => {
  it.each<[string, Partial<Capabilities>, Partial<typeof facts>, string, RegExp]>([
    ['all that it should', {}, {}, 'ok', /cannot delete, which is good.*30 days/],
    ['gives back something else', { read: false }, {}, 'fail', /something else/],
    ['same disk', {}, { sameDisk: true }, 'warn', /same disk: not a backup/],
    ['a clock that is off', { clockSkewSeconds: -61 }, {}, 'warn', /-61 s/],
    ['a clock that is well', { clockSkewSeconds: 60 }, {}, 'ok', /good/],
    ['a rule that removes too early', { expiresAfterDays: 29 }, {}, 'warn', /after 29 days/],
    ['a rule that removes later', { expiresAfterDays: 30 }, {}, 'ok', /good/],
    [
      'too little room',
      { space: { free: 19 * GB, total: 100 * GB } },
      { nextBytes: 20 * GB },
      'warn',
      /19.0 GB are free, and the next full backup needs 20.0 GB/,
    ],
    ['just enough room', { space: { free: 20 * GB, total: 100 * GB } }, { nextBytes: 20 * GB }, 'ok', /good/],
    [
      'nearly full',
      { space: { free: 9 * GB, total: 100 * GB } },
      { nextBytes: 1 },
      'warn',
      /9.0 GB are free, less than a tenth/,
    ],
    ['a tenth free', { space: { free: 10 * GB, total: 100 * GB } }, {}, 'ok', /good/],
    ['no versions', { versioning: 'off' }, {}, 'warn', /overwrite destroys/],
    ['versions can be deleted', { delete: true, deleteVersions: true }, {}, 'warn', /not immutable/],
  ])('%s', (_what, change, more, status, detail) => {
    const check = judge('destination 1', { ...best, ...change }, { ...facts, ...more });
    expect([check.status, check.detail]).toEqual([status, expect.stringMatching(detail)]);
  });

  it.each<[Provider, RegExp]>([
    ['b2', /deleteFiles/],
    ['spaces', /another provider/],
    ['other', /s3:DeleteObject/],
  ])('has a next step of its own at %s', (provider, hint) => {
    const found = { ...best, delete: true, deleteVersions: true };
    expect(judge('destination 1', found, { ...facts, provider }).hint).toMatch(hint);
  });
});

describe('doctor tells of a folder', () => {
  const place = (): { folder: string; examine: () => Promise<Check | undefined> } => {
    const [cwd, folder] = [emptyFolder(), emptyFolder()];
    mkdirSync(join(cwd, 'data/backup/factory'), { recursive: true });
    const last = {
      backupId: 'x',
      sha256: 'x',
      startedAt: 'x',
      pageSize: 4096,
      urls: [],
      objects: { a: 4e15, b: 4e15 },
    };
    const state = { sequence: 1, epoch: 0, last: null, full: last };
    writeFileSync(join(cwd, 'data/backup/factory/state.json'), JSON.stringify(state));
    const env = { FACTORY_PORT: '0', FACTORY_BACKUP_DESTINATIONS: pathToFileURL(folder).href };
    const examine = async (): Promise<Check | undefined> => {
      const ran = await factory(cwd, ['doctor', '--json'], env);
      return ran.json<{ checks: Check[] }>().checks.find(({ name }) => name === 'destination 1');
    };
    return { folder, examine };
  };

  it('that the next full backup does not fit, by the size of the last one', async () => {
    expect(await place().examine()).toMatchObject({
      ...{ status: 'warn', hint: expect.stringContaining('Free space there') },
      detail: expect.stringMatching(/ are free, and the next full backup needs 8000 TB/),
    });
  });

  it('that it is full, and leaves nothing there', async () => {
    const { folder, examine } = place();
    symlinkSync('/dev/full', join(folder, '.factory-doctor-probe'));
    expect(await examine()).toMatchObject({
      ...{ status: 'fail', hint: expect.stringContaining('Free space there') },
      detail: expect.stringContaining('the disk is full'),
    });
    expect(readdirSync(folder)).toEqual([]);
  });
});
