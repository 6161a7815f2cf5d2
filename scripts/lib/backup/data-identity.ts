import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { PassThrough } from 'node:stream';
import type { Readable } from 'node:stream';
import { FactoryError } from '../../../service/errors.ts';
import type { Destination } from '../destinations/destination.ts';
import { inParallel } from '../parallel.ts';
import { opening } from './age.ts';
import type { Entry } from './catalog.ts';
import { damaged, Expect } from './expect.ts';
import type { Expected } from './expect.ts';
import { openBytes } from './sealed.ts';

export interface Reading {
  destination: Destination;
  identities: readonly string[];
  signal: AbortSignal;
}

const AT_ONCE = 8;

/**
 * What may open the data of a backup. Its own key object is named by the manifest, so what that holds is right; of
 * further key objects, which anybody with the signing key could have added, all that these identities open are answered,
 * and the data tells the right one. Errors: `identity-wrong`, `backup-damaged`, and those of the destination.
 */
export async function dataIdentities(job: Reading, { manifest, wraps = [] }: Entry): Promise<string[]> {
  const first = await identityIn(job, manifest.objects.key);
  if (typeof first === 'string') return [first];
  const found: string[] = [];
  let wrong: FactoryError | null = first.code === 'identity-wrong' ? first : null;
  await inParallel(wraps, AT_ONCE, async ({ object }) => {
    const one = await identityIn(job, object);
    if (typeof one === 'string') found.push(one);
    else if (one.code === 'identity-wrong') wrong ??= one;
  });
  if (found.length > 0) return found;
  throw wrong ?? first;
}

/** The one identity that opens the data. Errors: as of `dataIdentities`. */
export async function openingIdentity(job: Reading, entry: Entry): Promise<string> {
  let failure: unknown = null;
  for (const identity of await dataIdentities(job, entry)) {
    try {
      const source = await job.destination.get(entry.manifest.objects.data.key, { signal: job.signal });
      await openBeginning(source, [identity]);
      return identity;
    } catch (error) {
      if (!(error instanceof FactoryError && OF_THE_OBJECT.has(error.code))) throw error;
      failure = error;
    }
  }
  throw damaged(entry.manifest.objects.data.key, 'none of its keys opens it', failure);
}

/** Whether these identities open the beginning of a file; the rest is not fetched. */
export async function openBeginning(source: Readable, identities: readonly string[]): Promise<void> {
  const plain = opening(identities);
  source.on('error', (error) => plain.destroy(error));
  try {
    for await (const _ of source.pipe(plain)) break;
  } finally {
    source.destroy();
  }
}

/** Errors that say something of this object alone; another one may do. */
const OF_THE_OBJECT = new Set([
  'identity-wrong',
  'backup-damaged',
  'ciphertext-damaged',
  'destination-object-missing',
]);

/** The identity in a key object, or why there is none; whole first, so that a wrong key is told from a changed file. */
async function identityIn(job: Reading, expected: Expected): Promise<string | FactoryError> {
  try {
    const sealed = await fetchWhole(job, expected);
    return (await openBytes(sealed, job.identities)).toString('utf8').trim();
  } catch (error) {
    if (error instanceof FactoryError && OF_THE_OBJECT.has(error.code)) return error;
    throw error;
  }
}

async function fetchWhole({ destination, signal }: Reading, expected: Expected): Promise<Buffer> {
  const source = await destination.get(expected.key, { signal });
  const content = new PassThrough();
  try {
    const [sealed] = await Promise.all([
      buffer(content),
      pipeline(source, new Expect(expected), content, { signal }),
    ]);
    return sealed;
  } catch (error) {
    if (error instanceof FactoryError || (error as NodeJS.ErrnoException).code === 'ABORT_ERR') throw error;
    throw damaged(expected.key, (error as Error).message, error);
  }
}
