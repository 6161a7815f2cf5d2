import type { Config, Destination as Configured } from '../../../service/config.ts';
import * as read from '../../../service/config-values.ts';
import { FactoryError } from '../../../service/errors.ts';
import { usage } from '../failure.ts';
import type { Surroundings } from '../verb.ts';
import type { Destination, Limits } from './destination.ts';
import { folderDestination } from './folder.ts';

/** Codes of a destination that gave no good answer for as long as one is waited for. */
export const GIVEN_UP: ReadonlySet<string> = new Set(['destination-timeout', 'destination-failed']);

/** The destination behind a configured one; the S3 client is loaded where one is used only. */
export async function openDestination(
  configured: Configured,
  env: Surroundings['env'],
): Promise<Destination> {
  if (configured.kind === 'folder')
    return folderDestination(configured.url, configured.path, configured.giveUpMs);
  const { s3Destination } = await import('./s3.ts');
  return s3Destination(configured, env);
}

/** All of them: one that cannot be opened, for want of its credentials, fails at each call and leaves the others alone. */
export function openAll(configured: readonly Configured[], env: Surroundings['env']): Promise<Destination[]> {
  return Promise.all(
    configured.map((one) => openDestination(one, env).catch((error: unknown) => unopened(one.url, error))),
  );
}

/** Errors: `destination-missing`, with a next step. */
export async function assertExists(destination: Destination, hint: string, limits: Limits): Promise<void> {
  if (destination.exists === undefined || (await destination.exists(limits))) return;
  const { url: target } = destination;
  throw new FactoryError({
    ...{ code: 'destination-missing', op: 'read catalog', target, hint },
    message: `There is no folder ${target}.`,
  });
}

function unopened(url: string, error: unknown): Destination {
  const fail = async (): Promise<never> => {
    throw error;
  };
  return { url, put: fail, get: fail, list: fail, delete: fail };
}

/**
 * The destinations that a verb works on: the one of `--from`, with the credentials of the configured one of that
 * address; else all that are configured.
 */
export function destinationsOf(
  { backup }: Pick<Config, 'backup'>,
  verb: string,
  from: string | undefined,
  option = '--from',
): Configured[] {
  if (from === undefined) return backup.destinations;
  const parsed = read.destinations(from);
  if (!('value' in parsed)) throw usage(verb, `${option}: ${parsed.message} ${parsed.hint}`);
  return parsed.value.map(
    (one) => backup.destinations.find(({ url }) => url === one.url) ?? { ...one, giveUpMs: backup.giveUpMs },
  );
}
