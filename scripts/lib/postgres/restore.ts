import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { describe } from '../../../service/storage/postgres.ts';
import {
  analyse,
  databaseName,
  emptyAgain,
  openDatabases,
} from '../../../service/storage/postgres-databases.ts';
import { postgresFacts } from '../../../service/storage/postgres-snapshot.ts';
import type { Entry } from '../backup/catalog.ts';
import { dataIdentities } from '../backup/data-identity.ts';
import { damaged } from '../backup/expect.ts';
import type { PostgresTaken } from '../backup/format.ts';
import { inFirstVersions } from '../backup/first-version.ts';
import { plainSteps, run } from '../backup/restore.ts';
import type { Fetching } from '../backup/restore.ts';
import { percent } from '../backup/send.ts';
import { Tally } from '../backup/stage.ts';
import { assertRoom, blockersIn } from '../restore/blockers.ts';
import { contentsOf, feed, missingTable, start } from './program.ts';
import { withScratchDatabase } from './scratch.ts';
import { connection, findTools, majorOf, toolsFor } from './tools.ts';
import type { Tools } from './tools.ts';

/** From a destination to a Postgres database, with every byte checked before the server sees one. */

const READ_BYTES = 1024 * 1024;

export interface PostgresRestore extends Fetching {
  entry: Entry;
  /** A folder for the dump while it is checked; nothing stays in it, not even after a kill. */
  folder: string;
  /** What libpq reads beside the URL, such as PGPASSFILE. */
  env: NodeJS.ProcessEnv;
  progress: (text: string) => void;
}

/**
 * Makes the database that `url` names, which is not there or is empty. One that is not there has its name only when all
 * is checked; an empty one is filled in one transaction. Errors: `restore-target-exists`, `restore-engine`,
 * `restore-space`, `postgres-tools-missing`, `postgres-tools-old`, `restore-failed`, `database-refused`,
 * `identity-wrong`, `ciphertext-damaged`, `backup-damaged`, and those of the destination.
 */
export async function restoreToDatabase(job: PostgresRestore, url: string): Promise<void> {
  const name = databaseName(url);
  const state = await freeState(url, name);
  if (state === 'absent')
    return withRestored(job, url, (scratch, databases) =>
      databases.rename([{ from: scratch.name, to: name }]),
    );
  await withDump(job, url, async (dump) => {
    try {
      await load(job, dump, url);
    } catch (error) {
      await emptyAgain(url);
      throw error;
    }
  });
}

/** Restores into a scratch database on the server of `url`, as `withScratchDatabase` makes it. */
export function withRestored<T>(
  job: PostgresRestore,
  url: string,
  work: Parameters<typeof withScratchDatabase<T>>[1],
): Promise<T> {
  return withDump(job, url, (dump) =>
    withScratchDatabase(url, async (scratch, databases) => {
      await load(job, dump, scratch.url);
      return work(scratch, databases);
    }),
  );
}

/** What keeps it from going there: everything that can be known before a byte is fetched. */
export function blockersOf(
  { entry, folder, env }: Pick<PostgresRestore, 'entry' | 'folder' | 'env'>,
  url: string,
): Promise<FactoryError[]> {
  const source = postgresOf(entry);
  return blockersIn(
    () => freeState(url, databaseName(url)),
    () => toolsOf(env, url, source),
    () => assertSpace(folder, source),
  );
}

/** Errors: `restore-target-exists`. */
async function freeState(url: string, name: string): Promise<'absent' | 'empty'> {
  const databases = await openDatabases(url);
  try {
    const state = await databases.state(name);
    if (state === 'taken') throw targetTaken(describe(url));
    return state;
  } finally {
    await databases.close();
  }
}

/** A dump that is what its manifest says, and the tools that read it. */
interface Dump {
  tools: Tools;
  source: PostgresTaken;
  /** From its beginning, as often as it takes. */
  read(): Readable;
}

/**
 * Fetches and checks the dump. Its file loses its name as soon as it is open: what is not encrypted goes with the
 * process, however that ends.
 */
async function withDump<T>(job: PostgresRestore, url: string, work: (dump: Dump) => Promise<T>): Promise<T> {
  const source = postgresOf(job.entry);
  const tools = await toolsOf(job.env, url, source);
  makeFolder(job.folder, 0o700);
  assertSpace(job.folder, source);
  const path = join(job.folder, `${randomUUID()}.dump`);
  let file: FileHandle | null = null;
  try {
    file = await open(path, 'wx+', 0o600);
    rmSync(path);
    const dump = file;
    await fetchDump(job, source, dump);
    const read = (): Readable => Readable.from(contentOf(dump), { objectMode: false });
    await assertTables(job, tools, source, read());
    return await work({ tools, source, read });
  } finally {
    await file?.close();
  }
}

