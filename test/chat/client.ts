import type { TestService } from '../helpers/service.ts';

/** Calls of the sessions API on a test service. */

export interface Answer<B> {
  status: number;
  headers: Headers;
  body: B;
}

export interface MessageBody {
  id: string;
  seq: number;
  parts: { type: string; text?: string }[];
}

export function clientOf(service: () => TestService) {
  async function call<B = unknown>(
    method: string,
    path: string,
    body?: unknown,
    as: string = service().owner,
    headers: Record<string, string> = {},
  ): Promise<Answer<B>> {
    const answer = await fetch(`${service().url}${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${as}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return {
      status: answer.status,
      headers: answer.headers,
      body: (text === '' ? null : JSON.parse(text)) as B,
    };
  }

  return {
    call,
    begin: async (input: object = {}, as?: string) =>
      (await call<{ id: string }>('POST', '/api/sessions', input, as)).body,
    say: (session: string, text: string, key?: string, as?: string) =>
      call<MessageBody>(
        ...(['POST', `/api/sessions/${session}/messages`] as const),
        { role: 'user', parts: [{ type: 'text', text }] },
        as,
        key === undefined ? {} : { 'Idempotency-Key': key },
      ),
    messages: async (session: string, query = '', as?: string) =>
      (
        await call<{ messages: MessageBody[]; nextCursor: string | null }>(
          'GET',
          `/api/sessions/${session}/messages${query}`,
          undefined,
          as,
        )
      ).body,
    sessions: async (query = '', as?: string) =>
      (
        await call<{ sessions: { id: string }[]; nextCursor: string | null }>(
          'GET',
          `/api/sessions${query}`,
          undefined,
          as,
        )
      ).body,
  };
}
