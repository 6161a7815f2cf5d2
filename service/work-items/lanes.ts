import { FactoryError } from '../errors.ts';
import { LANES, type ActionIdentity, type Lane, type WorkItem } from './types.ts';

/** Where an item stands for the lane machine: `held` is any open handoff that somebody has claimed or submitted. */
export interface Position {
  lane: Lane;
  handoff: 'none' | 'queued' | 'held';
}

export interface LaneRule {
  action: ActionIdentity;
  from: Lane;
  to: Lane;
  /** The rule holds only with these handoffs; absent: with any. */
  needs?: Position['handoff'][];
  /** What the move makes of the handoff; absent: it stays as it is. */
  leaves?: Position['handoff'];
  /** A way for items that came without a handoff; policy texts leave it out. */
  exception?: true;
}

export const TERMINAL_LANES: readonly Lane[] = ['done', 'cancelled'];

/** The lane machine; an action that is in no rule never moves an item. */
export const LANE_RULES: readonly LaneRule[] = [
  { action: 'mark-ready', from: 'backlog', to: 'ready' },
  { action: 'start-execution', from: 'ready', to: 'ready', leaves: 'queued' },
  { action: 'claim', from: 'ready', to: 'executing', needs: ['queued'], leaves: 'held' },
  { action: 'claim', from: 'executing', to: 'executing', needs: ['queued'], leaves: 'held' },
  { action: 'claim', from: 'executing', to: 'executing', needs: ['none'], leaves: 'held', exception: true },
  { action: 'claim', from: 'review', to: 'review', needs: ['none'], leaves: 'held', exception: true },
  { action: 'release-handoff', from: 'executing', to: 'ready', leaves: 'none' },
  {
    action: 'release-handoff',
    from: 'review',
    to: 'ready',
    needs: ['none'],
    leaves: 'none',
    exception: true,
  },
  { action: 'request-review', from: 'executing', to: 'review' },
  { action: 'request-changes', from: 'review', to: 'executing', leaves: 'queued' },
  { action: 'complete', from: 'review', to: 'done', leaves: 'none' },
  ...LANES.filter((lane) => !TERMINAL_LANES.includes(lane)).map((lane): LaneRule => ({
    action: 'cancel',
    from: lane,
    to: 'cancelled',
    leaves: 'none',
  })),
];

const MOVERS: ReadonlySet<ActionIdentity> = new Set(LANE_RULES.map((rule) => rule.action));

export function isMover(action: ActionIdentity): boolean {
  return MOVERS.has(action);
}

export function isTerminal(lane: Lane): boolean {
  return TERMINAL_LANES.includes(lane);
}

export function positionOf(item: Pick<WorkItem, 'lane' | 'handoff'>): Position {
  const state = item.handoff?.state;
  return { lane: item.lane, handoff: state === undefined ? 'none' : state === 'queued' ? 'queued' : 'held' };
}

/** The rule by which `action` may move an item that stands `at`; null where the table allows none. */
export function allowed(at: Position, action: ActionIdentity): LaneRule | null {
  return rulesFrom(at).find((rule) => rule.action === action) ?? null;
}

/** The lane after `action`. Throws `lane-move-refused` where the table does not allow it. */
export function nextLane(at: Position, action: ActionIdentity): Lane {
  const rule = allowed(at, action);
  if (rule) return rule.to;
  throw new FactoryError({
    code: 'lane-move-refused',
    op: action,
    message: `The lane machine does not allow ${action} from ${at.lane} with handoff ${at.handoff}.`,
    hint: 'Evaluate the action first; its lane-transition gate names the way out.',
  });
}

/** Lanes that a mover starts from, without the exceptions for items that came without a handoff. */
export function lanesOf(action: ActionIdentity): Lane[] {
  const from = LANE_RULES.filter((rule) => rule.action === action && !rule.exception).map(
    (rule) => rule.from,
  );
  return [...new Set(from)];
}

/** Whether a list of actions shows this mover: some rule starts from the lane, an exception only where it holds. */
export function listedAt(at: Position, action: ActionIdentity): boolean {
  return LANE_RULES.some(
    (rule) => rule.action === action && rule.from === at.lane && (!rule.exception || holds(rule, at)),
  );
}

/** The shortest way through the machine: the actions, and where they lead; null where there is none. */
export interface Way {
  actions: ActionIdentity[];
  lane: Lane;
}

export function wayTo(at: Position, goal: (position: Position) => boolean): Way | null {
  const seen = new Set([key(at)]);
  const open: { at: Position; actions: ActionIdentity[] }[] = [{ at, actions: [] }];
  for (const step of open) {
    if (goal(step.at)) return { actions: step.actions, lane: step.at.lane };
    for (const rule of rulesFrom(step.at)) {
      const next = { lane: rule.to, handoff: rule.leaves ?? step.at.handoff };
      if (seen.has(key(next))) continue;
      seen.add(key(next));
      open.push({ at: next, actions: [...step.actions, rule.action] });
    }
  }
  return null;
}

/** The way to a position where the regular rules allow the mover. */
export function wayToAction(at: Position, action: ActionIdentity): Way | null {
  return wayTo(at, (position) => {
    const rule = allowed(position, action);
    return rule !== null && !rule.exception;
  });
}

export function rulesFrom(at: Position): LaneRule[] {
  return LANE_RULES.filter((rule) => rule.from === at.lane && holds(rule, at));
}

function holds(rule: LaneRule, at: Position): boolean {
  return rule.needs === undefined || rule.needs.includes(at.handoff);
}

const key = (position: Position) => `${position.lane} ${position.handoff}`;
