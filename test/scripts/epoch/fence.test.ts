import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fencedBackups } from '../../../scripts/lib/epoch/fence.ts';
import type { Dated } from '../../../scripts/lib/epoch/fence.ts';
import { fingerprint } from '../../../service/jobs/recovery-key.ts';

const OWN = 'own';

function backup(sequence: number, epoch: number, since?: number, publicKey = OWN): Dated {
  const manifest = {
    backupId: `${publicKey}-${epoch}-${sequence}`,
    sequence,
    epoch,
    signature: { publicKey },
  };
  return { manifest: since === undefined ? manifest : { ...manifest, epochSince: since } };
}

const ignored = (entries: Dated[], trusted: string[] = []): string[] =>
  [...fencedBackups(entries, trusted).keys()].sort();

describe('backups of a host that was replaced', () => {
  it.each<[string, Dated[], string[]]>([
    ['nothing was replaced', [backup(1, 0), backup(2, 0)], []],
    ['those from before the restore stay good', [backup(1, 0), backup(2, 0), backup(3, 1, 3)], []],
    [
      'those that it uploads later are ignored',
      [backup(2, 0), backup(3, 0), backup(4, 0), backup(3, 1, 3)],
      ['own-0-3', 'own-0-4'],
    ],
    ['also where the newer epoch has few', [backup(9, 0), backup(3, 1, 3)], ['own-0-9']],
    [
      'each epoch by its own beginning',
      [backup(5, 1, 3), backup(6, 1, 3), backup(6, 2, 6), backup(4, 0)],
      ['own-0-4', 'own-1-6'],
    ],
    ['a newer epoch is never ignored for an older one', [backup(3, 2, 2), backup(9, 1, 1)], ['own-1-9']],
  ])('%s', (_what, entries, expected) => {
    expect(ignored(entries)).toEqual(expected);
  });

  it('are not named by whoever merely may upload', () => {
    const entries = [backup(1, 0), backup(2, 0), backup(1, 99, 1, 'stranger')];
    expect(ignored(entries)).toEqual([]);
    for (const trusted of ['stranger', fingerprint('stranger')])
      expect(ignored(entries, [trusted])).toEqual(['own-0-1', 'own-0-2']);
  });

  it('are not what a destination had long before anything of the newer epoch, whoever signed that', () => {
    const at = (entry: Dated, day: number): Dated => ({
      ...entry,
      storedAt: `2026-05-0${day}T00:00:00.000Z`,
    });
    const entries = [
      ...[at(backup(1, 0), 1), at(backup(2, 0), 2), at(backup(3, 0), 5)],
      ...[at(backup(9, 99, 1), 4), at(backup(10, 99, 1), 6)],
    ];
    expect(ignored(entries)).toEqual(['own-0-3']);
  });

  /** A day of nothing between two steps: the successor's first backup may be long after its takeover. */
  const histories = fc.array(fc.constantFrom('backup', 'takeover', 'stale', 'stale', 'day'), {
    maxLength: 60,
  });

  it('are told from all others in every history, in whatever order the manifests lie', () => {
    let late = 0;
    fc.assert(
      fc.property(histories, fc.infiniteStream(fc.nat()), (steps, random) => {
        const hosts = [{ epoch: 0, since: undefined as number | undefined, last: 0, sent: 0 }];
        const [good, stale, marks]: [Dated[], Dated[], Dated[]] = [[], [], []];
        let now = Date.parse('2026-05-01T00:00:00.000Z');
        const at = (entry: Dated): Dated => ({ ...entry, storedAt: new Date(now).toISOString() });
        for (const step of steps) {
          // Each step is minutes after the one before it.
          now += step === 'day' ? 24 * 3_600_000 : 5 * 60_000;
          const primary = hosts.at(-1)!;
          if (step === 'takeover') {
            const last = Math.max(0, ...[...good, ...stale].map(({ manifest }) => manifest.sequence));
            const [epoch, since] = [primary.epoch + 1, last + 1];
            hosts.push({ epoch, since, last, sent: 0 });
            const { manifest } = backup(since, epoch, since);
            marks.push(at({ manifest: { ...manifest, backupId: `mark-${epoch}` } }));
          } else if (step === 'backup') {
            good.push(at(backup((primary.last += 1), primary.epoch, primary.since)));
            primary.sent += 1;
          } else if (step === 'stale' && hosts.length > 1) {
            const old = hosts[(random.next().value as number) % (hosts.length - 1)]!;
            const over = hosts[old.epoch + 1]!;
            // What it sends with a number from before the takeover it had begun to send before.
            old.last = Math.max(old.last + 1, over.since!);
            stale.push(at(backup(old.last, old.epoch, old.since)));
            if (primary.sent === 0) late += 1;
          }
        }
        const seen = fencedBackups(
          [...good, ...stale, ...marks].sort((a, b) => (a.manifest.backupId < b.manifest.backupId ? -1 : 1)),
        );
        expect(good.filter(({ manifest }) => seen.has(manifest.backupId))).toEqual([]);
        expect(stale.filter(({ manifest }) => !seen.has(manifest.backupId))).toEqual([]);
      }),
      { numRuns: 500 },
    );
    // What came before anything of the successor is what a mark is for.
    expect(late).toBeGreaterThan(100);
  });

  it('without a mark, as older releases restored, count by what came within an hour before the first of the next', () => {
    const at = (entry: Dated, hour: number): Dated => ({
      ...entry,
      storedAt: new Date(Date.parse('2026-05-01T00:00:00.000Z') + hour * 3_600_000).toISOString(),
    });
    const entries = [at(backup(3, 0), 1), at(backup(4, 0), 47.5), at(backup(3, 1, 3), 48)];
    expect(ignored(entries)).toEqual(['own-0-4']);
  });
});
