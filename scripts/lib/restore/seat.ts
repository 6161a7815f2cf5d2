import { hostname } from 'node:os';
import { FactoryError } from '../../../service/errors.ts';
import type { Engine } from '../backup/format.ts';
import type { Journal } from './journal.ts';

/** Where the database of an installation stands, and how another one takes its place there; one for each engine. */
export interface Seat {
  engine: Engine;
  /** Path or name of the database; the same is meant wherever a method takes one. */
  database: string;
  /** The new one, until it has the database's name. */
  beside: string;
  /** For people, without a password. */
  shown: string;
  /** What has to be typed of it. */
  typed: string;
  /** As `restore --to` takes it. */
  target(name: string): string;
  /** As FACTORY_DATABASE_URL names it. */
  url(name: string): string;
  has(name: string): Promise<boolean>;
  bytes(name: string): Promise<number>;
  /** What keeps a database of so many bytes from taking the place, as far as can be told without taking the lock. */
  blockers(bytes: number): Promise<FactoryError[]>;
  /** Proves that the application is stopped. Answers what lets it in again. Errors: `database-in-use`. */
  takeStopped(): Promise<() => void>;
  /** From here until the swap nobody gets in; `takeBack` ends that, too. Errors: `database-in-use`. */
  hold(): Promise<void>;
  /** All of the new one is on the disk. */
  settled(name: string): Promise<void>;
  /** Keeps the old one under another name, or decides which that will be. */
  keep(journal: Journal): Promise<Journal>;
  swap(journal: Journal, step: (name: string) => void): Promise<Journal>;
  /** Removes what a restore prepared; the database has not been replaced. */
  takeBack(journal: Journal): Promise<void>;
  /** A whole copy, for an undo. */
  copy(from: string, to: string): Promise<void>;
}

/** What has to be typed: `HOST/FILE`, or `HOST/NAME` of a Postgres database. */
export const confirmation = ({ typed }: Pick<Seat, 'typed'>): string => `${hostname()}/${typed}`;

export function inUse(target: string, [pid]: readonly number[]): FactoryError {
  return new FactoryError({
    code: 'database-in-use',
    op: 'restore in place',
    target,
    message: `${pid === undefined ? 'Another process' : `Process ${pid}`} has ${target} open.`,
    hint: 'Stop the application first, then restore. Nothing was changed.',
    retryable: true,
  });
}
