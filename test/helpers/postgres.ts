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

/** A new, empty Postgres database. Answers its `postgres://…` URL; it goes away with the server after the run. */
export async function createDatabase(): Promise<string> {
  const url = new URL(await serverUrl());
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    await client.query(`create database ${name}`);
  } finally {
    await client.end();
  }
  url.pathname = `/${name}`;
  return url.href;
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
