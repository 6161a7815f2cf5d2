import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from './state.ts';

/**
 * Which backups were read again, and how far. It is this machine's knowledge: another one that prunes verifies first.
 *
 *   ciphertext   every object was fetched, and its bytes are the ones that the signed manifest names
 *   restored     a database was made of it, and SQLite and the manifest agree that it is the one that was taken
 */
export const VERIFIED = ['ciphertext', 'restored'] as const;
export interface Verified {
  /** ISO-8601 UTC. */
  at: string;
  how: (typeof VERIFIED)[number];
}

const schema = z.record(
  z.string(),
  z.record(z.string(), z.strictObject({ at: z.string(), how: z.enum(VERIFIED) })),
);
/** Destination -> backup -> what is known. */
export type VerifiedBackups = z.output<typeof schema>;

const pathIn = (folder: string): string => join(folder, 'verified.json');

/** Nothing where it is missing or unreadable: verifying again costs time only. */
export function readVerified(folder: string): VerifiedBackups {
  try {
    return schema.parse(JSON.parse(readFileSync(pathIn(folder), 'utf8')));
  } catch {
    return {};
  }
}

/** Adds what was found about backups of a destination; those that are no longer there are forgotten. */
export function saveVerified(
  folder: string,
  url: string,
  found: Record<string, Verified | null>,
  present: readonly string[],
): void {
  const all = readVerified(folder);
  const known = Object.entries({ ...all[url], ...found }).filter(
    ([id, one]) => one !== null && present.includes(id),
  );
  replaceFile(pathIn(folder), JSON.stringify({ ...all, [url]: Object.fromEntries(known) }));
}
