import { hash } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { SqliteFacts } from '../../../service/storage/sqlite-snapshot.ts';
import { sealing } from './age.ts';
import { DATA_SUFFIX, FORMAT, KEY_SUFFIX, MANIFEST_SUFFIX, PAGES_SUFFIX } from './format.ts';
import type { Kind, Manifest } from './format.ts';
import type { BackupJob } from './job.ts';
import { manifestText, signManifest } from './manifest.ts';
import type { Parcel } from './send.ts';
import { stageBytes } from './stage.ts';
import type { Pages, Staged } from './stage.ts';

/** What a staged backup needs to be one: its key, its page list, and the manifest that names them all. */

/** The full backup that a differential rests on. */
export interface Base {
  backupId: string;
  sha256: string;
  list: Buffer;
}

/** Staged data, and the identity of this backup alone that opens it. */
export interface Made {
  kind: Kind;
  data: Staged;
  pages: Pages;
  identity: string;
  recipient: string;
}

type WrapJob = Pick<
  BackupJob,
  'name' | 'recipients' | 'signing' | 'release' | 'epoch' | 'auditCheckpoint' | 'now' | 'signal'
>;

export interface Wrapping {
  made: Made;
  facts: SqliteFacts;
  startedAt: string;
  sequence: number;
  base: Base | null;
  work: string;
}

/** The manifest and all that it names. */
export async function wrap(
  job: WrapJob,
  stem: string,
  { made, facts, startedAt, sequence, base, work }: Wrapping,
): Promise<{ manifest: Manifest; parcels: Parcel[] }> {
  const { kind, data, pages, identity, recipient } = made;
  const key = await buffer(Readable.from([Buffer.from(`${identity}\n`)]).pipe(await sealing(job.recipients)));
  const list =
    kind === 'full'
      ? await stageBytes(pages.list, { path: join(work, 'pages.age'), recipient, signal: job.signal })
      : null;
  const dataKey = stem + DATA_SUFFIX[kind];
  const objects = {
    data: { key: dataKey, bytes: data.bytes, sha256: data.sha256 },
    pages: list && { key: stem + PAGES_SUFFIX, bytes: list.bytes, sha256: list.sha256 },
    key: { key: stem + KEY_SUFFIX, bytes: key.length, sha256: hash('sha256', key) },
  };
  const { installation: _, ...source } = facts;
  const manifest = signManifest(
    {
      ...{ format: FORMAT, backupId: stem, name: job.name, kind, sequence, startedAt },
      finishedAt: new Date(job.now()).toISOString(),
      release: job.release,
      epoch: job.epoch,
      source: { engine: 'sqlite', ...source, sha256: pages.sha256, auditCheckpoint: job.auditCheckpoint },
      base: kind === 'differential' && base ? { backupId: base.backupId, sha256: base.sha256 } : null,
      objects,
      blobs: [],
      recipients: [...job.recipients],
    },
    job.signing,
  );
  const parcels: Parcel[] = [
    { key: dataKey, content: data },
    ...(list ? [{ key: stem + PAGES_SUFFIX, content: list }] : []),
    { key: objects.key.key, content: { data: key } },
    { key: stem + MANIFEST_SUFFIX, content: { data: Buffer.from(manifestText(manifest)) } },
  ];
  return { manifest, parcels };
}
