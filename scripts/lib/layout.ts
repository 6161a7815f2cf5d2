/** Text for terminals, without colour: what it says never hangs on one. */

/** Characters wide enough to take two columns: East Asian wide and full-width forms, and emoji. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff01-\uff60\p{Emoji_Presentation}]/u;
const ZERO = /[\p{Mark}\u200b-\u200d\ufe0f]/u;
const WIDTH = 100;

/** Columns that a text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const char of text) width += ZERO.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  return width;
}

/** Control characters could move the cursor or colour the terminal: names and titles come from others. */
export function plain(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd');
}

const oneLine = (text: string): string => plain(text).replace(/\s+/g, ' ');
const pad = (text: string, width: number): string => text + ' '.repeat(Math.max(width - widthOf(text), 0));

/** A last column is never cut to less than this. */
const LEAST = 20;

/** The first characters that fit into so many columns. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = '';
  for (const char of text) {
    if (widthOf(kept + char) > width - 1) break;
    kept += char;
  }
  return `${kept.trimEnd()}…`;
}

/**
 * Columns as wide as their widest cell, two spaces apart; the last one is not padded. `room`: columns that a line has,
 * to which the last cells are cut; null: as many as it takes.
 */
export function table(head: string[], rows: string[][], room: number | null = null): string {
  const lines = [head, ...rows].map((row) => row.map(oneLine));
  const widths = head.map((_, column) => Math.max(...lines.map((row) => widthOf(row[column] ?? ''))));
  const others = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0);
  const last = room === null ? Infinity : Math.max(room - others, LEAST);
  return lines
    .map((row) =>
      row
        .map((cell, column) =>
          column === head.length - 1 ? cut(cell, last) : pad(cell, widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** `label  value` lines with the values under each other; longer values are wrapped there. */
export function fields(rows: [label: string, value: string | number | null][], indent = '  '): string {
  const width = Math.max(...rows.map(([label]) => widthOf(label)));
  return rows
    .map(([label, value]) => {
      const hang = ' '.repeat(indent.length + width + 2);
      return `${indent}${pad(label, width)}  ${wrap(String(value ?? 'none'), hang).trimStart()}`;
    })
    .join('\n');
}

/** Breaks each line between words so that it fits, every line after `indent`. Words are never cut. */
export function wrap(text: string, indent = ''): string {
  const room = Math.max(WIDTH - indent.length, 30);
  return plain(text)
    .split('\n')
    .flatMap((line) => wrapLine(line, room))
    .map((line) => (indent + line).trimEnd())
    .join('\n');
}

function wrapLine(line: string, room: number): string[] {
  const [first = '', ...words] = line.split(' ');
  const lines = [first];
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`;
    if (widthOf(longer) <= room) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** `1 message`, `5 messages`. */
export const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;
