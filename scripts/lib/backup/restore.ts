import { randomUUID } from 'node:crypto';
import { createWriteStream, existsSync, rmSync } from 'node:fs';
import { link, open, rename, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Writable } from 'node:stream';
import type { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FactoryError } from '../../../service/errors.ts';
import type { Destination } from '../destinations/destination.ts';
import { assertRoom } from '../restore/blockers.ts';
import { opening } from './age.ts';
import { readPages } from './bulk.ts';
import type { Entry } from './catalog.ts';
import { checkDatabase } from './check.ts';
import type { Checked } from './check.ts';
import { dataIdentities } from './data-identity.ts';
import { damaged, Expect } from './expect.ts';
import type { Expected } from './expect.ts';
import { inFirstVersions } from './first-version.ts';
import type { Manifest, SqliteTaken } from './format.ts';
import { decompressing } from './frames.ts';
import { PageWriter } from './page-writer.ts';
import { percent } from './send.ts';
import { ticking } from '../progress.ts';

/** From a destination to a database file, with every byte checked before the file has its name. */

/** From where, and with which keys. */
export interface Fetching {
  destination: Destination;
  identities: readonly string[];
  signal: AbortSignal;
}

export interface RestoreJob extends Fetching {
  entry: Entry;
  /** Of a differential: the full backup below it. */
  base: Entry | null;
  /** The new file. */
  to: string;
  progress: (text: string) => void;
}

/**
 * Writes the database beside `to`, checks it against what was taken, and gives it its name at last; killed anywhere, no
 * file of that name exists. Errors: `restore-target-exists`, `restore-space`, `identity-wrong`, `ciphertext-damaged`,
 * `backup-damaged`, `restore-stopped`, and those of the destination.
 */
export async function restoreTo(asked: RestoreJob): Promise<void> {
  sqliteOf(asked.entry.manifest);
  const job = { ...asked, destination: inFirstVersions(asked.destination, asked.entry.versions) };
  assertNew(job.to);
  assertRoomFor(job.to, job.entry.manifest.source.bytes);
  const beside = `${job.to}.${randomUUID()}.part`;
  try {
    const { entry, base } = job;
    await fetchFull(job, base ?? entry, beside);
    if (base !== null) {
      await assertContent(job, base, beside);
      await applyDifference(job, entry, beside);
    }
    await ticking(job.progress, 'SQLite checks the database', assertWhole(job, beside));
    job.signal.throwIfAborted();
    await giveName(beside, job.to);
  } catch (error) {
    throw job.signal.aborted ? stopped(job.to, error) : error;
  } finally {
    for (const suffix of ['', '-journal']) rmSync(beside + suffix, { force: true });
  }
}

/** Errors: `restore-target-exists`. */
export function assertNew(to: string): void {
  for (const suffix of ['', '-wal', '-journal']) if (existsSync(to + suffix)) throw targetExists(to + suffix);
}

/** Errors: `restore-space`. */
export function assertRoomFor(to: string, bytes: number): void {
  const hint = 'Free space there, or restore to another disk. Nothing was written.';
  assertRoom(dirname(to), bytes, { what: 'the database', hint });
}

/** Errors: `restore-engine` where the backup is of another engine. */
function sqliteOf({ source, backupId }: Manifest): SqliteTaken {
  if (source.engine === 'sqlite') return source;
  throw new FactoryError({
    code: 'restore-engine',
    op: 'restore',
    target: backupId,
    message: `${backupId} is of a Postgres database; it does not become a SQLite file.`,
    hint: 'Restore it into a database of a server: --to postgres://user@host/new-database. Nothing was written.',
  });
}

/** The data as it was sent; what it holds is looked at when it lies on this disk. */
async function fetchFull(job: RestoreJob, entry: Entry, path: string): Promise<void> {
  const { manifest } = entry;
  const { objects, backupId } = manifest;
  const identity = await dataIdentities(job, entry);
  const onBytes = (done: number): void =>
    job.progress(`Restoring ${backupId}: ${percent(done, objects.data.bytes)}`);
  const steps = await plainSteps(job, objects.data, identity, onBytes);
  const file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
  await run([...steps, file], job.signal, objects.data.key);
}

