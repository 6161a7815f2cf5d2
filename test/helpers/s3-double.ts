import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * An S3 server in memory that can fail as real ones do. It knows what backups use, and the quirks of three providers
 * that matter for it:
 *
 *   aws      takes everything
 *   b2       refuses conditional writes and checksum headers; a delete hides
 *   spaces   takes `If-None-Match: *`; an object can be written five times in five minutes
 *
 * All of them refuse bodies in chunks of unknown length, so that nobody relies on what only some take.
 */
export type Provider = 'aws' | 'b2' | 'spaces';

export type Fault =
  | { kind: 'status'; status: number; code?: string }
  /** The connection ends before the request is looked at. */
  | { kind: 'drop' }
  /** The request is carried out, its answer never comes. */
  | { kind: 'lost-reply' }
  | { kind: 'delay'; ms: number }
  /** Bodies of answers. */
  | { kind: 'truncate' }
  | { kind: 'flip' };

export interface Asked {
  method: string;
  key: string;
  query: URLSearchParams;
}

export interface S3Double {
  readonly endpoint: string;
  /** Objects by key, as a reader sees them now. */
  readonly objects: Map<string, Stored>;
  /** Everything that was ever written, also what was replaced or hidden. */
  readonly versions: Versioned[];
  readonly asked: Asked[];
  /** What goes wrong with a request; undefined: nothing. */
  fault: (asked: Asked) => Fault | undefined;
  close(): Promise<void>;
}

interface Stored {
  body: Buffer;
  at: string;
}

/** `id` counts up; `body` null: a mark that hides the object. */
interface Versioned {
  key: string;
  id: string;
  body: Buffer | null;
  at: string;
}

interface S3Options {
  provider?: Provider;
  bucket?: string;
  accessKey?: string;
  /** The server's time, in ms; a request that is signed a quarter of an hour off is refused. */
  now?: () => number;
  /** What it says that objects were written at, in ms; default: its time. */
  storedAt?: () => number;
  /** Keeps versions: an overwrite adds one, a delete hides. Without it each object has one. */
  versioned?: boolean;
  /** Methods that the key may not use. */
  forbidden?: readonly string[];
}

const SKEW_MS = 15 * 60_000;
const PAGE = 1000;

class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

const xml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const etag = (body: Buffer): string => `"${createHash('md5').update(body).digest('hex')}"`;

