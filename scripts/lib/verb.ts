/**
 * The words of the command line.
 *
 * verb      what a person types after `factory`, one word or two: `serve`, `items act`
 * answer    what a verb found out, in both forms; the runner prints one of them on stdout
 * talk      everything else, on stderr
 */
import type { Writable } from 'node:stream';
import type { Environment } from '../../service/config.ts';
import type { FactoryError } from '../../service/errors.ts';
import type { RunEnd } from '../../service/jobs/runs.ts';
import type { JobName } from '../../service/jobs/types.ts';
import type { Storage } from '../../service/storage/transaction.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export const EXIT = { done: 0, failed: 1, usage: 2, degraded: 3, refused: 4 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The process around a verb; tests pass their own. */
export interface Surroundings {
  cwd: string;
  env: Environment;
  /** `columns`: of a terminal. */
  stdout: Writable & { columns?: number };
  stderr: Writable & { isTTY?: boolean };
}

export interface Answer {
  /** The one document of `--json`. */
  json: unknown;
  /** The same for a person; ends without a line break. */
  text: string;
  /** The verb has written to stdout itself: neither form is printed. */
  printed?: true;
  /** Absent: done. */
  exit?: ExitCode;
  /** What goes on after the answer was printed; the process ends as it does. */
  until?: Promise<ExitCode>;
}

export interface VerbContext extends Surroundings {
  json: boolean;
  /** Who keeps the run that the verb is part of; absent: it stands for itself, started by whoever typed it. */
  keep?: RunKeeper;
  /** Destinations that an earlier part of the same run gave up, and why: they are not waited for again. */
  givenUp?: ReadonlyMap<string, FactoryError>;
  /** The whole command line. */
  verbs: readonly Verb[];
  /** One line of talk. */
  say: (text: string) => void;
  /** Shows how far long work is, where stderr is a terminal; an empty text takes the line away. */
  progress: (text: string) => void;
}

/** Writes down how a run ended. */
export type RunKeeper = (
  storage: Storage,
  run: RunEnd & { job: JobName; startedAt: string },
) => Promise<void>;

/** What was typed behind the verb. Names are those of the flags, in camel case. */
export interface Given {
  arguments: string[];
  text(name: string): string | undefined;
  flag(name: string): boolean;
  list(name: string): string[];
}

/** Null: the verb has written to stdout itself. */
export type Run = (context: VerbContext, given: Given) => Promise<Answer | null>;

export interface VerbOption {
  /** As commander reads it, e.g. `--role <role>`. */
  flags: string;
  description: string;
  required?: true;
  /** `comma`: values apart by commas; `repeat`: the flag may come again. */
  list?: 'comma' | 'repeat';
  choices?: readonly string[];
  /** Given twice it is a mistake; of others the last one counts. */
  once?: true;
}

export interface VerbArgument {
  name: string;
  description: string;
  optional?: true;
  choices?: readonly string[];
}

export interface Verb {
  path: string;
  summary: string;
  /** Further text of `--help`: what the answer holds, examples. */
  details?: string;
  arguments?: VerbArgument[];
  options?: VerbOption[];
  load(): Promise<Run>;
}
