import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findPostgres, POSTGRES_HINT, startPostgres } from './postgres-server.ts';
import type { PostgresServer } from './postgres-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A folder of this run, removed after it. `postgres.sock` in it answers with the shared server's URL. */
    scratch: string;
    /** The engine that a conformance file runs on in its project; absent in the other projects. */
    engine: 'sqlite' | 'postgres';
  }
}

/**
 * One Postgres for the whole run, started when the first test asks: a run that needs none pays nothing. Workers ask
 * over a unix socket, because the server has to belong to the process that outlives them.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'factory-tests-'));
  let server: Promise<PostgresServer> | null = null;
  const start = async (): Promise<PostgresServer> => {
    const bin = findPostgres();
    if (bin === null) throw new Error(`Postgres is not on this machine. ${POSTGRES_HINT}`);
    return startPostgres(bin);
  };
  const answers = createServer((connection) => {
    server ??= start();
    server.then(
      ({ url }) => connection.end(JSON.stringify({ url })),
      (error: Error) => connection.end(JSON.stringify({ error: error.message })),
    );
  });
  await new Promise<void>((resolve) => answers.listen(join(folder, 'postgres.sock'), resolve));
  project.provide('scratch', folder);
  return async () => {
    answers.close();
    await server?.then((running) => running.stop()).catch(() => undefined);
    rmSync(folder, { recursive: true, force: true });
  };
}
