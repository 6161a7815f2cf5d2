import type { z } from 'zod';
import { sameJson } from '../canonical-json.ts';
import { FactoryError } from '../errors.ts';
import { ACTIONS } from './actions.ts';
import type { ActionIdentity, ActionReport, Effect, GateResult, WorkItem } from './types.ts';

/** Why an action was refused, in words, with the next step. */

export function noAction(id: string, identity: string): FactoryError {
  return new FactoryError({
    code: 'not-found',
    op: 'act on work item',
    target: identity,
    message: `There is no action ${identity}.`,
    hint: `GET /api/control-plane/items/${id}/actions?all=true lists them.`,
  });
}

export function keyMissing(op: ActionIdentity | 'create work item', versionToo: boolean): FactoryError {
  const missing = ['Idempotency-Key', ...(versionToo ? ['If-Match'] : [])];
  return new FactoryError({
    code: 'idempotency-key-missing',
    op,
    target: 'Idempotency-Key',
    message: `Agent tokens must send an Idempotency-Key${versionToo ? ' and If-Match' : ''}, so that nothing is done twice or on old facts.`,
    hint: `Send a new random key with each new request (the same with its retries)${versionToo ? ", and the item's ETag as If-Match" : ''}.`,
    details: { problems: missing.map((path) => ({ path, message: 'Required of agent tokens.' })) },
  });
}

export function keyReused(key: string): FactoryError {
  return new FactoryError({
    code: 'idempotency-key-reused',
    op: 'act on work item',
    target: key,
    message: 'This Idempotency-Key was used with another body.',
    hint: 'Send a new key with a new request.',
  });
}

export function stillRunning(key: string): FactoryError {
  return new FactoryError({
    code: 'in-flight',
    op: 'act on work item',
    target: key,
    message: 'The first request with this Idempotency-Key is still running.',
    hint: 'Send it again with the same key in a few seconds.',
    retryable: true,
  });
}

export function versionRequired(item: WorkItem): FactoryError {
  return new FactoryError({
    code: 'version-required',
    op: 'act on work item',
    target: item.id,
    message: 'Agent tokens must say which version they saw.',
    hint: `Read the item and send its ETag as If-Match; it is "${item.version}" now.`,
    details: { etag: `"${item.version}"` },
  });
}

export function permissionMissing(identity: ActionIdentity, permission: string): FactoryError {
  return permissionRefusal(ACTIONS[identity].label, permission);
}

export function permissionRefusal(what: string, permission: string): FactoryError {
  return new FactoryError({
    code: 'permission-missing',
    op: 'check permission',
    target: permission,
    message: `${what} takes the permission ${permission}, which you do not have.`,
    hint: 'Ask an owner for a role that has it, or leave it to somebody who has.',
    details: { permission },
  });
}

export function versionMismatch(item: WorkItem, seen: WorkItem | null): FactoryError {
  return new FactoryError({
    code: 'version-mismatch',
    op: 'act on work item',
    target: item.id,
    message: `${item.id} changed since the version that you saw; it is at version ${item.version}.`,
    hint: 'Look at the difference, read the item again, then decide anew.',
    details: { etag: `"${item.version}"`, diff: seen ? fieldDiff(seen, item) : null },
  });
}

function fieldDiff(seen: WorkItem, now: WorkItem): { field: string; before: unknown; after: unknown }[] {
  const flat = ({ record, updatedAt: _u, lanes: _l, ...item }: WorkItem) =>
    ({ ...record, ...item }) as Record<string, unknown>;
  const [before, after] = [flat(seen), flat(now)];
  return Object.keys(after).flatMap((field) =>
    sameJson(before[field], after[field])
      ? []
      : [{ field, before: before[field] ?? null, after: after[field] ?? null }],
  );
}

export function actionBlocked(
  item: WorkItem,
  report: ActionReport,
  blockers: GateResult[],
  decisionId: string,
): FactoryError {
  const [first] = blockers;
  const more = blockers.length > 1 ? ` (and ${blockers.length - 1} more)` : '';
  const retry = first?.recovery?.safeRetry;
  return new FactoryError({
    code: 'action-blocked',
    op: report.identity,
    target: item.id,
    message: `${report.label} is blocked in lane ${item.lane}: ${first?.reason ?? ''}${more}`,
    hint: first?.recovery?.nextStep ?? 'Look at the blockers.',
    retryable: retry?.mode === 'now' || retry?.mode === 'after-time',
    details: { blockers, decisionId, lane: item.lane },
  });
}

export function noPlan(itemId: string, decisionId: string): FactoryError {
  return new FactoryError({
    code: 'not-found',
    op: 'find plan',
    target: decisionId,
    message: `You have no plan ${decisionId} for this action of ${itemId}.`,
    hint: 'Plan it first with ?dryRun=true and send the decisionId of that answer.',
  });
}

export function decisionOutdated(decisionId: string, gates: unknown[], samePolicy: boolean): FactoryError {
  return new FactoryError({
    code: 'decision-outdated',
    op: 'apply plan',
    target: decisionId,
    message: samePolicy
      ? 'Facts that the plan rests on have changed.'
      : 'The policy changed since the plan was made.',
    hint: 'Plan it again with ?dryRun=true, look at the difference, then apply the new plan.',
    details: { changedGates: gates },
  });
}

/** Zod's issues as ours, below `at`; an unknown field's path is its own. */
export function problemsIn({ issues }: z.ZodError, ...at: string[]): { path: string; message: string }[] {
  return issues.flatMap((issue) => {
    const path = [...at, ...issue.path.map(String)];
    if (issue.code !== 'unrecognized_keys') return [{ path: path.join('.'), message: issue.message }];
    return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: 'There is no such field.' }));
  });
}

export function badInput(problems: { path: string; message: string }[]): FactoryError {
  return new FactoryError({
    code: 'bad-input',
    op: 'act on work item',
    target: problems[0]?.path,
    message: `The input is not right: ${problems.map(({ path, message }) => `${path}: ${message}`).join('; ')}`,
    hint: 'Correct the named fields and send it again.',
    details: { problems },
  });
}

export function planUsed(decisionId: string, appliedBy: string): FactoryError {
  return new FactoryError({
    code: 'decision-outdated',
    op: 'apply plan',
    target: decisionId,
    message: `This plan was applied already, by decision ${appliedBy}.`,
    hint: 'Plan it again with ?dryRun=true if it is to happen once more.',
    details: { changedGates: [], appliedBy },
  });
}

export function otherThanPlanned(decisionId: string, effects: Effect[]): FactoryError {
  return new FactoryError({
    code: 'decision-outdated',
    op: 'apply plan',
    target: decisionId,
    message: 'With this input and these facts the action would do something else than the plan showed.',
    hint: 'Plan it again with ?dryRun=true and the same input, look at the effects, then apply the new plan.',
    details: { changedGates: [], effects },
  });
}
