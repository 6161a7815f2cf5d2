import { z } from 'zod';

/**
 * What lies in a destination (docs/backup-format.md says the same for people):
 *
 *   full/<name>/<UTC time>-<sequence>.sqlite.zst.age     the database
 *   diff/<name>/<UTC time>-<sequence>.diff.zst.age       the pages that changed since a full backup
 *   <stem>.pages.zst.age                                 a digest of every page, of a full backup
 *   <stem>.key.age                                       the data identity of this backup, for each recipient
 *   <stem>.manifest.json                                 signed, written last, never changed
 *
 * Pure.
 */

export const FORMAT = 'build-factory/backup/1';
export const MANIFEST_SUFFIX = '.manifest.json';
export const KINDS = ['full', 'differential'] as const;
export type Kind = (typeof KINDS)[number];

const PREFIX: Record<Kind, string> = { full: 'full', differential: 'diff' };
export const DATA_SUFFIX: Record<Kind, string> = {
  full: '.sqlite.zst.age',
  differential: '.diff.zst.age',
};
export const KEY_SUFFIX = '.key.age';
export const PAGES_SUFFIX = '.pages.zst.age';

/** A database's name in a destination: a word that is a folder name everywhere. */
export const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const time = z.iso.datetime({ precision: 3 });
const count = z.int().nonnegative();

const object = z.strictObject({
  key: z.string(),
  bytes: count,
  /** Of the ciphertext, which is what lies in the destination. */
  sha256: hex,
});

export const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  backupId: z.string(),
  name: z.string().regex(NAME),
  kind: z.enum(KINDS),
  /** Grows by one with each backup of a name; orders them, because clocks jump. */
  sequence: z.int().positive(),
  startedAt: time,
  finishedAt: time,
  release: z.string().nullable(),
  /** Grows with each restore in place; uploads of an older one that come later are ignored. */
  epoch: count,
  source: z.strictObject({
    engine: z.literal('sqlite'),
    bytes: count,
    pageSize: count,
    pages: count,
    sha256: hex,
    /** `PRAGMA application_id`, `user_version`, and the digest of the schema's text. */
    applicationId: z.int(),
    userVersion: z.int(),
    schemaSha256: hex,
    rows: z.record(z.string(), count),
    /** The newest signed checkpoint of the audit log in it; null: none, or another application's database. */
    auditCheckpoint: z.string().nullable(),
  }),
  /** Of a differential: the full backup that it is applied to. */
  base: z.strictObject({ backupId: z.string(), sha256: hex }).nullable(),
  /** A differential has no page list of its own: the next one is compared with the full backup's. */
  objects: z.strictObject({ data: object, pages: object.nullable(), key: object }),
  /** Sealed attachments by digest; none are made yet. */
  blobs: z.array(z.strictObject({ sha256: hex, bytes: count })),
  recipients: z.array(z.string()),
  /** Public key (raw Ed25519, base64) and signature over the canonical JSON of all the other fields. */
  signature: z.strictObject({ publicKey: z.string(), value: z.string() }),
});
export type Manifest = z.output<typeof manifestSchema>;
export type Unsigned = Omit<Manifest, 'signature'>;

/** `20261125T021500Z-000042`: sorts by time, and by sequence within a second. */
export function stemOf(kind: Kind, name: string, startedAt: string, sequence: number): string {
  const compact = `${startedAt.slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
  return `${PREFIX[kind]}/${name}/${compact}-${String(sequence).padStart(6, '0')}`;
}

/** Null for a key that is none of ours. */
export function parseManifestKey(
  key: string,
): { kind: Kind; name: string; sequence: number; stem: string } | null {
  const found = /^(full|diff)\/([a-z0-9][a-z0-9_-]{0,62})\/\d{8}T\d{6}Z-(\d{6,15})\.manifest\.json$/.exec(
    key,
  );
  if (!found) return null;
  const [, prefix, name = '', sequence] = found;
  const kind = prefix === 'full' ? 'full' : 'differential';
  return { kind, name, sequence: Number(sequence), stem: key.slice(0, -MANIFEST_SUFFIX.length) };
}

/** The folders that hold backups of a name. */
export function prefixesOf(name: string): string[] {
  return Object.values(PREFIX).map((prefix) => `${prefix}/${name}/`);
}

/** Every kind of backup of every name. */
export const ALL_PREFIXES: readonly string[] = Object.values(PREFIX).map((prefix) => `${prefix}/`);
