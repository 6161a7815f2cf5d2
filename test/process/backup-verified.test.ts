import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCatalog } from '../../scripts/lib/backup/catalog.ts';
import {
  BASE_READ_WITHIN_MS,
  damagedIn,
  openDamage,
  readVerified,
  saveVerified,
  verifiedWithBase,
} from '../../scripts/lib/backup/verified.ts';
import type { Damage, Verified } from '../../scripts/lib/backup/verified.ts';
import { verifyWithBase } from '../../scripts/lib/backup/verify.ts';
import { newApp } from './backup-app.ts';
import type { App } from './backup-app.ts';

/** What counts as verified, and what a backup that is damaged or gone leads to. */

const signal = new AbortController().signal;
const at = (hour: number): string => `2026-05-01T${String(hour).padStart(2, '0')}:00:00.000Z`;
const damage = (hour: number): Damage => ({
  ...{
    how: 'damaged',
    at: at(hour),
    code: 'backup-damaged',
    message: 'A byte is another.',
    hint: 'Make one.',
  },
});

/** As `backups verify` does it: of the newest backup, or of all. */
async function verify(app: App, { all = false } = {}) {
  const folder = join(app.dir, 'state');
  const { url } = app.destination;
  const catalog = await readCatalog(app.destination, 'app', { signal });
  const read: string[] = [];
  const destination = {
    ...app.destination,
    get: (key: string, limits: Parameters<App['destination']['get']>[1]) => {
      read.push(key);
      return app.destination.get(key, limits);
    },
  };
  const found: Record<string, Verified | Damage> = {};
  const known = readVerified(folder)[url];
  const errors: (string | undefined)[] = [];
  for (const entry of all ? catalog.entries : catalog.entries.slice(-1)) {
    const run = { destination, catalog, known, found, now: () => app.clock.now, signal };
    errors.push((await verifyWithBase(run, entry))?.code);
  }
  const present = catalog.entries.map(({ manifest }) => manifest.backupId);
  saveVerified(folder, url, found, present);
  const after = readVerified(folder)[url];
  const good = catalog.entries.findLast((entry) => verifiedWithBase(after, entry) !== null);
  return {
    ...{ errors, read, open: openDamage(after, catalog.entries)?.target ?? null },
    ...{ good: good?.manifest.backupId ?? null, damaged: [...damagedIn(after)] },
  };
}

const dataOf = (app: App, backupId: string): string =>
  join(app.dir, 'destination', `${backupId}.${backupId.startsWith('full') ? 'sqlite' : 'diff'}.zst.age`);

function flip(path: string): void {
  const bytes = readFileSync(path);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

describe('a differential', () => {
  it('counts as verified only with the full backup below it, which is read once a day', async () => {
    const app = newApp();
    const full = await app.backup();
    await verify(app);
    app.transfer();
    const first = await app.backup();
    const cheap = await verify(app);
    expect([cheap.errors, cheap.good]).toEqual([[undefined], first.backupId]);
    expect(cheap.read.some((key) => key.startsWith(full.backupId))).toBe(false);
    app.clock.now += BASE_READ_WITHIN_MS;
    flip(dataOf(app, full.backupId));
    const later = await verify(app);
    expect(later).toMatchObject({ errors: ['backup-damaged'], good: null });
    expect(later.damaged.sort()).toEqual([first.backupId, full.backupId].sort());
  });

  it('is not made on a full backup that is known as damaged; a new full one makes it good again', async () => {
    const app = newApp();
    const full = await app.backup();
    await verify(app);
    flip(dataOf(app, full.backupId));
    expect(await verify(app, { all: true })).toMatchObject({ good: null, open: full.backupId });
    // Nothing changed, and nothing can be restored.
    const next = await app.backup();
    expect(next.kind).toBe('full');
    expect(await verify(app)).toMatchObject({ errors: [undefined], good: next.backupId, open: null });
    // What was made up for stays known, and is none anew.
    const all = await verify(app, { all: true });
    expect(all).toMatchObject({
      errors: ['backup-damaged', undefined],
      open: null,
      damaged: [full.backupId],
    });
    app.transfer();
    expect((await app.backup()).kind).toBe('differential');
    flip(dataOf(app, next.backupId));
    expect(await verify(app, { all: true })).toMatchObject({ good: null, open: full.backupId });
  });

  it('that was made on a damaged one does not take the finding away', async () => {
    const app = newApp();
    const full = await app.backup();
    app.transfer();
    const made = await app.backup();
    expect(made.kind).toBe('differential');
    flip(dataOf(app, full.backupId));
    expect((await verify(app, { all: true })).errors).toEqual(['backup-damaged', 'backup-damaged']);
    expect(await verify(app)).toMatchObject({ errors: ['backup-damaged'], good: null, open: full.backupId });
  });
});

describe('nothing changed', () => {
  it.each(['last', 'base'])('is no reason to skip where the %s is not whole', async (which) => {
    const app = newApp();
    const full = await app.backup();
    app.transfer();
    const last = await app.backup();
    expect((await app.backup()).kind).toBe('skipped');
    const path = dataOf(app, (which === 'last' ? last : full).backupId);
    truncateSync(path, statSync(path).size - 1);
    const next = await app.backup();
    expect(next.kind).toBe(which === 'last' ? 'differential' : 'full');
    rmSync(dataOf(app, next.backupId));
    expect((await app.backup()).kind).not.toBe('skipped');
    app.transfer();
    const again = await app.backup();
    await app.restore({ backupId: again.backupId });
  });
});

describe('what is remembered', () => {
  const [FAR, ID] = ['s3://far', 'full/app/1'];
  const of = (...found: (Verified | Damage)[]): unknown => {
    const folder = newApp().dir;
    for (const one of found) saveVerified(folder, FAR, { [ID]: one }, [ID]);
    return readVerified(folder)[FAR]?.[ID];
  };
  const restored: Verified = { at: at(1), how: 'restored' };

  it('is the stronger finding, with the time of the later one', () => {
    expect(of(restored, { at: at(2), how: 'ciphertext' })).toEqual({ ...restored, readAt: at(2) });
    expect(of({ at: at(0), how: 'ciphertext' }, restored)).toEqual(restored);
  });

  it('is damage until it is found whole, or gone', () => {
    expect(of(restored, damage(2), damage(3))).toEqual(damage(2));
    expect(of(damage(2), { at: at(3), how: 'ciphertext' })).toEqual({ at: at(3), how: 'ciphertext' });
    const folder = newApp().dir;
    saveVerified(folder, FAR, { [ID]: damage(1) }, [ID]);
    saveVerified(folder, FAR, {}, []);
    expect(readVerified(folder)).toEqual({ [FAR]: {} });
  });
});
