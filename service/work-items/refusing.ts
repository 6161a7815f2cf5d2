import type { FactoryError } from '../errors.ts';
import type { Transaction } from '../storage/transaction.ts';
import type { Attempt, Judged, Outcome, OutcomeListener } from './attempt.ts';
import { bodyOf, saveDecision } from './decision.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import { blockersOf } from './gates/evaluate.ts';
import * as refuse from './refusals.ts';

/** What a refused action writes, in the caller's transaction, and the refusal to throw after the commit. */
export function createRefusing(deps: WorkItemDependencies, onOutcome: OutcomeListener) {
  async function refused(
    tx: Transaction,
    { actor, id, identity, request }: Attempt,
    error: FactoryError,
  ): Promise<Outcome> {
    // A plan leaves only its decision; that somebody may not act is for the log all the same.
    if (!request.dryRun || error.code === 'permission-missing') {
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

  async function blocked(
    tx: Transaction,
    attempt: Attempt,
    { row, facts, report }: Judged,
  ): Promise<Outcome> {
    const blockers = blockersOf(report);
    const { actor, id, identity, request } = attempt;
    const body = bodyOf(deps, attempt, facts, report, null);
    // Only what was really refused has an entry in the log, and verification asks one of every decision but a plan.
    const outcome = request.dryRun ? 'planned' : 'blocked';
    const decision = await saveDecision(deps, tx, attempt, row.changed_seq, outcome, body);
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
    tx.afterCommit(() =>
      onOutcome(
        identity,
        'action-blocked',
        blockers.map(({ gate }) => gate),
      ),
    );
    return { refused: refuse.actionBlocked(facts.item, report, blockers, decision.id) };
  }

  return { refused, blocked };
}
