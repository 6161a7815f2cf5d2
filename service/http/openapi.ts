import { z } from 'zod';
import { components } from './api/schemas/fields.ts';
import { problem } from './api/schemas/system.ts';
import type { Operation, ResponseHeader, ResponseSpec } from './operation.ts';

/** The OpenAPI 3.1 document, made from the operations that the router is made from. */

type Json = Record<string, unknown>;

export interface OpenApi {
  openapi: string;
  info: Json;
  servers: Json[];
  tags: Json[];
  paths: Record<string, Record<string, OpenApiOperation>>;
  components: { schemas: Record<string, Json>; responses: Json; headers: Json; securitySchemes: Json };
}

export interface OpenApiOperation {
  operationId: string;
  summary: string;
  description?: string;
  tags: string[];
  security: Json[];
  parameters?: Json[];
  requestBody?: Json;
  responses: Record<string, Json>;
}

export function openapiDocument<C>(
  operations: readonly Operation<C>[],
  { release }: { release: string | null },
): OpenApi {
  const paths: OpenApi['paths'] = {};
  for (const operation of operations) (paths[operation.path] ??= {})[operation.method] = describe(operation);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Build Factory',
      version: release ?? 'development',
      description: INTRODUCTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(operations.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: namedSchemas(),
      responses: Object.fromEntries(
        Object.entries(PROBLEMS).map(([status, text]) => [`Problem${status}`, problemResponse(status, text)]),
      ),
      headers: HEADERS,
      securitySchemes: SECURITY,
    },
  };
}

const INTRODUCTION = [
  'Every error is `application/problem+json` (RFC 9457) with `code`, `hint`, `retryable` and `requestId`.',
  'What is not there and what is hidden both answer 404; a method that is not declared answers 405 with `Allow`.',
  'Unknown fields and parameters are refused with their path. Lists end where `nextCursor` is null.',
].join(' ');

const SECURITY: Json = {
  bearer: { type: 'http', scheme: 'bearer', description: 'An API token: `npx factory token create`.' },
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: 'factory',
    description:
      'The cookie of the login link; its name is `__Host-factory` where the service is reached by HTTPS.',
  },
};

/** When each problem is the answer. */
const PROBLEMS: Record<number, string> = {
  400: 'Malformed: every wrong field is named in `problems`. A cursor that this list did not issue, too.',
  401: 'No token or cookie, or one that is not valid (any more).',
  403: 'The permission is missing (`permission`), or the request comes from another site.',
  404: 'It is not there, or hidden from the caller.',
  409: 'Refused by the current state: see `code`. `action-blocked` has `blockers`; `input-refused` has `problems`: a field is well-formed, but names nothing that is there, or not what the item, the policy or the time of day allow.',
  410: 'It was deleted, for ever: nothing is read from it or written to it.',
  412: 'The item changed since the version of `If-Match`: see `etag` and `diff`.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
  421: 'The service does not answer under this host name.',
  422: 'The `Idempotency-Key` was used with another body, or a policy does not let the content in.',
  428: 'Agent tokens must send `If-Match`.',
  429: 'Too many failed attempts from this address, or a quota is used up.',
  503: 'The database cannot be used, too many streams are open, or the service is stopping.',
};

const HEADERS: Record<ResponseHeader | 'X-Request-Id' | 'Retry-After' | 'WWW-Authenticate', Json> = {
  ETag: { description: 'The version of the item, strong.', schema: { type: 'string' }, required: true },
  Location: { description: 'Where the new object is.', schema: { type: 'string' }, required: true },
  'Idempotency-Replayed': {
    description: '`true` where an earlier request with this key gave the answer.',
    schema: { type: 'string' },
  },
  'Content-Disposition': {
    description: 'To be saved, under the name that it was sent with.',
    schema: { type: 'string' },
    required: true,
  },
  'Content-Digest': {
    description: '`sha-256` of the content (RFC 9530).',
    schema: { type: 'string' },
    required: true,
  },
  RateLimit: {
    description:
      'What is left of each quota that is in force: `"name";r=left;t=seconds until it begins anew`.',
    schema: { type: 'string' },
  },
  'X-Request-Id': {
    description: 'Under which the log knows the request.',
    schema: { type: 'string' },
    required: true,
  },
  'Retry-After': {
    description: 'Seconds until a retry makes sense; absent where none does.',
    schema: { type: 'string' },
  },
  'WWW-Authenticate': { description: 'How to sign the request.', schema: { type: 'string' }, required: true },
};

