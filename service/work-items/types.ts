/**
 * The words of the work-item domain, one line each, before their types.
 *
 * record    what stands in a queue file: front matter and body
 * lane      authoritative position, changed only by an action
 * source    the queue collection that the record was read from; shown as the collection's name
 * status    the literal value in the record, never interpreted
 * facts     everything a rule may look at; read before a rule runs and passed in
 * gate      one pure rule over facts; its verdict carries the way out
 * decision  one evaluation of an action's gates
 * event     one applied change; folding an item's events gives its `WorkItem`
 */

export const LANES = ['backlog', 'ready', 'executing', 'review', 'done', 'cancelled'] as const;
export type Lane = (typeof LANES)[number];
/** Collections of the queue folder carry the lanes' names. */
export type Collection = Lane;

export const ACTION_IDENTITIES = [
  'start-execution',
  'request-review',
  'prepare-release',
  'record-history',
  'mark-ready',
  'claim',
  'release-handoff',
  'request-changes',
  'complete',
  'cancel',
  'reconcile',
  'refresh-truth',
  'submit-evidence',
  'approve',
  'waive-criterion',
  'override-gate',
] as const;
export type ActionIdentity = (typeof ACTION_IDENTITIES)[number];

export const GATE_IDENTITIES = [
  'lane-transition',
  'lane-eligibility',
  'pull-request',
  'context-visibility',
  'prompt-context',
  'dependencies',
  'truth-fresh',
  'drift-free',
  'capacity',
  'single-handoff',
  'lease-held',
  'validation-evidence',
  'validation-script-unchanged',
  'criteria-met',
  'independent-review',
  'window',
] as const;
export type GateIdentity = (typeof GATE_IDENTITIES)[number];

// ---------------------------------------------------------------- records on disk

/** The front matter and body of `work-items/<collection>/<id>.md`, as written there. */
export interface RecordFields {
  id: string;
  title: string;
  summary: string;
  status: string;
  workType: string;
  branch: string | null;
  validation: string | null;
  pr: string | null;
  criteria: string[];
  blockedBy: string[];
  supersedes: string | null;
}

/** A record as it was read. `revision` is git's blob id of the file, `path` is relative to the work-items folder. */
export interface ReadRecord {
  fields: RecordFields;
  collection: Collection;
  path: string;
  revision: string;
}

/** A prompt as it was read; `excerpt` holds at most the first 2,000 characters. */
export interface ReadPrompt {
  path: string;
  revision: string;
  excerpt: string;
  empty: boolean;
}

/** One thing wrong with a file of the queue. `line` counts from 1. */
export interface QueueProblem {
  file: string;
  line: number;
  code: string;
  message: string;
  /** The item the file would describe, where its name tells. */
  itemId: string | null;
  hint: string;
  /** Absent: an error, the file does not count. `warn`: shown by `validate` alone. */
  severity?: 'warn';
}

// ---------------------------------------------------------------- observations (truth signals as last seen)

/** What one look at the queue said about one item. Absent file: `record` or `prompt` is null. */
export interface QueueObservation {
  observedAt: string;
  record: ReadRecord | null;
  prompt: ReadPrompt | null;
  /** Problems of this item's files; a record with problems leaves `record` as it was last readable. */
  problems: QueueProblem[];
  /** Further files that claim the same id (relative paths). */
  duplicates: string[];
  /** When what cannot be read now was last read (see `unread.ts`); `record` and `prompt` are of then. Never stored. */
  readBefore?: string;
}

/** What a forge says; null as a whole where no forge is connected. */
export interface ForgeFacts {
  observedAt: string;
  /** Head commit of the item's branch; null: the branch does not exist. */
  branchHead: string | null;
  /** The branch that the pull request names as its head. */
  pullRequest: {
    number: number;
    state: 'open' | 'merged' | 'closed';
    mergeable: boolean;
    headBranch: string;
    headCommit: string;
  } | null;
  checks: { name: string; commit: string; state: 'success' | 'failure' | 'pending' | 'never-reported' }[];
  /** Digest of the validation script on the default branch, and on the item's branch. */
  scriptDigest: { defaultBranch: string | null; branch: string | null };
}

// ---------------------------------------------------------------- the projection

export type HandoffState =
  | 'queued'
  | 'claimed'
  | 'running'
  | 'awaiting-human'
  | 'submitted'
  | 'accepted'
  | 'rejected'
  | 'failed'
  | 'expired'
  | 'cancelled';

export interface Handoff {
  id: string;
  state: HandoffState;
  queuedBy: Actor | null;
  queuedAt: string;
  /** Who executes it; null while queued. */
  holder: Actor | null;
  claimedAt: string | null;
  endedAt: string | null;
  /** Git blob id of the prompt when it was queued. */
  promptRevision: string | null;
  /** True where an imported item was adopted without a queued handoff. */
  adopted: boolean;
  /** Grows by one per claim of the item. */
  fence: number;
  /** How many pieces of evidence the item had when this round of work began; earlier ones name no head commit. */
  evidenceFrom: number;
}

