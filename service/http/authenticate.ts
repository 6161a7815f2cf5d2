import type { CookieOptions, Request, RequestHandler, Response } from 'express';
import { rateLimit, type RateLimitRequestHandler } from 'express-rate-limit';
import { FactoryError } from '../errors.ts';
import type { Sessions } from '../access/sessions.ts';
import type { Tokens } from '../access/tokens.ts';
import type { Principal } from '../work-items/types.ts';
import type { Guard } from './operation.ts';
import type { RecordRefusal } from './refusals.ts';
import { actorOf } from './security.ts';

const COOKIE_MS = 30 * 24 * 60 * 60 * 1000;
/** Failed token checks of one address a minute, before they cost an answer 429. */
const FAILED_TOKENS_A_MINUTE = 300;
const LOGINS_A_MINUTE = 30;

/** `__Host-` binds the cookie to this host; browsers accept it over HTTPS only. */
export function cookieName(secure: boolean): string {
  return secure ? '__Host-factory' : 'factory';
}

export function setSessionCookie(res: Response, secure: boolean, secret: string): void {
  res.cookie(cookieName(secure), secret, { ...cookieOptions(secure), maxAge: COOKIE_MS });
}

export function clearSessionCookie(res: Response, secure: boolean): void {
  res.clearCookie(cookieName(secure), cookieOptions(secure));
}

function cookieOptions(secure: boolean): CookieOptions {
  // Lax, not strict: the one-time link arrives from a terminal or a message and leads on to the board.
  return { httpOnly: true, sameSite: 'lax', secure, path: '/' };
}

function readCookie(req: Request, name: string): string | null {
  for (const part of (req.headers.cookie ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return null;
}

export function loginLimit(): RateLimitRequestHandler {
  return limiter(LOGINS_A_MINUTE);
}

function limiter(limit: number): RateLimitRequestHandler {
  return rateLimit({
    windowMs: 60_000,
    limit,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    // Behind a unix socket there is no address; all callers then share one budget.
    keyGenerator: (req) => req.ip ?? 'local',
    validate: false,
    handler: (_req, _res, next) =>
      next(
        new FactoryError({
          code: 'rate-limited',
          op: 'authenticate',
          message: 'Too many attempts from this address.',
          hint: 'Wait a minute, then try again with the right token or link.',
          retryable: true,
        }),
      ),
  });
}

/** Who asks: by bearer token, else by cookie. A wrong token is refused and never falls back to the cookie. */
export function authenticate(
  tokens: Tokens,
  sessions: Sessions,
  secure: boolean,
  refuse: RecordRefusal,
): RequestHandler {
  const failures = limiter(FAILED_TOKENS_A_MINUTE);

  async function byToken(token: string, req: Request, res: Response): Promise<void> {
    const answer = await tokens.authenticate(token);
    if ('principal' in answer) {
      res.locals.principal = answer.principal;
      return;
    }
    const actor = answer.tokenId ? { kind: 'token' as const, id: answer.tokenId } : null;
    await refuse({ code: answer.refused, action: 'authenticate', actor });
    await new Promise<void>((resolve, reject) => {
      void failures(req, res, (error?: unknown) => (error instanceof Error ? reject(error) : resolve()));
    });
    throw unauthenticated(res, 'This token is not valid (any more).');
  }

  return async (req, res, next) => {
    const header = req.headers.authorization;
    if (header !== undefined) {
      const match = /^Bearer +(\S+)$/i.exec(header);
      if (!match?.[1]) throw unauthenticated(res, 'The Authorization header holds no bearer token.');
      await byToken(match[1], req, res);
      return next();
    }
    const secret = readCookie(req, cookieName(secure));
    const signedIn = secret ? await sessions.authenticate(secret) : null;
    if (signedIn && 'refused' in signedIn) {
      // The browser keeps its cookie, so that the log tells of its further tries by whom they are.
      const actor = { kind: 'person' as const, id: signedIn.personId };
      await refuse({ code: signedIn.refused, action: 'authenticate', actor });
    } else if (signedIn) {
      res.locals.principal = signedIn.principal;
      res.locals.signedIn = signedIn;
      res.locals.csrf = signedIn.csrf;
      if (signedIn.renewed) setSessionCookie(res, secure, signedIn.renewed);
    }
    next();
  };
}

/** The guard of API operations: signed in, and with the permission. */
export function apiGuard(refuse: RecordRefusal): Guard {
  return (access, operation) => async (_req, res, next) => {
    if (access === 'public') return next();
    const principal = res.locals.principal as Principal | undefined;
    if (!principal) throw unauthenticated(res, 'This call needs a token or a signed-in person.');
    if (access === 'signed-in' || principal.permissions.has(access)) return next();
    await refuse({ code: 'permission-missing', action: operation, actor: actorOf(res) });
    throw permissionMissing(access);
  };
}

/** Pages send a visitor to the login page and bring them back. */
export const pageGuard: RequestHandler = (req, res, next) => {
  if (res.locals.principal) return next();
  if (req.method !== 'GET' && req.method !== 'HEAD')
    throw unauthenticated(res, 'You are not signed in (any more).');
  res.redirect(303, `/login?next=${encodeURIComponent(req.originalUrl)}`);
};

export function permissionMissing(permission: string): FactoryError {
  return new FactoryError({
    code: 'permission-missing',
    op: 'check permission',
    target: permission,
    message: `This takes the permission ${permission}, which you do not have.`,
    hint: 'Ask an owner for a role that has it, or use another token.',
    details: { permission },
  });
}

function unauthenticated(res: Response, message: string): FactoryError {
  res.set('WWW-Authenticate', 'Bearer realm="build-factory"');
  return new FactoryError({
    code: 'unauthenticated',
    op: 'authenticate',
    message,
    hint: 'Make a token with `npx factory token create --name NAME --role ROLE`, or sign in by `npx factory login-link`.',
  });
}
