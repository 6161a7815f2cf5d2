import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { Writable } from 'node:stream';
import { loadConfig } from '../../service/config-load.ts';
import { startService } from '../../service/main.ts';
import { settleRestores } from '../../scripts/lib/restore/put-back.ts';
import { runFactory } from '../../scripts/lib/program.ts';
import { newPlace } from './service.ts';
import type { Place } from './service.ts';

/** An installation with A in its backup and B only in its database, and what is done to it in place. */

export const CONFIRM = `${hostname()}/factory.db`;

export interface Failed {
  error: { code: string; message: string; hint: string; confirm?: string; signers?: string[] };
}
export interface Listed {
  people: { name: string }[];
}
export interface Verified {
  ok: boolean;
  problems: unknown[];
  notChecked: string[];
}
export interface Report {
  report: { digest: string; pause: { backupId: string }; drifted: unknown[] } | null;
}

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** The command line in this process: a process for each of the many calls would take most of the time. */
export async function factory({ dir, env }: Place, ...args: string[]) {
  const [stdout, stderr] = [new Sink(), new Sink()];
  const code: number = await runFactory(args, { cwd: dir, env, stdout, stderr });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

export async function factoryJson<T>(place: Place, ...args: string[]): Promise<{ code: number; answer: T }> {
  const { code, stdout } = await factory(place, ...args, '--json');
  return { code, answer: JSON.parse(stdout) as T };
}

export function configOf({ dir, env }: Place) {
  const loaded = loadConfig(dir, { ...env, FACTORY_LOG_LEVEL: 'silent' });
  if ('config' in loaded) return loaded.config;
  throw new Error(JSON.stringify(loaded.problems));
}

export function temporary(place: Place): Place {
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  return place;
}

export const invite = (place: Place, name: string) =>
  factoryJson<{ id: string }>(place, 'people', 'invite', '--name', name, '--role', 'reviewer');

export async function names(place: Place): Promise<string[]> {
  const { answer } = await factoryJson<Listed>(place, 'people', 'list');
  return answer.people.map(({ name }) => name).filter((name) => name.length === 1);
}

/** An installation with A in its backup, and B only in its database. */
export async function installation(env: Record<string, string> = {}): Promise<Place> {
  const place = temporary(newPlace({ env }));
  await invite(place, 'A');
  await startOnce(place);
  expect((await factory(place, 'backup')).code).toBe(0);
  await invite(place, 'B');
  // Signs a checkpoint that covers B.
  await startOnce(place);
  return place;
}

/** Starts the service and stops it; what its health said. */
export async function startOnce(place: Place): Promise<{ status: string; restore: string }> {
  await settleRestores(configOf(place), () => undefined);
  const service = await startService(configOf(place));
  const { status, checks } = await service.context.health.check();
  await service.close();
  return { status, restore: checks.restore.status };
}

export const inPlace = (place: Place, ...args: string[]) =>
  factoryJson<{ epoch: number; before: string; givenUp: number }>(
    place,
    'restore',
    '--in-place',
    '--confirm',
    CONFIRM,
    ...args,
  );

export const verified = async (place: Place) => (await factoryJson<Verified>(place, 'verify-audit')).answer;

/** Every file of an installation and its bytes, but for what any command writes. */
export function photograph(place: Place): Map<string, string> {
  const files = readdirSync(place.data, { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  );
  return new Map(
    files
      .map((one) => join(one.parentPath, one.name))
      .filter((path) => !/-(wal|shm)$|\/restores\/lock/.test(path))
      .map((path) => [path, readFileSync(path).toString('base64')]),
  );
}
