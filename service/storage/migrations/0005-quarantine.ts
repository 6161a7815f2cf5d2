import type { Migration } from '../migrate.ts';

/**
 * Where an original that is held back belongs, and why it is asked for. A release before this one holds nothing back; what
 * it deletes and leaves an original of, the sweep finds.
 */
export const migration: Migration = {
  number: 5,
  name: 'quarantine',
  minReader: 1,
  up: ({ integer }) => [
    `alter table chat_quarantine add column seq ${integer} not null default 0`,
    `alter table chat_quarantine add column reason text`,
    `alter table chat_quarantine drop column decided_by`,
    `create index chat_quarantine_by_session on chat_quarantine (session, seq)`,
  ],
};
