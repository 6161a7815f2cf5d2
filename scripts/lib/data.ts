import type { Config } from '../../service/config.ts';
import { openOffline } from '../../service/offline.ts';
import { dataMissing } from '../../service/storage/data-missing.ts';
import { inspectSqlite } from '../../service/storage/sqlite.ts';
import { asListening } from './listening.ts';
import { readConfig } from './settings.ts';
import type { VerbContext } from './verb.ts';

export type Access = Awaited<ReturnType<typeof openOffline>>;

/**
 * Works on people and tokens of the data that is there, also beside a running service.
 * Errors: `data-missing`, and those of opening the database and the keyring.
 */
export async function withAccess<T>(
  context: VerbContext,
  work: (access: Access, config: Config) => Promise<T>,
): Promise<T> {
  const config = await asListening(readConfig(context));
  assertData(config);
  return within(config, (access) => work(access, config));
}

/** The same for what may come before the first start: makes the database and the first owner where they are missing. */
export async function withOwner<T>(
  context: VerbContext,
  work: (access: Access, config: Config) => Promise<T>,
): Promise<T> {
  const config = await asListening(readConfig(context));
  const path = missingFile(config);
  if (path !== null) context.say(`There is no database at ${path} yet: it is made, with its first owner.`);
  return within(config, async (access) => {
    await access.people.ensureOwner();
    return work(access, config);
  });
}

/** Throws `data-missing` where opening the database would make a new one. */
export function assertData(config: Config): void {
  const path = missingFile(config);
  if (path !== null) throw dataMissing(path);
}

/** Whether there is a database of ours. */
export function hasData(config: Config): boolean {
  return missingFile(config) === null;
}

/** The SQLite file that does not exist yet. A Postgres database is always there. */
function missingFile({ databaseUrl }: Config): string | null {
  if (!databaseUrl.startsWith('sqlite:')) return null;
  const path = databaseUrl.slice('sqlite:'.length);
  return inspectSqlite(path).state === 'ours' ? null : path;
}

async function within<T>(config: Config, work: (access: Access) => Promise<T>): Promise<T> {
  const access = await openOffline(config);
  try {
    return await work(access);
  } finally {
    await access.close();
  }
}

/** Links name an address; says so where only the running service knows it. */
export function sayAddress({ say }: VerbContext, { baseUrl, listen }: Config): void {
  if (baseUrl !== null) return;
  if ('socket' in listen)
    say('The service listens on a socket: set FACTORY_BASE_URL to the address that people open.');
  else if (listen.port === 0) {
    say('FACTORY_PORT is 0: put the port that `serve` printed into the link, or set FACTORY_BASE_URL.');
  }
}
