import type { Readable } from 'node:stream';
import { FactoryError } from '../../../service/errors.ts';
import type { Destination, Limits } from '../destinations/destination.ts';
import { Expect } from './expect.ts';
import type { Expected } from './expect.ts';
import type { Versions } from './first-version.ts';

/**
 * Reading what backups share: attachments and lists of them. Their name is their digest, so any copy that has it is the
 * object: where a destination keeps versions, the first one whose bytes are right, whoever put which there.
 */

/**
 * `use` takes the bytes through a check that fails at their end where they are others; it is called again for the next
 * version, and leaves nothing behind where it failed. Errors: `backup-damaged`, `destination-object-missing`, both with
 * the key as `details.object`; those of the destination.
 */
export async function readShared<T>(
  destination: Pick<Destination, 'get'>,
  expected: Expected,
  { versions, later }: Versions,
  { signal }: Limits,
  use: (source: Readable, check: Expect) => Promise<T>,
): Promise<T> {
  const { key, bytes } = expected;
  const others = (later?.get(key) ?? []).filter((one) => one.bytes === bytes);
  let first: FactoryError | null = null;
  for (const version of [versions?.get(key), ...others.map((one) => one.version)]) {
    try {
      return await use(await destination.get(key, { signal, version }), new Expect(expected));
    } catch (error) {
      if (!isDamage(error)) throw error;
      first ??= error;
    }
  }
  throw ofShared(first as FactoryError, key);
}

export const SENT_AGAIN =
  'The next backup that has it sends it again: `npx factory backup`. Until then restore from another destination.';

const isDamage = (error: unknown): error is FactoryError =>
  error instanceof FactoryError &&
  (error.code === 'backup-damaged' || error.code === 'destination-object-missing');

function ofShared(cause: FactoryError, object: string): FactoryError {
  const { code, message, op } = cause;
  return new FactoryError({
    ...{ code, op, target: object, message, cause, details: { object } },
    hint: SENT_AGAIN,
  });
}

/** Which shared object an error is about; null: it is about something else. */
export function objectOf({ details }: Pick<FactoryError, 'details'>): string | null {
  const { object } = (details ?? {}) as { object?: unknown };
  return typeof object === 'string' ? object : null;
}
