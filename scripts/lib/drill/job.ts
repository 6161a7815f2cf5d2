import type { FactoryError } from '../../../service/errors.ts';
import type { Evidence } from '../../../service/jobs/evidence.ts';
import type { DrillOutcome } from '../../../service/jobs/types.ts';
import type { Catalog } from '../backup/catalog.ts';
import type { Destination } from '../destinations/destination.ts';

/** What a drill is given, and what it answers. */

export interface DrillJob {
  destination: Destination;
  /** Name of the database in its destinations. */
  subject: string;
  /** Absent: the product itself. */
  application: Application | null;
  /** Errors: `identity-missing`. */
  identities: () => readonly string[];
  /** Public keys of who may have signed the backup; none: nobody is known here. */
  trusted: readonly string[];
  /** Of this installation, where its database is at hand: what changed since is read from it. */
  live: { databaseUrl: string; keyringDir: string } | null;
  /** Where a Postgres backup is restored, beside what is there; null: nowhere. `env`: what libpq reads beside the URL. */
  server: { url: string; env: NodeJS.ProcessEnv } | null;
  budgetSeconds: number;
  /** How long the application may take until it answers. */
  bootMs: number;
  now: () => number;
  signal: AbortSignal;
  progress: (text: string) => void;
}

/** Another application, and how it is known that it works. */
export interface Application {
  /** Of a shell; `{db}`, `{dir}` and `{port}` stand for what it gets. */
  command: string;
  /** Addresses that have to answer with 2xx; `{port}` as above. */
  checks: readonly string[];
  /** Name of the restored file. */
  file: string;
  cwd: string;
  env: Record<string, string>;
  port: number;
}

export type DrillResult = Pick<
  Evidence,
  | 'installation'
  | 'backupId'
  | 'sha256'
  | 'rpoSeconds'
  | 'rtoSeconds'
  | 'restoreSeconds'
  | 'bootSeconds'
  | 'network'
  | 'checks'
> & {
  outcome: DrillOutcome;
  /** What broke it off, where that has a code; null: nothing, or a check that did not hold. */
  error: FactoryError | null;
  catalog: Catalog | null;
  /** When the copy was begun. */
  takenAt: string | null;
};
