import type { AssetName } from '../assets.ts';
import { absolute, relative } from '../format.ts';
import { attribute, html, type Child, type Html } from '../html.ts';
import type { Verdict } from '../../../work-items/types.ts';

/** What every view gets beside its document. */
export interface View {
  asset: (name: AssetName) => string;
  /** Milliseconds since the epoch, for relative times. */
  now: number;
  csrf: string;
}

export type Tone = 'ok' | 'warn' | 'bad' | 'info' | 'plain';

export type IconName =
  | 'mark'
  | 'board'
  | 'chat'
  | 'audit'
  | 'pulse'
  | 'people'
  | 'api'
  | 'search'
  | 'person'
  | 'tick'
  | 'cross'
  | 'triangle'
  | 'dash'
  | 'question'
  | 'shield'
  | 'clock'
  | 'branch'
  | 'copy'
  | 'plus'
  | 'arrow'
  | 'terminal'
  | 'file'
  | 'filter';

/** A decorative icon: the word beside it says the same. */
export function icon(view: View, name: IconName, tone: Tone = 'plain'): Html {
  // In one line: it stands within lines of text that must not get white space from it.
  // prettier-ignore
  return html`<svg class="i ${tone}" aria-hidden="true"><use href="${view.asset('sprite.svg')}#${name}"/></svg>`;
}

/** One line that shortens where it has to; `title` then holds all of it. */
export function chip(view: View, tone: Tone, name: IconName | null, text: Child, title?: string): Html {
  return html`<span class="chip ${tone}" ${attribute('title', title)}>${name && icon(view, name)}${text}</span>`;
}

/** Relative text, absolute in the title, machine time in `datetime`. */
export function time(view: View, iso: string): Html {
  return html`<time datetime="${iso}" title="${absolute(iso)}">${relative(iso, view.now)}</time>`;
}

/** A button that copies `text`; shown only where a script can do it. */
export function copyButton(view: View, text: string, what: string): Html {
  return html`<button
    type="button"
    class="copy"
    data-copy="${text}"
    aria-label="Copy ${what}"
    title="Copy ${what}"
  >
    ${icon(view, 'copy')}
  </button>`;
}

/** The same request for a shell, behind one click. */
export function twin(view: View, lines: { curl?: string; cli?: string }): Html {
  return html`<details class="twin">
    <summary>${icon(view, 'terminal')}${[lines.curl && 'curl', lines.cli && 'CLI'].filter(Boolean).join(' · ')}</summary>
    ${lines.cli && command(view, lines.cli, 'command')} ${lines.curl && command(view, lines.curl, 'curl command')}
  </details>`;
}

function command(view: View, text: string, what: string): Html {
  return html`<div class="command">
    <pre tabindex="0"><code>${text}</code></pre>
    ${copyButton(view, text, what)}
  </div>`;
}

export function panel(
  title: string,
  body: Child,
  options: { id?: string; aside?: Child; bare?: boolean } = {},
): Html {
  return html`<section class="panel" ${attribute('id', options.id)}>
    <header>
      <h2>${title}</h2>
      ${options.aside && html`<span class="push">${options.aside}</span>`}
    </header>
    ${options.bare ? body : html`<div class="body">${body}</div>`}
  </section>`;
}

/** A message with its word and shape: what happened, then what it means. */
export function notice(
  view: View,
  tone: 'ok' | 'warn' | 'bad' | 'info',
  title: Child,
  body: Child = null,
  id?: string,
): Html {
  const shape = { ok: 'tick', warn: 'triangle', bad: 'cross', info: 'dash' } as const;
  return html`<div
    class="notice ${tone}"
    role="${tone === 'bad' || tone === 'warn' ? 'alert' : 'status'}"
    ${attribute('id', id)}
  >
    ${icon(view, shape[tone], tone)}
    <div>
      <p class="strong">${title}</p>
      ${body}
    </div>
  </div>`;
}

export function csrfField(view: View): Html {
  return html`<input type="hidden" name="_csrf" value="${view.csrf}" />`;
}

/** Hidden fields that carry a form's state through its next step. */
export function hiddenFields(fields: Record<string, string | null | undefined>): Html[] {
  return Object.entries(fields)
    .filter((entry): entry is [string, string] => typeof entry[1] === 'string')
    .map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`);
}

/** Shape and tone of a gate's verdict. */
export const VERDICT_MARK: Record<Verdict, { icon: IconName; tone: Tone }> = {
  pass: { icon: 'tick', tone: 'ok' },
  warn: { icon: 'triangle', tone: 'warn' },
  blocked: { icon: 'cross', tone: 'bad' },
  unknown: { icon: 'question', tone: 'bad' },
  'not-applicable': { icon: 'dash', tone: 'plain' },
  overridden: { icon: 'shield', tone: 'warn' },
};

export function fact(name: Child, value: Child): Html {
  return html`<dt>${name}</dt>
    <dd>${value}</dd> `;
}

/** A command in a line of text, whose options stay whole where the line ends: `--` and its name belong together. */
export function inlineCommand(text: string): Html {
  const parts = text.split(/(--[a-z-]+)/);
  return html`<code>${parts.map((part, n) => (n % 2 === 1 ? wholeWord(part) : part))}</code>`;
}

const wholeWord = (text: string): Html => html`<span class="whole">${text}</span>`;

/** Text with what stands between backticks as code; an odd backtick is text. */
export function withCode(text: string): Child {
  return text.split(/`([^`\n]+)`/).map((part, index) => (index % 2 === 1 ? inlineCommand(part) : part));
}

/** Several paragraphs of plain text as they were written. */
export function prose(text: string): Html {
  return html`<p class="prose">${text}</p>`;
}
