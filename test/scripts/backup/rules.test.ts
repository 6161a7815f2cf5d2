import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../scripts/lib/backup/catalog.ts';
import { FactoryError } from '../../../service/errors.ts';
import { chooseKind, worthIt } from '../../../scripts/lib/backup/choose.ts';
import type { Choice } from '../../../scripts/lib/backup/choose.ts';
import { FORMAT, parseManifestKey, stemOf } from '../../../scripts/lib/backup/format.ts';
import type { Manifest, Unsigned } from '../../../scripts/lib/backup/format.ts';
import { manifestText, readManifest, signManifest } from '../../../scripts/lib/backup/manifest.ts';
import { pick } from '../../../scripts/lib/backup/pick.ts';

const { privateKey } = generateKeyPairSync('ed25519');
const HEX = 'a'.repeat(64);
const NOW = Date.parse('2026-05-02T00:00:00.000Z');

function unsigned(sequence: number, startedAt: string, base: Manifest['base'] = null): Unsigned {
  const kind = base ? 'differential' : 'full';
  const backupId = stemOf(kind, 'app', startedAt, sequence);
  const object = (suffix: string) => ({ key: backupId + suffix, bytes: 1, sha256: HEX });
  return {
    ...{ format: FORMAT, backupId, name: 'app', kind, sequence, startedAt, finishedAt: startedAt },
    ...{ release: null, epoch: 0, base, blobs: [], recipients: ['age1x'] },
    source: {
      ...{
        engine: 'sqlite',
        bytes: 4096,
        pageSize: 4096,
        pages: 1,
        sha256: HEX,
        applicationId: 0,
        userVersion: 0,
      },
      ...{ schemaSha256: HEX, rows: { t: 1 }, auditCheckpoint: null },
    },
    objects: { data: object('.sqlite.zst.age'), pages: null, key: object('.key.age') },
  };
}

const manifest = (...args: Parameters<typeof unsigned>): Manifest =>
  signManifest(unsigned(...args), privateKey);
const entry = (...args: Parameters<typeof unsigned>): Entry => ({
  manifest: manifest(...args),
  ...{ key: 'k', storedAt: args[1], bytes: 1 },
});

describe('the kind of the next backup', () => {
  const full = {
    backupId: 'f',
    sha256: HEX,
    startedAt: '2026-05-01T12:00:00.000Z',
    pageSize: 4096,
    urls: [],
  };
  const choice: Choice = { forced: false, full, held: true, listed: true, pageSize: 4096, now: NOW };

  it.each<[string, Partial<Choice>, string]>([
    ['a full one of this day', {}, 'differential'],
    ['none', { full: null }, 'full'],
    ['one of a day ago', { now: NOW + 12 * 3_600_000 }, 'full'],
    ['one from the future', { now: Date.parse('2026-05-01T11:59:59.000Z') }, 'full'],
    ['one that a destination lost', { held: false }, 'full'],
    ['one without its page list here', { listed: false }, 'full'],
    ['one of another page size', { pageSize: 8192 }, 'full'],
    ['one, and a new one is asked for', { forced: true }, 'full'],
  ])('after %s', (_what, change, kind) => {
    expect(chooseKind({ ...choice, ...change })).toBe(kind);
  });

  it('is a full one where most pages changed', () => {
    expect([worthIt(50, 100), worthIt(51, 100), worthIt(0, 0)]).toEqual([true, false, true]);
  });
});

const WRONG = { code: 'manifest-forged', op: 'read manifest', message: 'Forged.', hint: 'None.' };

