import { damaged } from './expect.ts';

/**
 * Which sealed attachments belong to a backup: a line each, `<name> <SHA-256 of the sealed file> <bytes>`, by name. The name
 * is the one that the database has for it. One that was erased while the backup was made has the line `<name> erased`.
 *
 * Files and lists lie in `blobs/<name of the database>/`, named by the digest of their own bytes, so that backups share them.
 * They are not encrypted again: the files are sealed under keys that no backup holds, and their digests are of what was
 * sealed under a random key, so that nobody can compare them with content. Pure.
 */

export interface ListedBlob {
  name: string;
  /** Null: it was erased while the backup was made, and the backup does not have it. */
  file: { sha256: string; bytes: number } | null;
}

const LINE = /^([0-9a-f]{64}) (?:erased|([0-9a-f]{64}) (\d{1,15}))$/;
/** About half a million attachments. */
export const MAX_LIST_BYTES = 64 * 1024 * 1024;

export const blobPrefix = (name: string): string => `blobs/${name}/`;
export const blobKey = (name: string, sha256: string): string => `${blobPrefix(name)}${sha256}.sealed`;
export const blobListKey = (name: string, sha256: string): string => `${blobPrefix(name)}${sha256}.list`;

const SHARED = /^blobs\/[a-z0-9][a-z0-9_-]{0,62}\/[0-9a-f]{64}\.(sealed|list)$/;
const CLAIM = /^blobs\/[a-z0-9][a-z0-9_-]{0,62}\/[0-9a-f-]{36}\.going$/;
/** An attachment or a list. */
export const isShared = (key: string): boolean => SHARED.test(key);
export const claimKey = (name: string, id: string): string => `${blobPrefix(name)}${id}.going`;
/** What a prune says first: see blob-claim.ts. */
export const isClaim = (key: string): boolean => CLAIM.test(key);

export function blobListText(blobs: readonly ListedBlob[]): string {
  return blobs
    .map(({ name, file }) => (file ? `${name} ${file.sha256} ${file.bytes}\n` : `${name} erased\n`))
    .sort()
    .join('');
}

/** Errors: `backup-damaged`. */
export function parseBlobList(text: string, key: string): ListedBlob[] {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw damaged(key, 'its last line is cut off');
  return lines.map((line) => {
    const [, name, sha256, bytes] = LINE.exec(line) ?? [];
    if (name === undefined) throw damaged(key, 'it is no list of attachments');
    return { name, file: sha256 === undefined ? null : { sha256, bytes: Number(bytes) } };
  });
}
