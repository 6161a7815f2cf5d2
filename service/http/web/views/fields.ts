import type { ActionIdentity } from '../../../work-items/types.ts';
import { attribute, flag, html, type Html } from '../html.ts';

/** The controls of an action's form, each with its label, its hint and its problems. */

/** Fields of a form as text, empty ones left out. */
export type FormInput = Record<string, string>;

export interface InputProblem {
  path: string;
  message: string;
}

export type Option = [value: string, text: string];

export interface Field {
  name: string;
  label: string;
  /** One line below the control. */
  hint?: Html;
  /** The kind of evidence that the field is for; the others hide it where a script can. */
  only?: string;
  control: (id: string, described: Html | null) => Html;
}

export function fieldView(
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

export function line(input: FormInput, name: string, label: string, attributes: Html): Field {
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

export function area(input: FormInput, name: string, label: string, required: boolean): Field {
  const control: Field['control'] = (id, described) =>
    html`<textarea id="${id}" name="${name}" rows="2" ${flag('required', required)}${described}>
${input[name]}</textarea>`;
  return { name, label, control };
}

/** `first`: what a script chooses where the field comes into play and nothing is chosen. */
export function choice(
  input: FormInput,
  name: string,
  label: string,
  options: Option[],
  first: string | null = null,
): Field {
  const option = ([value, shown]: Option) =>
    html`<option value="${value}" ${flag('selected', value === input[name])}>${shown}</option>`;
  const control: Field['control'] = (id, described) =>
    html`<select id="${id}" name="${name}" ${attribute('data-first', first)}${described}>
      ${options.map(option)}
    </select>`;
  return { name, label, control };
}
