CREATE TABLE audit_entries (seq integer primary key, leaf text not null);

CREATE TABLE audit_tiles (
  level integer not null,
  tile_index integer not null,
  hashes blob not null,
  primary key (level, tile_index)
);

CREATE TABLE backup_facts (
  subject text not null,
  url text not null,
  kind text not null,
  at text not null,
  value text not null,
  primary key (subject, url, kind)
);

CREATE TABLE chat_attachments (
  number integer primary key autoincrement,
  session integer not null references chat_sessions (number),
  message integer,
  id text not null unique,
  subject integer not null references chat_subjects (number),
  author integer not null references chat_authors (number),
  key_id integer not null,
  row_version integer not null,
  bytes integer not null,
  blob text not null,
  created_at text not null,
  binned_at text,
  deleted_at text,
  about blob
);

CREATE TABLE chat_authors (
  number integer primary key autoincrement,
  project_id text not null,
  kind text not null,
  id text not null,
  person_id text not null,
  unique (project_id, kind, id)
);

CREATE TABLE chat_erasures (
  project_id text not null,
  id text not null,
  subject integer not null references chat_subjects (number),
  state text not null,
  requested_by text not null,
  requested_at text not null,
  finished_at text,
  reason text not null,
  document text not null,
  certificate text,
  primary key (project_id, id)
);

CREATE TABLE chat_grants (
  project_id text not null,
  id text not null,
  session integer,
  kind text not null,
  grantee text not null,
  state text not null,
  requested_by text not null,
  decided_by text,
  starts_at text not null,
  expires_at text not null,
  reason text not null,
  version integer not null,
  created_at text not null,
  updated_at text not null,
  primary key (project_id, id)
);

CREATE TABLE chat_holds (
  project_id text not null,
  id text not null,
  subject integer,
  session integer,
  class text,
  from_at text,
  to_at text,
  reason text not null,
  placed_by text not null,
  placed_at text not null,
  released_by text,
  released_at text,
  primary key (project_id, id)
);

CREATE TABLE chat_journal (
  seq integer primary key,
  at text not null,
  entry text not null
);

CREATE TABLE chat_messages (
  number integer primary key autoincrement,
  session integer not null references chat_sessions (number),
  seq integer not null,
  subject integer references chat_subjects (number),
  author integer not null references chat_authors (number),
  role text not null,
  key_id integer not null,
  row_version integer not null,
  bytes integer not null,
  created_at text not null,
  binned_at text,
  tool_binned_at text,
  deleted_at text,
  deleted_by text,
  idempotency text,
  digest text,
  findings text,
  body blob,
  tool_output blob
);

CREATE TABLE chat_plans (
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
);

CREATE TABLE chat_policies (
  project_id text not null,
  class text not null,
  document text not null,
  version integer not null,
  created_at text not null,
  updated_at text not null,
  primary key (project_id, class)
);

CREATE TABLE chat_quarantine (
  project_id text not null,
  id text not null,
  session integer not null references chat_sessions (number),
  subject integer not null references chat_subjects (number),
  author integer not null references chat_authors (number),
  key_id integer not null,
  row_version integer not null,
  state text not null,
  approved_by text,
  created_at text not null,
  updated_at text not null,
  findings text not null,
  body blob, seq integer not null default 0, reason text,
  primary key (project_id, id)
);

CREATE TABLE chat_sessions (
  number integer primary key autoincrement,
  project_id text not null,
  id text not null unique,
  subject integer not null references chat_subjects (number),
  class text not null,
  item_id text,
  author integer not null references chat_authors (number),
  foreign_author integer references chat_authors (number),
  person_id text not null,
  key_id integer not null,
  row_version integer not null,
  last_seq integer not null,
  messages integer not null,
  bytes integer not null,
  version integer not null,
  created_at text not null,
  updated_at text not null,
  binned_at text,
  deleted_at text,
  deleted_by text,
  title blob
);

CREATE TABLE chat_subjects (
  number integer primary key autoincrement,
  project_id text not null,
  id text not null unique,
  lookup text not null,
  state text not null,
  created_at text not null,
  erased_at text,
  name blob,
  unique (project_id, lookup)
);

CREATE TABLE chat_usage (
  project_id text not null,
  scope text not null,
  period text not null,
  messages integer not null,
  bytes integer not null,
  primary key (project_id, scope, period)
);

CREATE TABLE decisions (
  id text primary key,
  project_id text not null,
  item_id text not null,
  identity text not null,
  principal text not null,
  outcome text not null,
  commitment text not null,
  at text not null,
  item_seq integer not null,
  body text not null
);

CREATE TABLE drills (
  id text primary key,
  subject text not null,
  url text not null,
  outcome text not null,
  at text not null,
  digest text not null unique,
  evidence text not null
);

CREATE TABLE events (
  seq integer primary key,
  project_id text not null,
  stream text not null,
  stream_id text not null,
  version integer not null,
  type text not null,
  payload text not null,
  actor text not null,
  at text not null
);

CREATE TABLE history_snapshots (
  seq integer primary key,
  project_id text not null,
  item_id text not null,
  digest text not null,
  created_at text not null,
  content text not null
);

