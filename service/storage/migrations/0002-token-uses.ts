import type { Migration } from '../migrate.ts';

/**
 * When each token was last used. A table of its own, so that a row of `tokens` stays what its events tell, and so that
 * an older release, which knows neither, works on beside this one.
 */
export const migration: Migration = {
  number: 2,
  name: 'token-uses',
  minReader: 1,
  up: () => [
    `create table token_uses (
      project_id text not null,
      token_id text not null,
      used_at text not null,
      primary key (project_id, token_id),
      foreign key (project_id, token_id) references tokens (project_id, id)
    )`,
  ],
};
