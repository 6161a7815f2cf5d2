/**
 * The words of deploys.
 *
 * slot      a running release, on a socket of its own
 * live      the release that requests come to: the one that `current.sock` leads to
 * switch    a rename of that link, which moves all new requests at once
 * gate      a question that a slot has to answer well before the switch
 * watch     the time after the switch in which a bad release is found out
 * way back  the release before, whose slot runs on until the watch is over
 * token     a number that grows with each holder of the deploy lock; who has an older one switches nothing
 */
import type { DeployRecord } from '../../../service/jobs/deploy-history.ts';
import type { Manifest } from '../release/manifest.ts';

/** One question and its answer. `status` 0: there was none, and `error` says why. */
export interface Reply {
  status: number;
  body: string;
  ms: number;
  error?: string;
}

/** What a release says of the database that it would work on; schema 0: there is none yet. */
export interface DatabasePlan {
  from: number;
  to: number;
  /** The oldest schema whose release can read the database, now and after the migration. */
  minReader: number;
  minReaderAfter: number;
  bytes: number;
}

export interface Migrated {
  /** Where the database of before lies; null: there was none, or nothing was to be migrated. */
  snapshot: string | null;
}

/** A release that lies on the host. */
export interface Installed {
  release: string;
  schema: number;
  minReader: number;
  /** When it came, ms since 1970. */
  at: number;
}

export interface HostFacts {
  /** What the host's own configuration says that it is; null: this environment was never set up here. */
  environment: string | null;
  freeBytes: number;
  live: string | null;
  previous: string | null;
  deployer: string | null;
  installed: Installed[];
  /** Slots that run or are being started. */
  running: string[];
}

export interface Lock {
  /** Who deploys, for people; null: nobody. */
  owner: string | null;
  token: number;
  release: string | null;
  /** ISO-8601 UTC. */
  since: string | null;
  heartbeat: string | null;
  expires: string | null;
  /** Of the process that holds it, where it can be asked whether it lives. */
  host: string | null;
  pid: number | null;
  /** Why it was taken from somebody. */
  stolen?: string;
}

/** Where the files of a release come from. */
export interface Upload {
  manifest: Manifest;
  /** How many files were new to the host, and their bytes. */
  files: number;
  bytes: number;
}

/** A host as the engine sees it. Everything is idempotent: what is done already is done again by doing nothing. */
export interface DeployHost {
  now(): number;
  sleep(ms: number): Promise<void>;
  facts(): Promise<HostFacts>;
  /** Claims the lock, or says who holds it. Errors: `deploy-running`. */
  claim(claim: { owner: string; release: string; steal: string | null }): Promise<Lock>;
  /** False: somebody else has it now. */
  renew(token: number): Promise<boolean>;
  release(token: number): Promise<void>;
  /** Puts a release beside the others from the store, each file read and compared. Errors: `files-missing`. */
  unpack(manifest: Manifest): Promise<void>;
  /** What the release itself says; it changes nothing. */
  database(release: string): Promise<DatabasePlan>;
  /** A copy of the database, then the release's own migration. */
  migrate(release: string): Promise<Migrated>;
  start(release: string): Promise<void>;
  stop(release: string): Promise<void>;
  /** Null: the process of the slot runs; else how it ended. */
  ended(release: string): Promise<string | null>;
  /** Over the slot's own socket; null: over the one that requests come to. */
  ask(release: string | null, path: string, timeoutMs: number): Promise<Reply>;
  /** Moves requests to this release, where the token is the newest. `previous`: its way back. Errors: `lock-lost`. */
  switchTo(release: string, how: { token: number; previous: string | null }): Promise<void>;
  /** The release that the next deploys run from. */
  moveDeployer(release: string): Promise<void>;
  /** Removes releases, what of the store no release holds, and old copies of the database; answers the bytes. */
  remove(releases: readonly string[]): Promise<number>;
  history(): Promise<DeployRecord[]>;
  record(entry: DeployRecord): Promise<void>;
}
