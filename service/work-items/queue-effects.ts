import { remedyOf } from './remedies.ts';
import type { DriftCode, Effect, Facts, Lane } from './types.ts';

/** What an action does to the queue's files, in words, and what it leaves to people. */

/** The record follows its item; with queue writes off a person moves it. */
export function moveRecord(facts: Facts, lane: Lane): Effect {
  const { item, queue } = facts;
  const from = queue?.record?.path ?? item.record.path;
  const to = recordPath(item.id, lane);
  if (!facts.queueWrites) {
    const where = from === to ? `the record stays as it is` : `the record stays at ${from}`;
    return { kind: 'queue-manual', text: `Queue writes are off: ${where}. ${byHand(from, to, lane)}` };
  }
  const text =
    from === to
      ? `${to} gets status ${lane}.`
      : `The record moves from ${from} to ${to} with status ${lane}.`;
  return { kind: 'queue-write', text: isTaken(facts, from, to) ? `${text} ${waits(to)}` : text };
}

/** Codes that the record's authority alone can repair; everything else needs a person or another action. */
const REPAIRS: Partial<Record<DriftCode, (facts: Facts) => Effect>> = {
  'queue-status-vs-lane': (facts) => moveRecord(facts, facts.item.lane),
  'queue-file-missing': ({ item }) => ({
    kind: 'queue-write',
    text: `The record is written again as ${recordPath(item.id, item.lane)}.`,
  }),
};

/** What Reconcile repairs, and of all else why it stays and what leads out. */
export function reconcileEffects(facts: Facts): { codes: DriftCode[]; effects: Effect[] } {
  const codes: DriftCode[] = [];
  const effects = facts.truth.drift.map(({ code }): Effect => {
    const repair = REPAIRS[code];
    const obstacle = repair ? obstacleOf(code, facts) : remedyOf(code, facts.item, facts).text;
    if (!repair || obstacle !== null)
      return { kind: 'drift-stays', text: `${code} stays open: ${obstacle ?? 'nothing repairs it'}` };
    codes.push(code);
    return repair(facts);
  });
  effects.push(...notComputed(facts), ...failingWrite(facts));
  if (effects.length === 0) effects.push({ kind: 'reconcile', text: 'No drift is open; nothing changes.' });
  return { codes, effects };
}

/** What keeps a repair from being written, and what to do instead; null: nothing. */
function obstacleOf(code: DriftCode, facts: Facts): string | null {
  const { item, queue, queueFailure } = facts;
  const to = recordPath(item.id, item.lane);
  const from = queue?.record?.path ?? to;
  if (!facts.queueWrites) {
    const steps = code === 'queue-file-missing' ? `Restore ${to} from git.` : byHand(from, to, item.lane);
    return `queue writes are off. ${steps}`;
  }
  // Writing a lost record again takes the place of a move that cannot find it.
  if (code === 'queue-file-missing') return null;
  if (isTaken(facts, from, to))
    return `${to} exists already and holds another text. Look at both files and keep one.`;
  return queueFailure === null ? null : 'the write that is to repair it fails.';
}

function notComputed({ truth }: Facts): Effect[] {
  const unknown = truth.notComputed.filter(({ reason }) => !reason.endsWith('not connected'));
  return [...Map.groupBy(unknown, ({ reason }) => reason)].map(([reason, of]) => ({
    kind: 'drift-unknown',
    text: `Not computed, so not repaired: ${of.map(({ code }) => code).join(', ')} (${reason}).`,
  }));
}

function failingWrite({ queueFailure }: Facts): Effect[] {
  if (queueFailure === null) return [];
  const text = `A queue write of this item fails: ${queueFailure} It is tried again until that is repaired.`;
  return [{ kind: 'queue-write-fails', text }];
}

/** What reading again could read, and what it could not. */
export function refreshEffects({ queue, truth }: Facts): Effect[] {
  const old = truth.sources.filter(
    ({ freshness: { verdict } }) => verdict === 'Unknown' || verdict === 'Stale',
  );
  const unread = old.map(({ source }) => source);
  const problems = unread.length > 0 ? (queue?.problems ?? []) : [];
  const read = truth.sources.map(({ source }) => source).filter((source) => !unread.includes(source));
  const texts = unread.length === 0 ? ['Every connected source of this item is read again.'] : [];
  if (unread.length > 0) {
    texts.push(`Could not be read: ${unread.join(', ')}.${problems.map(said).join('')}`);
    if (read.length > 0) texts.push(`Read again: ${read.join(', ')}.`);
  }
  return texts.map((text) => ({ kind: 'truth-read', text }));
}

function said({ message, hint }: { message: string; hint: string }): string {
  return ` ${message} ${hint}`;
}

function isTaken({ queue }: Facts, from: string, to: string): boolean {
  return from !== to && (queue?.duplicates.includes(to) ?? false);
}

function waits(to: string): string {
  return `That waits until ${to}, which exists already with another text, is removed.`;
}

function byHand(from: string, to: string, lane: Lane): string {
  return from === to
    ? `Set status ${lane} in ${to} and commit it.`
    : `Move it by git to ${to} and set its status to ${lane}.`;
}

/** Records are named after their id, in the folder of their lane. */
function recordPath(id: string, lane: Lane): string {
  return `${lane}/${id}.md`;
}
