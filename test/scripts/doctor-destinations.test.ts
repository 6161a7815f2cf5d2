import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { judge } from '../../scripts/lib/doctor/destinations.ts';
import type { Provider } from '../../scripts/lib/doctor/destinations.ts';
import { nothingKnown } from '../../scripts/lib/destinations/capabilities.ts';
import type { Capabilities } from '../../scripts/lib/destinations/capabilities.ts';
import { isOnSameDisk } from '../../service/same-disk.ts';
import { emptyFolder } from './cli.ts';

const folder = { kind: 'folder' as const, url: 'file:///there', path: '/there' };
const facts = { provider: 'other' as Provider, sameDisk: false, retentionDays: 30 };
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

it('a folder on the disk of the database is told from others', () => {
  const path = emptyFolder();
  const config = { databaseUrl: `sqlite:${path}/data/factory.db`, dataDir: `${path}/data` };
  const at = (where: string) => ({ kind: 'folder' as const, url: pathToFileURL(where).href, path: where });
  expect(isOnSameDisk(at(`${path}/not/yet/there`), config)).toBe(true);
  expect(isOnSameDisk(at('/proc'), config)).toBe(false);
});
