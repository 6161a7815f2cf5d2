import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { blobKey } from '../../../scripts/lib/backup/blob-list.ts';
import {
  damagedThere,
  readDamagedObjects,
  saveDamagedObjects,
} from '../../../scripts/lib/backup/damaged-objects.ts';
import { keepDamage } from '../../../scripts/lib/backup/keep-found.ts';
import { sendShared } from '../../../scripts/lib/backup/send-shared.ts';
import { readShared } from '../../../scripts/lib/backup/shared-object.ts';
import {
  damagedIn,
  lackingIn,
  openDamage,
  readVerified,
  saveVerified,
  verifiedWithBase,
} from '../../../scripts/lib/backup/verified.ts';
import type { Damage, Verified } from '../../../scripts/lib/backup/verified.ts';
import type { Catalog, Entry } from '../../../scripts/lib/backup/catalog.ts';
import type { Destination } from '../../../scripts/lib/destinations/destination.ts';
import { folderDestination } from '../../../scripts/lib/destinations/folder.ts';
import { FactoryError } from '../../../service/errors.ts';
import { emptyFolder } from '../cli.ts';

/** What is known of shared objects, and what comes of it. */

const { signal } = new AbortController();
const URL_ = 'file:///far';
const hour = (n: number): string => `2026-05-01T${String(n).padStart(2, '0')}:00:00.000Z`;
const error = new FactoryError({ code: 'backup-damaged', op: 'verify', message: 'Other bytes.', hint: '' });
const nameOf = (bytes: Buffer): string =>
  blobKey('factory', createHash('sha256').update(bytes).digest('hex'));

const X = nameOf(Buffer.from('x'));
const Y = nameOf(Buffer.from('y'));
const whole = (at: number): Verified => ({ at: hour(at), how: 'restored' });
const lacking = (at: number, objects: string[], own?: Verified): Damage => ({
  ...{ how: 'damaged', at: hour(at), code: 'backup-damaged', message: '', hint: '', objects },
  ...(own ? { own } : {}),
});
const entry = (backupId: string, at: number, base: string | null = null): Pick<Entry, 'manifest'> => {
  const kind = base === null ? 'full' : 'differential';
  const below = base === null ? null : { backupId: base, sha256: '' };
  return { manifest: { backupId, kind, startedAt: hour(at), base: below } as Entry['manifest'] };
};

describe('damage of what backups share', () => {
  it('counts for a backup until every one of its objects was found right', () => {
    const folder = emptyFolder();
    saveDamagedObjects(folder, URL_, hour(2), {
      wrong: new Map([
        [X, error],
        [Y, error],
      ]),
      right: [],
    });
    saveVerified(folder, URL_, { one: whole(1) }, ['one']);
    saveVerified(folder, URL_, { one: lacking(2, [X, Y], { at: hour(2), how: 'ciphertext' }) }, ['one']);
    expect(verifiedWithBase(readVerified(folder)[URL_], entry('one', 1))).toBeNull();
    saveDamagedObjects(folder, URL_, hour(3), { wrong: new Map(), right: [X] });
    expect([...lackingIn(readVerified(folder)[URL_])]).toEqual(['one']);
    damagedThere(folder, URL_).keep(Y, null);
    expect(readVerified(folder)[URL_]).toEqual({ one: { ...whole(1), readAt: hour(2) } });
    expect([...readDamagedObjects(folder, URL_)]).toEqual([]);
  });

  it('that cannot be remembered keeps no restore from the next copy', async () => {
    const folder = emptyFolder();
    mkdirSync(join(folder, 'damaged-objects.json'));
    const destination = folderDestination('file:///d', join(folder, 'destination'));
    const catalog = { entries: [], problems: [], name: 'factory' } as unknown as Catalog;
    const { code, op, message, hint } = error;
    const shared = new FactoryError({ code, op, message, hint, details: { object: X } });
    await expect(keepDamage(folder, { destination, catalog }, shared, signal)).resolves.toBeUndefined();
    expect([...readDamagedObjects(folder, 'file:///d')]).toEqual([]);
  });

  it('is told as of when it was first found', () => {
    const folder = emptyFolder();
    for (const at of [hour(2), hour(5)])
      saveDamagedObjects(folder, URL_, at, { wrong: new Map([[X, error]]), right: [] });
    expect(readDamagedObjects(folder, URL_).get(X)?.at).toBe(hour(2));
  });

  it('is no damage of a differential, which has attachments of its own', () => {
    const known = { full: lacking(2, [X], whole(1)), diff: whole(2) };
    expect(verifiedWithBase(known, entry('diff', 2, 'full'))).toEqual(whole(2));
    expect(verifiedWithBase(known, entry('full', 1))).toBeNull();
    const { objects: _, own: _own, ...own } = lacking(2, [X]);
    expect(verifiedWithBase({ ...known, full: own }, entry('diff', 2, 'full'))).toBeNull();
  });

  it('is made up for by any backup that was begun later, other damage by a full one', () => {
    const entries = [entry('full', 1), entry('diff', 3, 'full')];
    const known = { full: lacking(2, [X], whole(1)), diff: whole(3) };
    expect(openDamage(known, entries)).toBeNull();
    expect(openDamage({ ...known, full: lacking(4, [X], whole(1)) }, entries)?.target).toBe('full');
    expect([...damagedIn(known)]).toEqual(['full']);
  });
});

