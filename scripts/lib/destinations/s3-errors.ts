import { FactoryError } from '../../../service/errors.ts';

/** What the answers of S3-compatible servers mean, by their status and name. */

export function statusOf(error: unknown): number | null {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? null;
}

/** Broken on the way, or not patient enough with us: sent again, the same can succeed. */
const ON_THE_WAY = new Set(['BadDigest', 'IncompleteBody', 'RequestTimeout']);

/** It answers, and says to come again: 500 and 503 are routine at B2. */
export function isBusy(error: unknown): boolean {
  const status = statusOf(error);
  return status !== null && status !== 507 && (status >= 500 ? status !== 501 : status === 429);
}

/** Whether the same request can succeed a moment later. */
export function isPassing(error: unknown): boolean {
  const { name } = error as Error;
  if (error instanceof FactoryError || name === 'AbortError') return false;
  return isBusy(error) || ON_THE_WAY.has(name) || statusOf(error) === null;
}

export function objectExists(target: string): FactoryError {
  return new FactoryError({
    code: 'destination-object-exists',
    op: 'write in destination',
    target,
    message: `${target} exists already and is not replaced.`,
    hint: 'Look who else writes there: each installation needs a prefix of its own.',
  });
}

export function s3Error(what: string, target: string, cause: unknown): FactoryError {
  if (cause instanceof FactoryError) return cause;
  const { name, message, code: system } = cause as NodeJS.ErrnoException;
  // The SDK calls a connection that broke a timeout as well.
  const known = system === 'ECONNRESET' || system === 'EPIPE' ? system : name;
  const [code, why, hint] = meaning(statusOf(cause), known, message);
  const retryable = code === 'destination-failed' || code === 'destination-timeout';
  return new FactoryError({
    ...{ code, op: `${what} in destination`, target, hint, retryable, cause },
    message: `${OF_ALL.has(code) ? subject(code, target) : target} ${why}.`,
  });
}

/** Of the store or the bucket, whatever was asked for: whoever prints it names the destination. */
const OF_ALL = new Set([
  ...['destination-clock', 'destination-credentials', 'destination-failed', 'destination-full'],
  ...['destination-missing', 'destination-timeout'],
]);

function subject(code: string, target: string): string {
  const [, bucket = ''] = /^s3:\/\/([^/?\s]+)/.exec(target) ?? [];
  return code === 'destination-missing' || code === 'destination-full' ? `The bucket ${bucket}` : 'The store';
}

type Meaning = [code: string, why: string, hint: string];

/** By the name of the answer, where it has one that says more than its status. */
const NAMED: Record<string, Meaning> = {
  RequestTimeTooSkewed: [
    'destination-clock',
    'refuses this machine: its clock is wrong',
    'Set the clock: timedatectl set-ntp true.',
  ],
  SlowDown: [
    'destination-failed',
    'is busy and asks to come again later (SlowDown)',
    'The next run tries again. Spaces takes five writes of one object in five minutes.',
  ],
  NoSuchBucket: ['destination-missing', 'does not exist', 'Check the name, region and endpoint.'],
  AbortError: [
    'destination-timeout',
    'did not answer in time',
    'Look at the network and the provider; the next run tries again.',
  ],
};
NAMED.TimeoutError = NAMED.AbortError as Meaning;

const CREDENTIALS: Meaning = [
  'destination-credentials',
  'refuses these credentials',
  'Check the key, and that it is of this provider.',
];
const FULL: Meaning = [
  'destination-full',
  'is full: its quota or cap is used up',
  'Raise it at the provider, or prune; the other destinations are not touched by this.',
];

function meaning(status: number | null, name: string, message: string): Meaning {
  const named = NAMED[name];
  if (named) return named;
  if (/^(InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|ExpiredToken)/.test(name)) return CREDENTIALS;
  // B2 says it in the message of an AccessDenied.
  if (status === 507 || /Quota|StorageFull|StorageLimit/i.test(name) || /cap exceeded/i.test(message))
    return FULL;
  if (status === 404)
    return ['destination-object-missing', 'is not there', 'Look what `npx factory backups list` shows.'];
  if (status === 403)
    return [
      'destination-forbidden',
      `is forbidden to this key (${name})`,
      'Give the key the right to list, read and write in this bucket.',
    ];
  return [
    'destination-failed',
    `answers ${status ?? 'nothing'}: ${message || name}`,
    'Look at the network and the provider; the next run tries again.',
  ];
}
