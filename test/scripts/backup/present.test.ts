import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { Catalog } from '../../../scripts/lib/backup/catalog.ts';
import { addPresent, forgetPresent, whyVanished } from '../../../scripts/lib/backup/present.ts';

const HOUR = 3_600_000;
const NOW = Date.parse('2026-05-09T00:00:00.000Z');
const URL = 'file:///there';
const at = (daysAgo: number): string => new Date(NOW - daysAgo * 24 * HOUR).toISOString();
const full = (n: number): string => `full/app/20260501T000000Z-${String(n).padStart(6, '0')}`;
const diff = (n: number): string => `diff/app/20260501T000000Z-${String(n).padStart(6, '0')}`;

function machine() {
  const folder = mkdtempSync(join(tmpdir(), 'factory-present-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return {
    folder,
    /** What is told of a destination with these, so many days old. */
    look(there: [id: string, daysAgo: number, signer?: string][], problems: string[] = [], later = 0) {
      const manifests = there.map(([backupId, daysAgo, publicKey = 'own']) => {
        return { manifest: { backupId, signature: { publicKey, value: '' } }, storedAt: at(daysAgo) };
      });
      const catalog = {
        ...{ url: URL, entries: manifests, baseless: [], fenced: [] },
        manifests: manifests.map(({ manifest }) => manifest),
        problems: problems.map((id) => ({ key: `${id}.manifest.json` })),
      } as unknown as Catalog;
      const keeping = { retentionDays: 30, trusted: ['own'], now: NOW + later * 24 * HOUR };
      return whyVanished(folder, catalog, keeping)?.details?.['backups'] ?? null;
    },
  };
}

it.each<[string, [string, number][], [string, number][], number, string[] | null]>([
  ['nothing that was never there', [], [[full(1), 1]], 0, null],
  [
    'what went, the first number first',
    [
      [full(10), 3],
      [full(2), 5],
      [full(11), 1],
    ],
    [[full(11), 1]],
    0,
    [full(2), full(10)],
  ],
  ['a full one that is as old as a prune takes it', [[full(1), 29]], [], 1, null],
  ['a full one that is not', [[full(1), 28]], [], 1, [full(1)]],
  ['a differential of two days', [[diff(1), 1]], [], 1, null],
  ['a differential of less', [[diff(1), 0.5]], [], 1, [diff(1)]],
])('tells of %s', (_what, before, now, later, expected) => {
  const { look } = machine();
  expect(look(before)).toBeNull();
  expect(look(now, [], later)).toEqual(expected);
});

it('tells again, until it is back or would have been pruned', () => {
  const { look } = machine();
  look([[full(1), 5]]);
  expect([look([]), look([]), look([[full(1), 5]]), look([])]).toEqual([
    [full(1)],
    [full(1)],
    null,
    [full(1)],
  ]);
  expect([look([], [], 25), look([])]).toEqual([null, null]);
});

it('counts what lies there and cannot be used, and nothing of other signers', () => {
  const { look } = machine();
  look([
    [full(1), 5],
    [full(2), 4, 'other'],
  ]);
  expect(look([], [full(1)])).toBeNull();
});

it('knows what was stored and never listed, and forgets what this machine pruned', () => {
  const { folder, look } = machine();
  addPresent(folder, URL, full(1), at(2));
  addPresent(folder, URL, full(2), at(1));
  forgetPresent(folder, URL, [full(1)]);
  expect(look([])).toEqual([full(2)]);
});

it('begins anew where its memory is damaged', () => {
  const { folder, look } = machine();
  look([[full(1), 5]]);
  writeFileSync(join(folder, 'present.json'), '{');
  expect(look([])).toBeNull();
});
