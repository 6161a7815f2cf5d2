import type { CriterionDocument, ItemDocument } from '../../../work-items/documents.ts';
import type { ActionIdentity } from '../../../work-items/types.ts';
import { clip } from '../format.ts';
import { html, type Html } from '../html.ts';
import {
  area,
  choice,
  fieldView,
  line,
  type Field,
  type FormInput,
  type InputProblem,
  type Option,
} from './fields.ts';
import type { Turnable } from './overrides.ts';

export type { FormInput, InputProblem } from './fields.ts';

/** Actions that cannot be planned before something was typed. The others take an optional note. */
export const TAKES_INPUT: ReadonlySet<ActionIdentity> = new Set([
  'submit-evidence',
  'waive-criterion',
  'override-gate',
]);

const FIELDS = [
  'kind',
  'criterion',
  'commit',
  'result',
  'scriptDigest',
  'url',
  'note',
  'reason',
  'gate',
  'action',
  'until',
];

/** The fields of an action's form that were filled in; an override's gate and action are chosen as one. */
export function formInput(body: Readonly<Record<string, string>>): FormInput {
  const [gate, action] = body.turns?.split(' ') ?? [];
  const given: Readonly<Record<string, string>> = gate && action ? { ...body, gate, action } : body;
  return Object.fromEntries(
    FIELDS.flatMap((name) => (given[name]?.trim() ? [[name, given[name].trim()]] : [])),
  );
}

/** A form's text as the API's input: criteria are numbers, a local `until` is UTC. */
export function actionInput(form: FormInput): Record<string, unknown> {
  const { criterion, until, ...rest } = form;
  return {
    ...rest,
    ...(criterion === undefined ? {} : { criterion: Number(criterion) }),
    ...(until === undefined
      ? {}
      : { until: /^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(until) ? `${until}:00.000Z` : until }),
  };
}

/** The form of an action, filled with what was typed, each problem at its field. */
export function inputFields(
  item: ItemDocument,
  identity: ActionIdentity,
  input: FormInput,
  problems: InputProblem[],
  known: KnownOfForm,
): Html {
  const fields = fieldsOf(item, identity, input, known);
  const names = new Set(fields.map(({ name }) => name));
  const wrong = fields.find(({ name }) => problems.some(({ path }) => fieldName(path) === name));
  const rest = problems.filter(({ path }) => !names.has(fieldName(path)));
  return html`${
    rest.length > 0 &&
    html`<ul class="bad">
        ${rest.map(({ path, message }) => html`<li>${path && `${path}: `}${message}</li>`)}
      </ul>`
  }
    <div class="fields">
      ${fields.map((field) =>
        fieldView(
          identity,
          field,
          problems.filter(({ path }) => fieldName(path) === field.name),
          field === wrong,
        ),
      )}
    </div>`;
}

function fieldName(path: string): string {
  const name = path.split('.').at(-1) ?? path;
  return name === 'gate' || name === 'action' ? 'turns' : name;
}

function fieldsOf(
  item: ItemDocument,
  identity: ActionIdentity,
  input: FormInput,
  { noteNeeded, turnable, now }: KnownOfForm,
): Field[] {
  const own: Partial<Record<ActionIdentity, () => Field[]>> = {
    'submit-evidence': () => evidenceFields(item, input),
    'waive-criterion': () => [
      criterionChoice(item, atFirstOpen(item, input), []),
      area(input, 'reason', 'Reason', true),
    ],
    'override-gate': () => overrideFields(input, turnable, now),
  };
  return own[identity]?.() ?? [noteField(input, noteNeeded)];
}

/** What a form knows of the item beside its document. */
export interface KnownOfForm {
  noteNeeded: NoteNeeded;
  turnable: Turnable[];
  /** Milliseconds since the epoch. */
  now: number;
}

/** Whether a note can be left out. */
export type NoteNeeded = 'yes' | 'for-own-work' | 'no';

function noteField(input: FormInput, needed: NoteNeeded): Field {
  if (needed === 'yes') return ownNote(input);
  const field = area(input, 'note', 'Note (optional)', false);
  const own = html`Needed where you worked on this item yourself and are here alone.`;
  return needed === 'no' ? field : { ...field, hint: own };
}

function ownNote(input: FormInput): Field {
  return {
    ...area(input, 'note', 'Note (required)', true),
    hint: html`You worked on this item yourself, so what you looked at stands here in place of a second person. Your
    approval counts after the waiting time.`,
  };
}

function evidenceFields(item: ItemDocument, input: FormInput): Field[] {
  return [
    choice(input, 'kind', 'Kind', [
      ['validation', 'validation: the command ran'],
      ['criterion', 'criterion: one is met or not'],
      ['attestation', 'attestation: a reviewer vouches'],
    ]),
    choice(input, 'result', 'Result', [
      ['passed', 'passed'],
      ['failed', 'failed'],
    ]),
    ...(item.criteria.length > 0
      ? [
          {
            ...criterionChoice(item, input.kind === 'criterion' ? atFirstOpen(item, input) : input, [
              ['', 'none: it is not about one criterion'],
            ]),
            only: 'criterion',
          },
        ]
      : []),
    {
      ...line(
        input,
        'commit',
        'Commit (empty: the head commit, where it is known)',
        html`class="mono" placeholder="7 to 64 hexadecimal digits"`,
      ),
      hint: html`<code>git rev-parse HEAD</code> on the branch prints it.`,
    },
    {
      ...line(input, 'scriptDigest', 'Digest of the validation script (optional)', html`class="mono"`),
      only: 'validation',
    },
    line(input, 'url', 'Where it can be seen (optional)', html`placeholder="https://…"`),
    area(input, 'note', 'Note (optional)', false),
  ];
}

function overrideFields(input: FormInput, turnable: Turnable[], now: number): Field[] {
  const options = turnable.map(({ gate, action, label, reason }): Option => [
    `${gate} ${action}`,
    `${gate} for ${label}: ${clip(reason, 80)}`,
  ]);
  const until = input.until ?? new Date(now + DAY_MS).toISOString().slice(0, 16);
  return [
    choice(
      { turns: `${input.gate} ${input.action}` },
      'turns',
      'Gate that blocks, and the action it lets pass',
      options,
    ),
    area(input, 'reason', 'Reason', true),
    {
      name: 'until',
      label: 'Until (UTC)',
      control: (id, described) =>
        html`<input type="datetime-local" id="${id}" name="until" value="${until}" required${described} />`,
    },
  ];
}

const DAY_MS = 86_400_000;

/** The first criterion that nothing shows yet. */
export function firstOpen({ criteria }: Pick<ItemDocument, 'criteria'>): CriterionDocument | null {
  return criteria.find(({ status }) => status === 'not-recorded' || status === 'failed') ?? null;
}

function atFirstOpen(item: ItemDocument, input: FormInput): FormInput {
  const first = firstOpen(item);
  return first && input.criterion === undefined ? { ...input, criterion: String(first.number) } : input;
}

function criterionChoice(item: ItemDocument, input: FormInput, first: Option[]): Field {
  const options = item.criteria.map(({ number, text }): Option => [
    String(number),
    `${number}. ${clip(text, 100)}`,
  ]);
  const open = firstOpen(item);
  return choice(input, 'criterion', 'Criterion', [...first, ...options], open ? String(open.number) : null);
}
