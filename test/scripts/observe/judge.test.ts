import { describe, expect, it } from 'vitest';
import type { Catalog, Entry } from '../../../scripts/lib/backup/catalog.ts';
import { judge } from '../../../scripts/lib/observe/judge.ts';
import { FactoryError } from '../../../service/errors.ts';

/** What a destination says of its backups to somebody who knows nothing else. */

const NOW = Date.parse('2026-05-03T12:00:00.000Z');
const MINUTE = 60_000;

/** A backup that was begun so many minutes ago. */
function backup(
  sequence: number,
  minutesAgo: number,
  { signer = 'own', storedAgo = minutesAgo } = {},
): Entry {
  const at = (ago: number): string => new Date(NOW - ago * MINUTE).toISOString();
  const backupId = `full/factory/x-${sequence}`;
  const signature = { publicKey: signer, value: '' };
  const manifest = { backupId, sequence, startedAt: at(minutesAgo), signature } as Entry['manifest'];
  return { manifest, key: `${backupId}.manifest.json`, storedAt: at(storedAgo), bytes: 1 };
}

const problem = (sequence: number): Catalog['problems'][number] => ({
  key: `full/factory/20260503T110000Z-${String(sequence).padStart(6, '0')}.manifest.json`,
  error: new FactoryError({ code: 'backup-incomplete', op: 'read', message: 'It is cut off.', hint: '' }),
});

function found(entries: Entry[], problems: Catalog['problems'] = [], trusted: string[] = ['own']) {
  const findings = judge(
    {
      url: 'file:///x',
      entries,
      problems,
      fenced: [],
      baseless: [],
      manifests: [],
      leftovers: [],
      unread: [],
      hasBlobs: false,
      versions: new Map(),
      name: 'app',
      otherNames: [],
    },
    { now: NOW, maxAgeSeconds: 26 * 3600, trusted },
  );
  return Object.fromEntries(
    findings.filter(({ status }) => status !== 'ok').map(({ name, status }) => [name, status]),
  );
}

describe('a destination', () => {
  const good = [backup(1, 1500), backup(2, 60), backup(3, 5)];

  it.each<[string, ReturnType<typeof found>, Record<string, string>]>([
    ['with whole backups in order is well', found(good), {}],
    ['that holds nothing', found([]), { age: 'failing', clock: 'not-checked' }],
    ['whose newest is too old', found([backup(1, 26 * 60 + 1)]), { age: 'failing' }],
    ['whose newest is just young enough', found([backup(1, 26 * 60)]), {}],
    ['with an older one that cannot be used', found(good, [problem(2)]), { usable: 'degraded' }],
    ['with a newer one that cannot be used', found(good, [problem(4)]), { usable: 'failing' }],
    ['with one that never came', found([backup(1, 60), backup(3, 5)]), { sequence: 'degraded' }],
    ['with numbers that prune took', found([backup(1, 60 * 48), backup(9, 60), backup(10, 5)]), {}],
    ['of a host whose clock is ahead', found([backup(1, -10)]), { age: 'degraded', clock: 'degraded' }],
    ['whose clock is behind', found([backup(1, 5, { storedAgo: 20 })]), { clock: 'degraded' }],
    ['of a host whose clock went back', found([backup(1, 5), backup(2, 60)]), { clock: 'degraded' }],
    ['where nobody said who signs', found(good, [], []), { signatures: 'not-checked' }],
    [
      'that somebody else wrote to: theirs do not make it younger',
      found([backup(1, 2000), backup(2, 1, { signer: 'stranger' })]),
      { age: 'failing', signatures: 'degraded' },
    ],
  ])('%s', (_what, findings, expected) => {
    expect(findings).toEqual(expected);
  });
});
