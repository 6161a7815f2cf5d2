import { isUtf8 } from 'node:buffer';
import { extname } from 'node:path';
import { lookup } from 'mime-types';

/** Source and settings that the registry has under another name, or takes for a film (`.ts`). */
const TEXTS = new Set(['.ts', '.mts', '.cts', '.rs', '.sh', '.sql', '.toml']);
/** The longest character of UTF-8, which the end of the first piece may cut. */
const MOST_CUT = 3;

/** What a file is by its name; where that says nothing, by whether it begins with text. */
export function mediaTypeOf(name: string, beginning: Buffer): string {
  if (TEXTS.has(extname(name).toLowerCase())) return 'text/plain';
  const known = extname(name) === '' ? false : lookup(name);
  return known || (isText(beginning) ? 'text/plain' : 'application/octet-stream');
}

function isText(bytes: Buffer): boolean {
  if (bytes.includes(0)) return false;
  for (let cut = 0; cut <= MOST_CUT; cut += 1)
    if (isUtf8(bytes.subarray(0, Math.max(0, bytes.length - cut)))) return true;
  return false;
}
