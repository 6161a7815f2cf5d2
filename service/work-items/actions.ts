import { listedAt, isMover, lanesOf, positionOf } from './lanes.ts';
import { ACTION_IDENTITIES, LANES, type ActionIdentity, type Lane, type WorkItem } from './types.ts';

/** What an action is, whoever asks and wherever the item stands. */
export interface ActionDefinition {
  identity: ActionIdentity;
  label: string;
  /** One sentence; the reference pages give the first four. */
  description: string;
  permission: string;
  /** Lanes where it can be enabled. */
  lanes: readonly Lane[];
}

const permission = (name: string) => `factory.work-item.${name}`;

/** Label, permission and sentence, in the order of `ACTION_IDENTITIES`. */
const TEXTS: Record<ActionIdentity, [label: string, permission: string, description: string]> = {
  'start-execution': ['Start execution', 'execute', 'Queue execution handoff for this work item.'],
  'request-review': ['Request review', 'request-review', 'Mark this item ready for review lane handoff.'],
  'prepare-release': [
    'Prepare release',
    'prepare-release',
    'Run release-preparation checks for the work item.',
  ],
  'record-history': [
    'Record history',
    'record-history',
    'Capture history snapshots for audit and validation views.',
  ],
  'mark-ready': ['Mark ready', 'plan', 'Move this item from the backlog to ready.'],
  claim: ['Claim', 'claim', 'Take the queued handoff and execute this work item.'],
  'release-handoff': ['Release handoff', 'claim', 'Give the handoff up and send this item back to ready.'],
  'request-changes': ['Request changes', 'review', 'Send this item back to execution with a new handoff.'],
  complete: ['Complete', 'complete', 'Accept the reviewed work and close this item as done.'],
  cancel: ['Cancel', 'cancel', 'Close this item without delivering it.'],
  reconcile: [
    'Reconcile',
    'reconcile',
    'Repair the drift that the record of this item has the authority to repair.',
  ],
  'refresh-truth': ['Refresh truth', 'read', 'Read every truth source of this item again.'],
  'submit-evidence': ['Submit evidence', 'submit-evidence', 'Bind a result to a commit of this work item.'],
  approve: ['Approve', 'review', 'Approve the reviewed commit of this work item.'],
  'waive-criterion': [
    'Waive criterion',
    'review',
    'Accept this item without evidence for one done criterion.',
  ],
  'override-gate': [
    'Override gate',
    'override',
    'Let one action pass one gate until a given time, with a reason.',
  ],
};

/** Lanes of the actions that move nothing; those absent here do not depend on the lane. */
export const ELIGIBLE_LANES: Partial<Record<ActionIdentity, readonly Lane[]>> = {
  'prepare-release': ['review', 'done'],
  'submit-evidence': ['executing', 'review'],
  approve: ['review'],
  'waive-criterion': ['executing', 'review'],
  'override-gate': ['backlog', 'ready', 'executing', 'review', 'done'],
};

const ALWAYS_LISTED: readonly ActionIdentity[] = ACTION_IDENTITIES.slice(0, 4);

export const ACTIONS: Readonly<Record<ActionIdentity, ActionDefinition>> = Object.fromEntries(
  ACTION_IDENTITIES.map((identity) => [identity, define(identity)]),
) as Record<ActionIdentity, ActionDefinition>;

export function labelOf(action: ActionIdentity): string {
  return ACTIONS[action].label;
}

/** Attesting speaks for a review, so it takes a reviewer's permission beside that of submitting. */
export const ATTEST_PERMISSION = permission('review');

/** The permissions that this use of the action takes; only `submit-evidence` depends on its input. */
export function permissionsFor(action: ActionIdentity, input: { kind?: unknown }): string[] {
  const own = ACTIONS[action].permission;
  return action === 'submit-evidence' && input.kind === 'attestation' ? [own, ATTEST_PERMISSION] : [own];
}

/** The four of the reference pages first, in their order; the others where the lane allows them, or all of them. */
export function listedActions(item: Pick<WorkItem, 'lane' | 'handoff'>, all = false): ActionIdentity[] {
  return ACTION_IDENTITIES.filter((action) => all || ALWAYS_LISTED.includes(action) || listed(item, action));
}

function listed(item: Pick<WorkItem, 'lane' | 'handoff'>, action: ActionIdentity): boolean {
  return isMover(action) ? listedAt(positionOf(item), action) : ACTIONS[action].lanes.includes(item.lane);
}

function define(identity: ActionIdentity): ActionDefinition {
  const [label, name, description] = TEXTS[identity];
  const lanes = isMover(identity) ? lanesOf(identity) : (ELIGIBLE_LANES[identity] ?? LANES);
  return { identity, label, description, permission: permission(name), lanes };
}
