import compression from 'compression';
import express, { type Express } from 'express';
import { pinoHttp } from 'pino-http';
import type { Context } from './context.ts';
import { operations } from './http/api/index.ts';
import { apiGuard, authenticate } from './http/authenticate.ts';
import { bodyDeadline } from './http/body-stream.ts';
import { mount } from './http/operation.ts';
import { errorHandler, notFound, pageRequest } from './http/problem.ts';
import { csrfGuard, hostGuard, requestId, sameOrigin, securityHeaders } from './http/security.ts';
import { sessionRoutes } from './http/session.ts';

/** Of forms: larger than any record, smaller than what hurts. */
const BODY_LIMIT = 1024 * 1024;

/** The application as a value: it does not listen, so tests can have as many as they like. */
export function createApp(context: Context): Express {
  const { config, refuse, sessions, tokens, web, secure, hosts } = context;
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('trust proxy', config.trustProxy);
  app.set('query parser', 'simple');
  app.use(bodyDeadline, requestId, requestLog(context), context.metrics.middleware, securityHeaders(secure));
  app.use(hostGuard(hosts, refuse));
  app.use(
    compression({
      filter: (req, res) =>
        !String(res.getHeader('Content-Type')).startsWith('text/event-stream') &&
        compression.filter(req, res),
    }),
  );
  app.use(web.assets);
  app.use(authenticate(tokens, sessions, secure, refuse), sameOrigin(hosts, refuse));
  mount(app, operations, context, apiGuard(refuse));
  app.use(express.urlencoded({ limit: BODY_LIMIT, extended: false }));
  app.use(sessionRoutes({ sessions, secure, refuse, render: web.renderLogin }));
  app.use(pageRequest, csrfGuard(refuse), web.pages, notFound);
  app.use(
    errorHandler((problem, req, res) => {
      if (problem.status === 401 && req.method === 'GET')
        return res.redirect(303, `/login?next=${encodeURIComponent(req.originalUrl)}`);
      res
        .status(problem.status)
        .set('Cache-Control', 'no-store')
        .type('html')
        .send(web.renderError(problem, res.locals));
    }),
  );
  return app;
}

/** Monitors are told so of backups and drills that are late: it is an answer, and no error of the service. */
function isVerdict(
  { url = '' }: { url?: string | undefined },
  { statusCode }: { statusCode: number },
): boolean {
  return statusCode === 503 && url.startsWith('/api/health/');
}

/** One line a request, with its id and without secrets: no query (links), no headers. */
function requestLog({ logger }: Context) {
  return pinoHttp({
    logger,
    genReqId: (req) => req.id,
    customLogLevel(req, res, error) {
      if (error || (res.statusCode >= 500 && !isVerdict(req, res))) return 'error';
      return res.statusCode >= 400 ? 'info' : 'debug';
    },
    customErrorMessage: (req, res) => (isVerdict(req, res) ? 'request completed' : 'request errored'),
    customErrorObject: (req, res, _error, { err, ...rest }: Record<string, unknown>) =>
      isVerdict(req, res) ? rest : { err, ...rest },
    serializers: {
      req: (req: { id: unknown; method: string; url: string }) => ({
        id: req.id,
        method: req.method,
        path: req.url.split('?')[0],
      }),
      res: (res: { statusCode: number }) => ({ status: res.statusCode }),
    },
  });
}
