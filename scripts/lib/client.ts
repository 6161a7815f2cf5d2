import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Config } from '../../service/config.ts';
import { FactoryError } from '../../service/errors.ts';
import { addressText, serviceAddress } from './settings.ts';
import type { Address } from './settings.ts';

/** Longer than the service itself waits for anything. */
const TIMEOUT_MS = 30_000;

export interface ApiAnswer {
  status: number;
  etag: string | null;
  /** Parsed JSON. */
  body: unknown;
}

export interface ApiCall {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  headers?: Record<string, string>;
  body?: unknown;
  /** Sent as it comes, instead of a body. */
  source?: Readable;
}

export interface Api {
  /** Any answer, whatever its status. Errors: `unreachable`, `not-our-service`. */
  call(path: string, call?: ApiCall): Promise<ApiAnswer>;
  /** An answer 2xx. Errors: also every code of the API. */
  ask(path: string, call?: ApiCall): Promise<ApiAnswer>;
  /** The content of an answer 2xx, as it comes. Errors: as of `ask`. */
  open(path: string): Promise<IncomingMessage>;
}

/** The API of the service that the configuration names, for anybody. Errors: `address-unknown`. */
export function createPublicApi(config: Config, timeoutMs?: number): Api {
  return apiAt(serviceAddress(config), {}, timeoutMs);
}

/** The same with the caller's token. Errors: `address-unknown`, `token-missing`. */
export function createApi(config: Config): Api {
  const { token } = config.client;
  if (token !== null) return apiAt(serviceAddress(config), { Authorization: `Bearer ${token}` });
  throw new FactoryError({
    code: 'token-missing',
    op: 'call service',
    target: 'FACTORY_TOKEN',
    message: 'This verb calls the running service with a token, and FACTORY_TOKEN is not set.',
    hint: 'Make one: `npx factory token create --name NAME --role ROLE`, then set FACTORY_TOKEN to it.',
  });
}

/** The API at an address. */
export function apiAt(address: Address, standing: Record<string, string>, timeoutMs = TIMEOUT_MS): Api {
  function request(path: string, { method = 'GET', headers = {}, body, source }: ApiCall) {
    const sent = source ?? (body === undefined ? null : JSON.stringify(body));
    const all: Record<string, string | number> = { Accept: 'application/json', ...standing, ...headers };
    if (typeof sent === 'string')
      Object.assign(all, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(sent) });
    return send(address, path, { method, headers: all, timeout: timeoutMs }, sent);
  }
  async function answerOf(response: IncomingMessage): Promise<ApiAnswer> {
    const { statusCode: status = 0, headers: received } = response;
    const content = await text(response);
    const body = status === 204 ? null : readJson(content, status, address);
    return { status, etag: received.etag ?? null, body };
  }
  const call = async (path: string, options: ApiCall = {}): Promise<ApiAnswer> =>
    answerOf(await request(path, options));
  return {
    call,
    async ask(path, options) {
      const answer = await call(path, options);
      if (answer.status >= 200 && answer.status < 300) return answer;
      throw problemError(answer, options?.method ?? 'GET', path);
    },
    async open(path) {
      const response = await request(path, { headers: { Accept: '*/*' } });
      if (response.statusCode === 200) return response;
      throw problemError(await answerOf(response), 'GET', path);
    },
  };
}

function send(
  address: Address,
  path: string,
  options: RequestOptions,
  body: string | Readable | null,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => reject(unreachable(address, error));
    const sending =
      'socket' in address
        ? requestHttp({ ...options, path, socketPath: address.socket }, resolve)
        : (address.origin.startsWith('https:') ? requestHttps : requestHttp)(
            new URL(path, address.origin),
            options,
            resolve,
          );
    sending.on('error', fail);
    sending.on('timeout', () =>
      sending.destroy(new Error(`no answer within ${(options.timeout ?? 0) / 1000} s`)),
    );
    if (body instanceof Readable) {
      body.on('error', (error) => sending.destroy(error));
      body.pipe(sending);
    } else sending.end(body ?? undefined);
  });
}

function readJson(content: string, status: number, address: Address): unknown {
  try {
    return JSON.parse(content);
  } catch (cause) {
    throw new FactoryError({
      code: 'not-our-service',
      op: 'read answer',
      target: addressText(address),
      message: `What answers at ${addressText(address)} is not Build Factory: status ${status}, and no JSON.`,
      hint: 'Correct FACTORY_URL (or FACTORY_HOST, FACTORY_PORT, FACTORY_SOCKET).',
      cause,
    });
  }
}

function unreachable(address: Address, error: NodeJS.ErrnoException): FactoryError {
  const where = addressText(address);
  return new FactoryError({
    code: 'unreachable',
    op: 'call service',
    target: where,
    message: `Nothing answers at ${where} (${error.code ?? error.message}).`,
    hint: 'Start the service with `npm start`, or set FACTORY_URL to where it runs.',
    retryable: true,
    cause: error,
  });
}

/** Problem details of RFC 9457 as an error of ours; their further members become its details. */
export function problemError({ status, body }: ApiAnswer, method: string, path: string): FactoryError {
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  const { type: _type, title, detail, code, hint, retryable, ...details } = problem;
  const text = (value: unknown, fallback: string): string => (typeof value === 'string' ? value : fallback);
  return new FactoryError({
    code: text(code, 'unexpected-answer'),
    op: `${method} ${path.split('?')[0]}`,
    message: text(detail, text(title, `The service answered ${status}.`)),
    hint: inVerbs(text(hint, 'Check FACTORY_URL and the log of the service.')),
    retryable: retryable === true,
    details,
  });
}

/** What the API says to call, as verbs, where there are any. */
const VERBS: readonly [call: RegExp, verb: string][] = [
  [/GET \/api\/control-plane\/items\/([^/\s]+)\/actions\?all=true/g, '`npx factory items actions $1 --all`'],
  [/GET \/api\/control-plane\/items(?![/?])/g, '`npx factory items list`'],
  [/GET \/api\/sessions\/\{id\}\/messages/g, '`npx factory sessions messages ID`'],
  [/GET \/api\/sessions(?![/?])/g, '`npx factory sessions list`'],
  [/GET \/api\/governance\/(holds|erasures|grants|quarantine)(?![/?])/g, '`npx factory governance $1`'],
  [/GET \/api\/governance\/retention-plans(?![/?])/g, '`npx factory governance retention`'],
  [/POST \/api\/governance\/retention-plans(?![/?])/g, '`npx factory governance retention --plan`'],
  [/POST \/api\/governance\/grants(?![/?])/g, '`npx factory governance grants --break-glass`'],
  [/format=openai/g, '`--format openai`'],
  [/fromLine=(\d+)/g, '`--from-line $1`'],
  [/PUT \/api\/governance\/policies/g, '`npx factory governance policies --set FILE`'],
];

function inVerbs(hint: string): string {
  return VERBS.reduce((text, [call, verb]) => text.replace(call, verb), hint);
}
