import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import type { Tools } from './tools.ts';

/** Runs pg_dump and pg_restore. */

/** What a program said last, for people. */
const LAST_CHARACTERS = 2000;

export interface Program {
  stdin: Writable;
  stdout: Readable;
  /** Rejects with what the program said where it does not end well. */
  ended: Promise<void>;
}

export interface Running {
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
}

export function start(
  { folder }: Tools,
  name: 'pg_dump' | 'pg_restore',
  { args, env, signal }: Running,
): Program {
  const child: ChildProcessByStdio<Writable, Readable, Readable> = spawn(join(folder, name), [...args], {
    ...{ env, signal, killSignal: 'SIGKILL' as const },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-LAST_CHARACTERS)));
  // A program that has read enough closes its input: whether that was right is told by how it ends.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, killed) =>
      code === 0 ? resolve() : reject(new Error(said.trim() || `${name} ended with ${killed ?? code}`)),
    );
  });
  ended.catch(() => undefined);
  return { stdin: child.stdin, stdout: child.stdout, ended };
}

/** Gives the program its input and waits for both; it may stop reading early. Errors: of the input, of the program. */
export async function feed(program: Program, input: Readable, signal: AbortSignal): Promise<void> {
  const fed = pipeline(input, program.stdin, { signal }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  });
  await Promise.all([fed, program.ended]);
}

/** The table of contents of a dump: a line an object. Errors: what pg_restore says of a dump that it cannot read. */
export async function contentsOf(
  tools: Tools,
  dump: Readable,
  { env, signal }: Omit<Running, 'args'>,
): Promise<string[]> {
  const program = start(tools, 'pg_restore', { args: ['--list'], env, signal });
  const [list] = await Promise.all([text(program.stdout), feed(program, dump, signal)]);
  return list.split('\n');
}

/** The first table (`schema.table`) whose rows a dump does not have; null: it has those of all. Pure. */
export function missingTable(contents: readonly string[], tables: readonly string[]): string | null {
  const held = new Set(contents.map((line) => / TABLE DATA (\S+ .+) \S+$/.exec(line)?.[1]));
  return tables.find((table) => !held.has(table.replace('.', ' '))) ?? null;
}
