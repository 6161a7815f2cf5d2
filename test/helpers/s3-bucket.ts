import { createHash, randomUUID } from 'node:crypto';

/** What a server of the double has in its bucket, and in which the providers differ. */

export type Provider = 'aws' | 'b2' | 'spaces';

export interface Quirks {
  /** `If-None-Match: *` is kept; otherwise a request with it is refused. */
  conditions: boolean;
  /** A conditional write during which the object was deleted is told to come again. */
  conflicts: boolean;
  /** Checksum headers of the SDK are taken. */
  checksums: boolean;
  /** Versions are kept whether anybody asked for it or not. */
  versions: boolean;
  /** Requests to write one object within `PUTS_MS`. */
  puts: number;
}

export const QUIRKS: Record<Provider, Quirks> = {
  aws: { conditions: true, conflicts: true, checksums: true, versions: false, puts: Infinity },
  b2: { conditions: false, conflicts: false, checksums: false, versions: true, puts: Infinity },
  spaces: { conditions: true, conflicts: false, checksums: true, versions: false, puts: 5 },
};
const PUTS_MS = 5 * 60_000;
const LEAST_PART = 5 * 1024 * 1024;
const PAGE = 1000;

export class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

export interface Stored {
  body: Buffer;
  at: string;
}

/** `id` counts up, or is `null` where one version is kept; `body` null: a mark that hides the object. */
export interface Versioned {
  key: string;
  id: string;
  body: Buffer | null;
  at: string;
}

export interface Condition {
  onlyNew: boolean;
  /** What `removalsOf` said when the request came. */
  removals: number;
}

const xml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
export const etag = (body: Buffer): string => `"${createHash('md5').update(body).digest('hex')}"`;

/** Objects as a reader sees them now. One that a test sets is written like any other. */
class Objects extends Map<string, Stored> {
  readonly #write: (key: string, stored: Stored) => void;

  constructor(write: (key: string, stored: Stored) => void) {
    super();
    this.#write = write;
  }

  override set(key: string, stored: Stored): this {
    this.#write(key, stored);
    return this;
  }

  show(key: string, stored: Stored): void {
    super.set(key, stored);
  }
}

export type Bucket = ReturnType<typeof createBucket>;

export function createBucket(
  quirks: Quirks,
  { keepsVersions, now, storedAt }: { keepsVersions: boolean; now: () => number; storedAt: () => number },
) {
  const versions: Versioned[] = [];
  const objects = new Objects((key, { body, at }) => add(key, body, at));
  const removals = new Map<string, number>();
  const puts = new Map<string, number[]>();
  let made = 0;

  function add(key: string, body: Buffer | null, at = new Date(storedAt()).toISOString()): void {
    if (!keepsVersions && objects.has(key)) forget(key, 'null');
    const id = keepsVersions ? String((made += 1)) : 'null';
    versions.push({ key, id, body, at });
    look(key);
  }

  function forget(key: string, id: string): Versioned | undefined {
    const index = versions.findLastIndex((one) => one.key === key && one.id === id);
    const [gone] = index === -1 ? [] : versions.splice(index, 1);
    look(key);
    return gone;
  }

  function look(key: string): void {
    const newest = versions.findLast((one) => one.key === key);
    // The version itself: a test that dates an object dates it for all readers.
    if (newest?.body) objects.show(key, newest as Stored);
    else objects.delete(key);
  }

  function assertRate(key: string): void {
    const since = (puts.get(key) ?? []).filter((at) => now() - at < PUTS_MS);
    if (since.length >= quirks.puts) throw new Refusal(503, 'SlowDown');
    puts.set(key, [...since, now()]);
  }

  const removalsOf = (key: string): number => removals.get(key) ?? 0;

  return {
    objects,
    versions,
    removalsOf,

    put(key: string, body: Buffer, condition: Condition): void {
      assertRate(key);
      if (condition.onlyNew) {
        if (quirks.conflicts && removalsOf(key) !== condition.removals)
          throw new Refusal(409, 'ConditionalRequestConflict');
        if (objects.has(key)) throw new Refusal(412, 'PreconditionFailed');
      }
      add(key, body);
    },

    /** The parts of a large object have their own requests, which no limit counts. */
    join: (key: string, body: Buffer): void => add(key, body),

    get(key: string, id: string | null): Stored {
      const found = id === null ? objects.get(key) : versions.find((one) => one.key === key && one.id === id);
      if (!found?.body) throw new Refusal(404, id === null ? 'NoSuchKey' : 'NoSuchVersion');
      return { ...found, body: found.body };
    },

    /** Without an id it hides, where versions are kept. Answers the headers. */
    remove(key: string, id: string | null): Record<string, string> {
      removals.set(key, removalsOf(key) + 1);
      if (id !== null || !keepsVersions) {
        const gone = forget(key, id ?? 'null');
        return gone && gone.body === null
          ? { 'x-amz-delete-marker': 'true', 'x-amz-version-id': gone.id }
          : {};
      }
      add(key, null);
      return { 'x-amz-delete-marker': 'true', 'x-amz-version-id': String(made) };
    },
  };
}

