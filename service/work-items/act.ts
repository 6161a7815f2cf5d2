import { isAgent } from '../access/roles.ts';
import { canonicalJson, recordChange, type ChangeActor } from '../audit/events.ts';
import { decisionCommitment } from '../audit/leaf.ts';
import { v7 as uuid } from 'uuid';
import { FactoryError } from '../errors.ts';
import type { Transaction } from '../storage/transaction.ts';
import type { Tables } from '../storage/tables.ts';
import { ACTIONS, permissionsFor } from './actions.ts';
import { z } from 'zod';
import { INPUT_SCHEMAS, parseInput } from './actions-input.ts';
import { decide, type Decided } from './decide.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import type { ActionResult, DecisionBody } from './documents.ts';
import { changedGates, digestOf, factsDigest, policyDigest, RULE_VERSION } from './evaluation.ts';
import { factsOf, readSurroundings, type Observed, type Surroundings } from './facts.ts';
import { blockersOf, evaluateAction } from './gates/evaluate.ts';
import { historyContent } from './history.ts';
import { attentionOf } from './importer.ts';
import { oweQueueWrite, type Outbox, type QueueWrite } from './outbox.ts';
import { evolve } from './projection.ts';
import { documentOf, loadItem, noItem } from './reading.ts';
import * as refuse from './refusals.ts';
import { decisions, events, findItem, idempotency, itemRow, parseItem, recordedEvent, saveItem, snapshots } from './store.ts';
import { ACTION_IDENTITIES, type ActionIdentity, type ActionReport, type Facts, type Principal, type WorkItem } from './types.ts';
import { itemDiff } from './views.ts';

export interface ActRequest {
  input?: unknown;
  /** The plan that was shown; the action is refused if it no longer holds. */
  decisionId?: string | undefined;
  dryRun?: boolean | undefined;
  idempotencyKey?: string | undefined;
  /** The version that the caller saw; `*` is any. */
  ifMatch?: number | '*' | undefined;
}

export interface ActAnswer {
  result: ActionResult;
  version: number;
  /** True where an earlier request with the same key gave this answer. */
  replayed: boolean;
}

/** One request on its way through the transaction. */
interface Attempt {
  principal: Principal;
  actor: ChangeActor;
  id: string;
  identity: ActionIdentity;
  input: Record<string, unknown>;
  request: ActRequest;
  observed: Observed;
  /** Scope and digest of the idempotency key. */
  scope: string;
  digest: string;
}

/** What the transaction knows once the action may go on. */
interface Judged {
  row: Tables['work_items'];
  around: Surroundings;
  facts: Facts;
  report: ActionReport;
}

/** A refusal is recorded in the same transaction, so it is returned and thrown after the commit. */
type Outcome = ActAnswer | { refused: FactoryError };

/** How long a duplicate waits for the first request's result. */
const IN_FLIGHT_MS = 5000;

/**
 * Plans and applies actions. Order of refusals: not-found, bad input or key, replay or reused key, version required,
 * permission, version mismatch, then plan and gates. Facts are read before the transaction; everything is judged
 * again inside it.
 */
