import type { Migration } from '../migrate.ts';

/**
 * Jobs with their leases and runs, and what runs found out about backups. Tables of their own that an older release does
 * not know: it works on beside this one.
 */
export const migration: Migration = {
  number: 3,
  name: 'jobs',
  minReader: 1,
  up: ({ integer }) => [
    `create table jobs (
      name text primary key,
      fence ${integer} not null,
      due_at text,
      run_id text,
      holder text,
      lease_until text
    )`,

    `create table job_runs (
      id text primary key,
      job text not null,
      fence ${integer} not null,
      due_at text,
      started_by text not null,
      started_at text not null,
      ended_at text,
      outcome text,
      result text,
      log text not null
    )`,
    `create index job_runs_by_time on job_runs (job, started_at)`,

    `create table backup_facts (
      subject text not null,
      url text not null,
      kind text not null,
      at text not null,
      value text not null,
      primary key (subject, url, kind)
    )`,

    `create table drills (
      id text primary key,
      subject text not null,
      url text not null,
      outcome text not null,
      at text not null,
      digest text not null unique,
      evidence text not null
    )`,
    `create index drills_by_time on drills (subject, at)`,
  ],
};