/** Uploads in parts. What is put together is what the request names, and not what was sent. */
export function createUploads(join: (key: string, body: Buffer) => void) {
  const uploads = new Map<string, Map<number, Buffer>>();

  function complete(key: string, parts: ReadonlyMap<number, Buffer>, wanted: string): void {
    const named = [...wanted.matchAll(/<Part>.*?<\/Part>/gs)].map(([part]) => {
      const body = parts.get(Number(/<PartNumber>(\d+)</.exec(part)?.[1]));
      if (!body || !etag(body).includes(/[0-9a-f]{32}/.exec(part)?.[0] ?? '-'))
        throw new Refusal(400, 'InvalidPart');
      return body;
    });
    if (named.length === 0) throw new Refusal(400, 'MalformedXML');
    if (named.slice(0, -1).some(({ length }) => length < LEAST_PART))
      throw new Refusal(400, 'EntityTooSmall');
    join(key, Buffer.concat(named));
  }

  return {
    begin(): string {
      const id = randomUUID();
      uploads.set(id, new Map());
      return `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`;
    },

    carryOn(method: string, key: string, query: URLSearchParams, body: Buffer): string {
      const id = query.get('uploadId') ?? '';
      const parts = uploads.get(id);
      if (!parts) throw new Refusal(404, 'NoSuchUpload');
      if (method === 'PUT') parts.set(Number(query.get('partNumber')), body);
      else {
        if (method === 'POST') complete(key, parts, body.toString());
        uploads.delete(id);
      }
      return `<CompleteMultipartUploadResult><ETag>${xml(etag(body))}</ETag></CompleteMultipartUploadResult>`;
    },
  };
}

/** Newest first for each key. */
export function listVersions({ versions }: Bucket, query: URLSearchParams): string {
  const below = query.get('prefix') ?? '';
  const all = [...versions]
    .reverse()
    .filter(({ key }) => key.startsWith(below))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const [afterKey, afterId] = [query.get('key-marker'), query.get('version-id-marker')];
  const from = all.findIndex(({ key, id }) => key === afterKey && id === afterId) + 1;
  const shown = all.slice(from, from + PAGE);
  const last = from + PAGE < all.length ? shown.at(-1) : undefined;
  const next = last
    ? `<NextKeyMarker>${xml(last.key)}</NextKeyMarker><NextVersionIdMarker>${last.id}</NextVersionIdMarker>`
    : '';
  const lines = shown.map(({ key, id, body, at }, n) => {
    const latest = shown[n - 1]?.key !== key && (n > 0 || key !== afterKey);
    const head = `<Key>${xml(key)}</Key><VersionId>${id}</VersionId><IsLatest>${latest}</IsLatest><LastModified>${at}</LastModified>`;
    return body === null
      ? `<DeleteMarker>${head}</DeleteMarker>`
      : `<Version>${head}<Size>${body.length}</Size></Version>`;
  });
  return `<ListVersionsResult><IsTruncated>${last !== undefined}</IsTruncated>${next}${lines.join('')}</ListVersionsResult>`;
}

export function list({ objects }: Bucket, query: URLSearchParams): string {
  const below = query.get('prefix') ?? '';
  const after = query.get('continuation-token') ?? '';
  const keys = [...objects.keys()].filter((key) => key.startsWith(below) && key > after).sort();
  const shown = keys.slice(0, Number(query.get('max-keys') ?? PAGE));
  const more = keys.length > shown.length;
  const contents = shown.map((key) => {
    const { body, at } = objects.get(key) ?? { body: Buffer.alloc(0), at: '' };
    return `<Contents><Key>${xml(key)}</Key><Size>${body.length}</Size><LastModified>${at}</LastModified><ETag>${xml(etag(body))}</ETag></Contents>`;
  });
  const next = more ? `<NextContinuationToken>${xml(shown.at(-1) ?? '')}</NextContinuationToken>` : '';
  return `<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`;
}
