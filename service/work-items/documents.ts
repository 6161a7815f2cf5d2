import type { OverrideState } from './gates/override.ts';
import type {
  ActionReport,
  ActionIdentity,
  Actor,
  Drift,
  Effect,
  FreshnessVerdict,
  GateResult,
  Lane,
  QueueProblem,
} from './types.ts';

/** What the API and the pages show: plain data, built by `views.ts` from the projection, observations and facts. */

export interface CriterionDocument {
  /** From 1, as people count. */
  number: number;
  text: string;
  status: 'met' | 'failed' | 'waived' | 'not-recorded';
  evidence: EvidenceDocument[];
  waiver: { reason: string; by: string; at: string } | null;
}

export interface EvidenceDocument {
  id: string;
  kind: 'validation' | 'criterion' | 'attestation';
  criterion: number | null;
  commit: string | null;
  result: 'passed' | 'failed';
  scriptDigest: string | null;
  url: string | null;
  note: string | null;
  /** Display name of who produced it. */
  producer: string;
  trust: string;
  at: string;
}

export interface HandoffDocument {
  id: string;
  state: string;
  queuedBy: string | null;
  queuedAt: string;
  holder: string | null;
  claimedAt: string | null;
  endedAt: string | null;
  adopted: boolean;
}

export interface OverrideDocument extends OverrideState {
  id: string;
  gate: string;
  action: string;
  reason: string;
  until: string;
  by: string;
  at: string;
  secondedBy: string | null;
}

export interface ItemDocument {
  id: string;
  key: string;
  title: string;
  summary: string;
  lane: Lane;
  workType: string;
  /** The queue collection that the record was read from. */
  source: string;
  /** The literal value in the record. */
  status: string;
  state: string;
  stateBasis: 'record' | 'forge';
  branch: string | null;
  validation: string | null;
  pr: string | null;
  criteria: CriterionDocument[];
  queueTruth: {
    freshness: { verdict: FreshnessVerdict; ageSeconds: number | null };
    sources: {
      source: string;
      verdict: FreshnessVerdict;
      ageSeconds: number | null;
      budgetSeconds: number;
    }[];
    drift: Drift[];
    notConnected: string[];
    notComputed: { code: string; reason: string }[];
  };
  guidance: string[];
  problems: QueueProblem[];
  prompt: { path: string; excerpt: string | null; missing: boolean };
  blockedBy: { id: string; title: string | null; lane: Lane | null }[];
  supersedes: string | null;
  supersededBy: string[];
  handoff: HandoffDocument | null;
  pastHandoffs: HandoffDocument[];
  /** Validation and attestation evidence; a criterion's stands with the criterion. */
  evidence: EvidenceDocument[];
  approvals: { by: string; commit: string | null; note: string | null; at: string }[];
  overrides: OverrideDocument[];
  release: { by: string; at: string; pr: string | null } | null;
  history: { count: number; latest: string | null; at: string | null };
  origin: 'import' | 'create';
  createdAt: string;
  updatedAt: string;
  version: number;
}

/** An item in a list or on the board: from columns and its document, without reading files. */
export interface ItemSummary {
  id: string;
  key: string;
  title: string;
  summary: string;
  lane: Lane;
  workType: string;
  source: string;
  status: string;
  state: string;
  pr: string | null;
  criteria: { total: number; met: number };
  holder: string | null;
  handoff: { state: string; since: string } | null;
  freshness: { verdict: FreshnessVerdict; ageSeconds: number | null };
  drift: Drift[];
  attention: AttentionDocument | null;
  version: number;
  updatedAt: string;
}

export interface AttentionDocument {
  kind: 'problem' | 'drift' | 'blocked' | 'waiting';
  /** One line. */
  cause: string;
  /** The one step that leads out: an action of the item, or a page. */
  step: { label: string; action: ActionIdentity | null; url: string };
}

export interface BoardDocument {
  total: number;
  lanes: { lane: Lane; count: number; limit: number | null; running: number | null; items: ItemSummary[] }[];
  attention: ItemSummary[];
  attentionTotal: number;
  workTypes: string[];
  /** Problems of the queue folder that belong to no item. */
  problems: QueueProblem[];
  freshness: { verdict: FreshnessVerdict; ageSeconds: number | null };
}

export interface ActionsDocument {
  /** The item's version that was judged. */
  version: number;
  actions: ActionReport[];
}

/** Answer of a planned or applied action. */
export interface ActionResult {
  decisionId: string;
  dryRun: boolean;
  identity: ActionIdentity;
  lane: { from: Lane; to: Lane };
  /** Item fields that change, as before and after. */
  diff: { field: string; before: unknown; after: unknown }[];
  effects: Effect[];
  gates: GateResult[];
  item: ItemDocument;
}

export interface HistoryEntry {
  seq: number;
  at: string;
  actor: string;
  type: string;
  /** One sentence in plain words. */
  text: string;
  version: number;
  decisionId: string | null;
  snapshot: string | null;
}

export interface DecisionSummary {
  id: string;
  identity: ActionIdentity;
  label: string;
  outcome: 'planned' | 'applied' | 'blocked';
  by: string;
  at: string;
  blockers: string[];
}

export interface HistoryDocument {
  itemId: string;
  title: string;
  lane: Lane;
  events: HistoryEntry[];
  decisions: DecisionSummary[];
  snapshots: { digest: string; at: string }[];
  nextCursor: string | null;
}

/** What is stored of one evaluation; `body` of a row in `decisions`. */
export interface DecisionBody {
  ruleVersion: string;
  gatePack: string;
  policyDigest: string;
  factsDigest: string;
  itemVersion: number;
  permission: { name: string; granted: boolean };
  input: unknown;
  /** New ids that the effects name; applying the plan uses the same ones. */
  ids: string[];
  /** The plan that was applied; null where there was none. */
  plan: string | null;
  /** Digest of the lanes and events that were decided, notes left out; null where the action was blocked. */
  decided: string | null;
  gates: GateResult[];
  lane: { from: Lane; to: Lane } | null;
  effects: Effect[];
}

export interface DecisionDocument extends DecisionBody {
  id: string;
  itemId: string;
  identity: ActionIdentity;
  label: string;
  outcome: 'planned' | 'applied' | 'blocked';
  by: string;
  actor: Actor;
  at: string;
}
