import type { ForgeFacts, WorkItem } from './types.ts';

/** What the facts say the item is in, beside its authoritative lane, and which kind of facts said it. */
export interface DerivedState {
  state: string;
  basis: 'record' | 'forge';
}

/** With a forge from pull request and branch where they tell; else from lane history and handoffs, import included. */
export function deriveState(item: WorkItem, forge: ForgeFacts | null): DerivedState {
  const observed = forge && stateOnForge(item, forge);
  return observed === null
    ? { state: stateOnRecord(item), basis: 'record' }
    : { state: observed, basis: 'forge' };
}

function stateOnForge(item: WorkItem, { pullRequest, branchHead }: ForgeFacts): string | null {
  if (pullRequest?.state === 'merged') return 'done';
  if (pullRequest?.state === 'closed') return 'closed';
  if (pullRequest?.state === 'open') return 'review';
  return branchHead !== null && item.lane === 'executing' ? 'executing' : null;
}

/** A queued handoff shows as `queued` until somebody claims it, also after requested changes. */
function stateOnRecord({ lane, handoff }: WorkItem): string {
  if (lane !== 'ready' && lane !== 'executing') return lane;
  if (handoff?.state === 'queued' || handoff?.state === 'awaiting-human') return handoff.state;
  return lane;
}