/** Reads what was written once more: its digest, and of a full backup the page list that it has to have. */
async function assertContent(job: RestoreJob, entry: Entry, path: string): Promise<void> {
  const { manifest } = entry;
  const { objects, kind } = manifest;
  const source = sqliteOf(manifest);
  const pages = await readPages(path, source.pageSize, job.signal);
  if (pages.sha256 !== source.sha256)
    throw damaged(
      objects.data.key,
      kind === 'full' ? 'it does not hold what its manifest says' : 'with it the database is another one',
    );
  if (objects.pages === null) return;
  const list = new Collect();
  const identity = await dataIdentities(job, entry);
  await run([...(await plainSteps(job, objects.pages, identity)), list], job.signal, objects.pages.key);
  if (!list.content().equals(pages.list))
    throw damaged(objects.pages.key, 'it is not the page list of this database');
}

async function applyDifference(job: RestoreJob, entry: Entry, path: string): Promise<void> {
  const { manifest } = entry;
  const { objects } = manifest;
  const source = sqliteOf(manifest);
  const { key } = objects.data;
  const identity = await dataIdentities(job, entry);
  const file = await open(path, 'r+');
  try {
    const writer = new PageWriter(file);
    await run([...(await plainSteps(job, objects.data, identity)), writer], job.signal, key);
    const { pageSize, pages } = writer.head;
    if (pageSize !== source.pageSize || pages !== source.pages)
      throw damaged(key, 'it is not the difference that its manifest names');
  } finally {
    await file.close();
  }
  await truncate(path, source.bytes);
}

/** All that is known of the database, at the same time: its bytes here, its rows in a process of their own. */
async function assertWhole(job: RestoreJob, path: string): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([job.signal, stop.signal]);
  try {
    await Promise.all([
      assertContent({ ...job, signal }, job.entry, path),
      checkDatabase(path, signal).then((checked) => assertSame(checked, job.entry.manifest)),
      syncFile(path),
    ]);
  } finally {
    stop.abort();
  }
}

class Collect extends Writable {
  private readonly chunks: Buffer[] = [];

  override _write(data: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(data);
    done();
  }

  content(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

/** The first steps of a pipeline: fetch an object, check its bytes, decrypt and decompress it. */
export async function plainSteps(
  { destination, signal }: Fetching,
  expected: Expected,
  identities: readonly string[],
  onBytes?: (fetched: number) => void,
): Promise<[Readable, ...Transform[]]> {
  const source = await destination.get(expected.key, { signal });
  return [source, new Expect(expected, onBytes), opening(identities), ...decompressing()];
}

/** Runs the steps to their end; whatever breaks them off is damage of the object, unless it says what else it is. */
export async function run(steps: PipelineStep[], signal: AbortSignal, key: string): Promise<void> {
  try {
    await pipeline(steps as [Readable, ...Transform[], Writable], { signal });
  } catch (error) {
    throw asDamage(error, key);
  }
}

type PipelineStep = Readable | Transform | Writable;

function assertSame({ facts, problems }: Checked, manifest: Manifest): void {
  const { backupId } = manifest;
  const source = sqliteOf(manifest);
  const rows = Object.keys(source.rows).find((table) => facts.rows[table] !== source.rows[table]);
  if (problems[0] !== undefined) throw damaged(backupId, `SQLite finds: ${problems[0]}`);
  if (
    rows !== undefined ||
    facts.schemaSha256 !== source.schemaSha256 ||
    facts.applicationId !== source.applicationId
  )
    throw damaged(backupId, 'the database has other tables or rows than its manifest says');
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  await file.sync();
  await file.close();
}

/** A link refuses a name that is taken; where the file system has no links, the name is looked at once more. */
async function giveName(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' || existsSync(to)) throw targetExists(to);
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw error;
    await rename(from, to);
  }
  const folder = await open(dirname(to));
  await folder.sync();
  await folder.close();
}

function targetExists(target: string): FactoryError {
  return new FactoryError({
    code: 'restore-target-exists',
    op: 'restore',
    target,
    message: `${target} exists already.`,
    hint: 'Name a new file with --to. Nothing was written.',
  });
}

function stopped(target: string, cause: unknown): FactoryError {
  return new FactoryError({
    code: 'restore-stopped',
    op: 'restore',
    target,
    message: 'The restore was stopped: it took longer than its deadline, or was interrupted.',
    hint: `${target} was not written and nothing was left behind. Run it again.`,
    retryable: true,
    cause,
  });
}

function asDamage(error: unknown, key: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  // Its own identity opens a backup's data, unless the data was changed.
  if (error instanceof FactoryError && error.code === 'identity-wrong')
    return damaged(key, 'its header was changed', error);
  if (error instanceof FactoryError || code === 'ABORT_ERR') return error;
  return code === 'ENOSPC' ? error : damaged(key, message, error);
}
