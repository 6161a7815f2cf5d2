import express, { type Request, type Response, type Router } from 'express';
import type { Sessions, SignedIn } from '../access/sessions.ts';
import { clearSessionCookie, loginLimit, setSessionCookie } from './authenticate.ts';
import type { RecordRefusal } from './refusals.ts';
import { csrfGuard } from './security.ts';
import type { LoginState } from './web/index.ts';

export interface SessionPages {
  sessions: Sessions;
  secure: boolean;
  refuse: RecordRefusal;
  render: (state: LoginState, locals: Response['locals']) => string;
}

/** Signing in by one-time link, and out. */
export function sessionRoutes({ sessions, secure, refuse, render }: SessionPages): Router {
  const router = express.Router();

  const show = (res: Response, state: LoginState, status = 200): void => {
    res.status(status).set('Cache-Control', 'no-store').type('html').send(render(state, res.locals));
  };

  async function signIn(link: string, req: Request, res: Response): Promise<void> {
    const answer = await sessions.signInWithLink(link);
    if ('secret' in answer) {
      setSessionCookie(res, secure, answer.secret);
      res.set('Cache-Control', 'no-store').redirect(303, ownPath(req.query['next']));
      return;
    }
    const actor = answer.personId ? { kind: 'person' as const, id: answer.personId } : null;
    await refuse({ code: answer.refused, action: 'sign-in', actor });
    show(res, answer.refused, 401);
  }

  // Following the printed link signs in, so it must be a GET; HEAD, as link previews send it, spends nothing.
  router.get('/login', loginLimit(), async (req, res) => {
    const { link } = req.query;
    if (typeof link === 'string' && req.method === 'GET') return signIn(link, req, res);
    if (res.locals.signedIn) return res.redirect(303, ownPath(req.query['next']));
    show(res, req.query['out'] === undefined ? 'ask' : 'signed-out');
  });

  router.post('/logout', csrfGuard(refuse), async (req, res) => {
    const signedIn = res.locals.signedIn as SignedIn | undefined;
    const { everywhere } = (req.body ?? {}) as { everywhere?: unknown };
    if (signedIn && everywhere === undefined) await sessions.signOut(signedIn);
    else if (signedIn) await sessions.signOutEverywhere(signedIn.principal.personId);
    clearSessionCookie(res, secure);
    res.redirect(303, '/login?out');
  });

  return router;
}

/** Only a path of ours: a link must not lead elsewhere after signing in. */
function ownPath(next: unknown): string {
  return typeof next === 'string' && /^\/(?![/\\])[\x21-\x7e]*$/.test(next) && !next.startsWith('/login')
    ? next
    : '/';
}
