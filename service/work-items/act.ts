import { newId } from '../ids.ts';
import { z } from 'zod';
import { isAgent } from '../access/roles.ts';
import { type ChangeActor } from '../audit/events.ts';
import { canonicalJson } from '../canonical-json.ts';
import type { Transaction } from '../storage/transaction.ts';
import { INPUT_SCHEMAS, parseInput } from './actions-input.ts';
import { permissionsFor } from './actions.ts';
import { apply, plan } from './apply.ts';
import type { ActAnswer, ActRequest, Attempt, Judged, Outcome, OutcomeListener } from './attempt.ts';
import { checkPlan } from './decision.ts';
import { decide } from './decide.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import type { ActionResult } from './documents.ts';
import { decidedDigest, digestOf } from './evaluation.ts';
import { factsOf, readSurroundings } from './facts.ts';
import { evaluateAction } from './gates/evaluate.ts';
import { createInFlight } from './in-flight.ts';
import type { Outbox } from './outbox.ts';
import { itemAt } from './reading-history.ts';
import { loadItem, noItem } from './reading.ts';
import * as refuse from './refusals.ts';
import { createRefusing } from './refusing.ts';
import { idempotency } from './store-actions.ts';
import { findItem, parseItem } from './store.ts';
import { ACTION_IDENTITIES, type ActionIdentity, type Principal } from './types.ts';

/**
 * Plans and applies actions. Order of refusals: not-found, bad input or key, replay or reused key, version required,
 * permission, version mismatch, then plan and gates. Facts are read before the transaction; everything is judged
 * again inside it.
 */
export function createActing(deps: WorkItemDependencies, outbox: Outbox, onOutcome: OutcomeListener) {
  const { once } = createInFlight();
  const { refused, blocked } = createRefusing(deps, onOutcome);

  async function act(
    principal: Principal,
    id: string,
    identity: string,
    request: ActRequest = {},
  ): Promise<ActAnswer> {
    if (!(ACTION_IDENTITIES as readonly string[]).includes(identity)) throw refuse.noAction(id, identity);
    const action = identity as ActionIdentity;
    const { observed } = await loadItem(deps, id);
    // The shape now; what depends on the item's state is checked with its facts.
    const input = checked(() => INPUT_SCHEMAS[action].parse(request.input ?? {}) as Record<string, unknown>);
    const agent = principal.kind === 'token' && isAgent(principal.roles);
    if (agent && !request.dryRun && request.idempotencyKey === undefined) {
      throw refuse.keyMissing(action, request.ifMatch === undefined);
    }
    const scope = `${principal.kind}:${principal.id} ${id} ${action}`;
    const digest = digestOf(canonicalJson({ input, decisionId: request.decisionId ?? null }));
    const attempt: Attempt = {
      principal,
      actor: actorOf(principal),
      id,
      identity: action,
      input,
      request,
      observed,
      scope,
      digest,
    };
    return once(request.dryRun ? undefined : request.idempotencyKey, scope, async () => {
      const outcome = await deps.storage.write((tx) => judge(tx, attempt, agent));
      if ('refused' in outcome) throw outcome.refused;
      return outcome;
    });
  }

  async function judge(tx: Transaction, attempt: Attempt, agent: boolean): Promise<Outcome> {
    const { id, identity, input, principal, request } = attempt;
    const replay = await replayOf(tx, attempt);
    if (replay) return replay;
    const row = await findItem(tx, deps.projectId, id);
    if (!row) throw noItem(id);
    const item = parseItem(row);
    if (agent && !request.dryRun && request.ifMatch === undefined)
      return { refused: refuse.versionRequired(item) };
    const missing = permissionsFor(identity, input).find(
      (permission) => !principal.permissions.has(permission),
    );
    if (missing) return refused(tx, attempt, refuse.permissionMissing(identity, missing));
    if (request.ifMatch !== undefined && request.ifMatch !== '*' && request.ifMatch !== item.version) {
      return { refused: refuse.versionMismatch(item, await itemAt(tx, deps, id, request.ifMatch)) };
    }
    const around = await readSurroundings(tx, deps, item, attempt.observed);
    const facts = factsOf(item, attempt.observed, around, deps.policy(), deps.clock.iso());
    const report = evaluateAction(identity, facts, deps.policy(), principal, deps.clock.iso());
    const planned = await checkPlan(deps, tx, attempt, report);
    if ('refused' in planned) return refused(tx, attempt, planned.refused);
    if (!report.enabled) return blocked(tx, attempt, { row, around, facts, report, ids: [] });
    const now = deps.clock.iso();
    const full = checked(() => parseInput(identity, input, { facts, policy: deps.policy(), principal, now }));
    const { ids, id: next } = idsAsPlanned(planned.ids);
    const decided = decide(identity, full, facts, principal, { id: next }, now);
    if (planned.decided !== null && planned.decided !== decidedDigest(decided)) {
      return refused(tx, attempt, refuse.otherThanPlanned(request.decisionId ?? '', decided.effects));
    }
    const judged: Judged = { row, around, facts, report, ids };
    if (request.dryRun) return plan(deps, tx, attempt, judged, decided);
    const { answer, owes } = await apply(deps, tx, attempt, judged, decided);
    tx.afterCommit(() => {
      deps.changed();
      onOutcome(identity, 'applied', []);
      if (owes) outbox.kick();
    });
    return answer;
  }

  async function replayOf(tx: Transaction, { request, scope, digest }: Attempt): Promise<Outcome | null> {
    const key = request.idempotencyKey;
    if (key === undefined || request.dryRun) return null;
    const stored = await tx.get(idempotency.byKey, { project_id: deps.projectId, scope, key });
    if (!stored) return null;
    if (stored.digest !== digest) return { refused: refuse.keyReused(key) };
    const result = JSON.parse(stored.response) as ActionResult;
    return { result, version: result.item.version, replayed: true };
  }

  return { act };
}

export function actorOf({ kind, id, personId, roles }: Principal): ChangeActor {
  return { kind, id, personId, roles };
}

/** The plan's ids first, then new ones; `ids` keeps what was given out. */
function idsAsPlanned(planned: string[]): { ids: string[]; id: () => string } {
  const ids: string[] = [];
  const id = (): string => {
    const next = planned[ids.length] ?? newId();
    ids.push(next);
    return next;
  };
  return { ids, id };
}

/** Zod's issues as ours; their paths are those of the request body. */
function checked<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    throw refuse.badInput(refuse.problemsIn(error, 'input'));
  }
}
