import { detect } from './detect.ts';
import { blocked, categoriesOf, verdictsFor } from './screen.ts';
import type { Sensitive } from './screen.ts';

/**
 * Looks through a file while it arrives and lets on only what was looked through. A file is not changed: its digest is what
 * the sender knows it by. So what would be taken out of a message keeps a file out.
 */

/** Looked through at a time, and how much of it once more with what follows: longer than a key file. */
const WINDOW_BYTES = 64 * 1024;
const OVERLAP_CHARS = 8 * 1024;
/** A file is a text unless its beginning shows otherwise. */
const HEAD_BYTES = 4096;
const TEXT = /^(?:text\/|application\/(?:[\w.+-]*(?:json|xml|yaml|javascript|sql|toml|csv|x-sh|x-httpd)))/i;

/** Errors: `sensitive-data-blocked`, `sensitive-data-undecided`. */
export async function* screenContent(
  policy: Sensitive,
  mediaType: string | undefined,
  content: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const verdicts = verdictsFor(policy, null);
  const categories = categoriesOf(verdicts);
  if (categories.length === 0) {
    yield* content;
    return;
  }
  const decoder = new TextDecoder();
  let [tail, at] = ['', 0];
  let waiting: Buffer[] = [];
  let size = 0;
  let isText: boolean | null = TEXT.test(mediaType ?? '') ? true : null;

  function assertClean(last: boolean): void {
    const bytes = Buffer.concat(waiting);
    isText ??= looksLikeText(bytes);
    if (!isText) return;
    const text = tail + decoder.decode(bytes, { stream: !last });
    const hits = detect(text, categories);
    if (hits.length > 0)
      throw blocked(
        hits.map(({ rule, category, start, end }) => ({
          ...{
            rule,
            action: verdicts[category] === 'redact' ? ('block' as const) : verdicts[category],
            part: 0,
          },
          ...{ start: at + start, end: at + end },
        })),
        'file',
      );
    const kept = Math.min(text.length, OVERLAP_CHARS);
    at += text.length - kept;
    tail = text.slice(text.length - kept);
  }

  for await (const piece of content) {
    waiting.push(piece);
    size += piece.length;
    if (size < WINDOW_BYTES) continue;
    assertClean(false);
    yield* waiting;
    [waiting, size] = [[], 0];
  }
  assertClean(true);
  yield* waiting;
}

/** No NUL in its beginning, and nearly all of it is UTF-8. */
function looksLikeText(bytes: Buffer): boolean {
  const head = bytes.subarray(0, HEAD_BYTES);
  if (head.length === 0 || head.includes(0)) return false;
  const text = head.toString('utf8');
  return (text.match(/\uFFFD/g)?.length ?? 0) <= text.length / 100;
}
