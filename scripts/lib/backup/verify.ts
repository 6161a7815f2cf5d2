import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { asFactoryError } from '../../../service/errors.ts';
import type { FactoryError } from '../../../service/errors.ts';
import type { Destination } from '../destinations/destination.ts';
import type { Entry } from './catalog.ts';
import { objectsOf } from './catalog.ts';
import { Expect } from './expect.ts';

/**
 * Fetches every object of a backup and compares its bytes with the signed manifest; needs no key. Null: all is whole.
 * A destination that cannot be asked throws: that says nothing of the backup.
 */
export async function verifyCiphertext(
  destination: Destination,
  { manifest }: Entry,
  signal: AbortSignal,
): Promise<FactoryError | null> {
  for (const object of objectsOf(manifest.objects)) {
    try {
      const source = await destination.get(object.key, { signal });
      await pipeline(source, new Expect(object), new PassThrough().resume(), { signal });
    } catch (error) {
      const known = asFactoryError(error, 'verify backup');
      if (known.code === 'backup-damaged' || known.code === 'destination-object-missing') return known;
      throw known;
    }
  }
  return null;
}
