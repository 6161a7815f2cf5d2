import { newId } from '../ids.ts';
import { type ChangeActor } from '../audit/events.ts';
import { canonicalJson } from '../canonical-json.ts';
import { decisionCommitment } from '../audit/leaf.ts';
import { FactoryError } from '../errors.ts';
import type { Tables } from '../storage/tables.ts';
import type { Transaction } from '../storage/transaction.ts';
import type { Attempt } from './attempt.ts';
import type { Decided } from './decide.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import type { DecisionBody } from './documents.ts';
import { changedGates, decidedDigest, factsDigest, policyDigest, RULE_VERSION } from './evaluation.ts';
import * as refuse from './refusals.ts';
import { decisions } from './store-actions.ts';
import type { ActionReport, Facts } from './types.ts';

/** Decisions as they are stored: what was judged, by which rules, on which facts. */

/** What an applied action takes over from its plan. */
export interface Plan {
  ids: string[];
  /** See `DecisionBody.decided`. */
  decided: string | null;
}

/** The plan that was shown must still rest on the same facts and policy; then its ids are used again. */
export async function checkPlan(
  deps: WorkItemDependencies,
  tx: Transaction,
  { id, identity, request, actor }: Attempt,
  report: ActionReport,
): Promise<{ refused: FactoryError } | Plan> {
  if (request.decisionId === undefined) return { ids: [], decided: null };
  const keys = { project_id: deps.projectId, item_id: id, id: request.decisionId };
  const planned = await tx.get(decisions.byId, keys);
  const owner = planned && (JSON.parse(planned.principal) as ChangeActor);
  if (!planned || planned.identity !== identity || owner?.id !== actor.id) throw refuse.noPlan(id, keys.id);
  const body = JSON.parse(planned.body) as DecisionBody;
  const samePolicy = body.policyDigest === policyDigest(deps.policy());
  const samePlan = samePolicy && body.factsDigest === factsDigest(report);
  if (!samePlan)
    return { refused: refuse.decisionOutdated(keys.id, changedGates(body.gates, report.gates), samePolicy) };
  const pattern = `%"plan":"${planned.id}"%`;
  const used = await tx.get(decisions.applying, { ...keys, after: planned.item_seq, pattern });
  if (used) return { refused: refuse.planUsed(keys.id, used.id) };
  return { ids: body.ids, decided: body.decided };
}

export async function findDecision(
  deps: WorkItemDependencies,
  itemId: string,
  id: string,
): Promise<Tables['decisions']> {
  const row = await deps.storage.read.get(decisions.byId, {
    project_id: deps.projectId,
    item_id: itemId,
    id,
  });
  if (row) return row;
  throw new FactoryError({
    code: 'not-found',
    op: 'find decision',
    target: id,
    message: `${itemId} has no decision ${id}.`,
    hint: `GET /api/control-plane/items/${itemId}/history lists its decisions.`,
  });
}

export function bodyOf(
  deps: WorkItemDependencies,
  { input, request }: Attempt,
  facts: Facts,
  report: ActionReport,
  decided: Decided | null,
  ids: string[] = [],
): DecisionBody {
  return {
    ruleVersion: RULE_VERSION,
    gatePack: deps.policy().gatePack,
    policyDigest: policyDigest(deps.policy()),
    factsDigest: factsDigest(report),
    itemVersion: facts.item.version,
    permission: report.permission,
    input,
    ids,
    plan: request.decisionId ?? null,
    decided: decided && decidedDigest(decided),
    gates: report.gates,
    lane: decided?.lane ?? null,
    effects: decided?.effects ?? [],
  };
}

export async function saveDecision(
  deps: WorkItemDependencies,
  tx: Transaction,
  { id, identity, actor }: Attempt,
  itemSeq: number,
  outcome: 'planned' | 'applied' | 'blocked',
  body: DecisionBody,
): Promise<Tables['decisions']> {
  const row = {
    id: newId(),
    project_id: deps.projectId,
    item_id: id,
    identity,
    principal: canonicalJson(actor),
    outcome,
    body: canonicalJson(body),
    at: deps.clock.iso(),
    item_seq: itemSeq,
  };
  const decision = { ...row, commitment: decisionCommitment(deps.audit.commitmentKey, row) };
  await tx.run(decisions.insert, decision);
  return decision;
}
