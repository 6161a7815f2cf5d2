import { randomUUID } from 'node:crypto';
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { Copy, Walk } from './governance-walk.ts';

/** Copies of a database, and putting one back past everything that a restore in place does, on both engines. */

export async function onServer(walk: Walk, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: walk.run.postgresUrl });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

export const fileOf = (url: string): string => url.slice('sqlite:'.length);
export const nameOf = (url: string): string => new URL(url).pathname.slice(1);

export async function duplicate(walk: Walk, url: string): Promise<string> {
  if (walk.run.engine === 'sqlite') {
    const path = join(walk.dir, `copy-${randomUUID()}.db`);
    copyFileSync(fileOf(url), path);
    return path;
  }
  const name = `copy_${randomUUID().replaceAll('-', '')}`;
  await onServer(walk, `create database ${name} template ${nameOf(url)}`);
  return name;
}

export async function putBack(walk: Walk, at: string): Promise<void> {
  const url = walk.config.databaseUrl;
  // A restore in place tells the log what was given up; here the checkpoints of the other timeline just go.
  rmSync(join(walk.config.dataDir, 'checkpoints'), { recursive: true, force: true });
  if (walk.run.engine === 'sqlite') {
    for (const end of ['-wal', '-shm']) rmSync(`${fileOf(url)}${end}`, { force: true });
    return copyFileSync(at, fileOf(url));
  }
  await onServer(walk, `drop database ${nameOf(url)}`, `create database ${nameOf(url)} template ${at}`);
}

export async function discard(walk: Walk, { at }: Copy): Promise<void> {
  if (walk.run.engine === 'sqlite') rmSync(at);
  else await onServer(walk, `drop database ${at}`);
}
