import { hash } from 'node:crypto';
import type { AuditLeaf } from '../../audit/leaf.ts';
import type { Mark } from './index-file.ts';

/** What an entry of the audit log means for the index. */

export type IndexChange =
  | { kind: 'message'; session: string; seq: number }
  /** What was held back is in its place now; the event says where that is. */
  | { kind: 'released'; event: number }
  /** What is in the index of it is no longer what is in the database. `anew`: texts changed, not only their number. */
  | { kind: 'session'; session: string; anew: boolean };

/** They change no text. */
const WITHOUT_TEXT: ReadonlySet<string> = new Set(
  ['read', 'export', 'attach', 'delete-quarantine'].map((one) => `session.${one}`),
);
/** A tool's output goes, comes back, or is in the bin: the message stays. */
const ANEW: ReadonlySet<string> = new Set(
  ['delete-outputs', 'outputs-binned', 'taken-back'].map((one) => `session.${one}`),
);

const RELEASED = 'governance.quarantine-released';
/** Place of the title among those of the messages, which count from one. */
export const TITLE = 0;

/** Null: nothing. An action that is not known here is looked into: that costs time and misses nothing. */
export function changeOf(leaf: string): IndexChange | null {
  // Most entries are about something else.
  if (!leaf.includes('"kind":"session"') && !leaf.includes(RELEASED)) return null;
  const { action, object, outcome, message, event } = JSON.parse(leaf) as AuditLeaf;
  if (action === RELEASED && event) return { kind: 'released', event: event.seq };
  if (object?.kind !== 'session' || outcome !== 'applied' || WITHOUT_TEXT.has(action)) return null;
  if (action === 'session.create') return { kind: 'message', session: object.id, seq: TITLE };
  if (message) return { kind: 'message', session: object.id, seq: message.seq };
  return { kind: 'session', session: object.id, anew: ANEW.has(action) };
}

export const markOf = ({ seq, leaf }: { seq: number; leaf: string }): Mark => ({
  seq: Number(seq),
  leaf: hash('sha256', leaf),
});

/** Before the first entry. */
export const BEGINNING: Mark = { seq: 0, leaf: '' };
