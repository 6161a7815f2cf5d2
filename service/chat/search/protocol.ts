import type { KeyObject } from 'node:crypto';
import { FactoryError } from '../../errors.ts';
import type { Indexer } from './indexer.ts';

/** What the service and the thread of its search index say to each other. */

export interface ThreadData {
  databaseUrl: string;
  folder: string;
  installation: string;
  projectId: string;
  /** Folder of attachments. */
  blobsFolder: string;
  /** Where this process keeps compiled code. */
  compileCache?: string | undefined;
}

/** What the service asks of the index. */
export type Calls = Pick<Indexer, 'caughtUp' | 'find' | 'settled' | 'state' | 'rebuild' | 'stop'>;
export type CallName = keyof Calls;
export type Result<N extends CallName> = Awaited<ReturnType<Calls[N]>>;

export type ToThread =
  | { kind: 'call'; id: number; name: CallName; args: readonly unknown[] }
  | { kind: 'keys'; id: number; keys: ReadonlyMap<number, KeyObject> }
  | { kind: 'ping' }
  | { kind: 'wake' };

export type FromThread =
  | { kind: 'ready' }
  | { kind: 'pong' }
  | { kind: 'answer'; id: number; value: unknown }
  | { kind: 'refusal'; id: number; error: Told }
  | { kind: 'keys-of'; id: number; numbers: readonly number[] }
  | { kind: 'trouble'; code: string | null }
  | { kind: 'log'; level: 'debug' | 'warn' | 'error'; fields: object; error: Told | null; text: string };

/** An error on its way: its class does not get through. */
export type Told = Partial<ReturnType<typeof factsOf>> & { message: string };

const factsOf = ({ code, op, target, hint, retryable }: FactoryError) => ({
  ...{ code, op, target: target ?? undefined, hint, retryable },
});

export function tellError(error: unknown): Told {
  if (error instanceof FactoryError) return { message: error.message, ...factsOf(error) };
  const { message, code } = (error instanceof Error ? error : new Error(String(error))) as Error & {
    code?: unknown;
  };
  return typeof code === 'string' ? { message, code } : { message };
}

export function heardError({ message, code, op, hint, ...more }: Told): Error {
  if (code !== undefined && op !== undefined && hint !== undefined)
    return new FactoryError({ message, code, op, hint, ...more });
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
