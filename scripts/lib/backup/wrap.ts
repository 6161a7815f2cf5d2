import { hash } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { sealing } from './age.ts';
import { dataSuffix, formatOf, KEY_SUFFIX, MANIFEST_SUFFIX, PAGES_SUFFIX } from './format.ts';
import type { Manifest } from './format.ts';
import type { Gathered } from './gather-blobs.ts';
import type { BackupJob } from './job.ts';
import { manifestText, signManifest } from './manifest.ts';
import type { Parcel } from './send.ts';
import type { Made } from './source.ts';
import { stageBytes } from './stage.ts';

/** What a staged backup needs to be one: its key, its page list, and the manifest that names them all. */

type WrapJob = Pick<
  BackupJob,
  'name' | 'recipients' | 'signing' | 'release' | 'epoch' | 'epochSince' | 'now' | 'signal'
>;

export interface Wrapping {
  made: Made;
  startedAt: string;
  sequence: number;
  work: string;
  blobs: Gathered;
}

/** The manifest and all that it names. */
export async function wrap(
  job: WrapJob,
  stem: string,
  { made, startedAt, sequence, work, blobs }: Wrapping,
): Promise<{ manifest: Manifest; parcels: Parcel[] }> {
  const { kind, data, pages, base, source, identity, recipient } = made;
  const key = await buffer(Readable.from([Buffer.from(`${identity}\n`)]).pipe(await sealing(job.recipients)));
  const list =
    kind === 'full' && pages !== null
      ? await stageBytes(pages.list, { path: join(work, 'pages.age'), recipient, signal: job.signal })
      : null;
  const dataKey = stem + dataSuffix(kind, source.engine);
  const objects = {
    data: { key: dataKey, bytes: data.bytes, sha256: data.sha256 },
    pages: list && { key: stem + PAGES_SUFFIX, bytes: list.bytes, sha256: list.sha256 },
    key: { key: stem + KEY_SUFFIX, bytes: key.length, sha256: hash('sha256', key) },
  };
  const manifest = signManifest(
    {
      ...{
        format: formatOf({ source, blobs: blobs.listed }),
        backupId: stem,
        name: job.name,
        kind,
        sequence,
        startedAt,
      },
      finishedAt: new Date(job.now()).toISOString(),
      release: job.release,
      ...{ epoch: job.epoch, ...(job.epochSince ? { epochSince: job.epochSince } : {}) },
      source,
      base: base && { backupId: base.backupId, sha256: base.sha256 },
      objects,
      blobs: blobs.listed,
      recipients: [...job.recipients],
    },
    job.signing,
  );
  const parcels: Parcel[] = [
    { key: dataKey, content: data },
    ...(list ? [{ key: stem + PAGES_SUFFIX, content: list }] : []),
    { key: objects.key.key, content: { data: key } },
    ...blobs.parcels,
    { key: stem + MANIFEST_SUFFIX, content: { data: Buffer.from(manifestText(manifest)) } },
  ];
  return { manifest, parcels };
}
