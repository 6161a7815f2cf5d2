import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { FactoryError } from '../../../service/errors.ts';
import { APPLICATION_ID } from '../../../service/storage/application-id.ts';
import { foreignDatabase } from '../../../service/storage/foreign.ts';
import type { SqliteFacts } from '../../../service/storage/sqlite-snapshot.ts';
import { sqliteBlobNames } from '../../../service/storage/blob-names.ts';
import { ticking } from '../progress.ts';
import { readPages } from './bulk.ts';
import { chooseKind, worthIt } from './choose.ts';
import type { BackupJob } from './job.ts';
import { changedPages } from './pages.ts';
import { everywhere, holdsLast, percent } from './send.ts';
import { takeSnapshot } from './snapshot.ts';
import type { Base, Made, Round, Source, Taken } from './source.ts';
import { stageApart } from './stage-apart.ts';
import { stageDifference } from './stage.ts';
import { markOf, readPages as rememberedPages } from './state.ts';

/** A SQLite file of another application, or our own, which has to be one of ours. */
export function sqliteSource(path: string, { own = false }: { own?: boolean } = {}): Source {
  const size = (): number | null => statSync(path, { throwIfNoEntry: false })?.size ?? null;
  return {
    target: path,
    note: null,
    mark: async () => markOf(path),
    size: async () => size(),
    ...(own ? { blobNames: async () => sqliteBlobNames(path) } : {}),
    /** The copy, and at worst as much again of what zstd cannot make smaller. */
    space: async () => {
      const wal = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
      return 2 * ((size() ?? 0) + wal);
    },
    take: (job, round) => take({ path, own }, job, round),
  };
}

async function take(
  { path, own }: { path: string; own: boolean },
  job: BackupJob,
  round: Round,
): Promise<Taken> {
  const copy = join(round.work, 'copy.sqlite');
  // Whatever fails here, the check of the copy need not go on.
  const stop = new AbortController();
  try {
    const snapshot = await takeSnapshot(path, copy, {
      signal: AbortSignal.any([job.signal, stop.signal]),
      onProgress: (done, total) => job.progress(`Copying the database: ${percent(done, total)}`),
    });
    if (own && snapshot.facts.applicationId !== APPLICATION_ID) throw foreignDatabase(path);
    assertSameApplication(path, snapshot.facts.applicationId, job, round);
    const made = await stageContent(job, round, copy, snapshot.facts);
    await ticking(job.progress, 'SQLite checks the copy', snapshot.checked);
    const blobs = own ? sqliteBlobNames(copy) : [];
    rmSync(copy);
    return { made: made === 'unchanged' ? made : { ...made, blobs }, snapshotSeconds: snapshot.seconds };
  } finally {
    stop.abort();
  }
}

/** Backups of one name are of one application: a restore takes the newest. Errors: `database-other`. */
function assertSameApplication(
  target: string,
  found: number,
  { name, folder }: Pick<BackupJob, 'name' | 'folder'>,
  { state: { applicationId } }: Round,
): void {
  if (applicationId === undefined || applicationId === found) return;
  throw new FactoryError({
    ...{ code: 'database-other', op: 'make backup', target },
    message: `${target} has the application id ${found}, and the last backup of ${name} was of a database with ${applicationId}.`,
    hint: `Give it a name of its own: --name. If the application itself changed its id, remove ${join(folder, 'state.json')}, which remembers it; the next backup is a full one. Nothing was sent.`,
  });
}

/** Compresses and encrypts what is to be sent, under an identity of this backup alone. */
async function stageContent(
  job: BackupJob,
  round: Round,
  copy: string,
  { installation: _, ...facts }: SqliteFacts,
): Promise<Made | 'unchanged'> {
  const { last } = round.state;
  const base = baseOf(job, round, facts.pageSize);
  const known = last && holdsLast(round.state, round.found) ? last.sha256 : null;
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const options = {
    ...{ pageSize: facts.pageSize, path: join(round.work, 'data.age'), recipient, signal: job.signal },
    onBytes: onBytes(job, facts),
  };
  const source = { engine: 'sqlite' as const, ...facts, auditCheckpoint: job.auditCheckpoint };
  if (base !== null) {
    const pages = await readPages(copy, facts.pageSize, job.signal);
    if (pages.sha256 === known) return 'unchanged';
    const changed = changedPages(base.list, pages.list);
    if (worthIt(changed.length, facts.pages)) {
      const data = await stageDifference(copy, changed, facts.pages, options);
      const { sha256 } = pages;
      return { kind: 'differential', data, pages, base, identity, recipient, source: { ...source, sha256 } };
    }
  }
  const { path } = options;
  const file = round.ahead.begin({ kind: 'full', engine: 'sqlite', path, most: mostStaged(facts.bytes) });
  const onWritten = (bytes: number): void => file.note(bytes);
  const { staged: data, pages } = await stageApart(copy, facts.bytes, { ...options, onWritten });
  file.note(data.bytes, true);
  const { sha256 } = pages;
  return { kind: 'full', data, pages, base: null, identity, recipient, source: { ...source, sha256 } };
}

/** Content that cannot be compressed becomes a little larger: by zstd's frames and age's tags, far below a percent. */
const mostStaged = (bytes: number): number => 1.01 * bytes + 64 * 1024;

/** The full backup that a differential can rest on; null: a full one is made. */
function baseOf(
  job: BackupJob,
  { state: { full }, found }: Round,
  pageSize: number,
): (Base & { list: Buffer }) | null {
  const list = full && rememberedPages(job.folder, full.backupId);
  const held = full !== null && everywhere(found, full);
  const kind = chooseKind({ forced: job.full, full, held, listed: list !== null, pageSize, now: job.now() });
  return kind === 'differential' && full && list ? { ...full, list } : null;
}

const onBytes =
  ({ progress }: BackupJob, { bytes }: Pick<SqliteFacts, 'bytes'>) =>
  (done: number): void =>
    progress(`Compressing and encrypting while SQLite checks the copy: ${percent(done, bytes)}`);