export function createActing(deps: WorkItemDependencies, outbox: Outbox, onOutcome: OutcomeListener) {
  const inFlight = new Map<string, Promise<unknown>>();

  async function act(principal: Principal, id: string, identity: string, request: ActRequest = {}): Promise<ActAnswer> {
    if (!(ACTION_IDENTITIES as readonly string[]).includes(identity)) throw refuse.noAction(id, identity);
    const action = identity as ActionIdentity;
    const { observed } = await loadItem(deps, id);
    // The shape now; what depends on the item's state is checked with its facts.
    const input = checked(() => INPUT_SCHEMAS[action].parse(request.input ?? {}) as Record<string, unknown>);
    const agent = principal.kind === 'token' && isAgent(principal.roles);
    if (agent && !request.dryRun && request.idempotencyKey === undefined) throw refuse.keyMissing(action);
    const scope = `${principal.kind}:${principal.id} ${id} ${action}`;
    const digest = digestOf(canonicalJson({ input, decisionId: request.decisionId ?? null }));
    const attempt: Attempt = { principal, actor: actorOf(principal), id, identity: action, input, request, observed, scope, digest };
    return once(request.dryRun ? undefined : request.idempotencyKey, scope, async () => {
      const outcome = await deps.storage.write((tx) => judge(tx, attempt, agent));
      if ('refused' in outcome) throw outcome.refused;
      return outcome;
    });
  }

  /** A duplicate of a request that is under way waits for it, then takes its own turn and finds the stored answer. */
  async function once<T>(key: string | undefined, scope: string, run: () => Promise<T>): Promise<T> {
    if (key === undefined) return run();
    const name = `${scope} ${key}`;
    const first = inFlight.get(name);
    if (first) {
      if (!(await settledWithin(first, IN_FLIGHT_MS))) throw refuse.stillRunning(key);
      return run();
    }
    const running = run();
    inFlight.set(name, running);
    try {
      return await running;
    } finally {
      inFlight.delete(name);
    }
  }

  async function judge(tx: Transaction, attempt: Attempt, agent: boolean): Promise<Outcome> {
    const { id, identity, input, principal, request } = attempt;
    const replay = await replayOf(tx, attempt);
    if (replay) return replay;
    const row = await findItem(tx, deps.projectId, id);
    if (!row) throw noItem(id);
    const item = parseItem(row);
    if (agent && request.ifMatch === undefined) return { refused: refuse.versionRequired(item) };
    const missing = permissionsFor(identity, input).find((permission) => !principal.permissions.has(permission));
    if (missing) return refused(tx, attempt, refuse.permissionMissing(identity, missing));
    if (request.ifMatch !== undefined && request.ifMatch !== '*' && request.ifMatch !== item.version) {
      return { refused: refuse.versionMismatch(item, await itemAt(tx, id, request.ifMatch)) };
    }
    const around = await readSurroundings(tx, deps, item, attempt.observed);
    const facts = factsOf(item, attempt.observed, around, deps.policy(), deps.clock.iso());
    const report = evaluateAction(identity, facts, deps.policy(), principal, deps.clock.iso());
    const outdated = request.decisionId ? await outdatedPlan(tx, attempt, report) : null;
    if (outdated) return refused(tx, attempt, outdated);
    if (!report.enabled) return blocked(tx, attempt, row, facts, report);
    const now = deps.clock.iso();
    const full = checked(() => parseInput(identity, input, { facts, policy: deps.policy(), principal, now }));
    const decided = decide(identity, full, facts, principal, { id: uuid }, now);
    const judged = { row, around, facts, report };
    return request.dryRun ? plan(tx, attempt, judged, decided) : apply(tx, attempt, judged, decided);
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

  async function refused(tx: Transaction, { actor, id, identity, request }: Attempt, error: FactoryError): Promise<Outcome> {
    if (!request.dryRun) {
      await deps.audit.append(tx, {
        project: deps.projectId,
        actor: { kind: actor.kind, id: actor.id },
        action: `work-item.${identity}`,
        object: { kind: 'item', id },
        outcome: 'refused',
        code: error.code,
      });
    }
    tx.afterCommit(() => onOutcome(identity, error.code, []));
    return { refused: error };
  }

  async function blocked(tx: Transaction, attempt: Attempt, row: Tables['work_items'], facts: Facts, report: ActionReport) {
    const blockers = blockersOf(report);
    const decision = await saveDecision(tx, attempt, row.changed_seq, 'blocked', bodyOf(attempt, facts, report, null));
    const { actor, id, identity, request } = attempt;
    if (!request.dryRun) {
      await deps.audit.append(tx, {
        project: deps.projectId,
        actor: { kind: actor.kind, id: actor.id },
        action: `work-item.${identity}`,
        object: { kind: 'item', id },
        outcome: 'refused',
        code: 'action-blocked',
        decision: { id: decision.id, commitment: decision.commitment },
      });
    }
    tx.afterCommit(() => onOutcome(identity, 'action-blocked', blockers.map(({ gate }) => gate)));
    return { refused: refuse.actionBlocked(facts.item, report, blockers, decision.id) };
  }

  /** The plan that was shown must still rest on the same facts. */
  async function outdatedPlan(tx: Transaction, { id, identity, request, actor }: Attempt, report: ActionReport) {
    const keys = { project_id: deps.projectId, item_id: id, id: request.decisionId ?? '' };
    const planned = await tx.get(decisions.byId, keys);
    const owner = planned && (JSON.parse(planned.principal) as ChangeActor);
    if (!planned || planned.identity !== identity || owner?.id !== actor.id) throw refuse.noPlan(id, keys.id);
    const body = JSON.parse(planned.body) as DecisionBody;
    const samePolicy = body.policyDigest === policyDigest(deps.policy());
    if (samePolicy && body.factsDigest === factsDigest(report)) return null;
    return refuse.decisionOutdated(keys.id, changedGates(body.gates, report.gates), samePolicy);
  }

  function bodyOf({ input }: Attempt, facts: Facts, report: ActionReport, decided: Decided | null): DecisionBody {
    return {
      ruleVersion: RULE_VERSION,
      gatePack: deps.policy().gatePack,
      policyDigest: policyDigest(deps.policy()),
      factsDigest: factsDigest(report),
      itemVersion: facts.item.version,
      permission: report.permission,
      input,
      gates: report.gates,
      lane: decided?.lane ?? null,
      effects: decided?.effects ?? [],
    };
  }

  async function saveDecision(
    tx: Transaction,
    { id, identity, actor }: Attempt,
    itemSeq: number,
    outcome: 'planned' | 'applied' | 'blocked',
    body: DecisionBody,
  ): Promise<Tables['decisions']> {
    const row = {
      id: uuid(),
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

  /** What the item would be; nothing but the decision is written. */
  async function plan(tx: Transaction, attempt: Attempt, judged: Judged, decided: Decided): Promise<ActAnswer> {
    const { row, facts, report, around } = judged;
    const decision = await saveDecision(tx, attempt, row.changed_seq, 'planned', bodyOf(attempt, facts, report, decided));
    const after = foldAll(attempt, facts.item, decided, row.changed_seq);
    const result = resultOf(attempt, judged, decided, decision.id, after, around.pending);
    const item = documentOf(deps, facts.item, attempt.observed, around);
    return { result: { ...result, item }, version: facts.item.version, replayed: false };
  }

  async function apply(tx: Transaction, attempt: Attempt, judged: Judged, decided: Decided): Promise<ActAnswer> {
    const { row, facts, report, around } = judged;
    const { id, identity, actor, observed } = attempt;
    const finished = identity === 'record-history' ? await withSnapshot(tx, attempt, facts, decided) : decided;
    const decision = await saveDecision(tx, attempt, row.changed_seq + 1, 'applied', bodyOf(attempt, facts, report, finished));
    let item = facts.item;
    let seq = row.changed_seq;
    const version = item.version + 1;
    for (const [index, event] of finished.events.entries()) {
      const { type, ...payload } = event;
      const at = deps.clock.iso();
      seq = await recordChange(tx, deps.audit, {
        projectId: deps.projectId,
        stream: 'item',
        streamId: id,
        version,
        type,
        payload: { ...payload, decisionId: decision.id },
        actor,
        at,
        action: `work-item.${identity}`,
        ...(index === 0 ? { decision: { id: decision.id, commitment: decision.commitment } } : {}),
      });
      item = evolve(item, { seq, projectId: deps.projectId, version, at, actor, event });
    }
    const write = deps.queueWrites ? queueWriteFor(finished, item) : null;
    if (write) await oweQueueWrite(tx, deps, id, seq, write);
    const pending = write !== null || around.pending;
    await saveItem(tx, itemRow(item, seq, await attentionOf(tx, deps, item, observed.queue, pending)), false);
    const result = resultOf(attempt, judged, finished, decision.id, item, pending);
    await storeAnswer(tx, attempt, result);
    tx.afterCommit(() => {
      deps.changed();
      onOutcome(identity, 'applied', []);
      if (write) outbox.kick();
    });
    return { result, version: item.version, replayed: false };
  }

  async function withSnapshot(tx: Transaction, { id, observed }: Attempt, facts: Facts, decided: Decided): Promise<Decided> {
    const ofItem = { project_id: deps.projectId, item_id: id };
    const last = await tx.get(decisions.lastRecorded, ofItem);
    const made = await tx.all(decisions.appliedSince, { ...ofItem, after: last?.item_seq ?? 0 });
    const content = canonicalJson(historyContent(facts.item, observed.queue, made));
    const digest = digestOf(content);
    await tx.run(snapshots.insert, { project_id: deps.projectId, digest, item_id: id, content, created_at: deps.clock.iso() });
    return {
      ...decided,
      events: decided.events.map((event) => (event.type === 'history-recorded' ? { ...event, snapshot: digest } : event)),
    };
  }

  function foldAll({ actor }: Attempt, item: WorkItem, decided: Decided, seq: number): WorkItem {
    const at = deps.clock.iso();
    const envelope = { seq, projectId: deps.projectId, version: item.version + 1, at, actor };
    return decided.events.reduce((folded, event) => evolve(folded, { ...envelope, event }), item);
  }

  function resultOf(
    { identity, request, observed }: Attempt,
    { facts, report, around }: Judged,
    decided: Decided,
    decisionId: string,
    after: WorkItem,
    pending: boolean,
  ): ActionResult {
    const before = documentOf(deps, facts.item, observed, around);
    const item = documentOf(deps, after, observed, { ...around, pending });
    return {
      decisionId,
      dryRun: request.dryRun ?? false,
      identity,
      lane: decided.lane,
      diff: itemDiff(before, item),
      effects: decided.effects,
      gates: report.gates,
      item,
    };
  }

  async function storeAnswer(tx: Transaction, { request, scope, digest }: Attempt, result: ActionResult): Promise<void> {
    if (request.idempotencyKey === undefined) return;
    await tx.run(idempotency.insert, {
      project_id: deps.projectId,
      scope,
      key: request.idempotencyKey,
      digest,
      response: JSON.stringify(result),
      created_at: deps.clock.iso(),
    });
  }

  /** The item as it was at a version, for the difference that a 412 shows; null if there was none. */
  async function itemAt(tx: Transaction, id: string, version: number): Promise<WorkItem | null> {
    const rows = await tx.all(events.ofItem, { project_id: deps.projectId, stream_id: id, after: 0, limit: 100_000 });
    const until = rows.filter((row) => row.version <= version).map(recordedEvent);
    if (until.at(-1)?.version !== version) return null;
    return until.reduce<WorkItem | null>((item, event) => evolve(item, event), null);
  }

  return { act };
}

export type OutcomeListener = (identity: ActionIdentity, outcome: string, gates: string[]) => void;

function queueWriteFor(decided: Decided, item: WorkItem): QueueWrite | null {
  const effect = decided.effects.find(({ kind }) => kind === 'queue-write');
  if (!effect) return null;
  const restored = decided.events.some((event) => event.type === 'reconciled' && event.codes.includes('queue-file-missing'));
  return { kind: restored ? 'restore' : 'move', lane: item.lane };
}

export function actorOf({ kind, id, personId, roles }: Principal): ChangeActor {
  return { kind, id, personId, roles };
}

/** Zod's issues as ours; their paths are those of the request body. */
function checked<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    throw refuse.badInput(error.issues.map(({ path, message }) => ({ path: ['input', ...path].join('.'), message })));
  }
}

async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  const answer = await Promise.race([settled, late]);
  clearTimeout(timer);
  return answer;
}
