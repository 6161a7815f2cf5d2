import type { ChangeActor } from '../audit/events.ts';
import type { FactoryError } from '../errors.ts';
import type { Tables } from '../storage/tables.ts';
import type { ActionResult } from './documents.ts';
import type { Observed, Surroundings } from './facts.ts';
import type { ActionIdentity, ActionReport, Facts, Principal } from './types.ts';

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
export interface Attempt {
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
export interface Judged {
  row: Tables['work_items'];
  around: Surroundings;
  facts: Facts;
  report: ActionReport;
  /** New ids that were given out, in order. */
  ids: string[];
}

/** A refusal is recorded in the same transaction, so it is returned and thrown after the commit. */
export type Outcome = ActAnswer | { refused: FactoryError };

export type OutcomeListener = (identity: ActionIdentity, outcome: string, gates: string[]) => void;
