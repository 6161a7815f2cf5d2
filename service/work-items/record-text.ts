import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { QueueProblem } from './types.ts';
import { reporter } from './yaml-nodes.ts';

/** Most bytes of a record, a prompt or a policy; a larger file is a problem and is not read. */
export const MAX_FILE_BYTES = 1024 * 1024;
/** Most characters of front matter: 1,000 criteria of 250 characters fit. */
export const MAX_FRONT_MATTER = 256 * 1024;

const ID = /^wi-[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?$/;

/** An item's id: `wi-` and a key of at most 100 letters, digits, dots, dashes and underscores. */
export function isItemId(text: string): boolean {
  return ID.test(text);
}

/** Git's id of a blob with these bytes: sha1 over `blob <length>\0` and the bytes. */
export function blobId(bytes: Uint8Array | string): string {
  const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
  return createHash('sha1').update(`blob ${content.byteLength}\0`).update(content).digest('hex');
}

/** Strict UTF-8: text, or the problem with the first line that is not. `text` keeps a BOM. */
export function decodeText(
  bytes: Buffer,
  at: { path: string; itemId: string | null },
): { text: string | null; problems: QueueProblem[] } {
  const problems: QueueProblem[] = [];
  if (isUtf8(bytes)) return { text: bytes.toString('utf8'), problems };
  let line = 1;
  let start = 0;
  for (
    let end = bytes.indexOf(10);
    end >= 0 && isUtf8(bytes.subarray(start, end));
    end = bytes.indexOf(10, start)
  ) {
    line += 1;
    start = end + 1;
  }
  reporter(at.path, at.itemId, problems)(
    line,
    'not-utf8',
    'This line is not UTF-8.',
    'Save the file as UTF-8.',
  );
  return { text: null, problems };
}

/** Line (from 1) of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

/**
 * Cuts a record at its two `---` lines. `yaml` starts at `yamlStart` of the text, on line 2. A missing opening or
 * closing line is named. `\n` and `\r\n` end a line, nothing else does.
 */
export function splitFrontMatter(
  text: string,
): { yaml: string; yamlStart: number; body: string; bodyStart: number } | 'missing' | 'unclosed' {
  const opening = /^\uFEFF?---[ \t]*\r?\n/.exec(text);
  if (!opening) return 'missing';
  const yamlStart = opening[0].length;
  const fence = /\n---[ \t]*(?:\r?\n|$)/g;
  fence.lastIndex = yamlStart - 1;
  const closing = fence.exec(text);
  if (!closing) return 'unclosed';
  const bodyStart = closing.index + closing[0].length;
  const yaml = text.slice(yamlStart, Math.max(yamlStart, closing.index + 1));
  return { yaml, yamlStart, body: text.slice(bodyStart), bodyStart };
}
