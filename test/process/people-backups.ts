import { readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { factory } from '../scripts/cli.ts';
import type { Ran } from '../scripts/cli.ts';
import { newPlace } from './service.ts';
import type { Place } from './service.ts';

/** An installation whose backups hold less than its database, each another number of people. */

export const CONFIRM = `${hostname()}/factory.db`;

export const run = ({ dir, env }: Place, ...args: string[]): Promise<Ran> => factory(dir, args, env);
export const json = (place: Place, ...args: string[]): Promise<Ran> => run(place, ...args, '--json');

export function place(env: Record<string, string> = {}): Place {
  const made = newPlace({ env });
  onTestFinished(() => rmSync(made.dir, { recursive: true, force: true }));
  return made;
}

export async function invite(where: Place, name: string): Promise<void> {
  expect((await run(where, 'people', 'invite', '--name', name, '--role', 'reviewer')).exit).toBe(0);
}

export async function names(where: Place): Promise<string> {
  const { people } = (await json(where, 'people', 'list')).json<{ people: { name: string }[] }>();
  return people
    .map(({ name }) => name)
    .filter((name) => name.length === 1)
    .join('');
}

export async function backup(where: Place): Promise<string> {
  return (await json(where, 'backup', '--full')).json<{ backupId: string }>().backupId;
}

/** Two full backups, the first with A, the other with B as well; C is in the database alone. */
export async function installation(env: Record<string, string> = {}) {
  const made = place(env);
  await invite(made, 'A');
  const first = await backup(made);
  await invite(made, 'B');
  const second = await backup(made);
  await invite(made, 'C');
  return { made, first, second };
}

export const fileOf = (where: Place, backupId: string, suffix: string, folder = 'backups'): string =>
  join(where.data, folder, backupId + suffix);

export function startedAt(where: Place, backupId: string, folder?: string): string {
  const text = readFileSync(fileOf(where, backupId, '.manifest.json', folder), 'utf8');
  return (JSON.parse(text) as { startedAt: string }).startedAt;
}
