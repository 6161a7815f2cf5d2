import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { replaceFile } from './state.ts';

/**
 * Attachments, and lists of them, that were found damaged or missing in a destination: `<data>/backup/<name>/
 * damaged-objects.json`. Each stays until it was read there and found right, or no backup there names it any more.
 */

const one = z.strictObject({
  /** When it was first found, ISO-8601 UTC. */
  at: z.string(),
  code: z.string(),
  message: z.string(),
});
export type DamagedObject = z.output<typeof one>;
const schema = z.record(z.string(), z.record(z.string(), one));

const pathIn = (folder: string): string => join(folder, 'damaged-objects.json');

function all(folder: string): z.output<typeof schema> {
  try {
    return schema.parse(JSON.parse(readFileSync(pathIn(folder), 'utf8')));
  } catch {
    // The next check finds it again.
    return {};
  }
}

/** By key. */
export const readDamagedObjects = (folder: string, url: string): Map<string, DamagedObject> =>
  new Map(Object.entries(all(folder)[url] ?? {}));

interface Found {
  wrong: ReadonlyMap<string, FactoryError>;
  /** Keys that were read and are right, or that nothing names. */
  right: Iterable<string>;
}

/** Adds and takes away what was found at that time. */
export function saveDamagedObjects(folder: string, url: string, at: string, { wrong, right }: Found): void {
  const before = readDamagedObjects(folder, url);
  const known = new Map(before);
  for (const key of right) known.delete(key);
  for (const [key, { code, message }] of wrong)
    known.set(key, { at: before.get(key)?.at ?? at, code, message });
  if (known.size === 0 && before.size === 0) return;
  makeFolder(folder, 0o700);
  replaceFile(pathIn(folder), JSON.stringify({ ...all(folder), [url]: Object.fromEntries(known) }));
}

/** The same, for one that sends: what is known of a destination, and what comes of it. */
export interface DamagedThere {
  has(key: string): boolean;
  /** `error`: why it is still damaged; null: it was read, and is right. */
  keep(key: string, error: FactoryError | null): void;
}

export const NOTHING_DAMAGED: DamagedThere = { has: () => false, keep: () => undefined };

export function damagedThere(folder: string, url: string): DamagedThere {
  const known = readDamagedObjects(folder, url);
  return {
    has: (key) => known.has(key),
    keep(key, error) {
      const wrong = new Map(error === null ? [] : [[key, error]]);
      saveDamagedObjects(folder, url, new Date().toISOString(), {
        wrong,
        right: error === null ? [key] : [],
      });
    },
  };
}
