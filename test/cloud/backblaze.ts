import { randomBytes } from 'node:crypto';
import {
  httpDouble,
  wrongKeys,
  type Answer,
  type HttpDouble,
  type Json,
  type Request,
  type Route,
} from './http-double.ts';

interface Key {
  applicationKeyId: string;
  secret: string;
  keyName: string;
  capabilities: string[];
  bucketId: string | null;
  namePrefix: string | null;
}

export interface BackblazeDouble extends HttpDouble {
  /** The account's own key. */
  keyId: string;
  key: string;
  keys: Map<string, Key>;
  /** By name. */
  buckets: Map<string, string>;
  /** Makes a session end before its time, as after a day. */
  expire: () => void;
}

const CAPABILITIES = (
  'listKeys writeKeys deleteKeys listAllBucketNames listBuckets readBuckets writeBuckets deleteBuckets ' +
  'readBucketRetentions writeBucketRetentions readBucketEncryption writeBucketEncryption listFiles readFiles ' +
  'shareFiles writeFiles deleteFiles readFileLegalHolds writeFileLegalHolds readFileRetentions ' +
  'writeFileRetentions bypassGovernance readBucketNotifications writeBucketNotifications'
).split(' ');

const CODES: Record<number, string> = {
  400: 'bad_request',
  401: 'unauthorized',
  404: 'not_found',
  405: 'method_not_allowed',
  429: 'too_many_requests',
  500: 'internal_error',
  503: 'service_unavailable',
};

const failure = (status: number, code: string, message: string): Answer => ({
  status,
  body: { status, code, message },
});
const error = (status: number, message = 'no message'): Answer =>
  failure(status, CODES[status] ?? 'error', message);

