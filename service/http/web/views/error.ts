import { html, type Html } from '../html.ts';
import { copyButton, type View } from './parts.ts';

/** The parts of a problem (RFC 9457) that a page shows. */
export interface PageProblem {
  status: number;
  title: string;
  detail?: string | undefined;
  code: string;
  hint?: string | undefined;
  retryable?: boolean | undefined;
  requestId: string;
}

/** What happened, why, what next, and the id that finds it in the log. */
export function errorPage(view: View, problem: PageProblem, signedIn: boolean): Html {
  const { title, detail, hint, retryable, code, status, requestId } = problem;
  return html`<section class="error">
    <p class="muted small">${status}</p>
    <h1>${title}</h1>
    ${detail && detail !== title && html`<p class="lead">${detail}</p>`}
    ${hint && html`<p><b>What next:</b> ${hint}</p>`}
    ${retryable && html`<p>The same request can succeed later: try again in a moment.</p>`}
    <p class="row aside">
      ${signedIn ? html`<a class="btn main" href="/">Board</a>` : html`<a class="btn main" href="/login">Sign in</a>`}
    </p>
    <p class="muted small aside">
      request <code>${requestId}</code>${copyButton(view, requestId, 'request id')} · ${code}
    </p>
  </section>`;
}
