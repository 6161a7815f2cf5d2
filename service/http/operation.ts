import { isUtf8 } from 'node:buffer';
import express, { type Request, type RequestHandler, type Response, type Router } from 'express';
import type { z } from 'zod';
import { FactoryError } from '../errors.ts';
import { problemsIn } from '../work-items/refusals.ts';
import type { Principal } from '../work-items/types.ts';

/**
 * One call of the JSON API as data: the router, the validation and the OpenAPI document are all made from it, so they
 * cannot disagree.
 */
export interface Operation<C> {
  method: 'get' | 'post' | 'put' | 'delete';
  /** OpenAPI form: `/api/control-plane/items/{id}`. */
  path: string;
  /** Stable name of the operation. */
  id: string;
  summary: string;
  description?: string;
  tag: string;
  /** `public`, `signed-in`, or the permission that it takes. Refusals are audited. */
  access: 'public' | 'signed-in' | (string & {});
  /** Every value that does not fit names nothing that exists: 404. */
  params?: z.ZodObject | undefined;
  query?: z.ZodObject | undefined;
  /** By canonical name, e.g. `If-Match`. */
  headers?: z.ZodObject | undefined;
  body?: z.ZodType | undefined;
  /** A body that the handler reads from the request while it arrives; media types as `type-is` takes them. */
  stream?: { types: readonly string[]; description: string };
  /** Bytes that a body may have; absent: `BODY_LIMIT`. */
  bodyLimit?: number;
  /** Answers of success. */
  responses: Record<number, ResponseSpec>;
  /** Problems beside those that follow from the rest, e.g. 409; see `openapi.ts`. */
  problems?: readonly number[];
  /** Throws `not-found` for an object that is not there: asked before a malformed request is answered with 400. */
  exists?(params: Record<string, string>, context: C): Promise<void>;
  handle(call: Call, context: C): Promise<void> | void;
}

export interface ResponseSpec {
  description: string;
  /** Absent: no body. */
  schema?: z.ZodType;
  /** Default: `application/json`. */
  contentType?: string;
  headers?: readonly ResponseHeader[];
  /** Where parts of the answer lead: operation -> its parameters -> JSON pointers into the answer. */
  links?: Record<string, Record<string, string>>;
}

export type ResponseHeader =
  'ETag' | 'Location' | 'Idempotency-Replayed' | 'Content-Disposition' | 'Content-Digest' | 'RateLimit';

export interface Call<
  P = Record<string, string>,
  Q = Record<string, unknown>,
  H = Record<string, unknown>,
  B = unknown,
> {
  req: Request;
  res: Response;
  params: P;
  query: Q;
  headers: H;
  body: B;
  /** Undefined for public operations that nobody signed. */
  principal: Principal;
}

type Output<S> = S extends z.ZodType ? z.output<S> : Record<string, never>;

interface Typed<C, P, Q, H, B> extends Omit<
  Operation<C>,
  'params' | 'query' | 'headers' | 'body' | 'handle'
> {
  params?: P;
  query?: Q;
  headers?: H;
  body?: B;
  handle(call: Call<Output<P>, Output<Q>, Output<H>, Output<B>>, context: C): Promise<void> | void;
}

/** `const operation = operationsOf<Context>()` types each handler's call by the schemas beside it. */
export function operationsOf<C>() {
  return <
    P extends z.ZodObject | undefined = undefined,
    Q extends z.ZodObject | undefined = undefined,
    H extends z.ZodObject | undefined = undefined,
    B extends z.ZodType | undefined = undefined,
  >(
    typed: Typed<C, P, Q, H, B>,
  ): Operation<C> => typed as Operation<C>;
}

/** Answers with JSON. Not by Express's `json`, which would turn an equal `If-None-Match` into a 304. */
export function sendJson(res: Response, status: number, body: unknown): void {
  sendText(res, status, 'application/json; charset=utf-8', JSON.stringify(body));
}

export function sendText(res: Response, status: number, contentType: string, text: string): void {
  res.status(status).set({ 'Content-Type': contentType, 'Cache-Control': 'no-store' }).end(text);
}

export function sendNothing(res: Response): void {
  res.status(204).set('Cache-Control', 'no-store').end();
}

export type Guard = (access: string, operation: string) => RequestHandler;

/**
 * Mounts operations on Express: who asks, then validation, then the handler; other methods of a known path answer 405
 * with `Allow`. Bodies are read here, so that nobody's body is looked at before it is known who sends it.
 */