/** A strict double of B2's native API v3, as far as application keys go. */
export async function backblaze(options: { pageSize?: number } = {}): Promise<BackblazeDouble> {
  const accountId = randomBytes(6).toString('hex');
  const own = { id: `005${accountId}0000000001`, secret: `K005${randomBytes(20).toString('base64url')}` };
  const keys = new Map<string, Key>();
  const buckets = new Map<string, string>();
  const sessions = new Map<string, Key | 'own'>();
  let made = 1;
  let url = '';

  const holder = (id: string, secret: string): Key | 'own' | undefined => {
    if (id === own.id && secret === own.secret) return 'own';
    const key = keys.get(id);
    return key?.secret === secret ? key : undefined;
  };

  const authorize = ({ headers }: Request): Answer => {
    const [, encoded = ''] = /^Basic (.+)$/.exec(headers.authorization ?? '') ?? [];
    const [id = '', secret = ''] = Buffer.from(encoded, 'base64').toString().split(':');
    const who = holder(id, secret);
    if (who === undefined) return error(401, 'The applicationKeyId and/or the applicationKey are wrong.');
    const token = `4_${randomBytes(16).toString('hex')}`;
    sessions.set(token, who);
    const storageApi = {
      apiUrl: url,
      downloadUrl: url,
      s3ApiUrl: 'https://s3.eu-central-003.backblazeb2.com',
      absoluteMinimumPartSize: 5_000_000,
      recommendedPartSize: 100_000_000,
      capabilities: who === 'own' ? CAPABILITIES : who.capabilities,
      bucketId: who === 'own' ? null : who.bucketId,
      namePrefix: null,
    };
    const body = { accountId, authorizationToken: token, apiInfo: { storageApi } };
    return { status: 200, body };
  };

  /** What an operation needs of the key whose session it is. */
  const needs =
    (capability: string, known: string[], required: string[], handle: Route['handle']): Route['handle'] =>
    (request) => {
      const who = sessions.get(request.headers.authorization ?? '');
      if (who === undefined)
        return failure(401, 'bad_auth_token', 'Authorization token is missing or unknown');
      if (who !== 'own' && !who.capabilities.includes(capability))
        return error(401, 'Application key has insufficient permissions');
      const wrong = wrongKeys(request.body, ['accountId', ...known], required);
      if (wrong !== null) return error(400, wrong);
      return handle(request);
    };

  const shown = ({ secret: _secret, ...key }: Key): Json => ({
    ...key,
    accountId,
    expirationTimestamp: null,
    options: ['s3'],
  });

  const createKey = ({ body }: Request): Answer => {
    const capabilities = body.capabilities as string[];
    const odd = capabilities.find((one) => !CAPABILITIES.includes(one));
    if (odd !== undefined) return error(400, `Invalid capability: ${odd}`);
    if (!/^[A-Za-z0-9-]{1,100}$/.test(body.keyName as string)) return error(400, 'Invalid keyName');
    const bucketId = (body.bucketId ?? null) as string | null;
    if (bucketId !== null && ![...buckets.values()].includes(bucketId))
      return error(400, `Bucket not found: ${bucketId}`);
    const forAccount = ['listKeys', 'writeKeys', 'deleteKeys', 'writeBuckets', 'deleteBuckets'];
    if (bucketId !== null && capabilities.some((one) => forAccount.includes(one)))
      return error(400, 'a key for one bucket cannot have that capability');
    if ((body.namePrefix ?? null) !== null && bucketId === null)
      return error(400, 'a namePrefix needs a bucketId');
    made += 1;
    const key: Key = {
      applicationKeyId: `005${accountId}${String(made).padStart(10, '0')}`,
      secret: `K005${randomBytes(20).toString('base64url')}`,
      keyName: body.keyName as string,
      capabilities,
      bucketId,
      namePrefix: (body.namePrefix ?? null) as string | null,
    };
    keys.set(key.applicationKeyId, key);
    return { status: 200, body: { ...shown(key), applicationKey: key.secret } };
  };

  const listKeys = ({ body }: Request): Answer => {
    const all = [...keys.values()].sort((a, b) => (a.applicationKeyId < b.applicationKeyId ? -1 : 1));
    const start = (body.startApplicationKeyId ?? '') as string;
    const size = Math.min((body.maxKeyCount as number | undefined) ?? 100, options.pageSize ?? 1000);
    const rest = all.filter((one) => one.applicationKeyId >= start);
    return {
      status: 200,
      body: {
        keys: rest.slice(0, size).map(shown),
        nextApplicationKeyId: rest[size]?.applicationKeyId ?? null,
      },
    };
  };

  const deleteKey = ({ body }: Request): Answer => {
    const key = keys.get(body.applicationKeyId as string);
    if (key === undefined) return error(400, `Key ${String(body.applicationKeyId)} does not exist`);
    keys.delete(key.applicationKeyId);
    return { status: 200, body: shown(key) };
  };

  const listBuckets = ({ body }: Request): Answer => ({
    status: 200,
    body: {
      buckets: [...buckets]
        .filter(([name]) => body.bucketName === undefined || body.bucketName === name)
        .map(([bucketName, bucketId]) => ({ accountId, bucketId, bucketName, bucketType: 'allPrivate' })),
    },
  });

  const CREATE = ['capabilities', 'keyName', 'bucketId', 'namePrefix', 'validDurationInSeconds'];
  const route = (method: string, operation: string, handle: Route['handle']): Route => ({
    method,
    path: new RegExp(`^/b2api/v3/${operation}$`),
    handle,
  });
  const routes = [
    route('GET', 'b2_authorize_account', authorize),
    route(
      'POST',
      'b2_create_key',
      needs('writeKeys', CREATE, ['accountId', 'capabilities', 'keyName'], createKey),
    ),
    route(
      'POST',
      'b2_list_keys',
      needs('listKeys', ['maxKeyCount', 'startApplicationKeyId'], ['accountId'], listKeys),
    ),
    route(
      'POST',
      'b2_delete_key',
      needs('deleteKeys', ['applicationKeyId'], ['applicationKeyId'], deleteKey),
    ),
    route(
      'POST',
      'b2_list_buckets',
      needs('listBuckets', ['bucketId', 'bucketName', 'bucketTypes'], ['accountId'], listBuckets),
    ),
  ];
  const double = await httpDouble({ routes, before: () => null, error });
  url = double.url;
  return { ...double, keyId: own.id, key: own.secret, keys, buckets, expire: () => sessions.clear() };
}
