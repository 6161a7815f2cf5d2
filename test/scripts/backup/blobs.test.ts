import { hash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  blobKey,
  blobListKey,
  blobListText,
  isClaim,
  isShared,
  MAX_LIST_BYTES,
  parseBlobList,
} from '../../../scripts/lib/backup/blob-list.ts';
import type { ListedBlob } from '../../../scripts/lib/backup/blob-list.ts';
import type { Entry } from '../../../scripts/lib/backup/catalog.ts';
import { blobsToFetch, fetchBlobs, pathIn } from '../../../scripts/lib/backup/fetch-blobs.ts';
import { gatherBlobs } from '../../../scripts/lib/backup/gather-blobs.ts';
import type { Destination } from '../../../scripts/lib/destinations/destination.ts';
import {
  bringBack,
  dropWaiting,
  keepBlobs,
  placeWaiting,
  waitingBlobs,
} from '../../../scripts/lib/restore/seat-blobs.ts';
import type { Journal } from '../../../scripts/lib/restore/journal.ts';
import { FactoryError } from '../../../service/errors.ts';
import { emptyFolder } from '../cli.ts';

const { signal } = new AbortController();
const sha256 = (content: Buffer): string => hash('sha256', content);
const nameOf = (text: string): string => hash('sha256', text);
const code = (error: unknown): string => (error as FactoryError).code;

function write(path: string, content: Buffer | string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}
const filesIn = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((one) => one.isFile())
        .map((one) => one.name)
        .sort()
    : [];

describe('the list of attachments', () => {
  const digest = fc.string({ minLength: 8 }).map(nameOf);
  const listed = fc.uniqueArray(
    fc.record({
      name: digest,
      file: fc.option(fc.record({ sha256: digest, bytes: fc.nat({ max: 1e12 }) }), { freq: 4 }),
    }),
    { selector: ({ name }) => name },
  );

  it('comes back as it was, whatever the order', () => {
    fc.assert(
      fc.property(listed, (blobs) => {
        const text = blobListText(blobs);
        expect(blobListText(blobs.toReversed())).toBe(text);
        const byName = (a: ListedBlob, b: ListedBlob): number => (a.name < b.name ? -1 : 1);
        expect(parseBlobList(text, 'key')).toEqual(blobs.toSorted(byName));
      }),
    );
  });

  it.each([
    ['cut off', `${nameOf('a')} ${nameOf('b')} 12`],
    ['of another form', `${nameOf('a')} ${nameOf('b')}\n`],
    ['with a name that leads elsewhere', `../${nameOf('a').slice(3)} ${nameOf('b')} 1\n`],
    ['with an empty line', '\n'],
    ['with bytes that are no number', `${nameOf('a')} ${nameOf('b')} 1e3\n`],
  ])('is refused %s', (_what, text) => {
    expect(() => parseBlobList(text, 'key')).toThrow(expect.objectContaining({ code: 'backup-damaged' }));
  });

  it('and what it names are told from other objects', () => {
    const keys = [blobKey('app', nameOf('a')), blobListKey('app', nameOf('a'))];
    expect(keys.map(isShared)).toEqual([true, true]);
    const others = [
      'blobs/app/notes.txt',
      `blobs/app/x/${nameOf('a')}.sealed`,
      `full/app/${nameOf('a')}.list`,
    ];
    expect([...others.map(isShared), ...keys.map(isClaim)]).toEqual([false, false, false, false, false]);
  });
});

