import { newId } from '../../../ids.ts';
import type { ItemDocument } from '../../../work-items/documents.ts';
import { clip } from '../format.ts';
import { html, type Html } from '../html.ts';
import type { InputProblem } from './action-inputs.ts';
import { csrfField, hiddenFields, notice, twin, type View } from './parts.ts';

/** A net-new item as it is typed; the same names as in the API, lists one entry a line. */
export const NEW_ITEM_FIELDS = [
  'title',
  'summary',
  'workType',
  'branch',
  'validation',
  'criteria',
  'prompt',
  'blockedBy',
  'supersedes',
] as const;
export type NewItemForm = Partial<Record<(typeof NEW_ITEM_FIELDS)[number], string>>;

/** What the successor of an item starts with: its kind and its way of being checked; the work itself is new. */
export function successorOf(item: ItemDocument): NewItemForm {
  return {
    workType: item.workType,
    ...(item.validation === null ? {} : { validation: item.validation }),
    title: clip(`Follow up: ${item.title}`, 299),
    supersedes: item.id,
  };
}

export function newItemPage(
  view: View,
  form: NewItemForm,
  problems: InputProblem[],
  supersedes: ItemDocument | null,
): Html {
  return html`<p class="crumbs"><a href="/">Board</a></p>
    <div class="row head"><h1>New item</h1></div>
    ${supersedes && html`<p class="lead">It follows <a class="link mono" href="/items/${supersedes.id}">${supersedes.id}</a> ${clip(supersedes.title)}, which stays closed.</p>`}
    ${
      problems.length > 0 &&
      notice(
        view,
        'bad',
        'Nothing was created yet.',
        html`<ul>
          ${problems.map(({ path, message }) => html`<li>${path && html`<code>${path}</code>: `}${message}</li>`)}
        </ul>`,
      )
    }
    <form class="panel" method="post" action="/items/new">
      ${csrfField(view)}${hiddenFields({ supersedes: form.supersedes, key: newId() })}
      <div class="body fields">
        ${line('title', 'Title', form, problems, { required: true, hint: 'What will be there when it is done.' })}
        ${area('summary', 'Summary', form, problems, { rows: 4, required: true, hint: 'What and why, in a few sentences.' })}
        ${line('workType', 'Work type', form, problems, { required: true, hint: 'E.g. implementation, operations, research.' })}
        ${area('criteria', 'Done criteria', form, problems, { rows: 5, hint: 'One a line. Each is something that can be shown.' })}
        ${area('prompt', 'Prompt', form, problems, { rows: 8, required: true, hint: 'What an executor is given. It is pinned when the execution is queued.' })}
        ${line('branch', 'Branch (optional)', form, problems, { mono: true })}
        ${line('validation', 'Validation command (optional)', form, problems, { mono: true, hint: 'E.g. ./scripts/validate-local.ps1' })}
        ${line('blockedBy', 'Blocked by (optional)', form, problems, { mono: true, hint: 'Ids of items that have to be done first, separated by spaces.' })}
        <div class="row">
          <button class="btn main">Create item</button><a class="btn quiet" href="/">Not now</a>
        </div>
      </div>
    </form>
    ${twin(view, {
      curl: `curl -X POST "$FACTORY_URL/api/control-plane/items" \\\n  -H "Authorization: Bearer $FACTORY_TOKEN" -H 'Content-Type: application/json' \\\n  -d '{"title":"…","summary":"…","workType":"…","criteria":[],"prompt":"…"}'`,
    })}`;
}

interface FieldOptions {
  required?: boolean;
  hint?: string;
  rows?: number;
  mono?: boolean;
}

type Name = Exclude<(typeof NEW_ITEM_FIELDS)[number], 'supersedes'>;

function line(
  name: Name,
  label: string,
  form: NewItemForm,
  problems: InputProblem[],
  options: FieldOptions,
): Html {
  return field(
    name,
    label,
    problems,
    options,
    (attributes) =>
      html`<input
        type="text"
        value="${form[name]}"
        ${options.mono && html` class="mono" spellcheck="false"`}
        autocomplete="off"
        ${attributes}
      />`,
  );
}

function area(
  name: Name,
  label: string,
  form: NewItemForm,
  problems: InputProblem[],
  options: FieldOptions,
): Html {
  return field(
    name,
    label,
    problems,
    options,
    (attributes) => html`<textarea rows="${options.rows ?? 3}" ${attributes}>${'\n'}${form[name]}</textarea>`,
  );
}

function field(
  name: Name,
  label: string,
  problems: InputProblem[],
  options: FieldOptions,
  control: (attributes: Html) => Html,
): Html {
  const own = problems.filter(
    ({ path }) => path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`),
  );
  const describedBy = [options.hint && `hint-${name}`, own.length > 0 && `problem-${name}`]
    .filter(Boolean)
    .join(' ');
  const attributes = html` id="new-${name}"
  name="${name}"${options.required && html` required`}${describedBy && html` aria-describedby="${describedBy}"`}${own.length > 0 && html` aria-invalid="true"`}`;
  return html`<div class="field">
    <label for="new-${name}">${label}</label
    >${control(attributes)}${options.hint && html`<p class="muted small" id="hint-${name}">${options.hint}</p>`}${
      own.length > 0 &&
      html`<p class="bad small" id="problem-${name}">${own.map(({ message }) => message).join(' ')}</p>`
    }
  </div> `;
}
