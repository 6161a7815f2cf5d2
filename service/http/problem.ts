import type {} from 'pino-http';
import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import { rateLimitText } from '../chat/quotas.ts';
import type { Headroom } from '../chat/quotas.ts';
import { asFactoryError, FactoryError } from '../errors.ts';

/** Codes and their HTTP status; everything else is 500. The only place where errors meet HTTP. */
const STATUS: Record<string, number> = {
  'bad-input': 400,
  'body-cut': 400,
  'bad-json': 400,
  'cursor-unknown': 400,
  'idempotency-key-missing': 400,
  'import-cut': 400,
  'import-malformed': 400,
  unauthenticated: 401,
  'permission-missing': 403,
  'csrf-token-missing': 403,
  'origin-refused': 403,
  'not-found': 404,
  'audit-entry-unknown': 404,
  'audit-size-unknown': 404,
  'method-not-allowed': 405,
  'action-blocked': 409,
  'decision-outdated': 409,
  'drill-conflict': 409,
  'drill-foreign': 409,
  'drill-from-future': 409,
  'drill-signer-unknown': 409,
  'drill-unsigned': 409,
  'import-conflict': 409,
  'in-flight': 409,
  'input-refused': 409,
  'last-owner': 409,
  'on-hold': 409,
  'own-token': 409,
  'queue-read-only': 409,
  'queue-missing': 409,
  'queue-init-failed': 409,
  'audit-log-altered': 409,
  'audit-not-signed-yet': 409,
  'job-paused': 409,
  'job-running': 409,
  'plan-outdated': 409,
  'break-glass-needed': 409,
  'break-glass-off': 409,
  'grant-decided': 409,
  'quarantine-waits': 409,
  'second-person-needed': 409,
  'content-key-gone': 410,
  gone: 410,
  'subject-erased': 410,
  'subject-key-gone': 410,
  'version-mismatch': 412,
  'body-too-large': 413,
  'content-type-unsupported': 415,
  'host-refused': 421,
  'digest-mismatch': 422,
  'idempotency-key-reused': 422,
  'sensitive-data-blocked': 422,
  'sensitive-data-undecided': 422,
  'version-required': 428,
  'quota-exceeded': 429,
  'rate-limited': 429,
  'headers-too-large': 431,
  'content-missing': 500,
  'content-not-sealed': 500,
  'content-unreadable': 500,
  'attachment-unwritable': 503,
  'database-busy': 503,
  'database-unreachable': 503,
  'database-write-failed': 503,
  'feed-full': 503,
  'journal-ahead': 503,
  'journal-unwritable': 503,
  'search-index-unavailable': 503,
  'side-file-unwritable': 503,
  stopping: 503,
};

