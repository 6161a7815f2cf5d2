import type { ActionIdentity, Facts, GateResult, Policy } from '../types.ts';
import { standingOverride } from './override.ts';
import { nameOf, ownersBut } from './people.ts';
import {
  afterChange,
  afterTime,
  awaited,
  blocked,
  byAction,
  byUrl,
  fact,
  itemFact,
  pass,
  retry,
  type Gate,
} from './result.ts';
import { both } from './words.ts';

/** Running handoffs end at unknown times; a minute is soon enough to look again. */
const CAPACITY_RETRY_SECONDS = 60;

/** Passes where every item in `blockedBy` is done. */
export const dependencies: Gate = (facts, action) => {
  const open = facts.dependencies.filter(({ lane }) => lane !== 'done');
  const shown = facts.dependencies.map(({ id, lane }) => fact(id, 'lane', lane));
  const [first] = open;
  if (!first) {
    const reason =
      shown.length > 0 ? 'Every item that this one waits for is done.' : 'This item waits for no other.';
    return pass('dependencies', reason, { facts: shown });
  }
  return waitingFor(open, facts, action, shown);
};

function waitingFor(
  open: Facts['dependencies'],
  facts: Facts,
  action: ActionIdentity,
  shown: GateResult['facts'],
): GateResult {
  const { item, queue } = facts;
  const record = `the record ${queue?.record?.path ?? item.record.path}`;
  const hopeless = open.filter(({ id, lane }) => id === item.id || lane === 'cancelled').map(({ id }) => id);
  const unknown = open.filter(({ lane }) => lane === null).map(({ id }) => id);
  const unlink = [...unknown, ...hopeless];
  const finish = open.map(({ id }) => id).filter((id) => !unlink.includes(id));
  const steps = [
    finish.length > 0 &&
      `Finish ${both(finish)}, or unlink what is not needed from \`blockedBy\` in ${record}.`,
    unknown.length > 0 && `Correct or unlink ${both(unknown)} in ${record}; no such item is known.`,
    hopeless.length > 0 &&
      `Unlink ${both(hopeless)} in ${record}; ${hopeless.length > 1 ? 'they' : 'it'} can never be done.`,
  ];
  const free = [
    ...(finish.length > 0 ? [`${both(finish)} ${areOrIs(finish)} done`] : []),
    ...(unlink.length > 0 ? [`${both(unlink)} ${areOrIs(unlink)} unlinked`] : []),
  ];
  return blocked('dependencies', {
    code: 'waiting-for-items',
    cause: `Waiting for ${both(open.map(({ id }) => id))}.`,
    policyContext: 'Blocked items may be queued, not claimed.',
    nextStep: steps.filter((step) => step !== false).join(' '),
    safeRetry: afterChange(
      retry(facts, action, `once ${both(free)}`),
      ...finish.map((id) => awaited(id, 'lane', 'done')),
      ...unlink.map((id) => awaited('item', `record.blockedBy.${id}`, false)),
    ),
    params: { keys: open.map(({ id }) => id), unlink },
    facts: shown,
    unblock: [
      ...finish.map((id) => byUrl(`/items/${encodeURIComponent(id)}`)),
      ...(unlink.length > 0 ? [byAction('refresh-truth')] : []),
    ],
  });
}

const areOrIs = (keys: readonly string[]) => (keys.length > 1 ? 'are' : 'is');

/** Passes below the project's limits of running handoffs and of failed attempts. */
export const capacity: Gate = (facts, action, policy, _principal, now) => {
  const { runningHandoffs: running, item } = facts;
  const { handoffs: limit, attempts } = policy.limits;
  const failed = item.pastHandoffs.filter(({ state }) => state === 'failed' || state === 'expired').length;
  const shown = [fact('handoffs', 'running', running), itemFact(facts, 'attempts.failed', failed)];
  if (failed >= attempts) return attemptsSpent(failed, facts, action, policy, shown);
  if (running < limit)
    return pass('capacity', `${running} of ${limit} handoffs are running.`, { facts: shown });
  const again = new Date(Date.parse(now) + CAPACITY_RETRY_SECONDS * 1000).toISOString();
  return blocked('capacity', {
    code: 'handoff-limit',
    cause: `${running} of ${limit} handoffs are running.`,
    policyContext: 'WIP limit of the project.',
    nextStep: 'Wait until a running handoff ends, or raise `limits.handoffs` in policy.yaml.',
    safeRetry: afterTime(retry(facts, action, 'in a minute'), again, now),
    params: { running, limit },
    facts: shown,
    unblock: [byUrl('/?lane=executing')],
  });
};