describe('gathering', () => {
  function lab() {
    const folder = emptyFolder();
    const blobs = join(folder, 'blobs');
    const job = {
      ...{ name: 'factory', blobs, folder, signal, progress: () => undefined },
      source: { target: '', blobNames: async (): Promise<string[]> => live },
    };
    let live: string[] = [];
    let works = 0;
    return {
      blobs,
      live: (...names: string[]) => void (live = names),
      gather(...names: string[]) {
        const work = join(folder, `work-${(works += 1)}`);
        mkdirSync(work);
        return gatherBlobs(job as never, names, work);
      },
    };
  }
  const [a, b] = [nameOf('a'), nameOf('b')];

  it('sends nothing where the database names none', async () => {
    expect(await lab().gather()).toEqual({ listed: [], parcels: [] });
  });

  it('keeps what is deleted meanwhile, and says what was deleted before', async () => {
    const { blobs, gather } = lab();
    const content = randomBytes(100);
    write(pathIn(blobs, a), content);
    const { listed, parcels } = await gather(a, b);
    rmSync(pathIn(blobs, a));
    expect(parcels.map(({ key, shared }) => [key.split('.').at(-1), shared])).toEqual([
      ['sealed', 'blob'],
      ['list', 'list'],
    ]);
    const [file, list] = parcels.map(({ content: one }) =>
      'data' in one ? one.data : readFileSync(one.path),
    );
    expect(file).toEqual(content);
    const names = [a, b].sort();
    const of = (name: string) => (name === a ? { sha256: sha256(content), bytes: 100 } : null);
    expect(parseBlobList(String(list), '')).toEqual(names.map((name) => ({ name, file: of(name) })));
    expect(listed).toMatchObject({ count: 1, bytes: 100, list: { sha256: sha256(list ?? Buffer.alloc(0)) } });
  });

  it('fails where the live database names what is not there', async () => {
    const { live, gather } = lab();
    live(b);
    await expect(gather(a, b)).rejects.toMatchObject({
      code: 'attachment-missing',
      details: { missing: [b] },
    });
  });

  it('takes a file that was put there anew as it was, and refuses one that was changed', async () => {
    const { blobs, gather } = lab();
    const digestOf = async (): Promise<string | undefined> => (await gather(a)).parcels[0]?.key;
    write(pathIn(blobs, a), 'before');
    const before = await digestOf();
    expect(await digestOf()).toBe(before);
    rmSync(pathIn(blobs, a));
    write(pathIn(blobs, a), 'before');
    expect(await digestOf()).toBe(before);
    rmSync(pathIn(blobs, a));
    write(pathIn(blobs, a), 'after!');
    // However often it is asked.
    for (let n = 0; n < 2; n += 1)
      await expect(gather(a)).rejects.toMatchObject({ code: 'attachment-changed', target: a });
  });
});

describe('fetching', () => {
  const [a, b] = [Buffer.from('the first'), Buffer.from('the second')];
  function lab(change: (objects: Map<string, Buffer>) => void = () => undefined, blobs?: ListedBlob[]) {
    const file = (content: Buffer) => ({ sha256: sha256(content), bytes: content.length });
    const listed = blobs ?? [
      { name: nameOf('a'), file: file(a) },
      { name: nameOf('b'), file: file(b) },
      { name: nameOf('c'), file: null },
    ];
    const list = Buffer.from(blobListText(listed));
    const key = blobListKey('factory', sha256(list));
    const objects = new Map([a, b].map((one) => [blobKey('factory', sha256(one)), one]));
    objects.set(key, list);
    change(objects);
    const asked: string[] = [];
    const destination = {
      url: 'memory:',
      async get(one: string) {
        asked.push(one);
        const content = objects.get(one);
        if (!content)
          throw new FactoryError({
            code: 'destination-object-missing',
            op: '',
            target: one,
            message: '',
            hint: '',
          });
        return Readable.from([content]);
      },
    } as Partial<Destination> as Destination;
    const manifest = {
      name: 'factory',
      blobs: { list: { key, bytes: list.length, sha256: sha256(list) }, count: 2, bytes: 19 },
    };
    const folder = join(emptyFolder(), 'blobs');
    return { folder, asked, from: { destination, signal }, entry: { manifest } as unknown as Entry };
  }

  it('writes what the list has, readable by nobody else', async () => {
    const { folder, from, entry } = lab();
    expect(await fetchBlobs(from, entry, folder)).toBe(2);
    expect(readFileSync(pathIn(folder, nameOf('a')))).toEqual(a);
    expect([filesIn(folder).length, statSync(pathIn(folder, nameOf('b'))).mode & 0o777]).toEqual([2, 0o600]);
  });

  it('fetches nothing that another folder has with the same bytes', async () => {
    const { folder, from, entry, asked } = lab();
    const held = emptyFolder();
    write(pathIn(held, nameOf('a')), a);
    write(pathIn(held, nameOf('b')), Buffer.from('the sec0nd'));
    await fetchBlobs(from, entry, folder, held);
    expect(filesIn(folder)).toEqual([nameOf('b')]);
    expect(asked).not.toContain(blobKey('factory', sha256(a)));
    expect(await blobsToFetch(from, entry)).toEqual({ count: 2, bytes: a.length + b.length });
    rmSync(pathIn(held, nameOf('b')));
    expect(await blobsToFetch(from, entry, held)).toEqual({ count: 1, bytes: b.length });
  });

  const keyOf = (content: Buffer): string => blobKey('factory', sha256(content));
  const flipped = (content: Buffer): Buffer => Buffer.from([(content[0] ?? 0) ^ 1, ...content.subarray(1)]);
  it.each<[string, string, (objects: Map<string, Buffer>) => void]>([
    ['changed', 'backup-damaged', (objects) => objects.set(keyOf(a), flipped(a))],
    ['cut off', 'backup-damaged', (objects) => objects.set(keyOf(a), a.subarray(1))],
    ['lengthened', 'backup-damaged', (objects) => objects.set(keyOf(a), Buffer.concat([a, a]))],
    ['another one', 'backup-damaged', (objects) => objects.set(keyOf(a), b)],
    ['away', 'destination-object-missing', (objects) => objects.delete(keyOf(a))],
  ])('finds one that is %s, and leaves no such file', async (_what, expected, change) => {
    const { folder, from, entry } = lab(change);
    expect(await fetchBlobs(from, entry, folder).catch(code)).toBe(expected);
    expect(filesIn(folder)).not.toContain(nameOf('a'));
  });

  it('finds a list that was changed before anything is fetched', async () => {
    const { folder, from, entry, asked } = lab((objects) => {
      for (const [key, content] of objects) if (key.endsWith('.list')) objects.set(key, flipped(content));
    });
    expect(await fetchBlobs(from, entry, folder).catch(code)).toBe('backup-damaged');
    expect([asked.length, filesIn(folder)]).toEqual([1, []]);
  });

  it('takes no list that is larger than one can be, and nothing that has no room', async () => {
    const huge = lab();
    (huge.entry.manifest.blobs as { list: { bytes: number } }).list.bytes = MAX_LIST_BYTES + 1;
    expect(await fetchBlobs(huge.from, huge.entry, huge.folder).catch(code)).toBe('backup-damaged');
    expect(huge.asked).toEqual([]);
    const file = { sha256: sha256(a), bytes: 1e14 };
    const full = lab(undefined, [{ name: nameOf('a'), file }]);
    expect(await fetchBlobs(full.from, full.entry, full.folder).catch(code)).toBe('restore-space');
    expect(full.asked.length).toBe(1);
  });
});

