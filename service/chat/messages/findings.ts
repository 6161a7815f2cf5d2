import type { KeyObject } from 'node:crypto';
import type { Transaction } from '../../storage/transaction.ts';
import type { Screened } from '../sensitive/screen.ts';
import { messages } from '../store.ts';
import type { Finding } from '../types.ts';

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

/** What was held back was let in, or was not; in what stays of the message. */
export async function decideFindings(
  tx: Transaction,
  session: number,
  seq: number,
  action: 'allow' | 'block',
): Promise<void> {
  const row = await tx.get(messages.bySeq, { session, seq });
  if (!row || row.findings === null) return;
  const decided = (JSON.parse(row.findings) as Kept[]).map((one) =>
    one.action === 'quarantine' ? { ...one, action } : one,
  );
  await tx.run(messages.decide, { session, seq, findings: JSON.stringify(decided) });
}
