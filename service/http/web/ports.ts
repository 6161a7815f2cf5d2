import type { ChangeActor } from '../../audit/events.ts';
import type { AuditLeaf } from '../../audit/leaf.ts';
import type { NewToken } from '../../access/tokens.ts';
import type { OneTimeLink, PersonDocument } from '../../access/people.ts';
import type { PolicyParts } from '../../chat/policies.ts';
import type { Chat } from '../../chat/service.ts';
import type { NewGrant } from '../../chat/grants/new-grant.ts';
import type { NewHold } from '../../chat/holds/holding.ts';
import type { SessionView } from '../../chat/types.ts';
import type { Clock } from '../../clock.ts';
import type { JobName, OperationsPort } from '../../jobs/types.ts';
import type {
  ActionResult,
  ActionsDocument,
  BoardDocument,
  DecisionDocument,
  HistoryDocument,
  ItemDocument,
  ItemSummary,
} from '../../work-items/documents.ts';
import type { ActionIdentity, ActionReport, Lane, Principal, QueueProblem } from '../../work-items/types.ts';

/** What the pages ask of the rest of the service; the context provides it, tests provide a small one. */
export interface WebContext {
  clock: Pick<Clock, 'now'>;
  items: ItemsPort;
  people: {
    list: () => Promise<PersonDocument[]>;
    invite(actor: ChangeActor, input: { name: string; role: string }): Promise<OneTimeLink>;
    link(actor: ChangeActor, id: string, options: { signOut: boolean }): Promise<OneTimeLink>;
    setRole(actor: ChangeActor, id: string, role: string): Promise<void>;
    remove: (actor: ChangeActor, id: string) => Promise<unknown>;
  };
  tokens: {
    create: (
      actor: ChangeActor,
      input: { name: string; roles: string[]; personId: string; expires: string | null },
    ) => Promise<NewToken>;
    revoke: (actor: ChangeActor, id: string) => Promise<unknown>;
  };
  chat: Pick<Chat, 'sessions' | 'append' | 'reading' | 'search' | 'deleteSession' | 'deleteMessage'> & {
    attachments: Pick<Chat['attachments'], 'ofMessages'>;
    governance: Pick<Chat['governance'], 'quarantine'>;
  };
  /** From a form. Errors: `bad-input` (details.problems), `not-found` (the work item). */
  beginSession: (principal: Principal, input: Record<string, string>) => Promise<SessionView>;
  governance: GovernancePort;
  auditLog: AuditPort;
  operations: OperationsPort;
  /** Puts the start, or why it was refused, into the audit log. Errors: those of `operations.start`. */
  startJob: (
    actor: { kind: 'person' | 'token'; id: string },
    job: JobName,
    digest: string,
  ) => Promise<{ runId: string }>;
  /** Puts a refusal into the audit log, too. Errors: those of `operations.acceptRestore`. */
  acceptRestore: OperationsPort['acceptRestore'];
  /** What the frame of every page says about this installation; cheap, it is asked for with each page. */
  frame: () => FrameFacts;
  openapi: () => OpenApiDocument;
  /** Puts a refusal into the audit log. */
  refuse(refusal: {
    code: string;
    action: string;
    actor: { kind: 'person' | 'token'; id: string };
  }): Promise<void>;
}

/** Holds, erasures and what else is decided about conversations; `read…` takes a form apart. Errors: `bad-input`. */
export interface GovernancePort extends Pick<
  Chat['governance'],
  'holds' | 'erasures' | 'erasurePlan' | 'grants' | 'retention'
> {
  policies: Pick<Chat['policies'], 'all' | 'put' | 'history' | 'planSwitch' | 'takeBack'>;
  /** From what forms say. */
  readPolicies: (document: unknown) => PolicyParts;
  readHold: (input: Record<string, string>) => NewHold;
  readGrant: (input: Record<string, string>) => NewGrant;
  readErasure: (input: Record<string, string>) => { subjectId: string; reason: string };
}

