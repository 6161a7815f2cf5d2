import { KINDS, type Kind, type Verdict } from '../../../chat/policy.ts';
import { attribute, flag, html, type Child, type Html } from '../html.ts';
import { QUOTAS, ROLES, SORTS, type Fields } from '../policy-form.ts';
import { KIND_NAMES, QUOTA_NAMES, SORT_NAMES } from '../policy-words.ts';
import type { InputProblem } from './fields.ts';

/** The fields of policies: of the document for all, and of that of a class. Each has its problem beside it. */

export interface PolicyForm {
  input: Fields;
  problems: InputProblem[];
}

const idOf = (name: string): string => `policy-${name.replaceAll('.', '-')}`;

function problemOf(name: string, { problems }: PolicyForm): { attributes: Html; text: Child } {
  const found = problems.filter(({ path }) => path === name);
  const id = `${idOf(name)}-problem`;
  return found.length === 0
    ? { attributes: html``, text: null }
    : {
        attributes: html` aria-invalid="true"${attribute('aria-describedby', id)}`,
        text: html`<p class="bad small" id="${id}">${found.map(({ message }) => message).join(' ')}</p>`,
      };
}

function numberField(name: string, label: string, form: PolicyForm, most: number): Html {
  const { attributes, text } = problemOf(name, form);
  const id = idOf(name);
  return html`<div class="field">
    <label for="${id}">${label}</label
    ><input
      type="text"
      inputmode="numeric"
      id="${id}"
      name="${name}"
      value="${form.input[name]}"
      maxlength="${most}"
      autocomplete="off"
      ${attributes}
    />${text}
  </div>`;
}

function choiceField(name: string, label: string, options: [string, string][], form: PolicyForm): Html {
  const { attributes, text } = problemOf(name, form);
  const id = idOf(name);
  const given = form.input[name] ?? '';
  return html`<div class="field">
    <label for="${id}">${label}</label
    ><select id="${id}" name="${name}" ${attributes}>
      ${options.map(([value, shown]) => html`<option value="${value}" ${flag('selected', value === given)}>${shown}</option>`)}
    </select>${text}
  </div>`;
}

const heading = (title: string, hint: string): Html =>
  html`<div><h3>${title}</h3><p class="muted small">${hint}</p></div>`;

const DAY_DIGITS = 6;
const COUNT_DIGITS = 15;

function group(legend: string, hint: Child, fields: Child): Html {
  return html`<fieldset class="field group">
    <legend>${legend}</legend>
    <div class="several">${fields}</div>
    ${hint && html`<p class="muted small">${hint}</p>`}
  </fieldset>`;
}

const NEVER_KEPT = 'Exports are streamed and never kept, so nothing of them expires today.';

export function generalFields(form: PolicyForm): Html {
  const days = (kind: Kind, last: string) => `retention.${kind}.${last}`;
  const on = form.input['breakGlass'] === 'on';
  return html`<section class="stack">
      <div class="field">
        <h3>Who may read</h3>
        <label class="check"
          ><input type="checkbox" name="breakGlass" value="on" aria-describedby="policy-breakGlass-hint" ${flag('checked', on)} /> Break-glass</label
        >
        <p class="muted small" id="policy-breakGlass-hint">
          On: owners read sessions that are not theirs with a reason, and after another owner agreed or, alone, after a waiting time. Off: owners read all of them. Switching it off takes a day, or another owner who asks for the same.
        </p>
      </div>
    </section>
    <section class="stack">
      ${heading('Quotas', 'What goes beyond is refused. Empty: as much as it likes.')}
      <div class="several wide">${QUOTAS.map((name) => numberField(`quotas.${name}`, QUOTA_NAMES[name], form, COUNT_DIGITS))}</div>
    </section>
    <section class="stack">
      ${heading('Limits of what classes say about retention', 'In days, from 1 to 36,500. Empty: no limit.')}
      ${KINDS.map((kind) =>
        group(KIND_NAMES[kind], kind === 'export' && NEVER_KEPT, [
          numberField(days(kind, 'floorDays'), 'Kept at least', form, DAY_DIGITS),
          numberField(days(kind, 'ceilingDays'), 'Kept at most', form, DAY_DIGITS),
        ]),
      )}
    </section>`;
}

const CHOICES: [Verdict, string][] = [
  ['allow', 'Let in'],
  ['redact', 'Taken out'],
  ['quarantine', 'Held back'],
  ['block', 'Refused'],
];

export function classFields(form: PolicyForm): Html {
  return html`<section class="stack">
      ${heading(
        'How long it is kept',
        'In days. Kept: empty is for ever. In the bin: how long it lies there, where nobody sees it, before a plan can purge it; 0 is no bin.',
      )}
      ${KINDS.map((kind) =>
        group(KIND_NAMES[kind], kind === 'export' && NEVER_KEPT, [
          numberField(`retention.${kind}.days`, 'Kept', form, DAY_DIGITS),
          numberField(`retention.${kind}.binDays`, 'Then in the bin', form, DAY_DIGITS),
        ]),
      )}
    </section>
    <section class="stack">
      ${heading(
        'Sensitive data',
        'What is done before the first byte of it is kept. Let in: it is not looked for. Held back: a placeholder stands for it until people decide. A file in which something is to be taken out is refused as a whole.',
      )}
      ${group('In all messages', null, [SORTS.map((sort) => choiceField(`sensitive.${sort}`, SORT_NAMES[sort], CHOICES, form))])}
      ${ROLES.map((role) =>
        group(`In messages of role ${role}`, null, [
          SORTS.map((sort) =>
            choiceField(
              `sensitive.roles.${role}.${sort}`,
              SORT_NAMES[sort],
              [['', 'No exception'], ...CHOICES],
              form,
            ),
          ),
        ]),
      )}
    </section>`;
}
