import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Transform } from 'node:stream';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { FactoryError } from '../../../service/errors.ts';
import { postgresBlobNames } from '../../../service/storage/blob-names.ts';
import { describe } from '../../../service/storage/postgres.ts';
import { openPostgresSnapshot, postgresSize } from '../../../service/storage/postgres-snapshot.ts';
import type { PostgresFacts, PostgresSnapshot } from '../../../service/storage/postgres-snapshot.ts';
import { contentsOf, missingTable, start } from '../postgres/program.ts';
import { connection, findTools, majorOf, toolsFor } from '../postgres/tools.ts';
import type { Tools } from '../postgres/tools.ts';
import { ticking } from '../progress.ts';
import { sizeText } from '../size.ts';
import { opening } from './age.ts';
import { decompressing } from './frames.ts';
import type { BackupJob } from './job.ts';
import type { Made, Round, Source, Taken } from './source.ts';
import { stage, Tally } from './stage.ts';

/** How long pg_dump waits for a table that somebody changes. */
const LOCK_WAIT_MS = 60_000;

/** What was lost may be as old as the last dump, and dumps are taken once a day. */
const NOTE =
  'Of Postgres a backup is one state; taken nightly, up to a day can be lost. Less needs the point-in-time recovery of the provider.';

/** The product's Postgres database. `env`: what libpq reads beside the URL, such as PGPASSFILE. */
export function postgresSource(url: string, env: NodeJS.ProcessEnv): Source {
  return {
    target: describe(url),
    note: NOTE,
    mark: async () => null,
    size: () => postgresSize(url),
    blobNames: () => postgresBlobNames(url),
    // A dump has no indexes; what is staged is smaller than the database, at worst about as large.
    space: () => postgresSize(url),
    take: (job, round) => take(url, env, job, round),
  };
}

/** pg_dump and the count of rows see the same state: one transaction holds it for both. */
async function take(url: string, env: NodeJS.ProcessEnv, job: BackupJob, round: Round): Promise<Taken> {
  const began = performance.now();
  const stop = new AbortController();
  const signal = AbortSignal.any([job.signal, stop.signal]);
  const snapshot = await openPostgresSnapshot(url, signal);
  try {
    const tools = toolsFor(await findTools(env), majorOf(snapshot.serverVersion));
    const facts = snapshot.facts();
    const dumping = dump({ url, env, tools, snapshot }, { ...job, signal }, round);
    const [found, staged] = await Promise.all([facts, dumping]);
    const snapshotSeconds = (performance.now() - began) / 1000;
    const held = assertHolds(staged, found, { tools, env, signal, target: describe(url) });
    await ticking(job.progress, 'pg_restore reads the dump', held);
    const blobs = await snapshot.blobNames();
    return { made: { ...madeOf(job, tools, found, staged), blobs }, snapshotSeconds };
  } catch (error) {
    stop.abort();
    throw error instanceof FactoryError ? error : failed(describe(url), error);
  } finally {
    await snapshot.close();
  }
}

type Dumped = Pick<Made, 'data' | 'identity' | 'recipient'> & { bytes: number; sha256: string };

interface Dumping {
  url: string;
  env: NodeJS.ProcessEnv;
  tools: Tools;
  snapshot: PostgresSnapshot;
}

/** Straight from pg_dump into the encrypted file: the dump itself is never on the disk. */
async function dump(
  { url, env, tools, snapshot }: Dumping,
  { signal, progress }: BackupJob,
  { work }: Round,
): Promise<Dumped> {
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const to = connection(url, env);
  const program = start(tools, 'pg_dump', {
    args: [
      ...['--format=custom', '--compress=0', `--snapshot=${snapshot.id}`, '--no-password'],
      ...[`--lock-wait-timeout=${LOCK_WAIT_MS}`, `--dbname=${to.dbname}`],
    ],
    env: to.env,
    signal,
  });
  program.stdin.end();
  const plain = new Tally((bytes) => progress(`Dumping and encrypting: ${sizeText(bytes)}`));
  const [data] = await Promise.all([
    stage([program.stdout, plain], { path: join(work, 'data.age'), recipient, signal }),
    program.ended,
  ]);
  return { data, identity, recipient, bytes: plain.bytes, sha256: plain.digest() };
}

/** What is to be sent opens with its key, and pg_restore finds every table in it. */
async function assertHolds(
  { data, identity }: Dumped,
  { rows }: PostgresFacts,
  {
    tools,
    env,
    signal,
    target,
  }: { tools: Tools; env: NodeJS.ProcessEnv; signal: AbortSignal; target: string },
): Promise<void> {
  const steps: Transform[] = [opening([identity]), ...decompressing()];
  const plain = steps.reduce<Readable>(
    (from, step) => from.on('error', (error) => step.destroy(error)).pipe(step),
    createReadStream(data.path),
  );
  const missing = missingTable(await contentsOf(tools, plain, { env, signal }), Object.keys(rows));
  if (missing !== null) throw failed(target, new Error(`the dump does not hold the table ${missing}`));
}

function madeOf(
  { auditCheckpoint }: BackupJob,
  { version: dumpVersion }: Tools,
  facts: PostgresFacts,
  { bytes, sha256, ...staged }: Dumped,
): Made {
  const source = { engine: 'postgres' as const, ...facts, dumpVersion, bytes, sha256, auditCheckpoint };
  return { kind: 'full', ...staged, pages: null, base: null, source };
}

function failed(target: string, cause: unknown): FactoryError {
  return new FactoryError({
    code: 'snapshot-failed',
    op: 'copy database',
    target,
    message: `The Postgres database ${target} could not be dumped: ${(cause as Error).message}`,
    hint: 'Look whether the server runs and its user may read every table, then run the backup again; nothing was sent.',
    retryable: true,
    cause,
  });
}
