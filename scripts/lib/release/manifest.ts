import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '../../../service/canonical-json.ts';
import { FactoryError } from '../../../service/errors.ts';

/**
 * The words of releases.
 *
 * release   an immutable build, by its name: `<version>-<first 12 hex of its digest>`
 * manifest  what a release is: every file with its content's SHA-256; the first entry of its archive
 * digest    SHA-256 of the manifest without the digest and the name that comes from it, as RFC 8785 text
 * archive   a manifest and files, gzip of tar; one that carries only some files is completed from a store
 */

/** Where the manifest stands in an archive and in an unpacked release. */
export const MANIFEST_PATH = 'release.json';

/** A plain path below the release: no way out of it, and none that a shell or a tar would read otherwise. */
const PATH = /^(?!\/)(?!(?:.*\/)?\.{0,2}(?:\/|$))[\x21-\x5b\x5d-\x7e][\x20-\x5b\x5d-\x7e]*$/;
const SHA256 = /^[0-9a-f]{64}$/;

const fileSchema = z.strictObject({
  path: z.string().max(1024).regex(PATH),
  mode: z.enum(['644', '755']),
  sha256: z.string().regex(SHA256),
  bytes: z.int().min(0),
});

const manifestSchema = z.strictObject({
  release: z.string().regex(/^[\w.+-]{1,100}$/),
  version: z.string().regex(/^[\w.+-]{1,80}$/),
  digest: z.string().regex(SHA256),
  /** The database schema that it writes, and the oldest one whose release can still read that. */
  schema: z.int().min(0),
  minReader: z.int().min(0),
  files: z.array(fileSchema).min(1),
});

export type ReleaseFile = z.output<typeof fileSchema>;
export type Manifest = z.output<typeof manifestSchema>;

/** Names the content: the order in which files are given makes no difference. */
export function manifestOf(parts: Pick<Manifest, 'version' | 'schema' | 'minReader' | 'files'>): Manifest {
  const { version, schema, minReader } = parts;
  const files = [...parts.files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const digest = createHash('sha256')
    .update(canonicalJson({ version, schema, minReader, files }))
    .digest('hex');
  return { release: `${version}-${digest.slice(0, 12)}`, version, digest, schema, minReader, files };
}

/** One line of JSON, the same for the same release. */
export const manifestText = (manifest: Manifest): string => `${canonicalJson(manifest)}\n`;

/** Errors: `archive-damaged` where it is none, or is not what its digest says. */
export function parseManifest(text: string, target: string): Manifest {
  let found: Manifest;
  try {
    found = manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw archiveDamaged(target, 'its manifest cannot be read', cause);
  }
  const paths = new Set(found.files.map(({ path }) => path));
  if (paths.size !== found.files.length) throw archiveDamaged(target, 'its manifest names a file twice');
  const { release, digest } = manifestOf(found);
  if (release === found.release && digest === found.digest) return found;
  throw archiveDamaged(target, 'its manifest is not what its digest says');
}

export const bytesOf = (files: readonly Pick<ReleaseFile, 'bytes'>[]): number =>
  files.reduce((sum, { bytes }) => sum + bytes, 0);

export function archiveDamaged(target: string, why: string, cause?: unknown): FactoryError {
  return new FactoryError({
    ...{ code: 'archive-damaged', op: 'read release', target, cause },
    message: `The archive ${target} is damaged: ${why}.`,
    hint: 'Build it again with `npx factory release`, or send it again; nothing of it was put in place.',
  });
}
