import type { Migration } from '../migrate.ts';

/**
 * Conversations. Content is sealed (`blob` columns); its keys lie in the keyring, outside of every database backup. `number`
 * is the database's own name of a row, in the order of its making and never given twice; ids are what the outside knows.
 * Large values stand last in their rows.
 */
export const migration: Migration = {
  number: 4,
  name: 'chat',
  minReader: 1,
  up: ({ integer, blob, number }) => [
    `create table chat_authors (
      number ${number},
      project_id text not null,
      kind text not null,
      id text not null,
      person_id text not null,
      unique (project_id, kind, id)
    )`,

    `create table chat_subjects (
      number ${number},
      project_id text not null,
      id text not null unique,
      lookup text not null,
      state text not null,
      created_at text not null,
      erased_at text,
      name ${blob},
      unique (project_id, lookup)
    )`,

    `create table chat_sessions (
      number ${number},
      project_id text not null,
      id text not null unique,
      subject ${integer} not null references chat_subjects (number),
      class text not null,
      item_id text,
      author ${integer} not null references chat_authors (number),
      foreign_author ${integer} references chat_authors (number),
      person_id text not null,
      key_id ${integer} not null,
      row_version ${integer} not null,
      last_seq ${integer} not null,
      messages ${integer} not null,
      bytes ${integer} not null,
      version ${integer} not null,
      created_at text not null,
      updated_at text not null,
      binned_at text,
      deleted_at text,
      deleted_by text,
      title ${blob}
    )`,
    `create index chat_sessions_by_person on chat_sessions (project_id, person_id, number)`,
    `create index chat_sessions_by_subject on chat_sessions (subject, number)`,
    `create index chat_sessions_by_item on chat_sessions (project_id, item_id, number) where item_id is not null`,

    `create table chat_messages (
      number ${number},
      session ${integer} not null references chat_sessions (number),
      seq ${integer} not null,
      subject ${integer} references chat_subjects (number),
      author ${integer} not null references chat_authors (number),
      role text not null,
      key_id ${integer} not null,
      row_version ${integer} not null,
      bytes ${integer} not null,
      created_at text not null,
      binned_at text,
      tool_binned_at text,
      deleted_at text,
      deleted_by text,
      idempotency text,
      digest text,
      findings text,
      body ${blob},
      tool_output ${blob}
    )`,
    `create unique index chat_messages_by_session on chat_messages (session, seq)`,
    `create unique index chat_messages_by_key on chat_messages (session, idempotency) where idempotency is not null`,
    `create index chat_messages_by_subject on chat_messages (subject, number) where subject is not null`,

    `create table chat_attachments (
      number ${number},
      session ${integer} not null references chat_sessions (number),
      message ${integer},
      id text not null unique,
      subject ${integer} not null references chat_subjects (number),
      author ${integer} not null references chat_authors (number),
      key_id ${integer} not null,
      row_version ${integer} not null,
      bytes ${integer} not null,
      blob text not null,
      created_at text not null,
      binned_at text,
      deleted_at text,
      about ${blob}
    )`,
    `create index chat_attachments_by_session on chat_attachments (session, number)`,
    `create index chat_attachments_by_message on chat_attachments (message) where message is not null`,
    `create index chat_attachments_by_subject on chat_attachments (subject, number)`,
    `create index chat_attachments_by_blob on chat_attachments (blob)`,

    `create table chat_grants (
      project_id text not null,
      id text not null,
      session ${integer},
      kind text not null,
      grantee text not null,
      state text not null,
      requested_by text not null,
      decided_by text,
      starts_at text not null,
      expires_at text not null,
      reason text not null,
      version ${integer} not null,
      created_at text not null,
      updated_at text not null,
      primary key (project_id, id)
    )`,
    `create index chat_grants_by_grantee on chat_grants (project_id, grantee, session)`,

    `create table chat_holds (
      project_id text not null,
      id text not null,
      subject ${integer},
      session ${integer},
      class text,
      from_at text,
      to_at text,
      reason text not null,
      placed_by text not null,
      placed_at text not null,
      released_by text,
      released_at text,
      primary key (project_id, id)
    )`,

    `create table chat_policies (
      project_id text not null,
      class text not null,
      document text not null,
      version ${integer} not null,
      created_at text not null,
      updated_at text not null,
      primary key (project_id, class)
    )`,

    `create table chat_plans (
      project_id text not null,
      id text not null,
      digest text not null,
      state text not null,
      created_by text not null,
      created_at text not null,
      applied_at text,
      progress text not null,
      document text not null,
      primary key (project_id, id)
    )`,

    `create table chat_erasures (
      project_id text not null,
      id text not null,
      subject ${integer} not null references chat_subjects (number),
      state text not null,
      requested_by text not null,
      requested_at text not null,
      finished_at text,
      reason text not null,
      document text not null,
      certificate text,
      primary key (project_id, id)
    )`,

    `create table chat_quarantine (
      project_id text not null,
      id text not null,
      session ${integer} not null references chat_sessions (number),
      subject ${integer} not null references chat_subjects (number),
      author ${integer} not null references chat_authors (number),
      key_id ${integer} not null,
      row_version ${integer} not null,
      state text not null,
      approved_by text,
      decided_by text,
      created_at text not null,
      updated_at text not null,
      findings text not null,
      body ${blob},
      primary key (project_id, id)
    )`,
    `create index chat_quarantine_by_subject on chat_quarantine (subject)`,

    `create table chat_usage (
      project_id text not null,
      scope text not null,
      period text not null,
      messages ${integer} not null,
      bytes ${integer} not null,
      primary key (project_id, scope, period)
    )`,

    `create table chat_journal (
      seq ${integer} primary key,
      at text not null,
      entry text not null
    )`,
  ],
};