export function mount<C>(
  router: Router,
  operations: readonly Operation<C>[],
  context: C,
  guard: Guard,
): void {
  const paths = Map.groupBy(operations, (operation) => operation.path);
  for (const [path, ofPath] of paths) {
    const route = router.route(path.replace(/:/g, '\\:').replace(/\{(\w+)\}/g, ':$1'));
    for (const operation of ofPath)
      route[operation.method](guard(operation.access, operation.id), handlerOf(operation, context));
    const allow = ofPath.flatMap(({ method }) =>
      method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()],
    );
    route.all(methodNotAllowed(allow));
  }
}

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
    const params = paramsOf(operation, req) as Record<string, string>;
    const parts = await inputOf(operation, req, res).catch(async (error: unknown) => {
      await operation.exists?.(params, context);
      throw error;
    });
    const call = { req, res, params, ...parts, principal: res.locals.principal as Principal };
    try {
      await operation.handle(call, context);
    } catch (error) {
      throw refusedByState(error);
    }
  };
}

/** What the contract lets through is not malformed: what is wrong with it then depends on what is there now. */
function refusedByState(error: unknown): unknown {
  if (!(error instanceof FactoryError && error.code === 'bad-input')) return error;
  const { op, message, hint, details } = error;
  return new FactoryError({ code: 'input-refused', op, message, hint, details, cause: error });
}

function paramsOf({ params }: Pick<Operation<never>, 'params'>, req: Request): unknown {
  const parsed = params?.safeParse(req.params);
  if (parsed?.success === false) throw nothingHere(req);
  return parsed?.data ?? req.params;
}

/** Query, headers and body, with every problem of theirs at once. */
async function inputOf(
  operation: Operation<never>,
  req: Request,
  res: Response,
): Promise<Pick<Call, 'query' | 'headers' | 'body'>> {
  const { query, headers, body, bodyLimit, stream } = operation;
  if (body) await readJson(req, res, bodyLimit);
  if (stream) assertType(req, stream.types);
  const problems: Problem[] = [];
  const take = <T>(schema: z.ZodType<T> | undefined, value: () => unknown): T | Record<string, never> => {
    const parsed = schema?.safeParse(value());
    if (parsed?.success === false) problems.push(...problemsIn(parsed.error));
    return parsed?.data ?? {};
  };
  if (!query)
    problems.push(
      ...Object.keys(req.query).map((path) => ({ path, message: 'This call has no such parameter.' })),
    );
  const parts = {
    query: take(query, () => req.query),
    headers: take(headers, () =>
      Object.fromEntries(Object.keys(headers?.shape ?? {}).map((name) => [name, req.get(name)])),
    ),
    body: take(body, () => bodyOf(req)),
  };
  if (problems.length > 0) throw badInput('request', problems);
  return parts;
}

interface Problem {
  path: string;
  message: string;
}

const JSON_TYPES = ['application/json', 'application/*+json'];
/** Larger than any record, smaller than what hurts. */
const BODY_LIMIT = 1024 * 1024;

const parsers = new Map<number, RequestHandler>();

function parserOf(limit: number): RequestHandler {
  const parser =
    parsers.get(limit) ?? express.json({ limit, strict: false, type: JSON_TYPES, verify: isText });
  parsers.set(limit, parser);
  return parser;
}

function isText(_req: unknown, _res: unknown, bytes: Buffer, encoding: string): void {
  if (encoding.toLowerCase() !== 'utf-8') throw notJson(`in ${encoding}`);
  if (isUtf8(bytes)) return;
  throw new FactoryError({
    code: 'bad-json',
    op: 'read request',
    message: 'The body is not UTF-8.',
    hint: 'Send well-formed JSON in UTF-8.',
    details: { problems: [{ path: '', message: 'Not UTF-8.' }] },
  });
}

async function readJson(req: Request, res: Response, limit: number = BODY_LIMIT): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    void parserOf(limit)(req, res, (error?: unknown) => (error instanceof Error ? reject(error) : resolve()));
  });
}

function hasBody({ headers }: Request): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** What has no type is taken where any is. */
function assertType(req: Request, types: readonly string[]): void {
  if (types.includes('*/*') || !hasBody(req) || req.is([...types])) return;
  throw new FactoryError({
    code: 'content-type-unsupported',
    op: 'read request',
    message: `The body came as ${req.headers['content-type'] ?? 'no type'}.`,
    hint: `Send \`Content-Type: ${types[0]}\`.`,
  });
}

/** No body at all means "no fields"; a body of another type than JSON is refused. */
function bodyOf(req: Request): unknown {
  if (req.body !== undefined) return req.body;
  if (!hasBody(req) || req.is(JSON_TYPES)) return {};
  throw notJson(`as ${req.headers['content-type'] ?? 'no type'}`);
}

function notJson(how: string): FactoryError {
  return new FactoryError({
    code: 'content-type-unsupported',
    op: 'read request',
    message: `The body must be JSON in UTF-8; it came ${how}.`,
    hint: 'Send `Content-Type: application/json`.',
  });
}

function nothingHere(req: Request): FactoryError {
  return new FactoryError({
    code: 'not-found',
    op: 'route request',
    target: req.path,
    message: 'There is nothing at this address.',
    hint: 'GET /api/openapi.json lists the API.',
  });
}

/** Every problem at once, each with the path of its field. */
export function badInput(where: string, problems: Problem[]): FactoryError {
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