/** Who did something: ids only; names are looked up when shown. */
export interface Actor {
  kind: 'person' | 'token' | 'system';
  id: string;
  /** The person who is answerable: the person itself, or the token's owner. */
  personId: string | null;
  roles: string[];
}

/** How far a piece of evidence can be trusted; `forge` most. */
export const TRUST = ['forge', 'ci', 'person', 'agent'] as const;
export type Trust = (typeof TRUST)[number];

export interface Evidence {
  id: string;
  kind: 'validation' | 'criterion' | 'attestation';
  /** Index into the criteria, from 0; null unless kind is `criterion`. */
  criterion: number | null;
  criterionText: string | null;
  commit: string | null;
  result: 'passed' | 'failed';
  scriptDigest: string | null;
  url: string | null;
  note: string | null;
  producer: Actor;
  trust: Trust;
  at: string;
}

export interface Waiver {
  criterion: number;
  criterionText: string;
  reason: string;
  by: Actor;
  at: string;
}

export interface Approval {
  by: Actor;
  commit: string | null;
  note: string | null;
  at: string;
}

export interface Override {
  id: string;
  gate: GateIdentity;
  action: ActionIdentity;
  reason: string;
  until: string;
  by: Actor;
  at: string;
  /** The second person; null while waiting for one. */
  secondedBy: Actor | null;
  secondedAt: string | null;
  /** Why the second person asked for the same; absent: nobody did, or it was not recorded. */
  secondReason?: string;
}

export interface LaneMove {
  lane: Lane;
  at: string;
  by: Actor;
  /** The action, or `import` / `create`. */
  via: ActionIdentity | 'import' | 'create';
}

/**
 * The projection of one item: the fold of its events, stored as canonical JSON.
 * Everything in it comes from events; observations (files, forge) are kept apart.
 */
export interface WorkItem {
  id: string;
  projectId: string;
  version: number;
  lane: Lane;
  origin: 'import' | 'create';
  record: RecordFields & { collection: Collection; path: string; revision: string };
  handoff: Handoff | null;
  /** Ended handoffs, oldest first. */
  pastHandoffs: Handoff[];
  evidence: Evidence[];
  waivers: Waiver[];
  approvals: Approval[];
  overrides: Override[];
  lanes: LaneMove[];
  release: { by: Actor; at: string; pr: string | null } | null;
  /** `seq` is that of the newest snapshot's event; 0: none. */
  history: { count: number; latest: string | null; at: string | null; seq: number };
  createdAt: string;
  updatedAt: string;
}

// ---------------------------------------------------------------- events

/** What happened to an item; `payload` of a row in `events`. The reducer in `projection.ts` folds them. */
export type ItemEvent =
  | { type: 'imported'; lane: Lane; record: WorkItem['record'] }
  | { type: 'created'; record: WorkItem['record'] }
  | { type: 'record-read'; record: WorkItem['record'] }
  | { type: 'lane-moved'; from: Lane; to: Lane; via: ActionIdentity; note: string | null }
  | { type: 'handoff-queued'; handoffId: string; promptRevision: string | null; note: string | null }
  | {
      type: 'handoff-claimed';
      handoffId: string;
      adopted: boolean;
      promptRevision: string | null;
      state: 'claimed' | 'submitted';
      note: string | null;
    }
  | { type: 'handoff-ended'; handoffId: string; state: HandoffState }
  | { type: 'handoff-submitted'; handoffId: string }
  | { type: 'evidence-submitted'; evidence: Omit<Evidence, 'producer' | 'at'> }
  | { type: 'criterion-waived'; criterion: number; criterionText: string; reason: string }
  | { type: 'approved'; commit: string | null; note: string | null }
  | { type: 'override-requested'; override: Pick<Override, 'id' | 'gate' | 'action' | 'reason' | 'until'> }
  /** Older ones hold neither reason nor end: then the first person's stand. */
  | { type: 'override-seconded'; overrideId: string; reason?: string; until?: string }
  | { type: 'release-prepared'; pr: string | null; note: string | null }
  | { type: 'history-recorded'; snapshot: string; note: string | null }
  | { type: 'reconciled'; codes: string[]; note: string | null }
  | { type: 'truth-refreshed'; note: string | null };

/** An event with its envelope, as the reducer sees it. */
export interface RecordedEvent {
  seq: number;
  projectId: string;
  /** The item's version after this event's change; events of one action share it. */
  version: number;
  at: string;
  actor: Actor;
  event: ItemEvent;
}

// ---------------------------------------------------------------- truth

export const FRESHNESS = ['Fresh', 'Aging', 'Stale', 'Unknown'] as const;
export type FreshnessVerdict = (typeof FRESHNESS)[number];

export interface Freshness {
  verdict: FreshnessVerdict;
  /** Whole seconds since the source was read; null if it never was. */
  ageSeconds: number | null;
}