CREATE TABLE idempotency_keys (
  project_id text not null,
  scope text not null,
  key text not null,
  digest text not null,
  response text not null,
  created_at text not null,
  primary key (project_id, scope, key)
);

CREATE TABLE job_runs (
  id text primary key,
  job text not null,
  fence integer not null,
  due_at text,
  started_by text not null,
  started_at text not null,
  ended_at text,
  outcome text,
  result text,
  log text not null
);

CREATE TABLE jobs (
  name text primary key,
  fence integer not null,
  due_at text,
  run_id text,
  holder text,
  lease_until text
);

CREATE TABLE login_links (
  hash text primary key,
  project_id text not null,
  person_id text not null,
  expires_at text not null,
  used_at text,
  created_at text not null,
  foreign key (project_id, person_id) references people (project_id, id)
);

CREATE TABLE meta (key text primary key, value text not null);

CREATE TABLE observations (
  project_id text not null,
  item_id text not null,
  value text not null,
  stamps text not null,
  observed_at text not null,
  primary key (project_id, item_id)
);

CREATE TABLE outbox (
  seq integer primary key,
  project_id text not null,
  item_id text not null,
  kind text not null,
  payload text not null,
  attempts integer not null,
  last_error text,
  created_at text not null
);

CREATE TABLE people (
  project_id text not null,
  id text not null,
  name text not null,
  roles text not null,
  status text not null,
  version integer not null,
  created_at text not null,
  updated_at text not null,
  primary key (project_id, id)
);

CREATE TABLE sessions (
  hash text primary key,
  project_id text not null,
  person_id text not null,
  family text not null,
  csrf text not null,
  created_at text not null,
  issued_at text not null,
  seen_at text not null,
  expires_at text not null,
  replaced_at text,
  foreign key (project_id, person_id) references people (project_id, id)
);

CREATE TABLE token_uses (
  project_id text not null,
  token_id text not null,
  used_at text not null,
  primary key (project_id, token_id),
  foreign key (project_id, token_id) references tokens (project_id, id)
);

CREATE TABLE tokens (
  project_id text not null,
  id text not null,
  name text not null,
  person_id text not null,
  roles text not null,
  hash text not null unique,
  expires_at text,
  revoked_at text,
  version integer not null,
  created_at text not null,
  updated_at text not null,
  primary key (project_id, id),
  foreign key (project_id, person_id) references people (project_id, id)
);

CREATE TABLE work_items (
  project_id text not null,
  id text not null,
  lane text not null,
  title text not null,
  work_type text not null,
  search text not null,
  supersedes text,
  handoff_state text,
  holder_id text,
  attention text,
  attention_rank integer,
  changed_seq integer not null,
  version integer not null,
  created_at text not null,
  updated_at text not null,
  document text not null,
  primary key (project_id, id)
);

CREATE INDEX chat_attachments_by_blob on chat_attachments (blob);

CREATE INDEX chat_attachments_by_message on chat_attachments (message) where message is not null;

CREATE INDEX chat_attachments_by_session on chat_attachments (session, number);

CREATE INDEX chat_attachments_by_subject on chat_attachments (subject, number);

CREATE INDEX chat_grants_by_grantee on chat_grants (project_id, grantee, session);

CREATE UNIQUE INDEX chat_messages_by_key on chat_messages (session, idempotency) where idempotency is not null;

CREATE UNIQUE INDEX chat_messages_by_session on chat_messages (session, seq);

CREATE INDEX chat_messages_by_subject on chat_messages (subject, number) where subject is not null;

CREATE INDEX chat_quarantine_by_session on chat_quarantine (session, seq);

CREATE INDEX chat_quarantine_by_subject on chat_quarantine (subject);

CREATE INDEX chat_sessions_by_item on chat_sessions (project_id, item_id, number) where item_id is not null;

CREATE INDEX chat_sessions_by_person on chat_sessions (project_id, person_id, number);

CREATE INDEX chat_sessions_by_subject on chat_sessions (subject, number);

CREATE INDEX decisions_by_item on decisions (project_id, item_id, item_seq, id);

CREATE INDEX drills_by_time on drills (subject, at);

CREATE INDEX events_by_stream on events (project_id, stream, stream_id, seq);

CREATE INDEX idempotency_keys_by_age on idempotency_keys (created_at);

CREATE INDEX job_runs_by_time on job_runs (job, started_at);

CREATE INDEX outbox_by_item on outbox (project_id, item_id);

CREATE INDEX sessions_by_family on sessions (family);

CREATE INDEX sessions_by_person on sessions (project_id, person_id);

CREATE INDEX work_items_by_attention on work_items (project_id, attention_rank, changed_seq) where attention_rank is not null;

CREATE INDEX work_items_by_handoff on work_items (project_id, handoff_state) where handoff_state is not null;

CREATE INDEX work_items_by_lane on work_items (project_id, lane, changed_seq);

CREATE INDEX work_items_by_supersedes on work_items (project_id, supersedes) where supersedes is not null;

CREATE INDEX work_items_by_work_type on work_items (project_id, work_type);
