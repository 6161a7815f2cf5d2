/** What a template may hold. `null`, `undefined`, `false` and `true` render nothing; arrays render their parts. */
export type Child = Html | string | number | boolean | null | undefined | readonly Child[];

/** Text that is safe to send as HTML. Only `html` makes it, so nothing unescaped can get in. */
export class Html {
  readonly text: string;
  /** Use the `html` tag instead. */
  constructor(text: string) {
    this.text = text;
  }
  toString(): string {
    return this.text;
  }
}

const SPECIAL = /[&<>"'`]/;
const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** Text as it stands in element content or in a quoted attribute. NUL, which HTML cannot hold, becomes U+FFFD. */
export function escapeText(text: string): string {
  const clean = text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text;
  return SPECIAL.test(clean)
    ? clean.replace(/[&<>"'`]/g, (character) => ENTITIES[character] ?? character)
    : clean;
}

function render(child: Child): string {
  if (typeof child === 'string') return escapeText(child);
  if (child instanceof Html) return child.text;
  if (typeof child === 'number') return String(child);
  if (child === null || child === undefined || typeof child === 'boolean') return '';
  let text = '';
  for (const part of child) text += render(part);
  return text;
}

const prepared = new WeakMap<TemplateStringsArray, readonly string[]>();

/** The template's own parts, once: bare attributes refused, the indentation of the source left behind. */
function prepare(strings: TemplateStringsArray): readonly string[] {
  for (const part of strings.slice(0, -1)) {
    if (/\s[\w:-]+=$/.test(part)) throw new TypeError(`quote the attribute: …${part.slice(-30)}`);
  }
  const parts = strings.map((part) => part.replace(/\s*\n\s*/g, '\n'));
  prepared.set(strings, parts);
  return parts;
}

/**
 * Tagged template: every value is escaped unless it is itself `Html`. Attribute values must be quoted in the
 * template; a value in a bare attribute is a programmer's error and throws.
 */
export function html(strings: TemplateStringsArray, ...values: Child[]): Html {
  const parts = prepared.get(strings) ?? prepare(strings);
  let text = parts[0] ?? '';
  for (let index = 0; index < values.length; index += 1) {
    text += render(values[index]) + (parts[index + 1] ?? '');
  }
  return new Html(text);
}

export const nothing = html``;

/** ` name` when `on`, else nothing: for boolean attributes. The name is the programmer's, never data. */
export function flag(
  name: 'checked' | 'selected' | 'open' | 'required' | 'disabled' | 'autofocus' | 'hidden',
  on: boolean,
): Html {
  return on ? new Html(` ${name}`) : nothing;
}

/** ` name="value"` when there is a value, else nothing. */
export function attribute(
  name: `${'aria' | 'data' | 'hx'}-${string}` | 'id' | 'title',
  value: string | null | undefined | false,
): Html {
  return value === null || value === undefined || value === false
    ? nothing
    : new Html(` ${name}="${escapeText(value)}"`);
}
