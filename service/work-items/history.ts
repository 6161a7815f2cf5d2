import { canonicalJson } from '../canonical-json.ts';
import { ACTIONS } from './actions.ts';
import type { ActionIdentity, QueueObservation, WorkItem } from './types.ts';

/** What a history snapshot holds; it links to the one before, so the chain is the whole history. */
export interface HistoryContent {
  format: 'build-factory/history-snapshot/1';
  item: WorkItem;
  signals: Omit<QueueObservation, 'observedAt'>;
  /** Decisions applied since the snapshot before, by id with their commitment. */
  decisions: { id: string; identity: string; commitment: string; at: string }[];
  /** Digest of the snapshot before; null: the first. */
  previous: string | null;
}

/**
 * Canonical JSON of a `HistoryContent`, put together from the stored item's own text: writing it out again would be the
 * dearest part of recording history.
 */
export function historyText(
  stored: { document: string; previous: string | null },
  { observedAt: _, ...signals }: QueueObservation,
  decisions: HistoryContent['decisions'],
): string {
  const format: HistoryContent['format'] = 'build-factory/history-snapshot/1';
  const parts: Record<keyof HistoryContent, string> = {
    decisions: canonicalJson(decisions),
    format: JSON.stringify(format),
    item: stored.document,
    previous: JSON.stringify(stored.previous),
    signals: canonicalJson(signals),
  };
  return `{${Object.entries(parts)
    .map(([name, text]) => `"${name}":${text}`)
    .join(',')}}`;
}

type Payload = Record<string, unknown>;

/** One sentence per kind of event; what it says of people stands beside it. */
const SENTENCES: Record<string, (payload: Payload) => string> = {
  imported: ({ lane }) => `Imported from the queue into ${String(lane)}.`,
  created: () => 'Created as a net-new item.',
  'record-read': () => 'The queue record changed and was read again.',
  'lane-moved': ({ from, to, via }) => `Moved from ${String(from)} to ${String(to)} by ${label(via)}.`,
  'handoff-queued': () => 'Queued an execution handoff.',
  'handoff-claimed': ({ adopted }) =>
    adopted ? 'Adopted the work that came without a handoff.' : 'Claimed the handoff.',
  'handoff-ended': ({ state }) => `The handoff ended: ${String(state)}.`,
  'handoff-submitted': () => 'Submitted the handoff for review.',
  'evidence-submitted': ({ evidence }) => evidenceSentence(evidence as Payload),
  'criterion-waived': ({ criterion }) => `Waived criterion ${Number(criterion) + 1}.`,
  approved: ({ commit }) => (typeof commit === 'string' ? `Approved commit ${commit}.` : 'Approved.'),
  'override-requested': ({ override }) => `Asked to override gate ${String((override as Payload)['gate'])}.`,
  'override-seconded': () => 'Seconded an override.',
  'release-prepared': () => 'Prepared the release.',
  'history-recorded': () => 'Recorded a history snapshot.',
  reconciled: ({ codes }) => `Reconciled ${(codes as string[]).join(', ') || 'nothing'}.`,
  'truth-refreshed': () => 'Read every truth source again.',
};

export function eventSentence(type: string, payload: Payload): string {
  return SENTENCES[type]?.(payload) ?? type;
}

function evidenceSentence(evidence: Payload): string {
  const what =
    evidence['kind'] === 'criterion'
      ? `criterion ${Number(evidence['criterion']) + 1}`
      : String(evidence['kind']);
  return `Submitted ${String(evidence['result'])} evidence for ${what}.`;
}

function label(identity: unknown): string {
  return ACTIONS[identity as ActionIdentity]?.label ?? String(identity);
}
