/**
 * The lane machine and the roles as the product's texts give them, written down a second time on purpose: campaigns
 * judge the running service by this table and share no code with it.
 */
export const LANES = ['backlog', 'ready', 'executing', 'review', 'done', 'cancelled'] as const;
export type Lane = (typeof LANES)[number];

export const IDENTITIES = [
  'start-execution',
  'request-review',
  'prepare-release',
  'record-history',
  'mark-ready',
  'claim',
  'release-handoff',
  'request-changes',
  'complete',
  'cancel',
  'reconcile',
  'refresh-truth',
  'submit-evidence',
  'approve',
  'waive-criterion',
  'override-gate',
] as const;
export type Identity = (typeof IDENTITIES)[number];

/** From -> identity -> to. An item that came into review without a handoff may be claimed or released there. */
const MOVES: Record<Lane, Partial<Record<Identity, Lane>>> = {
  backlog: { 'mark-ready': 'ready', cancel: 'cancelled' },
  ready: { 'start-execution': 'ready', claim: 'executing', cancel: 'cancelled' },
  executing: {
    claim: 'executing',
    'release-handoff': 'ready',
    'request-review': 'review',
    cancel: 'cancelled',
  },
  review: {
    claim: 'review',
    'release-handoff': 'ready',
    'request-changes': 'executing',
    complete: 'done',
    cancel: 'cancelled',
  },
  done: {},
  cancelled: {},
};

const MOVERS = new Set<Identity>(Object.values(MOVES).flatMap((moves) => Object.keys(moves) as Identity[]));

/** The lane after an applied action; null where the table does not allow it. */
export function laneAfter(from: Lane, identity: Identity): Lane | null {
  if (!MOVERS.has(identity)) return from;
  return MOVES[from][identity] ?? null;
}

export const ROLES = ['owner', 'planner', 'reviewer', 'agent', 'ci', 'operator', 'auditor'] as const;
export type Role = (typeof ROLES)[number];

/** Who may do what, beside the owner, who may do everything. */
const GRANTED: Record<Identity, readonly Role[]> = {
  'start-execution': ['planner'],
  'request-review': ['planner', 'agent'],
  'prepare-release': ['reviewer'],
  'record-history': ['planner', 'reviewer', 'agent'],
  'mark-ready': ['planner'],
  claim: ['agent'],
  'release-handoff': ['agent'],
  'request-changes': ['reviewer'],
  complete: ['reviewer'],
  cancel: ['planner'],
  reconcile: ['planner'],
  'refresh-truth': ['planner', 'reviewer', 'agent'],
  'submit-evidence': ['reviewer', 'agent', 'ci'],
  approve: ['reviewer'],
  'waive-criterion': ['reviewer'],
  'override-gate': [],
};

export function mayAct(role: Role, identity: Identity): boolean {
  return role === 'owner' || GRANTED[identity].includes(role);
}
