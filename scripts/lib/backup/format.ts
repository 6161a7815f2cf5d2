import { z } from 'zod';
import { blobPrefix } from './blob-list.ts';

/**
 * What lies in a destination (docs/backup-format.md says the same for people):
 *
 *   full/<name>/<UTC time>-<sequence>.sqlite.zst.age     a SQLite database
 *   full/<name>/<UTC time>-<sequence>.pgdump.zst.age     a Postgres database, as `pg_dump --format=custom` writes it
 *   diff/<name>/<UTC time>-<sequence>.diff.zst.age       the pages that changed since a full backup
 *   <stem>.pages.zst.age                                 a digest of every page, of a full backup
 *   <stem>.key.age                                       the data identity of this backup, for each recipient
 *   <stem>.manifest.json                                 signed, written last, never changed
 *   blobs/<name>/<SHA-256>.sealed, .list               sealed attachments, shared by backups, see blob-list.ts
 *   full/<name>/epoch-….json                             that an epoch began, see epoch-mark.ts
 *
 * Pure.
 */

export const ENGINES = ['sqlite', 'postgres'] as const;
export type Engine = (typeof ENGINES)[number];

/** Releases that know SQLite only read 1, and say of any other that a newer release made it. */
export const FORMAT = 'build-factory/backup/1';
export const FORMATS = { sqlite: FORMAT, postgres: 'build-factory/backup/2' } as const;
/** Of either engine, where there are attachments: a release that does not know them must not restore without. */
export const FORMAT_WITH_BLOBS = 'build-factory/backup/3';
export const MANIFEST_SUFFIX = '.manifest.json';
export const KINDS = ['full', 'differential'] as const;
export type Kind = (typeof KINDS)[number];

const PREFIX: Record<Kind, string> = { full: 'full', differential: 'diff' };
const FULL_SUFFIX: Record<Engine, string> = { sqlite: '.sqlite.zst.age', postgres: '.pgdump.zst.age' };
export const dataSuffix = (kind: Kind, engine: Engine): string =>
  kind === 'full' ? FULL_SUFFIX[engine] : '.diff.zst.age';
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

/** What both engines say of a database. */
const common = {
  /** Of the file, or of the dump. */
  bytes: count,
  sha256: hex,
  schemaSha256: hex,
  rows: z.record(z.string(), count),
  /** The newest signed checkpoint of the audit log in it; null: none, or another application's database. */
  auditCheckpoint: z.string().nullable(),
};
const sqlite = z.strictObject({
  ...common,
  engine: z.literal('sqlite'),
  pageSize: count,
  pages: count,
  /** `PRAGMA application_id`, `user_version`, and the digest of the schema's text. */
  applicationId: z.int(),
  userVersion: z.int(),
});
const postgres = z.strictObject({
  ...common,
  engine: z.literal('postgres'),
  serverVersion: z.string(),
  /** Of pg_dump; a pg_restore that is older may not read it. */
  dumpVersion: z.string(),
  database: z.string(),
  /** The schema number of the release that wrote it. */
  schema: count,
});
export type SqliteTaken = z.output<typeof sqlite>;
export type PostgresTaken = z.output<typeof postgres>;

const fields = z.strictObject({
  format: z.enum([...Object.values(FORMATS), FORMAT_WITH_BLOBS]),
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
  /** The first sequence of that epoch; absent in epoch 0. */
  epochSince: z.int().positive().optional(),
  source: z.discriminatedUnion('engine', [sqlite, postgres]),
  /** Of a differential: the full backup that it is applied to. */
  base: z.strictObject({ backupId: z.string(), sha256: hex }).nullable(),
  /** A differential has no page list of its own: the next one is compared with the full backup's. */
  objects: z.strictObject({ data: object, pages: object.nullable(), key: object }),
  /** Sealed attachments: a list that backups share, and how many it names, of how many bytes. */
  blobs: z.union([z.tuple([]), z.strictObject({ list: object, count, bytes: count })]),
  recipients: z.array(z.string()),
  /** Public key (raw Ed25519, base64) and signature over the canonical JSON of all the other fields. */
  signature: z.strictObject({ publicKey: z.string(), value: z.string() }),
});
export const formatOf = ({ source, blobs }: { source: { engine: Engine }; blobs: unknown }) =>
  Array.isArray(blobs) ? FORMATS[source.engine] : FORMAT_WITH_BLOBS;
export const manifestSchema = fields.refine((manifest) => manifest.format === formatOf(manifest), {
  path: ['format'],
  message: 'It is not the format of what it says',
});
export type Manifest = z.output<typeof manifestSchema>;
export type Unsigned = Omit<Manifest, 'signature'>;

/** How many rows a table of the product's own had; 0 where there was none. */
export const rowsOf = ({ source }: Pick<Manifest, 'source'>, table: string): number =>
  source.rows[source.engine === 'postgres' ? `public.${table}` : table] ?? 0;

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

/** The stem of an object that a manifest could name; null for one that is none of ours. */
export function stemOfPart(key: string): string | null {
  return (
    /^((?:full|diff)\/[a-z0-9][a-z0-9_-]{0,62}\/\d{8}T\d{6}Z-\d{6,15})\.(?:(?:[a-z]+\.)+age|key-\d+\.(?:age|json))$/.exec(
      key,
    )?.[1] ?? null
  );
}

/** The folders that hold backups of a name, and what they share. */
export function prefixesOf(name: string): string[] {
  return [...Object.values(PREFIX).map((prefix) => `${prefix}/${name}/`), blobPrefix(name)];
}

/** Every kind of backup of every name. */
export const ALL_PREFIXES: readonly string[] = Object.values(PREFIX).map((prefix) => `${prefix}/`);