export const DRIFT_CODES = [
  'queue-status-vs-lane',
  'queue-file-missing',
  'queue-file-unknown-item',
  'duplicate-id',
  'prompt-missing',
  'prompt-changed-in-flight',
  'branch-missing',
  'branch-mismatch',
  'pr-merged-lane-open',
  'pr-closed-unmerged',
  'lane-done-pr-open',
  'pr-head-unvalidated',
  'executing-without-lease',
  'lease-without-executing',
  'check-never-reported',
  'handoff-dropped',
] as const;
export type DriftCode = (typeof DRIFT_CODES)[number];

/** One side of a disagreement. */
export interface Signal {
  source: string;
  value: string;
}

export interface Drift {
  code: DriftCode;
  severity: 'error' | 'warn';
  field: string;
  left: Signal;
  right: Signal;
}

export interface TruthReport {
  /** The worst source counts. */
  freshness: Freshness;
  sources: { source: string; freshness: Freshness }[];
  drift: Drift[];
  /** Sources that are not configured for this project, e.g. `pull request`. */
  notConnected: string[];
  /** Codes that could not be computed, with the reason (not connected, stale, pending queue write). */
  notComputed: { code: DriftCode; reason: string }[];
}

// ---------------------------------------------------------------- policy

export interface Policy {
  gatePack: string;
  /** Gates of each action in the pack; resolved from the built-in packs or the project's own. */
  packs: Record<string, GatePack>;
  preset: 'solo' | 'team' | null;
  limits: { handoffs: number; attempts: number };
  /** Seconds per source. */
  freshness: { queue: number; prompt: number; 'pull request': number; checks: number; lease: number };
  /** One authority per field. */
  authorities: Record<string, string>;
  /** Solo preset: seconds before one's own second act counts. */
  soloWaitSeconds: number;
  freezes: { name: string; from: string; until: string }[];
  /** Gates that no override can turn. */
  hard: GateIdentity[];
}

/** Which gates an action has; data, not code. */
export interface GatePack {
  name: string;
  /** Whose PASSED counts, of a validation and of a criterion; absent: anybody's. */
  validationTrust?: Trust[];
  actions: Partial<Record<ActionIdentity, { gate: GateIdentity; mode: 'block' | 'warn' }[]>>;
}

// ---------------------------------------------------------------- facts, gates, decisions

export type { Principal } from '../access/principal.ts';

/** All that a gate may look at. Read before the transaction, compared inside it. */
export interface Facts {
  item: WorkItem;
  queue: QueueObservation | null;
  /** True while a queue write of this item is on its way; one that has failed is not. */
  queueWritePending: boolean;
  /** Why the queue write that waits has failed so far; null: none waits, or none has failed. */
  queueFailure: string | null;
  /** Whether the record follows the item by itself. */
  queueWrites: boolean;
  /** Null: not connected. */
  forge: ForgeFacts | null;
  /** Items named in `blockedBy`; lane null: unknown item. */
  dependencies: { id: string; lane: Lane | null }[];
  runningHandoffs: number;
  truth: TruthReport;
  /** People who could act as a second person: active, with their roles. */
  people: { id: string; name: string; roles: string[] }[];
  /** By id the names of the people and tokens in the item's history, those that were removed too. */
  names: Readonly<Record<string, string>>;
  /** Effective preset. */
  preset: 'solo' | 'team';
}

export const VERDICTS = ['pass', 'warn', 'blocked', 'unknown', 'not-applicable', 'overridden'] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface GateFact {
  source: string;
  path: string;
  value: unknown;
  observedAt: string | null;
  revision: string | null;
}

export interface SafeRetry {
  text: string;
  mode: 'never' | 'now' | 'after-change' | 'after-time';
  afterSeconds?: number;
  /** The fact that, once it has one of these values (and `also` theirs), makes the gate pass. */
  whenFact?: AwaitedFact & { also?: AwaitedFact[] };
}

/** A fact by name, and the values that are waited for. Derived facts are booleans, e.g. `prompt` `present`. */
export interface AwaitedFact {
  source: string;
  path: string;
  becomes: unknown[];
}

export interface Recovery {
  cause: string;
  policyContext: string;
  nextStep: string;
  safeRetry: SafeRetry;
}

/** A way out: an action of this item, or a page, and the permission it takes. */
export interface Unblock {
  action?: ActionIdentity;
  url?: string;
  permission: string | null;
}

export interface GateResult {
  gate: GateIdentity;
  /** Finer than the gate, stable: e.g. `terminal-lane`, `no-pull-request`. */
  code: string;
  verdict: Verdict;
  reason: string;
  params: Record<string, unknown>;
  facts: GateFact[];
  /** Present unless the gate passes or does not apply. */
  recovery: Recovery | null;
  unblock: Unblock[];
}

export interface ActionReport {
  identity: ActionIdentity;
  label: string;
  description: string;
  enabled: boolean;
  permission: { name: string; granted: boolean };
  gates: GateResult[];
}

/** The planned or applied change of lane, and what else happens. */
export interface Effect {
  kind: string;
  text: string;
}