describe('seating', () => {
  function lab() {
    const dataDir = emptyFolder();
    const journal = { folder: join(dataDir, 'restores', 'one') } as Journal;
    const blob = (name: string): string => pathIn(join(dataDir, 'blobs'), nameOf(name));
    const waiting = (name: string): string => pathIn(waitingBlobs({ dataDir }), nameOf(name));
    return { config: { dataDir }, journal, blob, waiting };
  }
  const text = (path: string): string => readFileSync(path, 'utf8');

  it('puts what waits in its place, also where it was cut off before, and an undo has what was there', () => {
    const { config, journal, blob, waiting } = lab();
    write(blob('a'), 'old');
    write(blob('b'), 'only before');
    keepBlobs(config, journal);
    write(waiting('a'), 'new');
    write(waiting('c'), 'only after');
    placeWaiting(config);
    placeWaiting(config);
    expect([text(blob('a')), text(blob('c')), existsSync(waitingBlobs(config))]).toEqual([
      'new',
      'only after',
      false,
    ]);
    // What no row names is swept.
    rmSync(blob('b'));
    bringBack(config, journal);
    expect([text(waiting('a')), text(waiting('b')), existsSync(waiting('c'))]).toEqual([
      'old',
      'only before',
      false,
    ]);
    placeWaiting(config);
    expect([text(blob('a')), text(blob('b')), text(blob('c'))]).toEqual(['old', 'only before', 'only after']);
  });

  it('drops what is not needed, and touches nothing else', () => {
    const { config, blob, waiting } = lab();
    write(blob('a'), 'old');
    write(waiting('a'), 'new');
    dropWaiting(config);
    placeWaiting(config);
    expect(text(blob('a'))).toBe('old');
  });

  it('needs no folder to be there', () => {
    const { config, journal } = lab();
    keepBlobs(config, journal);
    bringBack(config, journal);
    placeWaiting(config);
    expect(existsSync(waitingBlobs(config))).toBe(false);
  });
});
