import MarkdownIt from 'markdown-it';
import { escapeText, Html } from '../html.ts';

/**
 * Markdown of messages. HTML in it is text, addresses become links only where somebody wrote a link, and images become
 * links: nothing that a message says makes the browser fetch anything.
 */

const markdown = new MarkdownIt('default', { html: false, linkify: false, typographer: false, breaks: true });

/** What was taken out before it was stored, as `sensitive-data` marks it. */
const REDACTED = /^\[redacted: ([a-z0-9-]{1,64})\]/;

markdown.inline.ruler.before('link', 'redacted', (state, silent) => {
  const found = REDACTED.exec(state.src.slice(state.pos, state.pos + 90));
  if (!found) return false;
  if (!silent) state.push('redacted', '', 0).content = found[1] ?? '';
  state.pos += found[0].length;
  return true;
});
markdown.renderer.rules['redacted'] = (tokens, index) => redactedMark(tokens[index]?.content ?? '').text;
markdown.renderer.rules['image'] = (tokens, index) => {
  const token = tokens[index];
  const text = escapeText(token?.content || 'image');
  return `<a href="${escapeText(token?.attrGet('src') ?? '')}" rel="noopener noreferrer nofollow">${text}</a>`;
};
const link = markdown.renderer.rules['link_open'];
markdown.renderer.rules['link_open'] = (tokens, index, options, env, self) => {
  tokens[index]?.attrSet('rel', 'noopener noreferrer nofollow');
  return link ? link(tokens, index, options, env, self) : self.renderToken(tokens, index, options);
};
// What is wider than the page scrolls by itself, by keyboard too.
for (const rule of ['fence', 'code_block'] as const) {
  const render = markdown.renderer.rules[rule];
  markdown.renderer.rules[rule] = (tokens, index, options, env, self) =>
    (render?.(tokens, index, options, env, self) ?? '').replace('<pre>', '<pre tabindex="0">');
}
markdown.renderer.rules['table_open'] = () =>
  '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>';
markdown.renderer.rules['table_close'] = () => '</table></div>';
// The page has its own headings; those of a message stand below them.
for (const rule of ['heading_open', 'heading_close'] as const)
  markdown.renderer.rules[rule] = (tokens, index) => {
    const level = Number(tokens[index]?.tag.slice(1) ?? 1);
    return rule === 'heading_open' ? `<p class="h" data-level="${level}">` : '</p>';
  };

/** Longer texts are shown as they are: a page must not take seconds because of one message. */
const MOST = 200_000;

export function markdownText(text: string): Html {
  if (text.length > MOST) return plainText(text);
  return new Html(markdown.render(text.replaceAll('\0', '\uFFFD').toWellFormed()));
}

/** Text as it stands, with marks where something was taken out. */
export function plainText(text: string): Html {
  const parts = text.split(/\[redacted: ([a-z0-9-]{1,64})\]/);
  const shown = parts.map((part, n) =>
    n % 2 === 1 ? redactedMark(part).text : escapeText(part.toWellFormed()),
  );
  return new Html(`<pre class="plain-text" tabindex="0">${shown.join('')}</pre>`);
}

/** A bar with the rule that took something out; the text itself is nowhere any more. */
function redactedMark(rule: string): Html {
  const name = escapeText(rule.replaceAll('-', ' '));
  return new Html(`<span class="redacted" title="Taken out before it was stored">redacted · ${name}</span>`);
}
