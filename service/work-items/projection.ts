import { FactoryError } from '../errors.ts';
import type { Actor, Handoff, ItemEvent, Lane, RecordedEvent, WorkItem } from './types.ts';

/**
 * Folds one event into the projection. Pure: the same events always give the same item, and nothing but events
 * changes one. Throws `event-out-of-order` for an event that cannot follow.
 */
export function evolve(item: WorkItem | null, recorded: RecordedEvent): WorkItem {
  const { event, version, at } = recorded;
  const first = event.type === 'imported' || event.type === 'created';
  if (first !== (item === null)) throw outOfOrder(item, recorded);
  const changed = first ? begin(event, recorded) : item && change(item, recorded, event);
  if (!changed) throw outOfOrder(item, recorded);
  return { ...changed, version, updatedAt: at };
}

/** The item that its events give; null for no events. */
export function replay(events: Iterable<RecordedEvent>): WorkItem | null {
  let item: WorkItem | null = null;
  for (const recorded of events) item = evolve(item, recorded);
  return item;
}

type FirstEvent = Extract<ItemEvent, { type: 'imported' | 'created' }>;
type LaterEvent = Exclude<ItemEvent, FirstEvent>;

function begin(event: FirstEvent, { projectId, version, at, actor }: RecordedEvent): WorkItem {
  const imported = event.type === 'imported';
  const lane: Lane = imported ? event.lane : 'backlog';
  const via = imported ? 'import' : 'create';
  return {
    id: event.record.id,
    projectId,
    version,
    lane,
    origin: via,
    record: event.record,
    handoff: null,
    pastHandoffs: [],
    evidence: [],
    waivers: [],
    approvals: [],
    overrides: [],
    lanes: [{ lane, at, by: actor, via }],
    release: null,
    history: { count: 0, latest: null, at: null, seq: 0 },
    createdAt: at,
    updatedAt: at,
  };
}

function change(item: WorkItem, { at, actor, seq }: RecordedEvent, event: LaterEvent): WorkItem {
  const by = { by: actor, at };
  switch (event.type) {
    case 'record-read':
      return { ...item, record: event.record };
    case 'lane-moved':
      return {
        ...item,
        lane: event.to,
        lanes: [...item.lanes, { lane: event.to, at, by: actor, via: event.via }],
      };
    case 'handoff-queued':
      return { ...item, handoff: queued(item, event, actor, at) };
    case 'handoff-claimed':
      return { ...item, handoff: claimed(item, event, actor, at) };
    case 'handoff-submitted':
      return { ...item, handoff: item.handoff && { ...item.handoff, state: 'submitted' } };
    case 'handoff-ended':
      return ended(item, event.state, at);
    case 'evidence-submitted':
      return { ...item, evidence: [...item.evidence, { ...event.evidence, producer: actor, at }] };
    case 'criterion-waived': {
      const { criterion, criterionText, reason } = event;
      return { ...item, waivers: [...item.waivers, { criterion, criterionText, reason, ...by }] };
    }
    case 'approved':
      return { ...item, approvals: [...item.approvals, { commit: event.commit, note: event.note, ...by }] };
    case 'override-requested': {
      const override = { ...event.override, ...by, secondedBy: null, secondedAt: null };
      return { ...item, overrides: [...item.overrides, override] };
    }
    case 'override-seconded':
      return { ...item, overrides: seconded(item, event, actor, at) };
    case 'release-prepared':
      return { ...item, release: { pr: event.pr, ...by } };
    case 'history-recorded':
      return { ...item, history: { count: item.history.count + 1, latest: event.snapshot, at, seq } };
    case 'reconciled':
    case 'truth-refreshed':
      return item;
  }
}

function queued(
  item: WorkItem,
  { handoffId, promptRevision }: Extract<ItemEvent, { type: 'handoff-queued' }>,
  queuedBy: Actor,
  queuedAt: string,
): Handoff {
  return {
    id: handoffId,
    state: 'queued',
    queuedBy,
    queuedAt,
    holder: null,
    claimedAt: null,
    endedAt: null,
    promptRevision,
    adopted: false,
    fence: lastFence(item),
    evidenceFrom: item.evidence.length,
  };
}

/** Nobody queued an adopted handoff; its round of work goes on where the item stood. */
function claimed(
  item: WorkItem,
  { handoffId, state, adopted, promptRevision }: Extract<ItemEvent, { type: 'handoff-claimed' }>,
  holder: Actor,
  at: string,
): Handoff {
  const evidenceFrom = item.pastHandoffs.at(-1)?.evidenceFrom ?? 0;
  const base = item.handoff ?? { queuedBy: null, queuedAt: at, endedAt: null, promptRevision, evidenceFrom };
  return { ...base, id: handoffId, state, adopted, holder, claimedAt: at, fence: lastFence(item) + 1 };
}

function ended(item: WorkItem, state: Handoff['state'], endedAt: string): WorkItem {
  if (!item.handoff) return item;
  return {
    ...item,
    handoff: null,
    pastHandoffs: [...item.pastHandoffs, { ...item.handoff, state, endedAt }],
  };
}

/** The earlier of both ends counts, and both reasons are kept. */
function seconded(
  item: WorkItem,
  { overrideId, reason, until }: Extract<ItemEvent, { type: 'override-seconded' }>,
  secondedBy: Actor,
  secondedAt: string,
): WorkItem['overrides'] {
  return item.overrides.map((one) => {
    if (one.id !== overrideId) return one;
    const end = until !== undefined && Date.parse(until) < Date.parse(one.until) ? until : one.until;
    const given = reason === undefined ? {} : { secondReason: reason };
    return { ...one, until: end, secondedBy, secondedAt, ...given };
  });
}

function lastFence(item: WorkItem): number {
  return item.handoff?.fence ?? item.pastHandoffs.at(-1)?.fence ?? 0;
}

function outOfOrder(item: WorkItem | null, { seq, event }: RecordedEvent): FactoryError {
  return new FactoryError({
    code: 'event-out-of-order',
    op: 'fold event',
    target: item?.id,
    message: `Event ${seq} (${event.type}) cannot follow the events before it.`,
    hint: 'Run `npx factory verify-audit`: events of this item are missing, repeated or changed.',
  });
}
