audit_entries
  seq bigint not null
  leaf text not null
  PRIMARY KEY (seq)

audit_tiles
  level bigint not null
  tile_index bigint not null
  hashes bytea not null
  PRIMARY KEY (level, tile_index)

backup_facts
  subject text not null
  url text not null
  kind text not null
  at text not null
  value text not null
  PRIMARY KEY (subject, url, kind)

chat_attachments
  number bigint not null
  session bigint not null
  message bigint
  id text not null
  subject bigint not null
  author bigint not null
  key_id bigint not null
  row_version bigint not null
  bytes bigint not null
  blob text not null
  created_at text not null
  binned_at text
  deleted_at text
  about bytea
  UNIQUE (id)
  PRIMARY KEY (number)
  FOREIGN KEY (author) REFERENCES chat_authors(number)
  FOREIGN KEY (session) REFERENCES chat_sessions(number)
  FOREIGN KEY (subject) REFERENCES chat_subjects(number)

chat_authors
  number bigint not null
  project_id text not null
  kind text not null
  id text not null
  person_id text not null
  UNIQUE (project_id, kind, id)
  PRIMARY KEY (number)

chat_erasures
  project_id text not null
  id text not null
  subject bigint not null
  state text not null
  requested_by text not null
  requested_at text not null
  finished_at text
  reason text not null
  document text not null
  certificate text
  PRIMARY KEY (project_id, id)
  FOREIGN KEY (subject) REFERENCES chat_subjects(number)

chat_grants
  project_id text not null
  id text not null
  session bigint
  kind text not null
  grantee text not null
  state text not null
  requested_by text not null
  decided_by text
  starts_at text not null
  expires_at text not null
  reason text not null
  version bigint not null
  created_at text not null
  updated_at text not null
  PRIMARY KEY (project_id, id)

chat_holds
  project_id text not null
  id text not null
  subject bigint
  session bigint
  class text
  from_at text
  to_at text
  reason text not null
  placed_by text not null
  placed_at text not null
  released_by text
  released_at text
  PRIMARY KEY (project_id, id)

chat_journal
  seq bigint not null
  at text not null
  entry text not null
  PRIMARY KEY (seq)

chat_messages
  number bigint not null
  session bigint not null
  seq bigint not null
  subject bigint
  author bigint not null
  role text not null
  key_id bigint not null
  row_version bigint not null
  bytes bigint not null
  created_at text not null
  binned_at text
  tool_binned_at text
  deleted_at text
  deleted_by text
  idempotency text
  digest text
  findings text
  body bytea
  tool_output bytea
  PRIMARY KEY (number)
  FOREIGN KEY (author) REFERENCES chat_authors(number)
  FOREIGN KEY (session) REFERENCES chat_sessions(number)
  FOREIGN KEY (subject) REFERENCES chat_subjects(number)

chat_plans
  project_id text not null
  id text not null
  digest text not null
  state text not null
  created_by text not null
  created_at text not null
  applied_at text
  progress text not null
  document text not null
  PRIMARY KEY (project_id, id)

chat_policies
  project_id text not null
  class text not null
  document text not null
  version bigint not null
  created_at text not null
  updated_at text not null
  PRIMARY KEY (project_id, class)

chat_quarantine
  project_id text not null
  id text not null
  session bigint not null
  subject bigint not null
  author bigint not null
  key_id bigint not null
  row_version bigint not null
  state text not null
  approved_by text
  created_at text not null
  updated_at text not null
  findings text not null
  body bytea
  seq bigint not null
  reason text
  PRIMARY KEY (project_id, id)
  FOREIGN KEY (author) REFERENCES chat_authors(number)
  FOREIGN KEY (session) REFERENCES chat_sessions(number)
  FOREIGN KEY (subject) REFERENCES chat_subjects(number)

chat_sessions
  number bigint not null
  project_id text not null
  id text not null
  subject bigint not null
  class text not null
  item_id text
  author bigint not null
  foreign_author bigint
  person_id text not null
  key_id bigint not null
  row_version bigint not null
  last_seq bigint not null
  messages bigint not null
  bytes bigint not null
  version bigint not null
  created_at text not null
  updated_at text not null
  binned_at text
  deleted_at text
  deleted_by text
  title bytea
  UNIQUE (id)
  PRIMARY KEY (number)
  FOREIGN KEY (author) REFERENCES chat_authors(number)
  FOREIGN KEY (foreign_author) REFERENCES chat_authors(number)
  FOREIGN KEY (subject) REFERENCES chat_subjects(number)

chat_subjects
  number bigint not null
  project_id text not null
  id text not null
  lookup text not null
  state text not null
  created_at text not null
  erased_at text
  name bytea
  UNIQUE (id)
  UNIQUE (project_id, lookup)
  PRIMARY KEY (number)

chat_usage
  project_id text not null
  scope text not null
  period text not null
  messages bigint not null
  bytes bigint not null
  PRIMARY KEY (project_id, scope, period)

decisions
  id text not null
  project_id text not null
  item_id text not null
  identity text not null
  principal text not null
  outcome text not null
  commitment text not null
  at text not null
  item_seq bigint not null
  body text not null
  PRIMARY KEY (id)

drills
  id text not null
  subject text not null
  url text not null
  outcome text not null
  at text not null
  digest text not null
  evidence text not null
  UNIQUE (digest)
  PRIMARY KEY (id)

events
  seq bigint not null
  project_id text not null
  stream text not null
  stream_id text not null
  version bigint not null
  type text not null
  payload text not null
  actor text not null
  at text not null
  PRIMARY KEY (seq)

