import { readFileSync } from 'node:fs';

/**
 * The text of a page as a reader gets it: tags away, entities resolved, block elements on lines of their own,
 * white space collapsed. Inline elements join their neighbours, as in a browser.
 */
export function textOf(page: string): string[] {
  return page
    .replace(/<(script|style|title|head)\b[\s\S]*?<\/\1>/g, '')
    .replace(/\s+/g, ' ')
    .replace(/<\/?(?:a|b|code|span|svg|use|time|i|em|strong|button|label|input|progress|kbd)\b[^>]*>/g, '')
    .replace(/<[^>]*>/g, '\n')
    .replace(/&(amp|lt|gt|quot|#39|#96);/g, (_, name: string) => ENTITIES[name] ?? '')
    .split('\n')
    .flatMap((line) => line.replace(/\s+/g, ' ').trim() || []);
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#96': '`' };

/** The lines of a reference page; the dash of a list entry is its mark, not its text. */
export function referenceLines(id: string): string[] {
  const text = readFileSync(new URL(`../../fixtures/pages/${id}.txt`, import.meta.url), 'utf8');
  return text.split('\n').flatMap((line) => line.replace(/^- /, '').replace(/\s+/g, ' ').trim() || []);
}

/** The first line of `wanted` that does not follow the ones before it in `lines`, or null. */
export function firstMissing(lines: string[], wanted: string[]): string | null {
  let at = 0;
  for (const line of wanted) {
    at = lines.indexOf(line, at) + 1;
    if (at === 0) return line;
  }
  return null;
}
