import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { makeFolder } from '../../../service/folders.ts';
import { replaceFile } from './state.ts';

/** When this machine last read each attachment of a destination and found it whole: `<data>/backup/<name>/blobs-read.json`. */

const schema = z.record(z.string(), z.record(z.string(), z.number()));

function all(folder: string): z.output<typeof schema> {
  try {
    return schema.parse(JSON.parse(readFileSync(join(folder, 'blobs-read.json'), 'utf8')));
  } catch {
    // Reading again costs time only.
    return {};
  }
}

/** In ms, by key. */
export const readBlobsRead = (folder: string, url: string): Map<string, number> =>
  new Map(Object.entries(all(folder)[url] ?? {}));

export function saveBlobsRead(folder: string, url: string, read: ReadonlyMap<string, number>): void {
  if (read.size === 0 && readBlobsRead(folder, url).size === 0) return;
  makeFolder(folder, 0o700);
  replaceFile(
    join(folder, 'blobs-read.json'),
    JSON.stringify({ ...all(folder), [url]: Object.fromEntries(read) }),
  );
}
