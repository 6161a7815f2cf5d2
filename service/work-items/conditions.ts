import type { Lane } from './types.ts';

/** What bears on an item beside its record and its signals; read before a rule runs and passed in. */
export interface Conditions {
  /** Whether the record follows the item by itself. */
  queueWrites: boolean;
  /** Items, not done, without which nobody can claim the queued handoff; lane null: there is no such item. */
  waitsFor: { id: string; lane: Lane | null }[];
  /** Who holds the handoff and why they cannot go on with it; null: they can, or nobody holds one. */
  lostHolder: string | null;
}

/** Of an item that nothing bears on. */
export const PLAIN: Conditions = { queueWrites: true, waitsFor: [], lostHolder: null };

/** The first of what an item waits for, and the way out: finishing it, or where that is not possible unlinking it. */
export function waitingFor({
  waitsFor,
}: Conditions): { cause: string; step: string; finish: string | null } | null {
  const [first] = waitsFor;
  if (!first) return null;
  const all = waitsFor.map(({ id }) => id).join(', ');
  const cause = `Waiting for ${all}: nobody can claim the queued handoff.`;
  const hopeless = waitsFor.find(({ lane }) => lane === null || lane === 'cancelled');
  if (!hopeless)
    return { cause, step: `Finish ${all}, or unlink it from blockedBy in the record.`, finish: first.id };
  const why = hopeless.lane === null ? 'there is no such item' : 'it is cancelled';
  return { cause, step: `Unlink ${hopeless.id} from blockedBy in the record: ${why}.`, finish: null };
}
