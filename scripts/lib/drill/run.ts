import { join } from 'node:path';
import type { Config } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { readCatalog } from '../backup/catalog.ts';
import type { Entry } from '../backup/catalog.ts';
import { pick } from '../backup/pick.ts';
import type { Picked } from '../backup/pick.ts';
import { fetchBlobs } from '../backup/fetch-blobs.ts';
import { restoreTo } from '../backup/restore.ts';
import { blobsOf } from '../restore/seat-blobs.ts';
import { isTrusted } from '../backup/signers.ts';
import { newerThan } from '../backup/unusable.ts';
import { copyAt } from './copy.ts';
import { Findings } from './findings.ts';
import type { DrillJob, DrillResult } from './job.ts';
import { proveOther } from './other.ts';
import { proveOwn } from './own.ts';
import { since } from './rules.ts';
import type { Workplace } from './workplace.ts';

/** A drill: the newest backup of a destination, restored, and the application started on it. */

/** Never rejects: what went wrong is what it is for. */
export async function runDrill(job: DrillJob, place: Workplace): Promise<DrillResult> {
  const found = new Findings(job.progress);
  const result: DrillResult = {
    ...{ outcome: 'inconclusive', error: null, checks: found.checks, catalog: null, network: 'not-started' },
    ...{
      installation: null,
      takenAt: null,
      backupId: null,
      sha256: null,
      rpoSeconds: null,
      rtoSeconds: null,
    },
    ...{ restoreSeconds: null, bootSeconds: null },
  };
  try {
    await drill(job, place, found, result);
  } catch (error) {
    if (error instanceof FactoryError) result.error = error;
    found.broke(error, job.signal.aborted);
  }
  return { ...result, outcome: found.outcome };
}

async function drill(job: DrillJob, place: Workplace, found: Findings, result: DrillResult): Promise<void> {
  const started = performance.now();
  const picked = await fetchNewest(job, found, result);
  const { manifest } = picked.entry;
  if (manifest.source.engine === 'postgres')
    return drillPostgres(job, place, { picked, started }, found, result);
  const { config } = copyAt(place);
  const to = join(config.dataDir, job.application?.file ?? 'factory.db');
  makeFolder(config.dataDir, 0o700);
  const { destination, signal, progress } = job;
  await fetchAttachments(job, picked.entry, config, found);
  found.begin('restore', `Restoring ${manifest.backupId}`);
  await restoreTo({ destination, ...picked, identities: job.identities(), to, signal, progress });
  result.restoreSeconds = since(started);
  found.pass('restore', 'Every digest, what SQLite checks, schema and rows are those of the manifest.');
  if (job.application === null) await proveOwn(job, place, manifest, found, result);
  else await proveOther(job, job.application, { manifest, place, to }, found, result);
  result.rtoSeconds = since(started);
}

/** Another application's backups have none, and nothing is said of them. */
async function fetchAttachments(job: DrillJob, entry: Entry, config: Config, found: Findings): Promise<void> {
  if (job.application !== null) return;
  found.begin('attachments', 'Fetching attachments');
  const count = await fetchBlobs(job, entry, blobsOf(config));
  found.pass('attachments', `${count} of conversations, each with the bytes that the backup names.`);
}

/** On a scratch database beside what the server has. */
async function drillPostgres(
  job: DrillJob,
  place: Workplace,
  { picked, started }: { picked: Picked; started: number },
  found: Findings,
  result: DrillResult,
): Promise<void> {
  const { backupId } = picked.entry.manifest;
  const { destination, server, signal, progress } = job;
  found.begin('restore', `Restoring ${backupId}`);
  if (job.application !== null) throw otherEngine(backupId);
  if (server === null) throw serverMissing(backupId);
  const { withRestored } = await import('../postgres/restore.ts');
  const fetching = { destination, ...picked, identities: job.identities(), signal, progress };
  const restore = { ...fetching, folder: join(place.folder, 'dump'), env: server.env };
  await fetchAttachments(job, picked.entry, copyAt(place).config, found);
  found.begin('restore', `Restoring ${backupId}`);
  await withRestored(restore, server.url, async ({ url: databaseUrl }) => {
    result.restoreSeconds = since(started);
    found.pass('restore', 'Every digest, what pg_restore reads, tables and rows are those of the manifest.');
    await proveOwn(job, { ...place, databaseUrl }, picked.entry.manifest, found, result);
    result.rtoSeconds = since(started);
  });
}

/** The newest backup, and that nothing newer lies there that cannot be used. */
async function fetchNewest(job: DrillJob, found: Findings, result: DrillResult): Promise<Picked> {
  found.begin('fetch', `Reading ${job.destination.url}`);
  const { trusted } = job;
  const catalog = await readCatalog(job.destination, job.subject, { signal: job.signal }, trusted);
  result.catalog = catalog;
  const entries = catalog.entries.filter(
    ({ manifest }) => trusted.length === 0 || isTrusted(manifest.signature.publicKey, trusted),
  );
  const strangers = catalog.entries.length - entries.length;
  const newestSequence = entries.at(-1)?.manifest.sequence ?? 0;
  const [unusable] = newerThan(catalog, newestSequence);
  found.hold(
    'fetch',
    unusable === undefined,
    `${entries.length} that can be used.`,
    `The newest one cannot be used: ${unusable?.error.message}`,
  );
  const picked = pick({ ...catalog, entries, problems: [] }, 'newest', job.now());
  const { backupId, signature, source, startedAt } = picked.entry.manifest;
  result.backupId = backupId;
  result.takenAt = startedAt;
  result.sha256 = source.sha256;
  const others = strangers === 0 ? '' : ` ${strangers} of other signers are left aside.`;
  if (trusted.length > 0) found.pass('signature', `By ${signature.publicKey}.${others}`);
  else found.skip('signature', `By ${signature.publicKey}; nobody told whose key that is (--trust).`);
  return picked;
}

function otherEngine(target: string): FactoryError {
  return new FactoryError({
    code: 'drill-engine',
    op: 'hold drill',
    target,
    message: `${target} is of a Postgres database; other applications are drilled on SQLite databases only.`,
    hint: 'Restore it into a scratch database: `npx factory restore --to postgres://user@host/scratch`.',
  });
}

function serverMissing(target: string): FactoryError {
  return new FactoryError({
    code: 'drill-server-missing',
    op: 'hold drill',
    target,
    message: `${target} is of a Postgres database, and no server is known here that could take its copy.`,
    hint: 'Name one whose user may make databases: --server postgres://user@host/postgres. The copy is dropped afterwards.',
  });
}
