import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { runFactory } from '../../scripts/lib/program.ts';
import '../helpers/postgres-setup.ts';

export interface Ran {
  exit: number;
  stdout: string;
  stderr: string;
  /** The one document on stdout; throws where it holds anything else. */
  json<T = Record<string, unknown>>(): T;
}

/** How the command line is called from outside of the clone, where these tests run it. */
export const FACTORY = `node ${fileURLToPath(new URL('../../scripts/launch.mjs', import.meta.url))}`;

/** A new, empty folder. */
export function emptyFolder(): string {
  return mkdtempSync(join(inject('scratch'), 'cli-'));
}

/** Runs the command line in this process, with no variables but these. */
export async function factory(cwd: string, argv: string[], env: Record<string, string> = {}): Promise<Ran> {
  const stdout = new Sink();
  const stderr = new Sink();
  const exit = await runFactory(argv, { cwd, env, stdout, stderr });
  const ran = { exit, stdout: stdout.text, stderr: stderr.text };
  return { ...ran, json: <T>() => JSON.parse(stdout.text) as T };
}

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
