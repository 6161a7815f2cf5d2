import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { createHash, randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { FactoryError } from '../../../../service/errors.ts';
import { makeFolder } from '../../../../service/folders.ts';
import { MANIFEST_PATH, manifestText, parseManifest } from '../../release/manifest.ts';
import type { Manifest, ReleaseFile } from '../../release/manifest.ts';
import type { Sink } from '../../release/read.ts';
import { writeBeside } from './links.ts';

/**
 * Files of releases by their content, each once; a release is made of links to them. A name is a SHA-256, and `.x` where the
 * file may be run: links share their mode.
 */

/** What no release holds goes after so long: a deploy may have brought it, and not used it yet. */
const UNUSED_MS = 60 * 60_000;

const placeOf = (store: string, { sha256, mode }: Pick<ReleaseFile, 'sha256' | 'mode'>): string =>
  join(store, sha256.slice(0, 2), mode === '755' ? `${sha256}.x` : sha256);

/** Each content once. */
export function missingFrom(store: string, { files }: Manifest): ReleaseFile[] {
  const asked = new Map(files.map((file) => [placeOf(store, file), file]));
  return [...asked].filter(([place]) => !existsSync(place)).map(([, file]) => file);
}

/** Takes contents in; counts those that were new. */
export function storing(store: string, counts: { files: number; bytes: number }): Sink {
  return {
    begin(file) {
      const place = placeOf(store, file);
      if (existsSync(place)) return null;
      const beside = join(store, `.new-${randomUUID()}`);
      makeFolder(dirname(place), 0o700);
      const handle = openSync(beside, 'wx', 0o600);
      return {
        write(piece) {
          for (let done = 0; done < piece.length;) done += writeSync(handle, piece, done);
        },
        keep() {
          fsyncSync(handle);
          closeSync(handle);
          chmodSync(beside, file.mode === '755' ? 0o755 : 0o644);
          renameSync(beside, place);
          counts.files += 1;
          counts.bytes += file.bytes;
        },
        drop() {
          closeSync(handle);
          rmSync(beside, { force: true });
        },
      };
    },
  };
}

/**
 * Makes a release of links, in a folder beside that is renamed when it is whole. Every content is read and compared. One that
 * is there already is compared too, and what the store lacks of it is taken in. Errors: `files-missing`, `release-damaged`.
 */
export function unpackFrom(store: string, target: string, manifest: Manifest): void {
  if (existsSync(target)) return adopt(store, target, manifest);
  const lacking = missingFrom(store, manifest);
  if (lacking.length > 0) throw filesMissing(manifest.release, lacking);
  const beside = `${target}.partial`;
  rmSync(beside, { recursive: true, force: true });
  const folders = new Set<string>();
  for (const file of manifest.files) {
    const path = join(beside, file.path);
    if (!folders.has(dirname(path))) makeFolder(dirname(path), 0o755);
    folders.add(dirname(path));
    const place = placeOf(store, file);
    // Damaged on the disk: gone, so that the next deploy brings it again.
    if (!isWhole(place, file)) {
      rmSync(place, { force: true });
      throw filesMissing(manifest.release, [file]);
    }
    linkSync(place, path);
  }
  writeBeside(join(beside, MANIFEST_PATH), manifestText(manifest), 0o644);
  // The folder's time says when the release came.
  utimesSync(beside, new Date(), new Date());
  renameSync(beside, target);
}

function adopt(store: string, target: string, manifest: Manifest): void {
  for (const file of manifest.files) {
    const path = join(target, file.path);
    if (!existsSync(path) || !isWhole(path, file)) throw damaged(target, file.path);
    const place = placeOf(store, file);
    if (existsSync(place)) continue;
    makeFolder(dirname(place), 0o700);
    chmodSync(path, file.mode === '755' ? 0o755 : 0o644);
    linkSync(path, place);
  }
}

const isWhole = (path: string, { sha256 }: ReleaseFile): boolean =>
  createHash('sha256').update(readFileSync(path)).digest('hex') === sha256;

/** Errors: `archive-damaged`. Null: it is no release, or is not whole. */
export function manifestIn(folder: string): Manifest | null {
  const path = join(folder, MANIFEST_PATH);
  return existsSync(path) ? parseManifest(readFileSync(path, 'utf8'), path) : null;
}

/** Removes what no release holds a link to; answers the bytes. */
export function sweep(store: string, now: number): number {
  let freed = 0;
  for (const name of readdirSync(store, { recursive: true, encoding: 'utf8' })) {
    const path = join(store, name);
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found?.isFile() || found.nlink > 1 || now - found.ctimeMs < UNUSED_MS) continue;
    rmSync(path, { force: true });
    freed += found.size;
  }
  return freed;
}

function filesMissing(target: string, files: readonly ReleaseFile[]): FactoryError {
  return new FactoryError({
    ...{ code: 'files-missing', op: 'unpack release', target, retryable: true },
    message: `${files.length} files of ${target} are not in the host's store, or are damaged there: ${files[0]?.path}.`,
    hint: 'Deploy again: what is missing is sent then.',
  });
}

function damaged(target: string, path: string): FactoryError {
  return new FactoryError({
    ...{ code: 'release-damaged', op: 'unpack release', target },
    message: `${path} in ${target} is not what the release's manifest says.`,
    hint: `Look who changed it. Remove the folder, where it is not live, and deploy again.`,
  });
}
