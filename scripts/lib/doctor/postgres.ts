import type { Config } from '../../../service/config.ts';
import { databaseName, openDatabases } from '../../../service/storage/postgres-databases.ts';
import { findTools, toolsFor } from '../postgres/tools.ts';
import { ok } from './check.ts';
import type { Check } from './check.ts';

const NAME = 'dumps';

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
