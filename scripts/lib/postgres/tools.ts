import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { FactoryError } from '../../../service/errors.ts';

/** Postgres' own client programs: they make and read dumps, nothing else can. */

/** Where Debian and Ubuntu keep one folder a version. */
const DEBIAN = '/usr/lib/postgresql';
const run = promisify(execFile);

export interface Tools {
  folder: string;
  /** e.g. `16.4`. */
  version: string;
  major: number;
}

/** Every folder with both programs, in the order in which they are looked for. */
export async function findTools(env: NodeJS.ProcessEnv, debian = DEBIAN): Promise<Tools[]> {
  const versions = existsSync(debian) ? readdirSync(debian) : [];
  const folders = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''),
  ];
  const found = [...new Set(folders)].filter((folder) =>
    ['pg_dump', 'pg_restore'].every((name) => existsSync(join(folder, name))),
  );
  const tools = await Promise.all(
    found.map(async (folder) => ({ folder, version: await versionIn(folder) })),
  );
  return tools.flatMap(({ folder, version }) =>
    version === null ? [] : [{ folder, version, major: majorOf(version) }],
  );
}

async function versionIn(folder: string): Promise<string | null> {
  try {
    const { stdout } = await run(join(folder, 'pg_dump'), ['--version'], { timeout: 20_000 });
    return /(\d+(?:\.\d+)*)/.exec(stdout)?.[1] ?? null;
  } catch {
    return null;
  }
}

export const majorOf = (version: string): number => Number.parseInt(version, 10);

/**
 * The tools nearest to a server: its own version or the next one, never an older one, which does not know all that the
 * server has. Pure. Errors: `postgres-tools-missing`, `postgres-tools-old`.
 */
export function toolsFor(found: readonly Tools[], major: number): Tools {
  const [nearest] = found.filter((one) => one.major >= major).sort((a, b) => a.major - b.major);
  if (nearest) return nearest;
  const [newest] = [...found].sort((a, b) => b.major - a.major);
  throw new FactoryError({
    code: newest ? 'postgres-tools-old' : 'postgres-tools-missing',
    op: 'find pg_dump',
    target: newest?.folder ?? 'PATH',
    message: newest
      ? `pg_dump and pg_restore are of version ${newest.version}; version ${major} or later is needed.`
      : 'pg_dump and pg_restore are not on this machine.',
    hint: `Install them: apt-get install postgresql-client-${major} (apt.postgresql.org has every version), or put their folder on the PATH.`,
  });
}

/** Parameters of a Postgres URL that libpq knows; it refuses others, which belong to other drivers. */
const LIBPQ = new Set([
  ...[
    'host',
    'port',
    'user',
    'dbname',
    'options',
    'connect_timeout',
    'target_session_attrs',
    'channel_binding',
  ],
  ...['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslnegotiation', 'application_name'],
]);

/** How a program of libpq is told where to connect: the password by its environment, never on its command line. Pure. */
export function connection(url: string, env: NodeJS.ProcessEnv): { dbname: string; env: NodeJS.ProcessEnv } {
  const target = new URL(url);
  const password = decodeURIComponent(target.password) || target.searchParams.get('password');
  target.password = '';
  for (const name of [...target.searchParams.keys()]) if (!LIBPQ.has(name)) target.searchParams.delete(name);
  if (target.searchParams.get('sslmode') === 'no-verify') target.searchParams.set('sslmode', 'require');
  return {
    dbname: target.href,
    env: { ...env, LC_ALL: 'C', PGAPPNAME: 'build-factory', ...(password ? { PGPASSWORD: password } : {}) },
  };
}
