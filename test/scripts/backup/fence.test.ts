import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fencedBackups } from '../../../scripts/lib/backup/fence.ts';
import type { Dated } from '../../../scripts/lib/backup/fence.ts';
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

  /** Hosts that take over from each other, while those that were replaced go on. */
  const histories = fc.array(fc.constantFrom('backup', 'takeover', 'stale'), { maxLength: 60 });

  it('are told from all others in every history, in whatever order the manifests lie', () => {
    fc.assert(
      fc.property(histories, fc.infiniteStream(fc.nat()), (steps, random) => {
        const hosts = [{ epoch: 0, since: undefined as number | undefined, last: 0 }];
        const good: Dated[] = [];
        const stale: Dated[] = [];
        for (const step of steps) {
          const primary = hosts.at(-1)!;
          if (step === 'takeover') {
            const last = Math.max(0, ...[...good, ...stale].map(({ manifest }) => manifest.sequence));
            hosts.push({ epoch: primary.epoch + 1, since: last + 1, last });
          } else if (step === 'backup') {
            good.push(backup((primary.last += 1), primary.epoch, primary.since));
          } else if (hosts.length > 1) {
            const old = hosts[(random.next().value as number) % (hosts.length - 1)]!;
            old.last += 1;
            // What it sends with a number from before the takeover it had begun to send before.
            const over = hosts[old.epoch + 1]!;
            if (old.last >= over.since!) stale.push(backup(old.last, old.epoch, old.since));
            else old.last = over.since! - 1;
          }
        }
        const seen = fencedBackups(
          [...good, ...stale].sort((a, b) => (a.manifest.backupId < b.manifest.backupId ? -1 : 1)),
        );
        expect(good.filter(({ manifest }) => seen.has(manifest.backupId))).toEqual([]);
        for (const { manifest } of stale) {
          const told = [...good, ...stale].some(
            ({ manifest: { epoch, epochSince } }) =>
              epoch > manifest.epoch && (epochSince ?? Infinity) <= manifest.sequence,
          );
          expect(seen.has(manifest.backupId)).toBe(told);
        }
      }),
      { numRuns: 500 },
    );
  });
});
