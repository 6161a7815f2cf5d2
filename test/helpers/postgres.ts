import { randomUUID } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { inject } from 'vitest';
import './postgres-setup.ts';

/** URL of the shared server's maintenance database; starts the server where no test did before. */
export async function serverUrl(): Promise<string> {
  const answer = JSON.parse(await text(connect(join(inject('scratch'), 'postgres.sock')))) as {
    url?: string;
    error?: string;
  };
  if (answer.url === undefined) throw new Error(answer.error);
  return answer.url;
}

/** Rows of one query on a connection of its own. */
export async function query<T>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows as T[];
  } finally {
    await client.end();
  }
}

/** A new, empty Postgres database. Answers its `postgres://…` URL; it goes away with the server after the run. */
export async function createDatabase(): Promise<string> {
  const url = new URL(await serverUrl());
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await query(url.href, `create database ${name}`);
  url.pathname = `/${name}`;
  return url.href;
}

/** Names of the shared server's databases; those of tests that run beside this one come and go. */
export async function databases(): Promise<string[]> {
  const rows = await query<{ name: string }>(
    await serverUrl(),
    'select datname as name from pg_database order by 1',
  );
  return rows.map(({ name }) => name);
}

/** Scratch databases that are there now. */
export const scratches = async (): Promise<string[]> =>
  (await databases()).filter((name) => name.startsWith('factory_scratch_'));

/**
 * Of the scratch databases that are there now none stays: one that was left behind would, one that a test beside this
 * one works on goes by itself. Answers those that stayed.
 */
export async function scratchesThatStay(among?: readonly string[]): Promise<string[]> {
  const now = among ?? (await scratches());
  const until = performance.now() + 60_000;
  for (;;) {
    const there = await databases();
    const left = now.filter((name) => there.includes(name));
    if (left.length === 0 || performance.now() > until) return left;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** The engine of the running conformance project: `sqlite` or `postgres`. */
export function engine(): 'sqlite' | 'postgres' {
  return inject('engine');
}

/**
 * `FACTORY_DATABASE_URL` of a new, empty database on the engine of the running project. Conformance files
 * (`*.conformance.test.ts`) use nothing else, so each of their cases runs on both engines.
 */
export async function createEngineDatabase(): Promise<string> {
  if (engine() === 'postgres') return createDatabase();
  return `sqlite:${join(mkdtempSync(join(inject('scratch'), 'sqlite-')), 'factory.db')}`;
}
