import { join, resolve } from 'node:path';
import type { Config, Destination as Configured } from '../../../service/config.ts';
import { asFactoryError } from '../../../service/errors.ts';
import type { FactoryError } from '../../../service/errors.ts';
import { OWN_NAME } from '../../../service/jobs/facts.ts';
import type { Destination, Stored } from '../destinations/destination.ts';
import { destinationsOf, openDestination } from '../destinations/open.ts';
import { usage } from '../failure.ts';
import { implausibleReplica, implausibleReplicas, replicaPrefix } from '../keys/replica.ts';
import { readConfig } from '../settings.ts';
import { EXIT } from '../verb.ts';
import type { ExitCode, Given, VerbContext } from '../verb.ts';
import { readCatalog } from './catalog.ts';
import type { Catalog } from './catalog.ts';
import { isNothing, whyNothing } from './emptied.ts';
import { noBackup } from './pick.ts';
import { whyVanished } from './present.ts';
import { storedIn } from './stored.ts';
import { namedSigners, trustedSigners } from './trust.ts';

/** What the verbs on backups begin with: each destination's catalog. */

export const LIST_MS = 5 * 60_000;

/** One destination as it was read, or why it could not be. */
export interface Read {
  url: string;
  configured: Configured;
  destination: Destination | null;
  catalog: Catalog | null;
  /** Copies of the keyring that belongs to it. */
  replicas: Stored[];
  error: FactoryError | null;
}

async function readOne(
  configured: Configured,
  { name, trusted }: { name: string; trusted: readonly string[] },
  env: VerbContext['env'],
  signal: AbortSignal,
): Promise<Read> {
  const { url } = configured;
  try {
    const destination = await openDestination(configured, env);
    const catalog = await readCatalog(destination, name, { signal }, trusted);
    const replicas = await destination.list(replicaPrefix(name), { signal });
    const unreal = [...implausibleReplicas(replicas.map(({ key }) => key))];
    const problems = unreal.map((key) => ({ key, error: implausibleReplica(key) }));
    return {
      url,
      configured,
      destination,
      catalog: { ...catalog, problems: [...catalog.problems, ...problems] },
      replicas: replicas.filter(({ key }) => !unreal.includes(key)),
      error: null,
    };
  } catch (error) {
    return unread(configured, asFactoryError(error, 'read catalog'));
  }
}

function unread(configured: Configured, error: FactoryError): Read {
  return { url: configured.url, configured, destination: null, catalog: null, replicas: [], error };
}

/** Reads the catalog of each destination that a verb works on; `ms`: how long it may take in all. Errors: `usage`, `backup-none`. */
export async function readAll(verb: string, context: VerbContext, given: Given, ms: number) {
  const config = readConfig(context);
  const name = given.text('name') ?? OWN_NAME;
  // A host that was set up anew goes on with the backups of the signer that its restore was told to trust.
  const trusted = trustedSigners(config, namedSigners(verb, given));
  const asked = { name, trusted };
  const signal = AbortSignal.timeout(ms);
  const configured = destinationsOf(config, verb, given.text('from')).map((one) =>
    withCredentials(one, verb, context.cwd, given.text('credentials')),
  );
  const read = await Promise.all(
    configured.map(async (one) => {
      const error = context.givenUp?.get(one.url);
      return error ? unread(one, error) : readOne(one, asked, context.env, signal);
    }),
  );
  if (given.text('name') !== undefined) assertKnown(read);
  const folder = folderOf(config, name);
  const typed = given.text('from') !== undefined;
  const others = read.some(({ catalog }) => catalog !== null && !isNothing(catalog));
  const known = { ...asked, typed, others, stored: storedIn(folder) };
  const found = await Promise.all(
    read.map(async (one) => {
      const error = await whyNothing(one, known, { signal });
      return error ? unread(one.configured, error) : one;
    }),
  );
  // An address that was typed may be of another installation.
  if (!typed) {
    const keeping = { retentionDays: config.backup.retentionDays, trusted, now: Date.now() };
    for (const { catalog } of found) {
      const error = catalog && whyVanished(folder, catalog, keeping);
      if (error) catalog.problems.push({ key: catalog.url, error });
    }
  }
  const [first] = found;
  if (first?.error?.code === 'backup-none' && found.every(({ error }) => error?.code === 'backup-none'))
    throw first.error;
  return { config, name, signal, found, trusted, folder };
}

/** A name that nothing has, where others do, is misspelt: an empty answer would look like a good one. Errors: `backup-none`. */
function assertKnown(found: readonly Read[]): void {
  const catalogs = found.flatMap(({ catalog }) => catalog ?? []);
  const [other] = catalogs.filter(({ otherNames }) => otherNames.length > 0);
  if (other !== undefined && catalogs.length === found.length && catalogs.every(isNothing))
    throw noBackup(other);
}

/** With the keys of `--credentials`, which are not those that lie on this machine. */
function withCredentials(
  one: Configured,
  verb: string,
  cwd: string,
  credentials: string | undefined,
): Configured {
  if (credentials === undefined) return one;
  if (one.kind === 's3') return { ...one, credentialsFile: resolve(cwd, credentials) };
  throw usage(verb, `--credentials is for buckets, and ${one.url} is a folder: name the bucket with --from.`);
}

export function folderOf({ dataDir }: Config, name: string): string {
  return join(dataDir, 'backup', name);
}

export function problemsOf(found: readonly Read[]): unknown[] {
  return found.flatMap(({ url, catalog, error }) => [
    ...(error ? [{ destination: url, key: null, ...error.toJSON() }] : []),
    ...(catalog?.problems ?? []).map((one) => ({ destination: url, key: one.key, ...one.error.toJSON() })),
  ]);
}

/** 1 where no destination could be read, 3 where one could not, or holds what cannot be used. */
export function exitOf(found: readonly Read[]): ExitCode {
  if (found.every(({ error }) => error !== null)) return EXIT.failed;
  const whole = found.every(({ error, catalog }) => error === null && catalog?.problems.length === 0);
  return whole ? EXIT.done : EXIT.degraded;
}
