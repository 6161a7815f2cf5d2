import { hash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { PassThrough } from 'node:stream';
import { canonicalJson } from '../../../service/canonical-json.ts';
import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import { recipientsDigest } from '../../../service/jobs/recovery-key.ts';
import type { Entry } from '../backup/catalog.ts';
import { openingIdentity } from '../backup/data-identity.ts';
import { Expect } from '../backup/expect.ts';
import { inFirstVersions } from '../backup/first-version.ts';
import { signStatement, wrapKey } from '../backup/rewrapped.ts';
import { sealBytes } from '../backup/sealed.ts';
import type { Destination } from '../destinations/destination.ts';

/** Giving backups that are there to other recipients: only their small key objects are made anew. */

export interface RewrapPlan {
  /** Backups that get a new key object. */
  wrap: { backupId: string; number: number }[];
  /** Backups that have one already, and still an older one beside it. */
  clean: string[];
}

/** Whose newest key object is not for the recipients of now, and where older ones still lie. Pure. */
export function planRewrap(entries: readonly Entry[], recipients: readonly string[]): RewrapPlan {
  const wanted = recipientsDigest(recipients);
  const plan: RewrapPlan = { wrap: [], clean: [] };
  for (const { manifest, wraps = [], firstKeyHeld = true } of entries) {
    const { backupId } = manifest;
    const [newest] = wraps;
    const held = newest?.recipients ?? manifest.recipients;
    if (recipientsDigest(held) !== wanted) plan.wrap.push({ backupId, number: (newest?.number ?? 1) + 1 });
    else if (newest && (firstKeyHeld || wraps.length > 1)) plan.clean.push(backupId);
  }
  return plan;
}

/** Names exactly this plan for this destination and these recipients. */
export function rewrapDigest(url: string, plan: RewrapPlan, recipients: readonly string[]): string {
  const text = canonicalJson({ url, plan, recipients: [...recipients].sort() });
  return hash('sha256', `build-factory/rewrap-plan/1\n${text}`);
}

export interface RewrapJob {
  destination: Destination;
  identities: readonly string[];
  recipients: readonly string[];
  signing: KeyObject;
  signal: AbortSignal;
  now: () => number;
}

/** Somebody else's number, or one that an interrupted run left without its statement. */
const MOST_TAKEN = 1000;

/**
 * A new key object for the present recipients, read back before its statement names it. Cut off anywhere, the backup is
 * readable: older key objects go later. Errors: `identity-wrong`, `backup-damaged`, and those of the destination.
 */
export async function rewrap(job: RewrapJob, entry: Entry, number: number): Promise<Entry> {
  const { backupId } = entry.manifest;
  const from = { ...job, destination: inFirstVersions(job.destination, entry.versions) };
  const identity = await openingIdentity(from, entry);
  const sealed = await sealBytes(Buffer.from(`${identity}\n`), job.recipients);
  const free = await putFree(job, backupId, number, sealed);
  const object = {
    key: wrapKey(backupId, free, 'age'),
    bytes: sealed.length,
    sha256: hash('sha256', sealed),
  };
  await readBack(job, object);
  const key = wrapKey(backupId, free, 'json');
  const statement = signStatement(
    {
      ...{ format: 'build-factory/backup-key/1', backupId, number: free, object },
      ...{ recipients: [...job.recipients], madeAt: new Date(job.now()).toISOString() },
    },
    job.signing,
  );
  await job.destination.put(key, { data: Buffer.from(statement) }, { signal: job.signal });
  return {
    ...entry,
    wraps: [{ number: free, key, object, recipients: job.recipients }, ...(entry.wraps ?? [])],
  };
}

/** Nothing is replaced: a number that is taken is left. */
async function putFree(
  { destination, signal }: RewrapJob,
  backupId: string,
  first: number,
  data: Buffer,
): Promise<number> {
  for (let number = first; ; number += 1) {
    try {
      await destination.put(wrapKey(backupId, number, 'age'), { data }, { signal });
      return number;
    } catch (error) {
      const taken = error instanceof FactoryError && error.code === 'destination-object-exists';
      if (!taken || number - first >= MOST_TAKEN) throw error;
    }
  }
}

async function readBack(
  { destination, signal }: RewrapJob,
  object: { key: string; bytes: number; sha256: string },
): Promise<void> {
  const content = new PassThrough();
  const source = await destination.get(object.key, { signal });
  await Promise.all([buffer(content), pipeline(source, new Expect(object), content, { signal })]);
}

/** Older key objects of a backup that has a newer one; answers why they stayed, null where they are gone. */
export async function removeOlderKeys(
  { destination, signal }: Pick<RewrapJob, 'destination' | 'signal'>,
  { manifest, wraps = [] }: Entry,
): Promise<FactoryError | null> {
  const older = wraps.slice(1).flatMap(({ key, object }) => [key, object.key]);
  try {
    for (const key of [...older, manifest.objects.key.key]) await destination.delete(key, { signal });
    return null;
  } catch (error) {
    const known = asFactoryError(error, 'delete old key object');
    // Such a key is as it should be on a host, and a lock ends on its own.
    if (known.code === 'destination-forbidden' || known.code === 'destination-failed') return known;
    throw known;
  }
}