function attemptsSpent(
  failed: number,
  facts: Facts,
  action: ActionIdentity,
  { limits }: Policy,
  shown: GateResult['facts'],
): GateResult {
  const full = facts.runningHandoffs >= limits.handoffs;
  return blocked('capacity', {
    code: 'attempt-limit',
    cause: `${failed} of ${limits.attempts} attempts have failed.`,
    policyContext: 'Attempt limit of the project.',
    nextStep: 'Raise `limits.attempts` in policy.yaml, or close the item with Cancel.',
    safeRetry: afterChange(
      retry(facts, action, `once the limit is raised above ${failed}`),
      awaited('policy', 'limits.attempts', failed + 1),
      ...(full ? [awaited('handoffs', 'running', limits.handoffs - 1)] : []),
    ),
    params: { failed, limit: limits.attempts },
    facts: shown,
    unblock: [byAction('cancel')],
  });
}

/** Passes where no handoff is open; a queued one whose pinned prompt has changed cannot be claimed and holds nothing. */
export const singleHandoff: Gate = (facts, action) => {
  const { handoff } = facts.item;
  const shown = { facts: [itemFact(facts, 'handoff.state', handoff?.state ?? null)] };
  if (!handoff) return pass('single-handoff', 'No handoff is open.', shown);
  const prompt = facts.queue?.prompt ?? null;
  if (handoff.state === 'queued' && prompt && handoff.promptRevision !== prompt.revision) {
    return pass('single-handoff', `Handoff ${handoff.id} has an outdated prompt and can be replaced.`, shown);
  }
  const holder = handoff.holder
    ? `held by ${nameOf(handoff.holder.personId, facts)} until it ends`
    : `held by nobody since ${handoff.queuedAt}`;
  return blocked('single-handoff', {
    ...shown,
    code: 'handoff-open',
    cause: `Handoff ${handoff.id} is ${handoff.state}, ${holder}.`,
    policyContext: 'One executor at a time.',
    nextStep: handoff.holder
      ? 'Wait until it ends, or end it with Release handoff or Cancel.'
      : 'Take it with Claim, or end it with Cancel.',
    safeRetry: afterChange(
      retry(facts, action, `once handoff ${handoff.id} has ended`),
      awaited('item', 'handoff.state', null),
    ),
    params: { handoff: handoff.id, state: handoff.state },
    unblock: [byAction(handoff.holder ? 'release-handoff' : 'claim'), byAction('cancel')],
  });
};

/** Passes outside the project's freezes. */
export const changeWindow: Gate = (facts, action, policy, _principal, now) => {
  const freeze = freezeAt(policy, now);
  if (!freeze)
    return pass('window', 'No freeze is on.', { facts: [fact('policy', 'freezes', policy.freezes.length)] });
  // What an override that is recorded waits for is said beside this.
  const asked = standingOverride('window', action, facts, policy, now) !== null;
  // In the team preset an override counts once a second person holding the permission, an owner, asks for the same.
  const alone = !asked && facts.preset === 'team' && ownersBut(null, facts).length < 2;
  const second = alone ? ' (two owners; invite one on the People page)' : '';
  const ask = `, or ask for an override with Override gate${second}`;
  return blocked('window', {
    code: 'freeze',
    cause: `Freeze ${freeze.name} until ${freeze.until}.`,
    policyContext: 'Change window policy.',
    nextStep: `Wait until ${freeze.until}${asked ? '' : ask}.`,
    safeRetry: afterTime(retry(facts, action, `after ${freeze.until}`), freeze.until, now),
    params: { freeze: freeze.name, until: freeze.until },
    facts: [fact('policy', 'freezes', freeze.name)],
    unblock: [byAction('override-gate'), ...(alone ? [byUrl('/people', 'factory.people.manage')] : [])],
  });
};

function freezeAt(policy: Policy, now: string): Policy['freezes'][number] | undefined {
  const at = Date.parse(now);
  return policy.freezes.find(({ from, until }) => Date.parse(from) <= at && at < Date.parse(until));
}
