import { hash } from 'node:crypto';
import type { AuditLeaf } from '../../audit/leaf.ts';
import type { Mark } from './index-file.ts';

/** What an entry of the audit log means for the index. */

export type IndexChange =
  | { kind: 'message'; session: string; seq: number }
  /** What is in the index of it is no longer what is in the database. `anew`: texts changed, not only their number. */
  | { kind: 'session'; session: string; anew: boolean };

/** They change no text of a message. */
const WITHOUT_TEXT: ReadonlySet<string> = new Set(
  ['create', 'read', 'export', 'attach', 'delete-title', 'delete-quarantine'].map((one) => `session.${one}`),
);
/** A tool's output goes, comes back, or is in the bin: the message stays. */
const ANEW: ReadonlySet<string> = new Set(
  ['delete-outputs', 'outputs-binned', 'taken-back'].map((one) => `session.${one}`),
);

/** Null: nothing. An action that is not known here is looked into: that costs time and misses nothing. */
export function changeOf(leaf: string): IndexChange | null {
  // Most entries are about something else.
  if (!leaf.includes('"kind":"session"')) return null;
  const { action, object, outcome, message } = JSON.parse(leaf) as AuditLeaf;
  if (object?.kind !== 'session' || outcome !== 'applied' || WITHOUT_TEXT.has(action)) return null;
  if (message) return { kind: 'message', session: object.id, seq: message.seq };
  return { kind: 'session', session: object.id, anew: ANEW.has(action) };
}

export const markOf = ({ seq, leaf }: { seq: number; leaf: string }): Mark => ({
  seq: Number(seq),
  leaf: hash('sha256', leaf),
});

/** Before the first entry. */
export const BEGINNING: Mark = { seq: 0, leaf: '' };
