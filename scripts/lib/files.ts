import { statSync } from 'node:fs';
import { Transform } from 'node:stream';
import { usage } from './failure.ts';
import { sizeText } from './size.ts';
import type { VerbContext } from './verb.ts';

/** Files that go to a service, and what comes from it. */

/** Bytes. Errors: `usage` where it is none, or cannot be read. */
export function sizeOf(path: string, verb: string): number {
  try {
    const found = statSync(path);
    if (found.isFile()) return found.size;
  } catch (error) {
    throw usage(verb, `${path} cannot be read: ${(error as Error).message}.`, error);
  }
  throw usage(verb, `${path} is no file.`);
}

/** Passes everything on and says how far it is. */
export function counting(context: VerbContext, what: string): Transform & { bytes(): number } {
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      context.progress(`${what}: ${sizeText(bytes)}`);
      done(null, chunk);
    },
  });
  return Object.assign(counted, { bytes: () => bytes });
}
