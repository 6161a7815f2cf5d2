import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, inject, it } from 'vitest';
import { writeArchive } from '../../../scripts/lib/release/build.ts';
import { manifestOf, manifestText, parseManifest } from '../../../scripts/lib/release/manifest.ts';
import type { Manifest } from '../../../scripts/lib/release/manifest.ts';
import { openArchive } from '../../../scripts/lib/release/read.ts';

const LONG = `node_modules/${'deep/'.repeat(30)}file.js`;
const CONTENTS: Record<string, string> = {
  'a.js': 'first\n',
  'bin/run': '#!/bin/sh\n',
  empty: '',
  [LONG]: 'x'.repeat(2000),
};
const manifest = manifestOf({
  ...{ version: '1.0.0', schema: 5, minReader: 1 },
  files: Object.entries(CONTENTS).map(([path, text]) => ({
    path,
    mode: path === 'bin/run' ? '755' : '644',
    sha256: createHash('sha256').update(text).digest('hex'),
    bytes: Buffer.byteLength(text),
  })),
});
const folder = (): string => mkdtempSync(join(inject('scratch'), 'archive-'));

async function written(wanted?: (path: string) => boolean): Promise<Buffer> {
  const path = join(folder(), 'r.tgz');
  const contentOf = (name: string) => Buffer.from(CONTENTS[name] ?? '');
  await writeArchive(path, manifest, contentOf, wanted && ((file) => wanted(file.path)));
  return readFileSync(path);
}

async function readBack(
  bytes: Buffer,
): Promise<{ manifest: Manifest; kept: Record<string, string>; dropped: string[] }> {
  const kept: Record<string, string> = {};
  const dropped: string[] = [];
  const archive = await openArchive(Readable.from([bytes]), 'r.tgz');
  await archive.receive({
    begin({ path }) {
      const pieces: Buffer[] = [];
      return {
        write: (piece) => void pieces.push(Buffer.from(piece)),
        keep: () => void (kept[path] = Buffer.concat(pieces).toString()),
        drop: () => void dropped.push(path),
      };
    },
  });
  return { manifest: archive.manifest, kept, dropped };
}

describe('an archive', () => {
  it('comes back as it went in, in the same bytes each time', async () => {
    const bytes = await written();
    expect(await written()).toEqual(bytes);
    expect(await readBack(bytes)).toEqual({ manifest, kept: CONTENTS, dropped: [] });
  });

  it('is what tar unpacks, with modes and long paths', async () => {
    const dir = folder();
    writeFileSync(join(dir, 'r.tgz'), await written());
    execFileSync('tar', ['-xzf', 'r.tgz'], { cwd: dir });
    expect(readFileSync(join(dir, LONG), 'utf8')).toBe(CONTENTS[LONG]);
    const listed = execFileSync('tar', ['-tvzf', 'r.tgz'], {
      cwd: dir,
      encoding: 'utf8',
      env: { TZ: 'UTC' },
    });
    expect(listed).toMatch(/^-rwxr-xr-x root\/root +10 1970-01-01 00:00 bin\/run$/m);
    expect(readdirSync(dir)).toContain('release.json');
  });

  it('may carry some files only', async () => {
    const { kept } = await readBack(await written((path) => path === 'a.js'));
    expect(kept).toEqual({ 'a.js': 'first\n' });
  });

  const plain = async () => gunzipSync(await written());
  it.each<[string, (bytes: Buffer) => Promise<Buffer> | Buffer]>([
    ['is cut off', (bytes) => bytes.subarray(0, bytes.length - 20)],
    ['is cut off within gzip, at a whole block', async () => gzipSync((await plain()).subarray(0, 2048))],
    ['is no gzip', () => Buffer.from('nothing of the kind')],
    ['is empty', () => Buffer.alloc(0)],
    ['has a flipped byte', async () => flipped(await plain(), 'first')],
    ['has a flipped header', async () => flipped(await plain(), 'bin/run\0')],
    [
      'has a changed manifest',
      async () =>
        gzipSync(
          Buffer.from((await plain()).toString('latin1').replace('"schema":5', '"schema":6'), 'latin1'),
        ),
    ],
  ])('that %s is refused', async (_, damage) => {
    await expect(readBack(await damage(await written()))).rejects.toMatchObject({ code: 'archive-damaged' });
  });

  it('keeps nothing of a file with other bytes', async () => {
    const dropped: string[] = [];
    const archive = await openArchive(Readable.from([flipped(await plain(), 'first')]), 'r.tgz');
    const reading = archive.receive({
      begin: ({ path }) => ({
        write: () => undefined,
        keep: () => undefined,
        drop: () => void dropped.push(path),
      }),
    });
    await expect(reading).rejects.toThrow('a.js has other bytes');
    expect(dropped).toEqual(['a.js']);
  });
});

function flipped(plain: Buffer, at: string): Buffer {
  const copy = Buffer.from(plain);
  const index = copy.indexOf(at);
  copy[index] = (copy[index] ?? 0) ^ 1;
  return gzipSync(copy);
}

describe('a manifest', () => {
  it('has a name by its content, whatever the order of its files', () => {
    const again = manifestOf({ ...manifest, files: [...manifest.files].reverse() });
    expect(again).toEqual(manifest);
    expect(manifest.release).toBe(`1.0.0-${manifest.digest.slice(0, 12)}`);
    expect(parseManifest(manifestText(manifest), 'x')).toEqual(manifest);
    expect(manifestOf({ ...manifest, schema: 6 }).digest).not.toBe(manifest.digest);
  });

  it.each(['../up', '/etc/passwd', 'a/../../b', 'a//b', './a', 'a\\b', 'a\nb', ''])(
    'names no path %j',
    (path) => {
      const [file] = manifest.files;
      if (file === undefined) throw new Error('no file');
      const text = manifestText(manifestOf({ ...manifest, files: [{ ...file, path }] }));
      expect(() => parseManifest(text, 'x')).toThrow('its manifest cannot be read');
    },
  );
});
