import type { ActionIdentity, ActionReport } from '../../../work-items/types.ts';
import type { Html } from '../html.ts';
import { firstOpen } from './action-inputs.ts';
import type { FrameView } from './frame.ts';
import type { ItemPage } from './item-page.ts';
import { twin } from './parts.ts';
import { turnable } from './overrides.ts';

/** The same action for a shell; where it takes input, with one that holds for this item. */
export function requestTwin(view: FrameView, page: ItemPage, { identity }: ActionReport): Html {
  const { item } = page;
  const input = EXAMPLES[identity]?.(view, page);
  const body = input ? { input } : {};
  const curl = [
    `curl -X POST "$FACTORY_URL/api/control-plane/items/${item.id}/actions/${identity}"`,
    `-H "Authorization: Bearer $FACTORY_TOKEN" -H 'Content-Type: application/json'`,
    `-H "Idempotency-Key: $(uuidgen)" -H 'If-Match: "${item.version}"' -d ${quoted(body)}`,
  ].join(' \\\n  ');
  const given = input ? ` --input ${quoted(input)}` : '';
  return twin(view, { curl, cli: `npx factory items act ${item.id} ${identity}${given}` });
}

/** JSON as one word of a shell; what stands as `$(…)` in it is run. */
function quoted(value: object): string {
  const text = JSON.stringify(value).replaceAll("'", String.raw`'\''`);
  return `'${text.replaceAll(HEAD, `'"${HEAD}"'`)}'`;
}

const HEAD = '$(git rev-parse HEAD)';
const DAY_MS = 86_400_000;

type Example = (view: FrameView, page: ItemPage) => Record<string, unknown>;

/** Input that the action would take of this item as it is. */
const EXAMPLES: Partial<Record<ActionIdentity, Example>> = {
  'submit-evidence': (_view, { item }) => {
    const open = firstOpen(item);
    const about = open ? { kind: 'criterion', criterion: open.number } : { kind: 'validation' };
    return { ...about, result: 'passed', commit: HEAD };
  },
  'waive-criterion': (_view, { item }) => ({
    criterion: firstOpen(item)?.number ?? 1,
    reason: 'Why this item is good without it.',
  }),
  'override-gate': (view, page) => {
    const [first] = turnable(page, view.facts.hardGates);
    const { gate, action } = first ?? { gate: 'pull-request', action: 'prepare-release' };
    const until = new Date(view.now + DAY_MS).toISOString();
    return { gate, action, reason: 'Why it cannot wait.', until };
  },
  approve: () => ({ note: 'What was looked at.' }),
};
