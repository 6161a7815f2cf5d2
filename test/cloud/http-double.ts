import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Json = Record<string, unknown>;

export interface Request {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: Json;
  /** What the route's groups took from the path. */
  parts: string[];
}
export interface Answer {
  status: number;
  body?: Json | undefined;
  headers?: Record<string, string>;
}

/** What goes wrong with the next requests that fit. */
export interface Fault {
  method: string;
  path: RegExp;
  /**
   * A status: answered instead of doing it. `lost`: done, and the connection is cut before the answer. `hidden`: what the
   * request makes is answered, and then 404 to the next reads of it, `times` in number.
   */
  kind: number | 'lost' | 'hidden';
  times: number;
}

type Handler = (request: Request) => Answer;
export interface Route {
  method: string;
  path: RegExp;
  handle: Handler;
}

export interface HttpDouble {
  url: string;
  /** `POST /v2/droplets`, in the order in which they came. */
  calls: string[];
  /** Requests that the documented API knows nothing of. A test ends with none. */
  violations: string[];
  fault: (fault: Fault) => void;
  close: () => Promise<void>;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

export interface Api {
  routes: Route[];
  /** Answers what stops a request before its route: a wrong token, a rate limit. */
  before: (request: Request) => Answer | null;
  /** As this provider words an error. */
  error: (status: number, message?: string) => Answer;
}

/** An HTTP server on the loopback address that answers as an API is documented, and fails when told to. */
export async function httpDouble(api: Api): Promise<HttpDouble> {
  const calls: string[] = [];
  const violations: string[] = [];
  const faults: Fault[] = [];
  /** Reads of a path that are answered 404 yet. */
  const hidden = new Map<string, number>();

  const takeFault = (method: string, path: string): Fault | undefined => {
    const found = faults.find((one) => one.method === method && one.path.test(path) && one.times > 0);
    if (found !== undefined && found.kind !== 'hidden') found.times -= 1;
    return found;
  };

  const run = (request: Request): Answer => {
    const { method, path } = request;
    const stopped = api.before(request);
    if (stopped !== null) return stopped;
    const left = hidden.get(path) ?? 0;
    if (method === 'GET' && left > 0) {
      hidden.set(path, left - 1);
      return api.error(404);
    }
    const fitting = api.routes.filter((route) => route.path.test(path));
    const route = fitting.find((one) => one.method === method);
    if (route === undefined) {
      violations.push(`${method} ${path}`);
      return api.error(fitting.length > 0 ? 405 : 404);
    }
    return route.handle({ ...request, parts: route.path.exec(path)?.slice(1).map(decodeURIComponent) ?? [] });
  };

  const serve = async (incoming: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const text = await bodyOf(incoming);
    const url = new URL(incoming.url ?? '/', 'http://double');
    const method = incoming.method ?? 'GET';
    calls.push(`${method} ${url.pathname}`);
    const send = ({ status, body, headers }: Answer): void => {
      answer.writeHead(status, { 'content-type': 'application/json', ...headers });
      answer.end(body === undefined ? undefined : JSON.stringify(body));
    };
    let body: Json;
    try {
      body = text === '' ? {} : (JSON.parse(text) as Json);
    } catch {
      violations.push(`${method} ${url.pathname}: the body is no JSON`);
      return send(api.error(400));
    }
    const fault = takeFault(method, url.pathname);
    if (typeof fault?.kind === 'number') {
      const headers: Record<string, string> = fault.kind === 429 ? { 'retry-after': '0.02' } : {};
      return send({ ...api.error(fault.kind), headers });
    }
    const request = { method, path: url.pathname, query: url.searchParams, headers: incoming.headers, body };
    const made = run({ ...request, parts: [] });
    if (fault?.kind === 'lost') return void incoming.socket.destroy();
    if (fault?.kind === 'hidden' && made.status < 300) {
      hidden.set(`${url.pathname}/${idOf(made.body)}`, fault.times);
      fault.times = 0;
    }
    send(made);
  };

  const server = createServer((incoming, answer) => {
    serve(incoming, answer).catch((error: Error) => {
      violations.push(error.message);
      answer.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    violations,
    fault: (fault) => faults.push({ ...fault }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Of what an answer holds in its only key: `{ droplet: { id } }`. */
function idOf(body: Json | undefined): string {
  const inner = Object.values(body ?? {})[0] as Json | undefined;
  return String(inner?.id ?? inner?.ip ?? inner?.access_key ?? inner?.name);
}

/** The first thing that is wrong with a body, or null: keys that the API does not document, required ones missing. */
export function wrongKeys(body: Json, known: string[], required: string[]): string | null {
  const unknown = Object.keys(body).find((key) => !known.includes(key));
  if (unknown !== undefined) return `${unknown} is not a field of this request`;
  const missing = required.find((key) => body[key] === undefined || body[key] === '');
  return missing === undefined ? null : `${missing} is required`;
}