function postgresOf({ manifest: { source, backupId } }: Entry): PostgresTaken {
  if (source.engine === 'postgres') return source;
  throw new FactoryError({
    code: 'restore-engine',
    op: 'restore',
    target: backupId,
    message: `${backupId} is of a SQLite database; it does not go into Postgres.`,
    hint: 'Restore it to a new file: --to PATH. Nothing was written.',
  });
}

/** An older pg_restore may read neither the dump nor the server. */
async function toolsOf(
  env: PostgresRestore['env'],
  url: string,
  { dumpVersion }: PostgresTaken,
): Promise<Tools> {
  const databases = await openDatabases(url);
  await databases.close();
  return toolsFor(await findTools(env), Math.max(databases.major, majorOf(dumpVersion)));
}

async function fetchDump(
  job: PostgresRestore,
  { bytes, sha256 }: PostgresTaken,
  file: FileHandle,
): Promise<void> {
  const { objects, backupId } = job.entry.manifest;
  const from = { ...job, destination: inFirstVersions(job.destination, job.entry.versions) };
  const identities = await dataIdentities(from, job.entry);
  const whole = new Tally((done) => job.progress(`Fetching ${backupId}: ${percent(done, bytes)}`));
  const written = new Writable({
    write: (data: Buffer, _encoding, done) => void file.writeFile(data).then(() => done(), done),
  });
  await run(
    [...(await plainSteps(from, objects.data, identities)), whole, written],
    job.signal,
    objects.data.key,
  );
  if (whole.digest() !== sha256) throw damaged(objects.data.key, 'it does not hold what its manifest says');
}

/** Not a stream of the file itself: one that is not read to its end would close it. */
async function* contentOf(file: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function assertTables(
  { entry, env, signal }: PostgresRestore,
  tools: Tools,
  { rows }: PostgresTaken,
  dump: Readable,
): Promise<void> {
  const { key } = entry.manifest.objects.data;
  const contents = await contentsOf(tools, dump, { env, signal }).catch((error: unknown) => {
    throw damaged(key, `pg_restore cannot read it: ${(error as Error).message}`, error);
  });
  const missing = missingTable(contents, Object.keys(rows));
  if (missing !== null) throw damaged(key, `it has no table ${missing}`);
}

/** One transaction: all of it or nothing. Then the server says what it holds now. */
async function load(job: PostgresRestore, { tools, source, read }: Dump, url: string): Promise<void> {
  const { backupId } = job.entry.manifest;
  job.progress(`Loading ${backupId} into ${describe(url)}`);
  const to = connection(url, job.env);
  const args = ['--single-transaction', '--exit-on-error', '--no-owner', '--no-privileges', '--no-password'];
  const program = start(tools, 'pg_restore', {
    ...{ args: [...args, `--dbname=${to.dbname}`], env: to.env, signal: job.signal },
  });
  await feed(program, read(), job.signal).catch((error: unknown) => {
    throw failed(describe(url), error);
  });
  job.progress('Checking the database');
  await analyse(url);
  const found = await postgresFacts(url, job.signal);
  const table = Object.keys(source.rows).find((name) => found.rows[name] !== source.rows[name]);
  const same = table === undefined && found.schemaSha256 === source.schemaSha256;
  if (!same) throw damaged(backupId, 'the database has other tables or rows than its manifest says');
}

function assertSpace(folder: string, { bytes }: PostgresTaken): void {
  const hint = 'Free space there, or set FACTORY_DATA_DIR to another disk. Nothing was written.';
  assertRoom(folder, bytes, { what: 'the dump', hint });
}

function targetTaken(target: string): FactoryError {
  return new FactoryError({
    code: 'restore-target-exists',
    op: 'restore',
    target,
    message: `The database ${target} is there and holds something.`,
    hint: 'Name a new database with --to; it is made. Nothing was written.',
  });
}

function failed(target: string, cause: unknown): FactoryError {
  return new FactoryError({
    code: 'restore-failed',
    op: 'restore',
    target,
    message: `Postgres did not take the dump into ${target}: ${(cause as Error).message}`,
    hint: 'Nothing of it was kept. Look whether the server is as new as the one of the backup, and what its user may do.',
    cause,
  });
}
