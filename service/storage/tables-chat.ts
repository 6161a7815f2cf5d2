import type { Generated } from 'kysely';

/** The tables of conversations; conventions as in `tables.ts`. `number`: the database's own name of a row, never given twice. */
export interface ChatTables {
  /** Who wrote, by kind and id; `person_id`: whose token it is. */
  chat_authors: {
    number: Generated<number>;
    project_id: string;
    kind: string;
    id: string;
    person_id: string;
  };

  /** Whom content is about. `lookup`: keyed digest of the name as it was given, which stays when the name is erased. */
  chat_subjects: {
    number: Generated<number>;
    project_id: string;
    id: string;
    lookup: string;
    /** `active`, `erasing`, `erased`. */
    state: string;
    created_at: string;
    erased_at: string | null;
    /** Sealed under the subject's key. */
    name: Buffer | null;
  };

  chat_sessions: {
    number: Generated<number>;
    project_id: string;
    id: string;
    subject: number;
    class: string;
    item_id: string | null;
    author: number;
    /** Who began it in the installation that it was imported from; null: `author` did. */
    foreign_author: number | null;
    /** Whose it is: the author's person. */
    person_id: string;
    /** Of `title`, as the keyring counts its keys. */
    key_id: number;
    /** Grows each time that something is sealed anew. */
    row_version: number;
    last_seq: number;
    /** Messages that are there. */
    messages: number;
    /** Of their content, as it was sent. */
    bytes: number;
    version: number;
    created_at: string;
    updated_at: string;
    /** In the bin since: not shown, purged later. */
    binned_at: string | null;
    deleted_at: string | null;
    /** `person`, `retention`, `erasure`; `import`: it is not there yet, see `import-stage.ts`. */
    deleted_by: string | null;
    title: Buffer | null;
  };

  /** `seq` is gap-free in its session; a message that is gone leaves its row without content. */
  chat_messages: {
    number: Generated<number>;
    session: number;
    seq: number;
    /** Null: erased. */
    subject: number | null;
    author: number;
    role: string;
    key_id: number;
    row_version: number;
    bytes: number;
    created_at: string;
    binned_at: string | null;
    /** Its outputs of tools are in the bin since. */
    tool_binned_at: string | null;
    deleted_at: string | null;
    deleted_by: string | null;
    /** Keyed digests of the idempotency key, and of what was sent with it. */
    idempotency: string | null;
    digest: string | null;
    /** What was found in it: rules and places, never text. */
    findings: string | null;
    /** Sealed parts; outputs of tools lie in `tool_output`, which has a retention of its own. */
    body: Buffer | null;
    tool_output: Buffer | null;
  };

  /** `blob`: name of the sealed file in the blob store. `message`: `seq` of the message that names it; null until then. */
  chat_attachments: {
    number: Generated<number>;
    session: number;
    message: number | null;
    id: string;
    subject: number;
    author: number;
    key_id: number;
    row_version: number;
    bytes: number;
    blob: string;
    created_at: string;
    binned_at: string | null;
    deleted_at: string | null;
    /** Sealed: file name, media type, SHA-256 of the content. */
    about: Buffer | null;
  };

  /** `kind`: `session`, `break-glass`. `session` null: all of them. `grantee`: id of a person, or `team`. */
  chat_grants: {
    project_id: string;
    id: string;
    session: number | null;
    kind: string;
    grantee: string;
    /** `requested`, `active`, `refused`, `revoked`. */
    state: string;
    requested_by: string;
    decided_by: string | null;
    starts_at: string;
    expires_at: string;
    reason: string;
    version: number;
    created_at: string;
    updated_at: string;
  };

  /** Holds what matches all that is set. */
  chat_holds: {
    project_id: string;
    id: string;
    subject: number | null;
    session: number | null;
    class: string | null;
    from_at: string | null;
    to_at: string | null;
    reason: string;
    placed_by: string;
    placed_at: string;
    released_by: string | null;
    released_at: string | null;
  };

  chat_policies: {
    project_id: string;
    class: string;
    document: string;
    version: number;
    created_at: string;
    updated_at: string;
  };

  /** Retention plans and what their runs did. */
  chat_plans: {
    project_id: string;
    id: string;
    digest: string;
    /** `planned`, `applying`, `applied`, `undone`. */
    state: string;
    created_by: string;
    created_at: string;
    applied_at: string | null;
    /** How far its run is, and its signed record. */
    progress: string;
    document: string;
  };

  chat_erasures: {
    project_id: string;
    id: string;
    subject: number;
    /** `running`, `partial-held`, `done`. */
    state: string;
    requested_by: string;
    requested_at: string;
    finished_at: string | null;
    reason: string;
    /** What went so far, by class. */
    document: string;
    /** Signed. */
    certificate: string | null;
  };

  chat_quarantine: {
    project_id: string;
    id: string;
    session: number;
    subject: number;
    author: number;
    key_id: number;
    row_version: number;
    /** `waiting`, `approved` (by one of two). What was decided is here no more. */
    state: string;
    /** Id of the person. */
    approved_by: string | null;
    created_at: string;
    updated_at: string;
    findings: string;
    /** The original, sealed under a key of its own. */
    body: Buffer | null;
    /** Place of the message that stands for it; 0: the title. */
    seq: Generated<number>;
    /** Why it is to be released. */
    reason: Generated<string | null>;
  };

  /** What a subject or a session used in a period, while quotas are on. */
  chat_usage: { project_id: string; scope: string; period: string; messages: number; bytes: number };

  /** Copy of the erasure journal as far as this database has carried it out. */
  chat_journal: { seq: number; at: string; entry: string };
}