/** RFC 9457, with our members. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  hint: string;
  retryable: boolean;
  requestId: string;
  [member: string]: unknown;
}

export function statusOf(code: string): number {
  return STATUS[code] ?? 500;
}

export function problemOf(error: FactoryError, requestId: string): Problem {
  const status = statusOf(error.code);
  const internal = !(error.code in STATUS);
  return {
    ...(internal ? {} : error.details),
    type: `urn:build-factory:problem:${error.code}`,
    title: internal ? 'Internal error' : titleOf(error, status),
    status,
    // An unexpected error may hold content or paths: its text stays in the log.
    detail: internal
      ? 'The service failed unexpectedly; nothing was changed by this request.'
      : error.message,
    code: internal ? 'internal' : error.code,
    hint: internal ? `Look at the log for request ${requestId}; report it if it happens again.` : error.hint,
    retryable: error.retryable,
    requestId,
  };
}

const titleOf = ({ code, details }: FactoryError, status: number): string =>
  code === 'gone' && 'binnedAt' in details ? 'In the bin' : (TITLES[status] ?? 'Internal error');

const TITLES: Record<number, string> = {
  400: 'Bad request',
  401: 'Not signed in',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Refused by the current state',
  410: 'Gone for good',
  412: 'Changed in between',
  413: 'Too large',
  415: 'Unsupported content type',
  421: 'Foreign host',
  422: 'Not what was announced',
  428: 'Version required',
  429: 'Too much or too many',
  431: 'Headers too large',
  500: 'Content cannot be read',
  503: 'Unavailable',
};

export function sendProblem(res: Response, problem: Problem): void {
  res.status(problem.status);
  if (problem.status === 503) res.set('Retry-After', '2');
  if (typeof problem['etag'] === 'string') res.set('ETag', problem['etag']);
  if (problem.code === 'quota-exceeded') {
    res.set('RateLimit', rateLimitText(problem['limits'] as Headroom[]));
    const wait = problem['retryAfterSeconds'] as number | null;
    // What never begins anew is not worth asking for again.
    if (wait !== null) res.set('Retry-After', String(wait));
  }
  res.type('application/problem+json').send(JSON.stringify(problem));
}

/** Errors of Express's own parsers, in our words. */
function fromExpress(error: unknown): FactoryError {
  const { type, status } = error as { type?: string; status?: number };
  const op = 'read request';
  if (type === 'entity.too.large') {
    const { limit } = error as { limit?: number };
    const message = `The body is larger than ${limit ?? 'the limit of'} bytes.`;
    return new FactoryError({
      code: 'body-too-large',
      op,
      message,
      hint: 'Send less in one request.',
      cause: error,
    });
  }
  if (type === 'charset.unsupported' || type === 'encoding.unsupported') {
    const message = 'The body has a character set or encoding that is not supported.';
    return new FactoryError({
      code: 'content-type-unsupported',
      op,
      message,
      hint: 'Send UTF-8 JSON.',
      cause: error,
    });
  }
  if (type === 'entity.parse.failed' || (status !== undefined && status >= 400 && status < 500)) {
    const message = `The request cannot be read: ${(error as Error).message}.`;
    const details = { problems: [{ path: '', message: (error as Error).message }] };
    return new FactoryError({
      code: 'bad-json',
      op,
      message,
      hint: 'Send well-formed JSON in UTF-8.',
      details,
      cause: error,
    });
  }
  return asFactoryError(error, op);
}

export function toFactoryError(error: unknown): FactoryError {
  return error instanceof FactoryError ? error : fromExpress(error);
}

export type RenderError = (problem: Problem, req: Request, res: Response) => void;

/** The last handler: pages get a page, everything else problem+json. */
export function errorHandler(renderPage: RenderError): ErrorRequestHandler {
  return (error: unknown, req, res, next) => {
    const known = toFactoryError(error);
    const problem = problemOf(known, String(res.locals.requestId ?? ''));
    if (problem.status >= 500) req.log.error({ err: error }, known.message);
    if (res.headersSent) return next(error);
    if (wantsPage(req)) renderPage(problem, req, res);
    else sendProblem(res, problem);
  };
}

const PAGE_METHODS = ['GET', 'HEAD', 'POST'];

/** What no page takes, refused before any of them: other methods, and NUL, which Postgres cannot hold. */
export const pageRequest: RequestHandler = (req, res, next) => {
  if (!PAGE_METHODS.includes(req.method)) {
    res.set('Allow', PAGE_METHODS.join(', '));
    throw new FactoryError({
      code: 'method-not-allowed',
      op: 'route request',
      message: `${req.method} is not possible here.`,
      hint: `Use ${PAGE_METHODS.join(', ')}.`,
    });
  }
  const form = Object.values((req.body ?? {}) as Record<string, unknown>);
  if (
    /%00/.test(req.originalUrl) ||
    form.some((value) => typeof value === 'string' && value.includes('\0'))
  ) {
    throw new FactoryError({
      code: 'bad-input',
      op: 'read request',
      message: 'The address or the form holds a NUL character, which no text here can have.',
      hint: 'Remove it and send it again.',
    });
  }
  next();
};

export const notFound: RequestHandler = (req) => {
  throw new FactoryError({
    code: 'not-found',
    op: 'route request',
    target: req.path,
    message: 'There is nothing at this address.',
    hint: 'GET /api/openapi.json lists the API; the board is at /.',
  });
};

export function wantsPage(req: Request): boolean {
  return !req.path.startsWith('/api/') && req.path !== '/metrics' && req.accepts(['html', 'json']) === 'html';
}
