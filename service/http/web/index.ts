import express, { type Response } from 'express';
import { createAssets, type Assets } from './assets.ts';
import { auditPages } from './pages/audit.ts';
import { boardPages } from './pages/board.ts';
import { erasurePages } from './pages/governance-erasures.ts';
import { grantPages } from './pages/governance-grants.ts';
import { holdPages } from './pages/governance-holds.ts';
import { policyPages } from './pages/governance-policies.ts';
import { retentionPages } from './pages/governance-retention.ts';
import { governancePages } from './pages/governance.ts';
import { historyPages } from './pages/history.ts';
import { itemPages } from './pages/item.ts';
import { newItemPages } from './pages/new-item.ts';
import { operationsPages } from './pages/operations.ts';
import { peoplePages } from './pages/people.ts';
import { quarantinePages } from './pages/quarantine.ts';
import { createPages } from './pages/render.ts';
import { searchPages } from './pages/search.ts';
import { sessionAccessPages } from './pages/session-access.ts';
import { sessionPages } from './pages/session.ts';
import { sessionListPages } from './pages/sessions.ts';
import type { WebContext } from './ports.ts';
import { apiDocsPage, apiSchemasPage } from './views/api-docs.ts';
import { errorPage, type PageProblem } from './views/error.ts';
import { bare, framed } from './views/frame.ts';
import { loginPage, type LoginState } from './views/login.ts';

export type { WebContext } from './ports.ts';
export type { PageProblem } from './views/error.ts';
export type { LoginState } from './views/login.ts';

export interface Web {
  /** `/assets/<hash>/…`; public, so it is mounted before authentication. */
  assets: express.Router;
  /**
   * All pages but sign-in; behind authentication (`locals.principal`), the form parser and the CSRF check.
   * A page that somebody who is not signed in asks for throws `unauthenticated`.
   */
  pages: express.Router;
  /** The sign-in page for a state of signing in. */
  renderLogin: (state: LoginState, locals: Response['locals']) => string;
  /** A page for a problem, in the frame if somebody is signed in. */
  renderError: (problem: PageProblem, locals: Response['locals']) => string;
}

/** The HTML face of the service. It reads its styles, scripts and icons once. */
export function createWeb(context: WebContext, assets: Assets = createAssets()): Web {
  const pages = createPages(context, assets);
  const router = express.Router();
  router.use(
    boardPages(pages),
    newItemPages(pages),
    itemPages(pages),
    historyPages(pages),
    sessionListPages(pages),
    sessionPages(pages),
    sessionAccessPages(pages),
    searchPages(pages),
    governancePages(pages),
    holdPages(pages),
    erasurePages(pages),
    grantPages(pages),
    policyPages(pages),
    retentionPages(pages),
    operationsPages(pages),
    auditPages(pages),
    peoplePages(pages),
    quarantinePages(pages),
  );
  router.get('/api/docs', (_request, response) => {
    const body = apiDocsPage(pages.view(response.locals), context.openapi());
    pages.send(response, { title: 'API', place: 'api', body });
  });
  router.get('/api/docs/schemas', (_request, response) => {
    pages.send(response, { title: 'Schemas', place: 'api', body: apiSchemasPage(context.openapi()) });
  });

  return {
    assets: assets.router,
    pages: router,
    renderLogin: (state, locals) => {
      const view = pages.view(locals);
      return bare(view, 'Sign in', loginPage(view, state));
    },
    renderError: (problem, locals) => {
      const view = pages.view(locals);
      const body = errorPage(view, problem, view.principal !== null);
      return view.principal
        ? framed(view, { title: problem.title, place: null, body })
        : bare(view, problem.title, body);
    },
  };
}