interface Case {
  name: string;
  /** What lies there; null: nothing. */
  there: string | null;
  known: boolean;
  /** What lies there afterwards, and whether it is said that it was sent again. */
  after: string;
  again: boolean;
}

const CASES: Case[] = [
  { name: 'is sent where there is none', there: null, known: false, after: 'right', again: false },
  { name: 'is not sent again in its size', there: 'wrong', known: false, after: 'wrong', again: false },
  { name: 'is sent again in another size', there: 'short', known: false, after: 'right', again: true },
  { name: 'is sent again where it is damaged', there: 'wrong', known: true, after: 'right', again: true },
  { name: 'is sent again where it went missing', there: null, known: true, after: 'right', again: true },
];
const BYTES = { right: 'content', wrong: 'contenu', short: 'cont' };
const RIGHT = Buffer.from(BYTES.right);
const KEY = nameOf(RIGHT);

/** A destination in a folder that has `there`, and what is known of it. */
async function place(there: string | null, known: boolean) {
  const dir = emptyFolder();
  const destination = folderDestination('file:///d', join(dir, 'destination'));
  if (there !== null) await destination.put(KEY, { data: Buffer.from(there) }, { signal });
  const { url } = destination;
  if (known) saveDamagedObjects(dir, url, hour(1), { wrong: new Map([[KEY, error]]), right: [] });
  const path = join(dir, 'file');
  writeFileSync(path, RIGHT);
  const listed = await destination.list('blobs/factory/', { signal });
  const sizes = new Map(listed.map(({ key, bytes }) => [key, bytes]));
  const parcel = { key: KEY, content: { path, bytes: RIGHT.length }, shared: 'blob' as const };
  const send = (to: Destination = destination) =>
    sendShared(parcel, { destination: to, there: sizes, damaged: damagedThere(dir, url), signal });
  const read = async () => (await buffer(await destination.get(KEY, { signal }))).toString();
  return { dir, path, destination, send, read, damaged: () => readDamagedObjects(dir, url).has(KEY) };
}

describe('what is shared', () => {
  it.each(CASES)('$name', async ({ there, known, after, again }) => {
    const at = await place(there && BYTES[there as keyof typeof BYTES], known);
    expect(await at.send()).toBe(again);
    expect([await at.read(), at.damaged()]).toEqual([BYTES[after as keyof typeof BYTES], false]);
  });

  it('stays damaged where what was sent again is not what is read', async () => {
    const at = await place(BYTES.wrong, true);
    const get = async () => Readable.from([Buffer.from(BYTES.wrong)]);
    await expect(at.send({ ...at.destination, get })).rejects.toMatchObject({ code: 'attachment-damaged' });
    expect(at.damaged()).toBe(true);
  });

  it('is not replaced by a file that is not what it was either', async () => {
    const at = await place(BYTES.wrong, true);
    writeFileSync(at.path, BYTES.wrong.toUpperCase());
    await expect(at.send()).rejects.toMatchObject({ code: 'attachment-changed', target: KEY });
    expect([await at.read(), at.damaged()]).toEqual([BYTES.wrong, true]);
  });
});

describe('of several versions', () => {
  const object = { key: KEY, bytes: RIGHT.length, sha256: createHash('sha256').update(RIGHT).digest('hex') };
  const reading = (all: Record<string, string>) => {
    const asked: string[] = [];
    const get = async (_: string, { version = '' }: { version?: string | undefined }) => {
      asked.push(version);
      return Readable.from([Buffer.from(all[version] ?? '')]);
    };
    const [first = '', ...more] = Object.keys(all);
    const versions = new Map([[KEY, first]]);
    const later = new Map([[KEY, more.map((version) => ({ version, bytes: all[version]?.length ?? 0 }))]]);
    const read = readShared({ get }, object, { versions, later }, { signal }, (source, check) =>
      buffer(source.pipe(check)).then(String),
    );
    return { read, asked };
  };

  it('the first is read that is right, and none of another size is asked for', async () => {
    const { read, asked } = reading({ a: 'contenu', b: 'longer than it', c: 'content', d: 'contenu' });
    expect([await read, asked]).toEqual(['content', ['a', 'c']]);
  });

  it('none is right: the key is told', async () => {
    const { read } = reading({ a: 'contenu', b: 'contenx' });
    await expect(read).rejects.toMatchObject({ code: 'backup-damaged', details: { object: KEY } });
  });
});
