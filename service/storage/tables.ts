import type { ChatTables } from './tables-chat.ts';

/**
 * The tables, as both engines hold them. Conventions: times are ISO-8601 UTC text from the injected clock,
 * `document`, `payload`, `body`, `value` are canonical JSON text, flags are 0 or 1, `seq` is gap-free and
 * assigned inside the serialised write transaction. Every key carries `project_id`.
 */
export interface Tables extends ChatTables {
  meta: { key: string; value: string };

  /** One row an item: the fold of its events plus the columns that lists need (all derived from `document`). */
  work_items: {
    project_id: string;
    id: string;
    lane: string;
    title: string;
    work_type: string;
    /** NFKC lower-case text of id and title, for `?q=`. */
    search: string;
    supersedes: string | null;
    handoff_state: string | null;
    holder_id: string | null;
    /** Why it needs somebody, see `attention.ts`; null: it flows. `attention_rank` orders the strip. */
    attention: string | null;
    attention_rank: number | null;
    /** `seq` of its newest event: the order of lists. */
    changed_seq: number;
    version: number;
    document: string;
    created_at: string;
    updated_at: string;
  };

  /** What the queue's files said about an item at the last look; derived, never the authority. */
  observations: {
    project_id: string;
    item_id: string;
    value: string;
    /** JSON of the file stamps that the look saw, so that a later scan reads only what changed. */
    stamps: string;
    observed_at: string;
  };

  /** Append-only: every change with its content. */
  events: {
    seq: number;
    project_id: string;
    /** `item`, `person`, `token`. */
    stream: string;
    stream_id: string;
    version: number;
    type: string;
    payload: string;
    actor: string;
    at: string;
  };

  decisions: {
    id: string;
    project_id: string;
    item_id: string;
    identity: string;
    /** Canonical JSON of the actor. */
    principal: string;
    /** `planned`, `applied`, `blocked`. */
    outcome: string;
    body: string;
    commitment: string;
    at: string;
    /** `changed_seq` of the item when it was made: orders decisions of one item. */
    item_seq: number;
  };

  /** `seq` is that of the `history-recorded` event, which names the digest: no index of its own is needed. */
  history_snapshots: {
    seq: number;
    project_id: string;
    item_id: string;
    /** SHA-256 of the content, hex. */
    digest: string;
    created_at: string;
    content: string;
  };

  idempotency_keys: {
    project_id: string;
    /** principal, item and identity. */
    scope: string;
    key: string;
    digest: string;
    response: string;
    created_at: string;
  };

  /** Writes to the queue folder that a committed change still owes. */
  outbox: {
    /** `seq` of the event that caused it. */
    seq: number;
    project_id: string;
    item_id: string;
    kind: string;
    payload: string;
    attempts: number;
    last_error: string | null;
    created_at: string;
  };

  audit_entries: { seq: number; leaf: string };
  audit_tiles: { level: number; tile_index: number; hashes: Buffer };

  people: {
    project_id: string;
    id: string;
    name: string;
    /** Space separated. */
    roles: string;
    /** `invited`, `active`, `removed`. */
    status: string;
    version: number;
    created_at: string;
    updated_at: string;
  };

  tokens: {
    project_id: string;
    id: string;
    name: string;
    person_id: string;
    roles: string;
    /** SHA-256 of the token, hex. */
    hash: string;
    expires_at: string | null;
    revoked_at: string | null;
    version: number;
    created_at: string;
    updated_at: string;
  };

  /** When a token was last used, to the minute; no row: never. Seen, so no event tells it. */
  token_uses: { project_id: string; token_id: string; used_at: string };

  login_links: {
    hash: string;
    project_id: string;
    person_id: string;
    expires_at: string;
    used_at: string | null;
    created_at: string;
  };

  sessions: {
    hash: string;
    project_id: string;
    person_id: string;
    /** Groups the rotations of one sign-in. */
    family: string;
    csrf: string;
    created_at: string;
    /** When this rotation was issued. */
    issued_at: string;
    seen_at: string;
    expires_at: string;
    /** Set when a newer rotation took over; a short grace keeps parallel requests alive. */
    replaced_at: string | null;
  };

  /** The lease of each job. `run_id`: of the run that holds it; null: it is free. */
  jobs: {
    name: string;
    /** Grows with each claim. */
    fence: number;
    /** The newest due time that was claimed. */
    due_at: string | null;
    run_id: string | null;
    /** Host and process that hold it, for people. */
    holder: string | null;
    lease_until: string | null;
  };

  job_runs: {
    id: string;
    job: string;
    fence: number;
    /** Null: started by somebody, not by the schedule. */
    due_at: string | null;
    /** Canonical JSON. */
    started_by: string;
    started_at: string;
    ended_at: string | null;
    outcome: string | null;
    result: string | null;
    log: string;
  };

  /** What the newest run of a kind found out about a destination. `subject`: name of the database in its destinations. */
  backup_facts: { subject: string; url: string; kind: string; at: string; value: string };

  /** Signed evidence of drills. `digest`: SHA-256 of `evidence`, hex. */
  drills: {
    id: string;
    subject: string;
    url: string;
    outcome: string;
    at: string;
    digest: string;
    evidence: string;
  };
}

export type Engine = 'sqlite' | 'postgres';

/** Tables with a gap-free `seq` that only the write transaction assigns. */
export type SequencedTable = 'events' | 'audit_entries';
