import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { createBucket, createUploads, etag, list, listVersions, QUIRKS, Refusal } from './s3-bucket.ts';
import type { Provider, Quirks, Stored, Versioned } from './s3-bucket.ts';

/**
 * An S3 server in memory that can fail as real ones do. It knows what backups use, and in what three providers differ
 * (s3-double.test.ts shows each of these):
 *
 *   aws      keeps `If-None-Match: *` (412), and answers 409 where the object was deleted while such a write came in
 *   b2       refuses conditional writes (501) and the SDK's checksum headers (400); versions are always kept, a delete hides
 *   spaces   keeps `If-None-Match: *`; takes five requests to write one object in five minutes, then answers 503
 *
 * All of them refuse bodies in chunks of unknown length, so that nobody relies on what only some take, and parts below
 * 5 MiB that are not the last. None has a lock or rules of a bucket: those are tried on a real server (test/s3).
 */
export type { Provider };

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
  /** Objects by key, as a reader sees them now; what is set here is written. */
  readonly objects: Map<string, Stored>;
  /** What the bucket keeps, in the order in which it was written: also what was hidden, where versions are kept. */
  readonly versions: readonly Versioned[];
  readonly asked: Asked[];
  /** What goes wrong with a request; undefined: nothing. */
  fault: (asked: Asked) => Fault | undefined;
  close(): Promise<void>;
}

interface S3Options {
  provider?: Provider;
  bucket?: string;
  accessKey?: string;
  /** The server's time, in ms; a request that is signed a quarter of an hour off is refused. */
  now?: () => number;
  /** What it says that objects were written at, in ms; default: its time. */
  storedAt?: () => number;
  /** Keeps versions: an overwrite adds one, a delete hides. Without it each object has one, except in `b2`. */
  versioned?: boolean;
  /** Methods that the key may not use. */
  forbidden?: readonly string[];
}

const SKEW_MS = 15 * 60_000;

/** What a provider says of a request before it looks at the object. */
function assertHeaders({ method, headers }: IncomingMessage, quirks: Quirks): void {
  if (method !== 'PUT' && method !== 'POST') return;
  const checksums = Object.keys(headers).some((name) => /^x-amz-(checksum|sdk-checksum)/.test(name));
  if (checksums && !quirks.checksums) throw new Refusal(400, 'InvalidArgument');
  if (headers['if-none-match'] !== undefined && !quirks.conditions) throw new Refusal(501, 'NotImplemented');
}

function assertBody({ headers }: IncomingMessage, body: Buffer): void {
  if (headers['content-length'] === undefined) throw new Refusal(411, 'MissingContentLength');
  const chunked = String(headers['content-encoding'] ?? '').includes('aws-chunked');
  if (chunked || headers['x-amz-trailer'] !== undefined) throw new Refusal(501, 'NotImplemented');
  const md5 = headers['content-md5'];
  if (md5 !== undefined && md5 !== createHash('md5').update(body).digest('base64'))
    throw new Refusal(400, 'BadDigest');
}

export async function startS3({
  provider = 'aws',
  bucket = 'backups',
  accessKey = 'key',
  now = Date.now,
  storedAt = now,
  versioned = false,
  forbidden = [],
}: S3Options = {}): Promise<S3Double> {
  const quirks = QUIRKS[provider];
  const keepsVersions = versioned || quirks.versions;
  const content = createBucket(quirks, { keepsVersions, now, storedAt });
  const uploads = createUploads(content.join);
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

  function read(query: URLSearchParams): string {
    if (query.has('versions')) return listVersions(content, query);
    if (query.has('versioning'))
      return `<VersioningConfiguration>${keepsVersions ? '<Status>Enabled</Status>' : ''}</VersioningConfiguration>`;
    if (query.has('object-lock')) throw new Refusal(404, 'ObjectLockConfigurationNotFoundError');
    if (query.has('lifecycle')) throw new Refusal(404, 'NoSuchLifecycleConfiguration');
    return list(content, query);
  }

  function answer(
    req: IncomingMessage,
    { method, key, query }: Asked,
    { body, removals }: { body: Buffer; removals: number },
    res: ServerResponse,
  ): Buffer {
    assertHeaders(req, quirks);
    if (method === 'PUT') assertBody(req, body);
    if (method === 'POST' && query.has('uploads')) return Buffer.from(uploads.begin());
    if (query.has('uploadId')) {
      res.setHeader('ETag', etag(body));
      return Buffer.from(uploads.carryOn(method, key, query, body));
    }
    if (method === 'PUT') {
      content.put(key, body, { onlyNew: req.headers['if-none-match'] === '*', removals });
      res.setHeader('ETag', etag(body));
      return Buffer.alloc(0);
    }
    if (method === 'GET' && key === '') return Buffer.from(read(query));
    if (method === 'DELETE') {
      for (const [name, value] of Object.entries(content.remove(key, query.get('versionId'))))
        res.setHeader(name, value);
      res.statusCode = 204;
      return Buffer.alloc(0);
    }
    const stored = content.get(key, query.get('versionId'));
    res.setHeader('ETag', etag(stored.body));
    res.setHeader('Last-Modified', new Date(stored.at).toUTCString());
    return stored.body;
  }

  const double: S3Double = {
    ...{ endpoint: '', objects: content.objects, versions: content.versions, asked },
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
    const removals = content.removalsOf(request.key);
    const fault = double.fault(request);
    if (fault?.kind === 'drop') return void req.socket.destroy();
    const body = await buffer(req);
    if (fault?.kind === 'delay') await sleep(fault.ms);
    let told: Buffer;
    try {
      assertAllowed(req, name);
      if (fault?.kind === 'status')
        throw new Refusal(fault.status, fault.code ?? (fault.status === 503 ? 'SlowDown' : 'InternalError'));
      told = answer(req, request, { body, removals }, res);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      res.statusCode = error.status;
      told = Buffer.from(`<Error><Code>${error.code}</Code><Message>${error.code}</Message></Error>`);
    }
    if (fault?.kind === 'lost-reply') return void req.socket.destroy();
    res.setHeader('Content-Length', told.length);
    if (request.method === 'HEAD') return void res.end();
    if (fault?.kind === 'truncate' && request.key !== '') {
      res.write(told.subarray(0, told.length - 1));
      return void setTimeout(() => req.socket.destroy(), 20);
    }
    if (fault?.kind === 'flip' && request.key !== '') {
      told = Buffer.from(told);
      const middle = Math.floor(told.length / 2);
      told[middle] = (told[middle] ?? 0) ^ 1;
    }
    res.end(told);
  }

  const server = createServer(
    (req, res) => void serve(req, res).catch((error: unknown) => res.destroy(error as Error)),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(double, { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}