history_snapshots
  seq bigint not null
  project_id text not null
  item_id text not null
  digest text not null
  created_at text not null
  content text not null
  PRIMARY KEY (seq)

idempotency_keys
  project_id text not null
  scope text not null
  key text not null
  digest text not null
  response text not null
  created_at text not null
  PRIMARY KEY (project_id, scope, key)

job_runs
  id text not null
  job text not null
  fence bigint not null
  due_at text
  started_by text not null
  started_at text not null
  ended_at text
  outcome text
  result text
  log text not null
  PRIMARY KEY (id)

jobs
  name text not null
  fence bigint not null
  due_at text
  run_id text
  holder text
  lease_until text
  PRIMARY KEY (name)

login_links
  hash text not null
  project_id text not null
  person_id text not null
  expires_at text not null
  used_at text
  created_at text not null
  PRIMARY KEY (hash)
  FOREIGN KEY (project_id, person_id) REFERENCES people(project_id, id)

meta
  key text not null
  value text not null
  PRIMARY KEY (key)

observations
  project_id text not null
  item_id text not null
  value text not null
  stamps text not null
  observed_at text not null
  PRIMARY KEY (project_id, item_id)

outbox
  seq bigint not null
  project_id text not null
  item_id text not null
  kind text not null
  payload text not null
  attempts bigint not null
  last_error text
  created_at text not null
  PRIMARY KEY (seq)

people
  project_id text not null
  id text not null
  name text not null
  roles text not null
  status text not null
  version bigint not null
  created_at text not null
  updated_at text not null
  PRIMARY KEY (project_id, id)

sessions
  hash text not null
  project_id text not null
  person_id text not null
  family text not null
  csrf text not null
  created_at text not null
  issued_at text not null
  seen_at text not null
  expires_at text not null
  replaced_at text
  PRIMARY KEY (hash)
  FOREIGN KEY (project_id, person_id) REFERENCES people(project_id, id)

token_uses
  project_id text not null
  token_id text not null
  used_at text not null
  PRIMARY KEY (project_id, token_id)
  FOREIGN KEY (project_id, token_id) REFERENCES tokens(project_id, id)

tokens
  project_id text not null
  id text not null
  name text not null
  person_id text not null
  roles text not null
  hash text not null
  expires_at text
  revoked_at text
  version bigint not null
  created_at text not null
  updated_at text not null
  UNIQUE (hash)
  PRIMARY KEY (project_id, id)
  FOREIGN KEY (project_id, person_id) REFERENCES people(project_id, id)

work_items
  project_id text not null
  id text not null
  lane text not null
  title text not null
  work_type text not null
  search text not null
  supersedes text
  handoff_state text
  holder_id text
  attention text
  attention_rank bigint
  changed_seq bigint not null
  version bigint not null
  created_at text not null
  updated_at text not null
  document text not null
  PRIMARY KEY (project_id, id)

CREATE INDEX chat_attachments_by_blob ON public.chat_attachments USING btree (blob)

CREATE INDEX chat_attachments_by_message ON public.chat_attachments USING btree (message) WHERE (message IS NOT NULL)

CREATE INDEX chat_attachments_by_session ON public.chat_attachments USING btree (session, number)

CREATE INDEX chat_attachments_by_subject ON public.chat_attachments USING btree (subject, number)

CREATE INDEX chat_grants_by_grantee ON public.chat_grants USING btree (project_id, grantee, session)

CREATE UNIQUE INDEX chat_messages_by_key ON public.chat_messages USING btree (session, idempotency) WHERE (idempotency IS NOT NULL)

CREATE UNIQUE INDEX chat_messages_by_session ON public.chat_messages USING btree (session, seq)

CREATE INDEX chat_messages_by_subject ON public.chat_messages USING btree (subject, number) WHERE (subject IS NOT NULL)

CREATE INDEX chat_quarantine_by_session ON public.chat_quarantine USING btree (session, seq)

CREATE INDEX chat_quarantine_by_subject ON public.chat_quarantine USING btree (subject)

CREATE INDEX chat_sessions_by_item ON public.chat_sessions USING btree (project_id, item_id, number) WHERE (item_id IS NOT NULL)

CREATE INDEX chat_sessions_by_person ON public.chat_sessions USING btree (project_id, person_id, number)

CREATE INDEX chat_sessions_by_subject ON public.chat_sessions USING btree (subject, number)

CREATE INDEX decisions_by_item ON public.decisions USING btree (project_id, item_id, item_seq, id)

CREATE INDEX drills_by_time ON public.drills USING btree (subject, at)

CREATE INDEX events_by_stream ON public.events USING btree (project_id, stream, stream_id, seq)

CREATE INDEX idempotency_keys_by_age ON public.idempotency_keys USING btree (created_at)

CREATE INDEX job_runs_by_time ON public.job_runs USING btree (job, started_at)

CREATE INDEX outbox_by_item ON public.outbox USING btree (project_id, item_id)

CREATE INDEX sessions_by_family ON public.sessions USING btree (family)

CREATE INDEX sessions_by_person ON public.sessions USING btree (project_id, person_id)

CREATE INDEX work_items_by_attention ON public.work_items USING btree (project_id, attention_rank, changed_seq) WHERE (attention_rank IS NOT NULL)

CREATE INDEX work_items_by_handoff ON public.work_items USING btree (project_id, handoff_state) WHERE (handoff_state IS NOT NULL)

CREATE INDEX work_items_by_lane ON public.work_items USING btree (project_id, lane, changed_seq)

CREATE INDEX work_items_by_supersedes ON public.work_items USING btree (project_id, supersedes) WHERE (supersedes IS NOT NULL)

CREATE INDEX work_items_by_work_type ON public.work_items USING btree (project_id, work_type)
