import { expect } from 'vitest';
import type { z } from 'zod';
import { operations } from '../../service/http/api/index.ts';
import { problem } from '../../service/http/api/schemas/system.ts';
import { openapiDocument } from '../../service/http/openapi.ts';

/** A client that holds every answer against the contract. */

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Parsed where the answer is JSON. */
  body: Record<string, unknown>;
}

export interface Sent {
  /** JSON unless it is text. */
  body?: unknown;
  headers?: Record<string, string>;
}

export type Client = (call: string, sent?: Sent) => Promise<Answer>;

export const contract = openapiDocument(operations, { release: null });

/** `client('GET /api/me')`; without a token nobody is signed in. */
export function clientOf(url: string, token: string | null, further: Record<string, string> = {}): Client {
  return async (call, { body, headers = {} } = {}) => {
    const [method = '', path = ''] = call.split(' ');
    const response = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...further,
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = /json/.test(response.headers.get('content-type') ?? '') && !call.includes('/export');
    const answer = {
      status: response.status,
      headers: response.headers,
      text,
      body: json ? JSON.parse(text) : {},
    };
    expectConforming(method, path, answer);
    return answer;
  };
}

/** Status, content type and body are those that the contract declares for the operation. */
export function expectConforming(method: string, path: string, answer: Answer): void {
  const found = operations.find(
    (operation) =>
      operation.method === method.toLowerCase() && matches(operation.path, path.split('?')[0] ?? ''),
  );
  const type = answer.headers.get('content-type') ?? '';
  const label = `${method} ${path} -> ${answer.status} ${answer.text.slice(0, 300)}`;
  if (answer.status >= 400 && !(found && found.responses[answer.status])) {
    expect(type, label).toMatch(/^application\/problem\+json/);
    expectFits(problem, answer.body, label);
  }
  // Undeclared methods and unknown addresses belong to no operation.
  if (!found) {
    expect([404, 405], label).toContain(answer.status);
    return;
  }
  const declared = contract.paths[found.path]?.[found.method]?.responses ?? {};
  expect(Object.keys(declared), label).toContain(String(answer.status));
  const spec = found.responses[answer.status];
  if (!spec) return;
  if (spec.schema) expect(type, label).toContain(spec.contentType ?? 'application/json');
  if (spec.schema && !spec.contentType) expectFits(spec.schema, answer.body, label);
  for (const header of spec.headers ?? []) {
    if (header !== 'Idempotency-Replayed')
      expect(answer.headers.get(header), `${label}: ${header}`).not.toBeNull();
  }
}

function expectFits(schema: z.ZodType, body: unknown, label: string): void {
  const { error } = schema.safeParse(body);
  expect(error?.issues ?? [], label).toEqual([]);
}

function matches(template: string, path: string): boolean {
  const [parts, given] = [template.split('/'), path.split('/')];
  return (
    parts.length === given.length &&
    parts.every((part, index) => part.startsWith('{') || part === given[index])
  );
}

/** The whole audit log as text, through the API. */
export async function auditText(url: string, owner: string): Promise<string> {
  return (await clientOf(url, owner)('GET /api/audit/export')).text;
}
