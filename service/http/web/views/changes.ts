import type { ActionResult, HandoffDocument } from '../../../work-items/documents.ts';
import { plural, valueText } from '../format.ts';
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

/** One line: `queued by Ada → claimed by bot`, `+1`, `2 changed`, or the two values. */
export function changeText(field: string, before: unknown, after: unknown): string {
  if (Array.isArray(before) && Array.isArray(after)) return listText(before, after);
  return `${valueWords(field, before)} → ${valueWords(field, after)}`;
}

function listText(before: unknown[], after: unknown[]): string {
  const grown = after.length - before.length;
  if (grown !== 0) return grown > 0 ? `+${grown}` : `−${-grown}`;
  const same = before.map((one) => JSON.stringify(one));
  return `${after.filter((one, index) => JSON.stringify(one) !== same[index]).length} changed`;
}

const WORDS: Record<string, (value: never) => string> = {
  handoff: ({ state, queuedBy, holder }: HandoffDocument) => {
    const by = holder ?? queuedBy;
    return by === null ? state : `${state} by ${by}`;
  },
  history: ({ count }: { count: number }) => plural(count, 'snapshot'),
  release: ({ by }: { by: string }) => `prepared by ${by}`,
};

function valueWords(field: string, value: unknown): string {
  if (isPlain(value)) return valueText(value);
  return WORDS[field]?.(value as never) ?? 'set';
}

function isPlain(value: unknown): boolean {
  return typeof value !== 'object' || value === null;
}