const PROBLEM_HEADERS: Record<string, (keyof typeof HEADERS)[]> = {
  401: ['WWW-Authenticate'],
  412: ['ETag'],
  429: ['Retry-After'],
  503: ['Retry-After'],
};

function describe<C>(operation: Operation<C>): OpenApiOperation {
  const { id, summary, description, tag, access, body, stream } = operation;
  const parameters = [
    ...parametersOf('path', operation.params),
    ...parametersOf('query', operation.query),
    ...parametersOf('header', operation.headers),
  ];
  return {
    operationId: id,
    summary,
    ...(description || isPermission(access)
      ? { description: [description, permissionText(access)].filter(Boolean).join(' ') }
      : {}),
    tags: [tag],
    security: access === 'public' ? [] : [{ bearer: [] }, { session: [] }],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: requestBody(body) } : {}),
    ...(stream ? { requestBody: streamedBody(stream) } : {}),
    responses: responsesOf(operation),
  };
}

function isPermission(access: string): boolean {
  return access !== 'public' && access !== 'signed-in';
}

function permissionText(access: string): string | null {
  return isPermission(access) ? `Takes the permission \`${access}\`.` : null;
}

/** Queries arrive as text and are declared as what they mean; headers are declared as the text that they are. */
function parametersOf(where: 'path' | 'query' | 'header', schemas: z.ZodObject | undefined): Json[] {
  return Object.entries(schemas?.shape ?? {}).map(([name, field]) => {
    const { description, examples, ...schema } = jsonSchema(
      field as z.ZodType,
      where === 'header' ? 'input' : 'output',
    );
    const required = where === 'path' || !(field as z.ZodType).safeParse(undefined).success;
    return {
      ...{ name, in: where, required },
      ...(description ? { description } : {}),
      ...(Array.isArray(examples) ? { example: examples[0] as unknown } : {}),
      schema,
    };
  });
}

function requestBody(body: z.ZodType): Json {
  return {
    required: !body.safeParse({}).success,
    content: { 'application/json': { schema: reference(body) } },
  };
}

function streamedBody({ types, description }: NonNullable<Operation<never>['stream']>): Json {
  const schema = { type: 'string', format: 'binary' };
  return {
    // None at all is an empty one.
    ...{ description, required: false },
    content: Object.fromEntries(types.map((type) => [type, { schema }])),
  };
}

function responsesOf<C>(operation: Operation<C>): Record<string, Json> {
  const responses: Record<string, Json> = {};
  for (const status of problemsOf(operation))
    responses[status] = { $ref: `#/components/responses/Problem${status}` };
  for (const [status, spec] of Object.entries(operation.responses)) responses[status] = response(spec);
  return responses;
}

/** Statuses that follow from what an operation is, and those that it names. */
function problemsOf<C>({ method, access, params, body, stream, problems = [] }: Operation<C>): number[] {
  const statuses = [400, 401, 421, 429, 503, ...problems];
  if (isPermission(access) || method !== 'get') statuses.push(403);
  if (params) statuses.push(404);
  if (body ?? stream) statuses.push(413, 415);
  return [...new Set(statuses)].sort((a, b) => a - b);
}

function response(spec: ResponseSpec): Json {
  const { description, schema, contentType = 'application/json', headers = [], links } = spec;
  return {
    description,
    headers: headerReferences(headers),
    ...(schema ? { content: { [contentType]: { schema: reference(schema) } } } : {}),
    ...(links ? { links: linksTo(links) } : {}),
  };
}

function linksTo(links: NonNullable<ResponseSpec['links']>): Json {
  const link = (operationId: string, pointers: Record<string, string>): Json => ({
    operationId,
    parameters: Object.fromEntries(
      Object.entries(pointers).map(([name, pointer]) => [name, `$response.body#${pointer}`]),
    ),
  });
  return Object.fromEntries(Object.entries(links).map(([id, pointers]) => [id, link(id, pointers)]));
}

function problemResponse(status: string, description: string): Json {
  return {
    description,
    headers: headerReferences(PROBLEM_HEADERS[status] ?? []),
    content: { 'application/problem+json': { schema: reference(problem) } },
  };
}

function headerReferences(names: readonly string[]): Json {
  return Object.fromEntries(
    ['X-Request-Id', ...names].map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
}

function reference(schema: z.ZodType): Json {
  const id = components.get(schema)?.id;
  return id === undefined ? jsonSchema(schema, 'output') : { $ref: `#/components/schemas/${id}` };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}

function namedSchemas(): Record<string, Json> {
  const { schemas } = z.toJSONSchema(components, { io: 'output', uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $schema: _, $id: _id, ...schema }]) => [id, schema as Json]),
  );
}
