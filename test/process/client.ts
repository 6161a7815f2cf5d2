import { setTimeout as sleep } from 'node:timers/promises';
import { factoryJson } from './service.ts';
import type { Place } from './service.ts';

/** What callers of the service see, and nothing else of it. */

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Parsed where the answer is JSON, else null. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- documents of many calls, judged by matchers
  body: any;
}

export interface Caller {
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  send(method: string, path: string, init?: RequestInit): Promise<Answer>;
}

/** Calls by bearer token; without one, as nobody. `base` is asked late, because a restart changes the port. */
export function callerOf(base: () => string, token?: string): Caller {
  const authorization: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}` };
  const send = (method: string, path: string, init: RequestInit = {}): Promise<Answer> =>
    answer(`${base()}${path}`, {
      ...init,
      method,
      headers: { ...authorization, ...(init.headers as Record<string, string>) },
    });
  return {
    send,
    get: (path, headers = {}) => send('GET', path, { headers }),
    post: (path, body = {}, headers = {}) =>
      send('POST', path, {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      }),
  };
}

async function answer(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, { redirect: 'manual', ...init });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : null };
}

/** A token made on the data itself, as an operator makes it. */
export async function newToken(
  place: Place,
  role: string,
  name = role,
): Promise<{ id: string; token: string }> {
  const { code, answer: made } = await factoryJson<{
    id: string;
    token: string;
    error?: { message: string };
  }>(place, ...['token', 'create', '--name', name, '--role', role]);
  if (code !== 0) throw new Error(`No token for ${role}: ${made.error?.message}`);
  return made;
}

/** Follows a one-time link; answers the cookie of the session. */
export async function signIn(link: string): Promise<string> {
  const response = await fetch(link, { redirect: 'manual' });
  const cookie = response.headers.getSetCookie()[0]?.split(';')[0];
  if (response.status !== 303 || cookie === undefined)
    throw new Error(`Signing in answered ${response.status}.`);
  return cookie;
}

export const itemPath = (id: string): string => `/api/control-plane/items/${encodeURIComponent(id)}`;
export const actionPath = (id: string, identity: string): string => `${itemPath(id)}/actions/${identity}`;

/** Asks until `done` says so; throws the last answer after `ms`. */
export async function eventually<T>(
  ask: () => Promise<T>,
  done: (value: T) => boolean,
  ms = 10_000,
): Promise<T> {
  const giveUp = Date.now() + ms;
  for (;;) {
    const value = await ask();
    if (done(value)) return value;
    if (Date.now() > giveUp)
      throw new Error(`Not within ${ms} ms; the last answer: ${JSON.stringify(value)?.slice(0, 2000)}`);
    await sleep(50);
  }
}
