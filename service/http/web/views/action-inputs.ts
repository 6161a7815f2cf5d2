import { labelOf } from '../../../work-items/actions.ts';
import type { ItemDocument } from '../../../work-items/documents.ts';
import { ACTION_IDENTITIES, GATE_IDENTITIES, type ActionIdentity } from '../../../work-items/types.ts';
import { attribute, flag, html, type Html } from '../html.ts';

/** Fields of a form as text, empty ones left out. */
export type FormInput = Record<string, string>;

export interface InputProblem {
  path: string;
  message: string;
}

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

/** The fields of an action's form that were filled in. */
export function formInput(body: Readonly<Record<string, string>>): FormInput {
  return Object.fromEntries(
    FIELDS.flatMap((name) => (body[name]?.trim() ? [[name, body[name].trim()]] : [])),
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

type Option = [value: string, text: string];

interface Field {
  name: string;
  label: string;
  /** One line below the control. */
  hint?: Html;
  /** The kind of evidence that the field is for; the others hide it where a script can. */
  only?: string;
  control: (id: string, described: Html | null) => Html;
}

/** The form of an action, filled with what was typed, each problem at its field. */
export function inputFields(
  item: ItemDocument,
  identity: ActionIdentity,
  input: FormInput,
  problems: InputProblem[],
  noteNeeded: NoteNeeded,
): Html {
  const fields = fieldsOf(item, identity, input, noteNeeded);
  const known = new Set(fields.map(({ name }) => name));
  const wrong = fields.find(({ name }) => problems.some(({ path }) => fieldName(path) === name));
  const rest = problems.filter(({ path }) => !known.has(fieldName(path)));
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
  return path.split('.').at(-1) ?? path;
}

function fieldView(
  identity: ActionIdentity,
  { name, label, hint, only, control }: Field,
  problems: InputProblem[],
  focus: boolean,
): Html {
  const id = `${identity}-${name}`;
  const described = problems.length > 0 ? `${id}-problem` : hint ? `${id}-hint` : null;
  const attributes = html`${problems.length > 0 && html` aria-invalid="true"`}${attribute('aria-describedby', described)}${flag('autofocus', focus)}`;
  return html`<div class="field" ${attribute('data-only', only)}>
    <label for="${id}">${label}</label>${control(id, attributes)}${
      hint && html`<p class="muted small" id="${id}-hint">${hint}</p>`
    }${
      problems.length > 0 &&
      html`<p class="bad small" id="${id}-problem">${problems.map(({ message }) => message).join(' ')}</p>`
    }
  </div> `;
}

function fieldsOf(
  item: ItemDocument,
  identity: ActionIdentity,
  input: FormInput,
  noteNeeded: NoteNeeded,
): Field[] {
  const own: Partial<Record<ActionIdentity, () => Field[]>> = {
    'submit-evidence': () => evidenceFields(item, input),
    'waive-criterion': () => [criterionChoice(item, input, []), area(input, 'reason', 'Reason', true)],
    'override-gate': () => overrideFields(input),
  };
  return own[identity]?.() ?? [noteField(input, noteNeeded)];
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
      ['validation', 'validation: the project’s command ran'],
      ['criterion', 'criterion: one done criterion is met or not'],
      ['attestation', 'attestation: a reviewer vouches for the commit'],
    ]),
    choice(input, 'result', 'Result', [
      ['passed', 'passed'],
      ['failed', 'failed'],
    ]),
    ...(item.criteria.length > 0
      ? [
          {
            ...criterionChoice(item, input, [['', 'none: it is not about one criterion']]),
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

function overrideFields(input: FormInput): Field[] {
  return [
    choice(
      input,
      'gate',
      'Gate',
      GATE_IDENTITIES.map((gate): Option => [gate, gate]),
    ),
    choice(
      input,
      'action',
      'Action',
      ACTION_IDENTITIES.map((action): Option => [action, labelOf(action)]),
    ),
    area(input, 'reason', 'Reason', true),
    {
      name: 'until',
      label: 'Until (UTC)',
      control: (id, described) =>
        html`<input
          type="datetime-local"
          id="${id}"
          name="until"
          value="${input.until}"
          required${described}
        />`,
    },
  ];
}

function criterionChoice(item: ItemDocument, input: FormInput, first: Option[]): Field {
  const options = item.criteria.map(({ number, text }): Option => [
    String(number),
    `${number}. ${text.slice(0, 100)}`,
  ]);
  return choice(input, 'criterion', 'Criterion', [...first, ...options]);
}

function line(input: FormInput, name: string, label: string, attributes: Html): Field {
  const control: Field['control'] = (id, described) =>
    html`<input
      type="text"
      id="${id}"
      name="${name}"
      value="${input[name]}"
      autocomplete="off"
      spellcheck="false"
      ${attributes}${described}
    />`;
  return { name, label, control };
}

function area(input: FormInput, name: string, label: string, required: boolean): Field {
  const control: Field['control'] = (id, described) =>
    html`<textarea id="${id}" name="${name}" rows="2" ${flag('required', required)}${described}>
${input[name]}</textarea>`;
  return { name, label, control };
}

function choice(input: FormInput, name: string, label: string, options: Option[]): Field {
  const option = ([value, shown]: Option) =>
    html`<option value="${value}" ${flag('selected', value === input[name])}>${shown}</option>`;
  const control: Field['control'] = (id, described) =>
    html`<select id="${id}" name="${name}" ${described}>
      ${options.map(option)}
    </select>`;
  return { name, label, control };
}
