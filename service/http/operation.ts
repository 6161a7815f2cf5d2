import type { Request, RequestHandler, Response, Router } from 'express';
import type { z } from 'zod';
import { FactoryError } from '../errors.ts';
import type { Principal } from '../work-items/types.ts';

/**
 * One call of the JSON API as data: the router, the validation and the OpenAPI document are all made from it, so they
 * cannot disagree.
 */
export interface Operation<C> {
  method: 'get' | 'post' | 'delete';
  /** OpenAPI form: `/api/control-plane/items/{id}`. */
  path: string;
  /** Stable name of the operation. */
  id: string;
  summary: string;
  description?: string;
  tag: string;
  /** `public`, `signed-in`, or the permission that it takes. Refusals are audited. */
  access: 'public' | 'signed-in' | (string & {});
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodType;
  /** Request headers that the operation reads, for the contract. */
  headers?: Record<string, { description: string; required?: boolean; schema: Record<string, unknown> }>;
  responses: Record<number, ResponseSpec>;
  handle: (call: Call, context: C) => Promise<void> | void;
}

export interface ResponseSpec {
  description: string;
  /** Absent: no body. `problem`: RFC 9457. */
  schema?: z.ZodType | 'problem';
  contentType?: string;
  headers?: Record<string, string>;
}

export interface Call {
  req: Request;
  res: Response;
  params: Record<string, string>;
  query: Record<string, unknown>;
  body: unknown;
  principal: Principal;
}

/** Mounts operations on Express: validation, then the handler; other methods of a known path answer 405 with `Allow`. */
export function mount<C>(router: Router, operations: readonly Operation<C>[], context: C, guard: Guard): void {
  const paths = Map.groupBy(operations, (operation) => operation.path);
  for (const [path, ofPath] of paths) {
    const route = router.route(path.replace(/\{(\w+)\}/g, ':$1'));
    for (const operation of ofPath) route[operation.method](guard(operation.access, operation.id), handlerOf(operation, context));
    const allow = ofPath.flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));
    route.all(methodNotAllowed(allow));
  }
}

export type Guard = (access: string, operation: string) => RequestHandler;

export function methodNotAllowed(allow: string[]): RequestHandler {
  return (req, res) => {
    res.set('Allow', allow.join(', '));
    throw new FactoryError({
      code: 'method-not-allowed',
      op: 'route request',
      message: `${req.method} is not possible here.`,
      hint: `Use ${allow.join(' or ')}.`,
    });
  };
}

function handlerOf<C>(operation: Operation<C>, context: C): RequestHandler {
  return async (req, res) => {
    const params = operation.params ? parsePart(operation.params, req.params, 'path') : req.params;
    const query = operation.query ? parsePart(operation.query, req.query, 'query') : strictlyNone(req.query);
    const body = operation.body ? parsePart(operation.body, bodyOf(req), 'body') : undefined;
    const call: Call = {
      req,
      res,
      params: params as Record<string, string>,
      query: query as Record<string, unknown>,
      body,
      principal: res.locals.principal as Principal,
    };
    await operation.handle(call, context);
  };
}

/** No body at all means "no fields"; a body of another type than JSON is refused. */
function bodyOf(req: Request): unknown {
  if (req.body !== undefined) return req.body;
  const hasBody = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
  if (!hasBody || req.is(['application/json', 'application/*+json'])) return {};
  throw new FactoryError({
    code: 'content-type-unsupported',
    op: 'read request',
    message: `The body must be JSON; it came as ${req.headers['content-type'] ?? 'no type'}.`,
    hint: 'Send `Content-Type: application/json`.',
  });
}

function strictlyNone(query: Record<string, unknown>): Record<string, unknown> {
  const [unknown] = Object.keys(query);
  if (unknown === undefined) return {};
  throw badInput('query', [{ path: unknown, message: 'This call has no such parameter.' }]);
}

function parsePart(schema: z.ZodType, value: unknown, where: 'path' | 'query' | 'body'): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw badInput(
    where,
    parsed.error.issues.map((issue) => ({ path: issue.path.join('.'), message: issue.message })),
  );
}

/** Every problem at once, each with the path of its field. */
export function badInput(where: string, problems: { path: string; message: string }[]): FactoryError {
  const text = problems.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; ');
  return new FactoryError({
    code: 'bad-input',
    op: `read ${where}`,
    target: problems[0]?.path,
    message: `The ${where} is not right: ${text}`,
    hint: 'Correct the named fields; GET /api/openapi.json has the schema.',
    details: { problems },
  });
}
