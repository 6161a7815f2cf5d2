import { html, type Html } from '../html.ts';
import type { QueueProblem } from '../../../work-items/types.ts';
import { problemList } from './board.ts';
import type { FrameView } from './frame.ts';
import { copyButton, withCode, type View } from './parts.ts';

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

/** What helps on a page where the hint speaks to callers of the API. */
const ADVICE: Record<string, string> = {
  'not-found': 'Look for it on the board, or search for its key or title.',
  'cursor-unknown': 'This link to a further page is too old: start again from the first one.',
  'bad-input': 'Go back, correct what is named above, and send it again.',
};

function adviceOf({ code, hint }: PageProblem): string | undefined {
  if (hint === undefined || !/(?:GET|POST) \/api\/|curl /.test(hint)) return hint;
  return ADVICE[code] ?? 'Go back to the page before and try again.';
}

/** What happened, why, what next, and the id that finds it in the log. */
export function errorPage(view: View, problem: PageProblem, signedIn: boolean): Html {
  const { title, detail, retryable, code, status, requestId } = problem;
  const advice = adviceOf(problem);
  return html`<section class="error">
    <p class="muted small">${status}</p>
    <h1>${title}</h1>
    ${detail && detail !== title && html`<p class="lead">${withCode(detail)}</p>`}
    ${advice && html`<p><b>What next:</b> ${withCode(advice)}</p>`}
    ${retryable && html`<p>The same request can succeed later: try again in a moment.</p>`}
    ${signedIn && status === 404 && searchForm()}
    <p class="row aside">
      ${signedIn ? html`<a class="btn main" href="/">Board</a>` : html`<a class="btn main" href="/login">Sign in</a>`}
    </p>
    <p class="muted small aside">
      request <code>${requestId}</code>${copyButton(view, requestId, 'request id')} · ${code}
    </p>
  </section>`;
}

function searchForm(): Html {
  return html`<form class="row" action="/" aria-label="Search for an item">
    <input type="text" name="q" aria-label="Key or words of the title" placeholder="e.g. BF-106" /><button class="btn">
      Search
    </button>
  </form>`;
}

/** The address of a record that could never be read: where it is wrong, and how it becomes an item. */
export function unreadablePage(view: FrameView, id: string, problems: QueueProblem[]): Html {
  return html`<section class="error">
    <p class="muted small mono">${id}</p>
    <h1>This record cannot be read</h1>
    <p class="lead">There is a file for ${id}, but no item yet:</p>
    ${problemList(problems, view.facts.queueFolder)}
    <p>
      <b>What next:</b> mend the file in <code>${view.facts.queueFolder}/</code> and save it. It is read again at once,
      and this page shows the item; <code>npx factory validate</code> names every problem with file and line.
    </p>
    <p class="row aside">
      <a class="btn main" href="/items/${id}">Look again</a> <a class="btn" href="/">Board</a>
    </p>
  </section>`;
}
