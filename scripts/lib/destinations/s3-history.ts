import { ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import type { ListObjectVersionsCommandOutput } from '@aws-sdk/client-s3';
import type { Version } from './destination.ts';

/** Every version below a prefix, page by page; `nameOf` gives a key as the destination names it. */
export async function listVersions(
  send: (command: ListObjectVersionsCommand) => Promise<ListObjectVersionsCommandOutput>,
  below: { Bucket: string; Prefix: string },
  nameOf: (key: string) => string,
): Promise<Version[]> {
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
