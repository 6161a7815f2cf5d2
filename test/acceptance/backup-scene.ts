import type { Store } from './backup-store.ts';
import type { Cut } from './cut.ts';

/** Data with backups, and the commands that are cut off in the middle. */
export interface Scene {
  /** Whose data, and where its backups lie. */
  name: string;
  store: Store;
  kinds: readonly string[];
  /** Brings everything into the state that the command needs. */
  prepare(kind: string): Promise<Attempt>;
  /** Runs a command to its end in a process of its own, or kills that after `ms`. */
  spawn(args: readonly string[], ms?: number): Promise<Cut>;
  /** Runs a command in this process: its exit code. */
  run(args: readonly string[]): Promise<number>;
  /** What has to hold when all is over. */
  finish(): Promise<string[]>;
  close(): Promise<void>;
}

export interface Attempt {
  args: readonly string[];
  /** Kills it before the step of this name; where steps are known. */
  killedAt?: { steps: readonly string[]; run(step: string): Promise<Cut> };
  /** What is wrong after it ended with this code; null: it was killed. */
  judge(exit: number | null): Promise<string[]>;
}
