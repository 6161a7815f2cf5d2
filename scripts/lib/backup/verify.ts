import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { asFactoryError } from '../../../service/errors.ts';
import type { FactoryError } from '../../../service/errors.ts';
import type { Destination } from '../destinations/destination.ts';
import type { Entry } from './catalog.ts';
import { Expect } from './expect.ts';
import type { Expected } from './expect.ts';
import { inFirstVersions } from './first-version.ts';

/**
 * Fetches every object of a backup and compares its bytes with the signed manifest; needs no key. Of its key objects one
 * has to be whole. Null: all is whole. A destination that cannot be asked throws: that says nothing of the backup.
 */
export async function verifyCiphertext(
  destination: Destination,
  { manifest: { objects }, wraps = [], versions }: Entry,
  signal: AbortSignal,
): Promise<FactoryError | null> {
  const from = inFirstVersions(destination, versions);
  const keys = [objects.key, ...wraps.map(({ object }) => object)];
  for (const one of [[objects.data], objects.pages ? [objects.pages] : [], keys]) {
    const error = await firstWhole(from, one, signal);
    if (error !== null) return error;
  }
  return null;
}

/** Null: one of them is whole, or there is none to look at; else what is wrong with the first. */
async function firstWhole(
  from: Destination,
  objects: readonly Expected[],
  signal: AbortSignal,
): Promise<FactoryError | null> {
  let wrong: FactoryError | null = null;
  for (const object of objects) {
    const error = await problemOf(from, object, signal);
    if (error === null) return null;
    wrong ??= error;
  }
  return wrong;
}

async function problemOf(
  from: Destination,
  object: Expected,
  signal: AbortSignal,
): Promise<FactoryError | null> {
  try {
    const source = await from.get(object.key, { signal });
    await pipeline(source, new Expect(object), new PassThrough().resume(), { signal });
    return null;
  } catch (error) {
    const known = asFactoryError(error, 'verify backup');
    if (known.code === 'backup-damaged' || known.code === 'destination-object-missing') return known;
    throw known;
  }
}
