import { randomUUID } from 'node:crypto';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Config } from '../../service/config.ts';
import { FactoryError } from '../../service/errors.ts';
import type { Entry } from './backup/catalog.ts';
import type { Engine, Manifest } from './backup/format.ts';
import type { Picked } from './backup/pick.ts';
import type { Fetching } from './backup/restore.ts';
import { usage } from './failure.ts';
import { blockersIn } from './restore/blockers.ts';
import type { VerbContext } from './verb.ts';

/** Where `--to` points: a new file, or a new database of a Postgres server. */
export interface Target {
  /** For people: a path, or server and database without a password. */
  shown: string;
  engine: Engine;
  /** Where its attachments go. */
  blobs: string;
  write(job: Fetching & Picked): Promise<void>;
  /** What keeps this backup from going there. */
  blockers(entry: Entry): Promise<FactoryError[]>;
}

/** Errors: `usage`. */
export function targetOf(
  to: string,
  { dataDir }: Pick<Config, 'dataDir'>,
  { cwd, env, progress }: Pick<VerbContext, 'cwd' | 'env' | 'progress'>,
): Target {
  if (/^postgres(ql)?:\/\//.test(to)) {
    const { host, pathname } = parse(to);
    const folder = join(dataDir, 'backup', 'restore');
    return {
      ...{
        shown: `${host}${pathname}`,
        engine: 'postgres',
        blobs: resolve(cwd, `${basename(pathname)}.blobs`),
      },
      write: async (job) => {
        const { restoreToDatabase } = await import('./postgres/restore.ts');
        await restoreToDatabase({ ...job, folder, env, progress }, to);
      },
      blockers: async (entry) => {
        const { blockersOf } = await import('./postgres/restore.ts');
        return blockersOf({ entry, folder, env }, to);
      },
    };
  }
  const path = resolve(cwd, to);
  return {
    ...{ shown: path, engine: 'sqlite', blobs: `${path}.blobs` },
    write: async (job) => {
      assertFolder(path);
      const { restoreTo } = await import('./backup/restore.ts');
      await restoreTo({ ...job, to: path, progress });
    },
    blockers: async ({ manifest }) => {
      const { assertNew, assertRoomFor } = await import('./backup/restore.ts');
      return blockersIn(
        () => assertFolder(path),
        () => assertNew(path),
        () => assertRoomFor(path, manifest.source.bytes),
      );
    },
  };
}

/** Its attachments first, so that a database has its name only where they are whole. Errors: `restore-target-exists`. */
export async function withBlobs(job: Fetching & Picked, target: Target): Promise<void> {
  const { blobs } = job.entry.manifest;
  if (Array.isArray(blobs)) return target.write(job);
  if (existsSync(target.blobs)) throw folderTaken(target.blobs);
  const { fetchBlobs } = await import('./backup/fetch-blobs.ts');
  const beside = `${target.blobs}.${randomUUID()}.part`;
  try {
    await fetchBlobs(job, job.entry, beside);
    await target.write(job);
    if (existsSync(beside)) renameSync(beside, target.blobs);
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
}

function folderTaken(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'restore-target-exists', op: 'restore', target },
    message: `${target}, where the attachments would go, exists already.`,
    hint: 'Name a new file with --to. Nothing was written.',
  });
}

/** Errors: `restore-engine`. */
export function assertFits(
  { source, backupId }: Manifest,
  { engine, shown }: Pick<Target, 'engine' | 'shown'>,
): void {
  if (source.engine === engine) return;
  const [what, hint] =
    source.engine === 'postgres'
      ? ['a Postgres database', '--to postgres://user@host/new-database']
      : ['a SQLite database', '--to PATH, a new file'];
  throw new FactoryError({
    code: 'restore-engine',
    op: 'restore',
    target: shown,
    message: `${backupId} is of ${what}; it cannot become ${shown}.`,
    hint: `Say where it can go: ${hint}. Nothing was written.`,
  });
}

function parse(to: string): URL {
  try {
    const url = new URL(to);
    if (url.pathname.length > 1) return url;
  } catch {
    // Said below.
  }
  throw usage(
    'restore',
    '--to: a Postgres address names a database, as in postgres://user@host/new-database.',
  );
}

function assertFolder(target: string): void {
  if (existsSync(dirname(target))) return;
  throw new FactoryError({
    code: 'restore-folder-missing',
    op: 'restore',
    target,
    message: `The folder ${dirname(target)} does not exist.`,
    hint: 'Make it, or name another file with --to. Nothing was written.',
  });
}