export interface FrameFacts {
  project: string;
  environment: 'development' | 'staging' | 'production';
  release: string;
  /** `starting`: nothing was looked at yet. */
  health: { status: 'starting' | 'ok' | 'degraded' | 'failing'; text: string };
  /** Name of the queue folder, as people know it. */
  queueFolder: string;
  /** The gate pack in force. */
  gatePack: string;
  /** Gates that the project lets no override turn. */
  hardGates: readonly string[];
}

/** Errors of `ItemsPort` are `FactoryError`s; the codes that pages tell apart stand with each call. */
export interface ItemsPort {
  board: (principal: Principal, filter: BoardFilter) => Promise<BoardDocument>;
  list(principal: Principal, query: ListQuery): Promise<{ items: ItemSummary[]; nextCursor: string | null }>;
  /** `not-found` */
  show: (principal: Principal, id: string) => Promise<ItemDocument>;
  actions: (principal: Principal, id: string, options?: { all?: boolean }) => Promise<ActionsDocument>;
  /** `action-blocked` (details.blockers), `decision-outdated`, `version-mismatch`, `permission-missing`, `bad-input`. */
  act: (principal: Principal, id: string, identity: ActionIdentity, call: ActCall) => Promise<ActionResult>;
  /** `bad-input` (details.problems), `idempotency-key-reused` */
  create: (
    principal: Principal,
    input: NetNewInput,
    call: { idempotencyKey?: string | undefined },
  ) => Promise<ItemDocument>;
  history: (principal: Principal, id: string, page: { cursor?: string }) => Promise<HistoryDocument>;
  decision: (principal: Principal, id: string, decisionId: string) => Promise<DecisionDocument>;
  reevaluate: (principal: Principal, id: string, decisionId: string) => Promise<ActionReport>;
  snapshot: (principal: Principal, id: string, digest: string) => Promise<SnapshotDocument>;
  /** Files of the queue that no item is made of, as last read. */
  problems: () => QueueProblem[];
}

export interface BoardFilter {
  q?: string;
  workType?: string;
  mine?: boolean;
  attention?: boolean;
}

export interface ListQuery {
  lane?: Lane;
  q?: string;
  cursor?: string;
  limit?: number;
}

export interface ActCall {
  input?: Record<string, unknown>;
  decisionId?: string;
  dryRun?: boolean;
  idempotencyKey?: string;
  ifMatch?: number;
}

export interface NetNewInput {
  title: string;
  summary: string;
  workType: string;
  prompt: string;
  criteria: string[];
  branch?: string;
  validation?: string;
  blockedBy?: string[];
  supersedes?: string;
}

export interface SnapshotDocument {
  digest: string;
  at: string;
  content: unknown;
}

export interface AuditPort {
  entries(query: AuditQuery): Promise<{ entries: AuditEntry[]; nextCursor: string | null }>;
  status: () => Promise<AuditStatus>;
  verify(): Promise<{ ok: boolean; size: number; root: string; problems: readonly unknown[] }>;
}

export interface AuditQuery {
  cursor?: string;
  limit?: number;
  /** Ids; entries of any of them. */
  actors?: readonly string[];
  action?: string;
  object?: string;
  outcome?: string;
  /** ISO-8601 with milliseconds, as leaves have them. */
  from?: string;
  to?: string;
}

export interface AuditEntry {
  seq: number;
  /** Null where what is stored is no leaf any more; verification names it. */
  leaf: AuditLeaf | null;
  /** The kind of the event that it vouches for, e.g. `lane-moved`; null where there is none. */
  event: string | null;
}

export interface AuditStatus {
  size: number;
  root: string;
  checkpointAt: string | null;
  ok: boolean;
  problem: string | null;
}

/** The part of OpenAPI 3.1 that the documentation page reads. */
export interface OpenApiDocument {
  info: { title: string; version: string; description?: string };
  paths: Record<string, Record<string, OpenApiOperation>>;
  components?: { schemas?: Record<string, unknown> };
}

export interface OpenApiOperation {
  summary?: string;
  description?: string;
  tags?: string[];
  security?: readonly unknown[];
  parameters?: readonly OpenApiParameter[];
  requestBody?: { required?: boolean; content?: Record<string, { schema?: unknown }> };
  responses?: Record<string, { description?: string; content?: Record<string, { schema?: unknown }> }>;
}

export interface OpenApiParameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: unknown;
}
