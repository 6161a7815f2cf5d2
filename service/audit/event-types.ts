import type { Reader } from '../storage/transaction.ts';

/** The kinds of these events, by `seq`: the log names an event by its number, and what happened by its kind. */
export async function eventTypes(reader: Reader, seqs: readonly number[]): Promise<Map<number, string>> {
  if (seqs.length === 0) return new Map();
  const rows = await reader.query((db) =>
    db.selectFrom('events').select(['seq', 'type']).where('seq', 'in', seqs),
  );
  return new Map(rows.map(({ seq, type }) => [seq, type]));
}
