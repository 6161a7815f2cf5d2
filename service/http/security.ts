import type {} from 'pino-http';
import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import helmet from 'helmet';
import { FactoryError } from '../errors.ts';
import { csrfMatches } from '../access/sessions.ts';
import type { RecordRefusal } from './refusals.ts';

/** Every answer carries the id under which the log knows the request. */
export const requestId: RequestHandler = (req, res, next) => {
  const id = randomUUID();
  req.id = id;
  res.locals.requestId = id;
  res.set('X-Request-Id', id);
  next();
};

/** No inline script or style, nothing from elsewhere. */
export function securityHeaders(secure: boolean): RequestHandler {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    // Not no-referrer: browsers would then send `Origin: null` with our own forms.
    referrerPolicy: { policy: 'same-origin' },
    strictTransportSecurity: secure ? { maxAge: 31_536_000 } : false,
    crossOriginEmbedderPolicy: false,
  });
}

/**
 * A page of another site could reach a local service under its own name (DNS rebinding); so only our names are
 * answered. `allowed` is asked late because the port may be chosen by the system.
 */
export function hostGuard(allowed: () => ReadonlySet<string>, refuse: RecordRefusal): RequestHandler {
  return async (req, _res, next) => {
    const host = (req.headers.host ?? '').toLowerCase();
    if (allowed().has(host)) return next();
    await refuse({ code: 'host-refused', action: 'request' });
    throw new FactoryError({
      code: 'host-refused',
      op: 'route request',
      message: 'This service does not answer under that host name.',
      hint: 'Use the address that the service printed, or set FACTORY_BASE_URL to the public one.',
    });
  };
}

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/** A request that a cookie signs must come from our own pages. */
export function sameOrigin(allowed: () => ReadonlySet<string>, refuse: RecordRefusal): RequestHandler {
  return async (req, res, next) => {
    if (SAFE.has(req.method) || !res.locals.signedIn || fromUs(req, allowed())) return next();
    await refuse({ code: 'origin-refused', action: 'request', actor: actorOf(res) });
    throw new FactoryError({
      code: 'origin-refused',
      op: 'check origin',
      message: 'This request comes from another site.',
      hint: 'Act from the pages of this service, or use an API token.',
    });
  };
}

function fromUs(req: Request, allowed: ReadonlySet<string>): boolean {
  const site = req.headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false;
  const origin = req.headers.origin;
  if (origin === undefined) return true;
  return URL.canParse(origin) && allowed.has(new URL(origin).host.toLowerCase());
}

/** Forms of pages carry the session's token in `_csrf`. */
export function csrfGuard(refuse: RecordRefusal): RequestHandler {
  return async (req, res, next) => {
    const signedIn = res.locals.signedIn as { csrf: string } | undefined;
    if (SAFE.has(req.method) || !signedIn) return next();
    if (csrfMatches(signedIn.csrf, (req.body as { _csrf?: unknown } | undefined)?._csrf)) return next();
    await refuse({ code: 'csrf-token-missing', action: 'submit-form', actor: actorOf(res) });
    throw new FactoryError({
      code: 'csrf-token-missing',
      op: 'check form',
      message: 'The form does not carry the token of your session.',
      hint: 'Reload the page and send the form again.',
    });
  };
}

export function actorOf(res: Response): { kind: 'person' | 'token'; id: string } | null {
  const principal = res.locals.principal as { kind: 'person' | 'token'; id: string } | undefined;
  return principal ? { kind: principal.kind, id: principal.id } : null;
}
