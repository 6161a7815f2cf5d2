import { html, type Html } from '../html.ts';
import type { QueueProblem } from '../../../work-items/types.ts';
import { unusableBecause } from '../queue-words.ts';
import { problemList } from './board.ts';
import type { FrameView } from './frame.ts';
import { icon, notice, panel } from './parts.ts';

const RECORD = `---
id: wi-DEMO-1
title: Say hello
status: backlog
workType: implementation
branch: demo/DEMO-1-say-hello
validation: npm test
criteria:
  - The start page greets by name.
---
Greet whoever opens the start page.
`;

/** The first page of a queue that has no item yet: what a record looks like, and how to make the first. */
export function startPage(view: FrameView, problems: QueueProblem[], mayCreate: boolean): Html {
  return html`<div class="row head"><h1>No work items yet</h1></div>
    ${problems.length > 0 && notice(view, 'bad', unusableBecause(problems), problemList(problems, view.facts.queueFolder))}
    <div class="two">
      ${panel(
        'Create the first one here',
        html`<p>
            It is written as a record to <code>work-items/backlog/</code> with its prompt beside it, and
            appears on the board.
          </p>
          ${mayCreate ? html`<p class="aside"><a class="btn main" href="/items/new">${icon(view, 'plus')}Create the first item</a></p>` : html`<p class="muted aside">It takes the planner or the owner role to create items.</p>`}`,
      )}
      ${panel(
        'Or add a file to the repository',
        html`<p>A record is Markdown with front matter: <code>work-items/backlog/wi-DEMO-1.md</code></p>
          <pre tabindex="0"><code>${RECORD}</code></pre>
          <p>
            Its prompt lies in <code>work-items/prompts/wi-DEMO-1.prompt.md</code>. Files are read as soon as
            they are saved; <code>npx factory validate</code> names every problem with file and line.
          </p>`,
      )}
    </div>`;
}
