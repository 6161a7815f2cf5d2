import { TextDecoder } from 'node:util';
import type { Finding } from '../types.ts';
import { detect } from './detect.ts';
import { blocked, categoriesOf, isWithheld, screenText, verdictsFor } from './screen.ts';
import type { Sensitive } from './screen.ts';

/**
 * Looks through a file while it arrives and lets on only what was looked through. A file is not changed: its digest is what
 * the sender knows it by. So what would be taken out of a message keeps a file out; what would hold one back holds all of it.
 */

/** Looked through at a time, and how much of it once more with what follows: longer than a key file. */
const WINDOW_BYTES = 64 * 1024;
const OVERLAP_CHARS = 8 * 1024;
/** A file is looked through from where it looks like a text, or as a whole where its type says that it is one. */
const HEAD_BYTES = 4096;
const TEXT = /^(?:text\/|application\/(?:[\w.+-]*(?:json|xml|yaml|javascript|sql|toml|csv|x-sh|x-httpd)))/i;
/** Places that are kept of one file: whoever decides reads it, not them. */
const MOST_FOUND = 100;

export interface ScreenedFile {
  /** With what was to be taken out taken out; where it holds the file back, the whole of it. */
  name: string | undefined;
  /** Errors, while it is read: `sensitive-data-blocked`, `sensitive-data-undecided`. */
  content: AsyncIterable<Buffer>;
  /** What holds it back, once its content was read; null: nothing. */
  heldBy(): Finding[] | null;
}

/** Errors: `sensitive-data-blocked`, `sensitive-data-undecided`, of its name. */
export function screenFile(
  policy: Sensitive,
  { name, mediaType }: { name?: string | undefined; mediaType?: string | undefined },
  content: AsyncIterable<Buffer>,
): ScreenedFile {
  const looked = name === undefined ? null : screenText(policy, name, 'name of the file');
  const found = [...(looked?.findings ?? [])];
  return {
    name: looked?.original ?? looked?.text,
    content: screened(policy, mediaType, content, found),
    heldBy: () => (isWithheld(found) ? found.slice(0, MOST_FOUND) : null),
  };
}

async function* screened(
  policy: Sensitive,
  mediaType: string | undefined,
  content: AsyncIterable<Buffer>,
  found: Finding[],
): AsyncGenerator<Buffer> {
  const verdicts = verdictsFor(policy, null);
  const categories = categoriesOf(verdicts);
  if (categories.length === 0) {
    yield* content;
    return;
  }
  const isDeclared = TEXT.test(mediaType ?? '');
  let decoder: TextDecoder | null = null;
  let [tail, at, seen] = ['', 0, 0];
  let waiting: Buffer[] = [];
  let size = 0;

  function look(last: boolean): void {
    const bytes = Buffer.concat(waiting);
    decoder ??= textIn(bytes) ?? (isDeclared ? new TextDecoder() : null);
    if (decoder === null) return;
    const text = tail + decoder.decode(bytes, { stream: !last });
    const findings = detect(text, categories).map(({ rule, category, start, end }): Finding => {
      const action = verdicts[category] === 'redact' ? 'block' : verdicts[category];
      return { rule, action, part: 0, start: at + start, end: at + end };
    });
    if (findings.some(({ action }) => action === 'block')) throw blocked(findings, 'file');
    // What was looked at twice is found twice.
    const fresh = findings.filter(({ end }) => end > seen);
    found.push(...fresh.slice(0, Math.max(0, MOST_FOUND - found.length)));
    seen = fresh.at(-1)?.end ?? seen;
    const kept = Math.min(text.length, OVERLAP_CHARS);
    at += text.length - kept;
    tail = text.slice(text.length - kept);
  }

  for await (const piece of content) {
    waiting.push(piece);
    size += piece.length;
    if (size < WINDOW_BYTES) continue;
    look(false);
    yield* waiting;
    [waiting, size] = [[], 0];
  }
  look(true);
  yield* waiting;
}

/** How to read these bytes, if their beginning shows a text: hardly a byte that texts do not have; null: it shows none. */
function textIn(bytes: Buffer): TextDecoder | null {
  const head = bytes.subarray(0, HEAD_BYTES);
  const wide = wideIn(head);
  if (wide !== null) return new TextDecoder(wide);
  const foreign = head.reduce((sum, byte) => sum + (FOREIGN[byte] ?? 0), 0);
  if (head.length === 0 || foreign > Math.max(4, head.length / 50)) return null;
  return new TextDecoder();
}

const FOREIGN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 9 || (byte > 13 && byte < 32 && byte !== 27) ? 1 : 0,
);

/** UTF-16 by its mark, or by the zeros beside the ASCII in it. */
function wideIn(head: Buffer): 'utf-16le' | 'utf-16be' | null {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le';
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be';
  const zeros: [even: number, odd: number] = [0, 0];
  for (const [n, byte] of head.entries()) if (byte === 0) zeros[n % 2 === 0 ? 0 : 1] += 1;
  const most = head.length / 4;
  const [even, odd] = zeros;
  if (odd > most && even <= odd / 20) return 'utf-16le';
  return even > most && odd <= even / 20 ? 'utf-16be' : null;
}