export async function startS3({
  provider = 'aws',
  bucket = 'backups',
  accessKey = 'key',
  now = Date.now,
  storedAt = now,
  versioned = false,
  forbidden = [],
}: S3Options = {}): Promise<S3Double> {
  const objects = new Map<string, Stored>();
  const versions: S3Double['versions'] = [];
  const uploads = new Map<string, Map<number, Buffer>>();
  const asked: Asked[] = [];

  function assertAllowed(req: IncomingMessage, name: string): void {
    const { authorization = '' } = req.headers;
    if (!authorization.includes(`Credential=${accessKey}/`)) throw new Refusal(403, 'InvalidAccessKeyId');
    const date = String(req.headers['x-amz-date']);
    const iso = date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
    if (Math.abs(Date.parse(iso) - now()) > SKEW_MS) throw new Refusal(403, 'RequestTimeTooSkewed');
    if (name !== bucket) throw new Refusal(404, 'NoSuchBucket');
    if (forbidden.includes(req.method ?? '')) throw new Refusal(403, 'AccessDenied');
  }

  function assertBody(req: IncomingMessage, body: Buffer): void {
    const { headers } = req;
    if (headers['content-length'] === undefined) throw new Refusal(411, 'MissingContentLength');
    if (String(headers['content-encoding'] ?? '').includes('aws-chunked'))
      throw new Refusal(501, 'NotImplemented');
    const checksums = Object.keys(headers).filter((name) =>
      /^x-amz-(checksum|sdk-checksum|trailer)/.test(name),
    );
    if (provider !== 'aws' && checksums.length > 0) throw new Refusal(400, 'InvalidArgument');
    if (provider === 'b2' && headers['if-none-match'] !== undefined) throw new Refusal(501, 'NotImplemented');
    const md5 = headers['content-md5'];
    if (md5 !== undefined && md5 !== createHash('md5').update(body).digest('base64'))
      throw new Refusal(400, 'BadDigest');
  }

  function write(key: string, body: Buffer, onlyNew: boolean): void {
    if (onlyNew && objects.has(key)) throw new Refusal(412, 'PreconditionFailed');
    const at = new Date(storedAt()).toISOString();
    objects.set(key, { body, at });
    versions.push({ key, id: String(versions.length + 1), body, at });
  }

  function remove(key: string): void {
    if (objects.delete(key) && versioned)
      versions.push({
        key,
        id: String(versions.length + 1),
        body: null,
        at: new Date(storedAt()).toISOString(),
      });
  }

  function listVersions(query: URLSearchParams): string {
    const below = query.get('prefix') ?? '';
    const kept = versioned
      ? [...versions].reverse()
      : [...objects].map(([key, stored]) => ({ key, id: 'null', ...stored }));
    const all = kept
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

  function list(query: URLSearchParams): string {
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

  function multipart({ method, key, query }: Asked, body: Buffer): string | null {
    const id = query.get('uploadId');
    if (method === 'POST' && query.has('uploads')) {
      const made = randomUUID();
      uploads.set(made, new Map());
      return `<InitiateMultipartUploadResult><UploadId>${made}</UploadId></InitiateMultipartUploadResult>`;
    }
    if (id === null) return null;
    const parts = uploads.get(id);
    if (!parts) throw new Refusal(404, 'NoSuchUpload');
    if (method === 'PUT') parts.set(Number(query.get('partNumber')), body);
    else {
      uploads.delete(id);
      const numbers = [...parts.keys()].sort((a, b) => a - b);
      if (method === 'POST')
        write(key, Buffer.concat(numbers.map((number) => parts.get(number) ?? body)), false);
    }
    return `<CompleteMultipartUploadResult><ETag>${xml(etag(body))}</ETag></CompleteMultipartUploadResult>`;
  }

  function answer(
    req: IncomingMessage,
    { method, key, query }: Asked,
    body: Buffer,
    res: ServerResponse,
  ): Buffer {
    if (method === 'PUT') assertBody(req, body);
    const ofUpload = multipart({ method, key, query }, body);
    if (ofUpload !== null) {
      res.setHeader('ETag', etag(body));
      return Buffer.from(ofUpload);
    }
    if (method === 'PUT') {
      write(key, body, req.headers['if-none-match'] === '*');
      res.setHeader('ETag', etag(body));
      return Buffer.alloc(0);
    }
    if (method === 'GET' && key === '')
      return Buffer.from(query.has('versions') ? listVersions(query) : list(query));
    if (method === 'DELETE') {
      remove(key);
      res.statusCode = 204;
      return Buffer.alloc(0);
    }
    const id = query.get('versionId');
    const version = versions.find((one) => one.key === key && one.id === id);
    const stored = id === null || !versioned ? objects.get(key) : version;
    if (!stored?.body) throw new Refusal(404, 'NoSuchKey');
    res.setHeader('ETag', etag(stored.body));
    res.setHeader('Last-Modified', new Date(stored.at).toUTCString());
    return stored.body;
  }

  const double: S3Double = {
    ...{ endpoint: '', objects, versions, asked },
    fault: () => undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };

  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? '/', 'http://double');
    const [, name = '', ...rest] = decodeURIComponent(url.pathname).split('/');
    const request = { method: req.method ?? '', key: rest.join('/'), query: url.searchParams };
    asked.push(request);
    const fault = double.fault(request);
    if (fault?.kind === 'drop') return void req.socket.destroy();
    const body = await buffer(req);
    if (fault?.kind === 'delay') await sleep(fault.ms);
    let content: Buffer;
    try {
      assertAllowed(req, name);
      if (fault?.kind === 'status')
        throw new Refusal(fault.status, fault.code ?? (fault.status === 503 ? 'SlowDown' : 'InternalError'));
      content = answer(req, request, body, res);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      res.statusCode = error.status;
      content = Buffer.from(`<Error><Code>${error.code}</Code><Message>${error.code}</Message></Error>`);
    }
    if (fault?.kind === 'lost-reply') return void req.socket.destroy();
    res.setHeader('Content-Length', content.length);
    if (request.method === 'HEAD') return void res.end();
    if (fault?.kind === 'truncate' && request.key !== '') {
      res.write(content.subarray(0, content.length - 1));
      return void setTimeout(() => req.socket.destroy(), 20);
    }
    if (fault?.kind === 'flip' && request.key !== '') {
      content = Buffer.from(content);
      const middle = Math.floor(content.length / 2);
      content[middle] = (content[middle] ?? 0) ^ 1;
    }
    res.end(content);
  }

  const server = createServer(
    (req, res) => void serve(req, res).catch((error: unknown) => res.destroy(error as Error)),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(double, { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}
