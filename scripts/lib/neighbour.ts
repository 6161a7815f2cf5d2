import { readFileSync, statSync } from 'node:fs';
import type { Config } from '../../service/config.ts';
import { FactoryError } from '../../service/errors.ts';
import { knownInstallation } from '../../service/storage/open.ts';
import { apiAt } from './client.ts';
import { addressText, localAddress } from './settings.ts';
import type { Address } from './settings.ts';

/** Other processes of Build Factory on this machine. */

/** A service answers at once; whoever needs longer is not waited for. */
const ANSWER_MS = 1500;
const IN_USE = new Set(['port-in-use', 'socket-in-use']);

export interface Neighbour {
  status: string;
  startedAt: string;
  /** Whether it works on the database of this configuration; null: it does not tell. */
  isOurs: boolean | null;
}

/** What the service at an address says of itself; null: what answers is none. Errors: `unreachable`, `not-our-service`. */
export async function serviceAt(
  address: Address,
  { databaseUrl }: Pick<Config, 'databaseUrl'>,
): Promise<Neighbour | null> {
  const { body } = await apiAt(address, {}, ANSWER_MS).call('/api/health');
  const { status, startedAt, installation } = (body ?? {}) as Record<string, unknown>;
  if (typeof status !== 'string' || typeof startedAt !== 'string') return null;
  // A database that cannot be read is told of elsewhere.
  const own = await knownInstallation(databaseUrl).catch(() => null);
  return { status, startedAt, isOurs: typeof installation === 'string' ? installation === own : null };
}

/** The error of a start; where the place is taken by a service of ours, one that says so. Never rejects. */
export async function nameNeighbour(
  error: unknown,
  config: Pick<Config, 'listen' | 'databaseUrl'>,
): Promise<unknown> {
  const address = localAddress(config);
  if (!(error instanceof FactoryError) || !IN_USE.has(error.code) || address === null) return error;
  const service = await serviceAt(address, config).catch(() => null);
  if (service === null) return error;
  const { code, op, target } = error;
  const where = addressText(address);
  const second =
    'port' in config.listen
      ? `another port, e.g. FACTORY_PORT=${config.listen.port + 1}`
      : 'another path: FACTORY_SOCKET';
  return new FactoryError({
    ...{ code, op, target: target ?? undefined, cause: error },
    ...(service.isOurs
      ? {
          message: `Build Factory runs at ${where} already, since ${service.startedAt}.`,
          hint: `Open that address, or get a link with \`npx factory login-link\`. A second one needs ${second}.`,
        }
      : {
          message: `Another installation of Build Factory runs at ${where}, since ${service.startedAt}.`,
          hint: `Give this one ${second}.`,
        }),
  });
}

/** Bytes of the main file that SQLite's connections hold a shared lock on (`SHARED_FIRST`, 510 bytes). */
const SHARED_LOCK = '1073741826 1073742335';

/**
 * Ids of other processes that have the SQLite file open, as Linux lists their locks; none where there is no such list,
 * no file, or another engine.
 */
export function otherUsers({ databaseUrl }: Pick<Config, 'databaseUrl'>, self: number): number[] {
  if (!databaseUrl.startsWith('sqlite:')) return [];
  const file = statSync(databaseUrl.slice('sqlite:'.length), { throwIfNoEntry: false });
  return file ? lockHolders(readLocks(), file.ino).filter((pid) => pid !== self) : [];
}

/** `locks` is the text of `/proc/locks`: `1: POSIX  ADVISORY  READ 4711 fe:00:9982644 1073741826 1073742335`. */
export function lockHolders(locks: string, inode: number): number[] {
  const holders = locks.split('\n').flatMap((line) => {
    const [, pid, node, bytes] = / (\d+) [\da-f]+:[\da-f]+:(\d+) (\d+ \d+)$/.exec(line) ?? [];
    return Number(node) === inode && bytes === SHARED_LOCK ? [Number(pid)] : [];
  });
  // A service comes before the jobs that it starts.
  return [...new Set(holders)].sort((a, b) => a - b);
}

function readLocks(): string {
  try {
    return readFileSync('/proc/locks', 'utf8');
  } catch {
    // Other systems tell nobody; the note is a help, not a rule.
    return '';
  }
}
