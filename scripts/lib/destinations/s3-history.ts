import { ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import type { ListObjectVersionsCommandOutput } from '@aws-sdk/client-s3';
import type { Version } from './destination.ts';
import { statusOf } from './s3-errors.ts';

type Send = (command: ListObjectVersionsCommand) => Promise<ListObjectVersionsCommandOutput>;
interface Below {
  Bucket: string;
  Prefix: string;
}

/** What a key that may not, or a server that cannot, answers. */
const WITHOUT = [400, 403, 405, 501];

/** Every version below a prefix; null where they are not told. `nameOf` gives a key as the destination names it. */
export async function listVersions(
  send: Send,
  below: Below,
  nameOf: (key: string) => string,
): Promise<Version[] | null> {
  try {
    return await readPages(send, below, nameOf);
  } catch (error) {
    if (WITHOUT.includes(statusOf(error) ?? 0)) return null;
    throw error;
  }
}

async function readPages(send: Send, below: Below, nameOf: (key: string) => string): Promise<Version[]> {
  const found: Omit<Version, 'hidden'>[] = [];
  const hidden = new Set<string>();
  let more: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } | null = {};
  while (more !== null) {
    const page: ListObjectVersionsCommandOutput = await send(
      new ListObjectVersionsCommand({ ...below, ...more }),
    );
    for (const { Key = '', VersionId = 'null', Size = 0, LastModified } of page.Versions ?? []) {
      const storedAt = (LastModified ?? new Date(0)).toISOString();
      found.push({ key: nameOf(Key), version: VersionId, bytes: Size, storedAt });
    }
    for (const { Key = '', IsLatest } of page.DeleteMarkers ?? []) if (IsLatest) hidden.add(nameOf(Key));
    more = page.IsTruncated
      ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker }
      : null;
  }
  return found.map((one) => ({ ...one, hidden: hidden.has(one.key) }));
}
