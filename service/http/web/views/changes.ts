import { changeText, isPlain } from '../../../work-items/change-words.ts';
import type { ActionResult } from '../../../work-items/documents.ts';
import { html, type Html } from '../html.ts';

/** What a plan changes of an item, in words; what the words leave out stands behind each line. */

type Change = ActionResult['diff'][number];

export function changeList(diff: Change[]): Html {
  return html`<ul class="plain changes">
    ${diff.map((change) => html`<li>${changeLine(change)}</li>`)}
  </ul>`;
}

function changeLine({ field, before, after }: Change): Html {
  const words = html`<code>${field}</code>: ${changeText(field, before, after)}`;
  return isPlain(before) && isPlain(after)
    ? words
    : html`<details>
        <summary>${words}</summary>
        <pre tabindex="0"><code>${JSON.stringify({ before, after }, null, 2)}</code></pre>
      </details>`;
}
