import { describe, expect, it } from 'vitest';
import { operations } from '../../../service/http/api/index.ts';
import { curlBody, exampleOf } from '../../../service/http/web/views/api-example.ts';
import { contract } from '../contract.ts';

const schemas = contract.components.schemas;

/** What curl sends, as JSON. */
function sentBy(command: string): unknown {
  const [, quoted = ''] = / -d '([^]*)'$/.exec(command) ?? [];
  return JSON.parse(quoted.replaceAll("'\\''", "'"));
}

describe('the command beside a call', () => {
  const taking = operations.filter(({ body }) => body !== undefined);
  it.each(taking.map((operation) => [operation.id, operation] as const))('sends what %s takes', (_, one) => {
    const { requestBody } = contract.paths[one.path]![one.method]!;
    const body = sentBy(curlBody(requestBody as Parameters<typeof curlBody>[0], schemas));
    expect(one.body!.safeParse(body).error?.issues, JSON.stringify(body)).toBeUndefined();
  });

  it('sends a message that says something, a file as it is, and nothing where nothing is needed', () => {
    const of = (path: string) =>
      curlBody(contract.paths[path]!['post']!.requestBody as Parameters<typeof curlBody>[0], schemas);
    expect(sentBy(of('/api/sessions/{id}/messages'))).toEqual({
      role: 'user',
      parts: [{ type: 'text', text: 'Where is my invoice of May?' }],
    });
    expect(of('/api/sessions/import')).toContain('application/x-ndjson');
    expect(of('/api/sessions/{id}/attachments')).toMatch(/text\/plain' --data-binary @FILE$/);
    expect(sentBy(of('/api/governance/retention-plans'))).toEqual({});
  });

  it('has a quote of its own as a shell takes it', () => {
    const content = { 'application/json': { schema: { examples: [{ text: "it's" }] } } };
    const command = curlBody({ required: true, content }, {});
    expect(command).toContain(`it'\\''s`);
    expect(sentBy(command)).toEqual({ text: "it's" });
    expect(
      exampleOf({ type: 'object', required: ['a'], properties: { a: { type: 'boolean' } } }, {}),
    ).toEqual({
      a: false,
    });
  });
});