describe('which backup is restored', () => {
  const first = entry(1, '2026-05-01T00:00:00.000Z');
  const later = entry(2, '2026-05-01T01:00:00.000Z', { backupId: first.manifest.backupId, sha256: HEX });
  const catalog = { url: 'file:///x', entries: [first, later] };

  it('is the newest, with the full one below it', () => {
    expect(pick(catalog, 'newest', NOW)).toEqual({ entry: later, base: first });
  });

  it('is the last one at or before a time', () => {
    expect(pick(catalog, { at: Date.parse('2026-05-01T00:59:59.999Z') }, NOW).entry).toBe(first);
    expect(pick(catalog, { at: Date.parse('2026-05-01T01:00:00.000Z') }, NOW).entry).toBe(later);
  });

  it('is the one before where the last one cannot be used, as of its time or before', () => {
    const key = 'full/app/20260501T020000Z-000003.manifest.json';
    const problems = [{ key, error: new FactoryError({ ...WRONG, target: key }) }];
    const spoiled = { ...catalog, problems };
    expect(pick(spoiled, { at: Date.parse('2026-05-01T02:00:00.999Z') }, NOW).entry).toBe(later);
    expect(() => pick(spoiled, { at: Date.parse('2026-05-01T02:00:01Z') }, NOW)).toThrow(
      expect.objectContaining({ code: 'backup-after-last', hint: expect.stringContaining('--at') }),
    );
  });

  it('is the one of an id, whole or short', () => {
    const { backupId } = first.manifest;
    for (const wanted of [backupId, backupId.split('/').at(-1) ?? ''])
      expect(pick(catalog, { backupId: wanted }, NOW).entry).toBe(first);
  });

  it.each([
    ['nothing is there', { ...catalog, entries: [] }, 'newest' as const, 'backup-none'],
    ['the id is unknown', catalog, { backupId: 'x' }, 'backup-unknown'],
    [
      'the time is before the first',
      catalog,
      { at: Date.parse('2026-04-30T23:59:59Z') },
      'backup-before-first',
    ],
    ['the time is in the future', catalog, { at: NOW + 1 }, 'backup-after-last'],
    [
      'the time is after the last',
      catalog,
      { at: Date.parse('2026-05-01T01:00:00.001Z') },
      'backup-after-last',
    ],
    [
      'the full one below it is away',
      { ...catalog, entries: [later] },
      'newest' as const,
      'backup-incomplete',
    ],
  ])('is none where %s', (_what, from, wanted, code) => {
    expect(() => pick(from, wanted, NOW)).toThrow(expect.objectContaining({ code }));
  });
});

describe('a manifest', () => {
  const text = manifestText(manifest(1, '2026-05-01T00:00:00.000Z'));

  it('is read as it was written', () => {
    expect(readManifest(text, 'k')).toEqual(manifest(1, '2026-05-01T00:00:00.000Z'));
  });

  it.each([
    ['a changed digest', text.replace(HEX, 'b'.repeat(64)), 'manifest-forged'],
    ['a changed number', text.replace('"rows":{"t":1}', '"rows":{"t":2}'), 'manifest-forged'],
    [
      'another key',
      text.replace(/"publicKey":"[^"]+"/, `"publicKey":"${Buffer.alloc(32).toString('base64')}"`),
      'manifest-forged',
    ],
    ['a later format', text.replace(FORMAT, 'build-factory/backup/9'), 'manifest-newer'],
    ['a field more', text.replace('{', '{"more":1,'), 'manifest-malformed'],
    ['no JSON', 'x', 'manifest-malformed'],
  ])('with %s is refused', (_what, changed, code) => {
    expect(() => readManifest(changed, 'k')).toThrow(expect.objectContaining({ code }));
  });
});

describe('names', () => {
  it('say kind, name and sequence', () => {
    const stem = stemOf('differential', 'my-app', '2026-05-01T02:03:04.567Z', 42);
    expect(stem).toBe('diff/my-app/20260501T020304Z-000042');
    expect(parseManifestKey(`${stem}.manifest.json`)).toEqual({
      kind: 'differential',
      name: 'my-app',
      sequence: 42,
      stem,
    });
  });

  it.each([
    'x.manifest.json',
    'full/a/b.manifest.json',
    'full/../20260501T020304Z-000042.manifest.json',
    'full/a/20260501T020304Z-000042.key.age',
  ])('of something else are none: %s', (key) => {
    expect(parseManifestKey(key)).toBeNull();
  });
});
