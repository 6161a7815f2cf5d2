import type { Config } from '../../../service/config.ts';
import { createdbHint, databaseName, openDatabases } from '../../../service/storage/postgres-databases.ts';
import { findTools, toolsFor } from '../postgres/tools.ts';
import { ok, warn } from './check.ts';
import type { Check } from './check.ts';

const NAME = 'dumps';

/** Whether there can be a drill, and a restore beside what is there. */
export async function createdbCheck({ databaseUrl }: Pick<Config, 'databaseUrl'>): Promise<Check> {
  const databases = await openDatabases(databaseUrl);
  try {
    const { role, mayCreate } = databases;
    if (mayCreate) return ok('createdb', `The role ${role} may make databases, as drills and restores do.`);
    const detail = `The role ${role} may not make databases: every drill fails, and every restore to a new database or in place.`;
    return warn('createdb', detail, createdbHint(role));
  } finally {
    await databases.close();
  }
}

/** Whether this machine can back the Postgres database up, and what its server keeps beside. */
export async function dumpsCheck(
  { databaseUrl }: Pick<Config, 'databaseUrl'>,
  env: NodeJS.ProcessEnv,
): Promise<Check> {
  const databases = await openDatabases(databaseUrl);
  try {
    const { version, folder } = toolsFor(await findTools(env), databases.major);
    const tools = `pg_dump ${version} in ${folder}; ${databaseName(databaseUrl)} is on server ${databases.major}`;
    if (await databases.archives())
      return ok(NAME, `${tools}, which archives its log: the provider can recover a point in time.`);
    return {
      ...ok(NAME, `${tools}, which does not archive its log: up to a day can be lost.`),
      hint: 'Where a day is too much, turn on the point-in-time recovery of the provider.',
    };
  } finally {
    await databases.close();
  }
}
