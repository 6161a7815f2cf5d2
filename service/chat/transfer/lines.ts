import { isUtf8 } from 'node:buffer';
import { FactoryError } from '../../errors.ts';

/** Text that arrives in pieces, line by line. */

export interface NumberedLine {
  /** From 1. */
  number: number;
  text: string;
}

const LINE_FEED = 10;

/** Lines that are not empty, without their ends; those before `from` are passed over. Errors: `import-malformed`. */
export async function* linesOf(
  source: AsyncIterable<Buffer>,
  most: number,
  from: number,
): AsyncGenerator<NumberedLine> {
  let waiting: Buffer[] = [];
  let length = 0;
  let number = 0;
  const take = (bytes: Buffer): void => {
    if (number + 1 < from) return;
    waiting.push(bytes);
    length += bytes.length;
    if (length > most) throw malformed(number + 1, `it is longer than ${most} bytes`);
  };
  function line(): NumberedLine | null {
    const bytes = Buffer.concat(waiting);
    [waiting, length] = [[], 0];
    number += 1;
    if (!isUtf8(bytes)) throw malformed(number, 'it is not UTF-8');
    const text = bytes.toString('utf8').trim();
    return text === '' ? null : { number, text };
  }
  for await (const bytes of source) {
    let start = 0;
    for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, start)) {
      take(bytes.subarray(start, at));
      start = at + 1;
      const next = line();
      if (next) yield next;
    }
    if (start < bytes.length) take(bytes.subarray(start));
  }
  if (length === 0) return;
  const last = line();
  if (last) yield last;
}

const CORRECT =
  'Nothing of its session was kept; sessions before it were. Correct the file, or export it again.';

/** Every problem of an import names its line. */
export function malformed(
  line: number,
  why: string,
  { cause, hint = CORRECT }: { cause?: unknown; hint?: string | undefined } = {},
): FactoryError {
  return new FactoryError({
    ...{ code: 'import-malformed', op: 'import sessions', target: `line ${line}`, cause },
    message: `Line ${line} cannot be imported: ${why}.`,
    hint,
    details: { line },
  });
}
