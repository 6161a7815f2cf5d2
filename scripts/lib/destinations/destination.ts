import type { Readable } from 'node:stream';
import type { Growing } from './growing.ts';

/**
 * A place for backups. Keys are relative, with `/` between their parts. An object is written once, as a whole or not at
 * all, and never replaced but for `replace`.
 */
export interface Destination {
  /** As it was configured, without credentials. */
  readonly url: string;
  /**
   * Writes an object. `replace`: also where one lies there, which is for those that are named by their own digest and are
   * known to be something else; where versions are kept it is one more. Errors: `destination-object-exists`,
   * `destination-full`, `destination-failed`.
   */
  put(key: string, content: Content, options: Putting): Promise<void>;
  /**
   * Writes an object out of a file that is not whole yet. There is no object before it is approved, nor after it was
   * refused. Absent: this place gains nothing by beginning before. Errors: those of `put`, and what it was refused with.
   */
  putGrowing?(key: string, file: Growing, options: Limits): Promise<void>;
  /** Errors: `destination-object-missing`, `destination-failed`. */
  get(key: string, options: Limits & { version?: string | undefined }): Promise<Readable>;
  /** Objects below a prefix in the order of their keys; an absent one holds none. Errors: `destination-failed`. */
  list(prefix: string, options: Limits): Promise<Stored[]>;
  /** Whether the place itself is there. Absent: one that is not fails each call. Errors: `destination-failed`. */
  exists?(options: Limits): Promise<boolean>;
  /** Removes an object; one that is away already is fine. Errors: `destination-failed`. */
  delete(key: string, options: Limits): Promise<void>;
  /**
   * Every version of every object below a prefix, those of a key from the newest to the oldest. Null: this place keeps
   * one version alone, or does not tell them to this key. Absent: it keeps one. Errors: `destination-failed`.
   */
  history?(prefix: string, options: Limits): Promise<Version[] | null>;
}

export interface Version extends Stored {
  version: string;
  /** Something that hides the object lies above its versions. */
  hidden: boolean;
}

/** What is written: a file, or bytes. Both have a known length, and can be sent again. */
export type Content = { path: string; bytes: number } | { data: Buffer };

export interface Stored {
  key: string;
  bytes: number;
  /** When the place itself says that it was written, ISO-8601 UTC. */
  storedAt: string;
}

export interface Limits {
  signal: AbortSignal;
}

export interface Putting extends Limits {
  replace?: boolean;
}
