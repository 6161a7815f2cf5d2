import type { KeyObject } from 'node:crypto';
import type { Screened } from './sensitive/screen.ts';
import type { Finding } from './types.ts';

/** How findings lie in a message's row: with keyed digests of what was found, which nobody is shown. */

type Kept = Finding & { digest?: string };

/** Null: nothing was found. */
export function findingsText(
  { findings, digests }: Pick<Screened, 'findings' | 'digests'>,
  key: KeyObject,
): string | null {
  if (findings.length === 0) return null;
  const keyed = digests(key);
  // What another installation took out came without its content.
  return JSON.stringify(
    findings.map((one, index): Kept => ({ ...one, ...(keyed[index] ? { digest: keyed[index] } : {}) })),
  );
}

export function findingsOf(text: string | null): Finding[] {
  if (text === null) return [];
  return (JSON.parse(text) as Kept[]).map(({ digest: _, ...finding }) => finding);
}
