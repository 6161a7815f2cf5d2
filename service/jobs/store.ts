import { param, statement } from '../storage/statement.ts';
import type { Tables } from '../storage/tables.ts';

/** The queries of jobs, runs and facts. */

export const leases = {
  all: statement()((db) => db.selectFrom('jobs').selectAll().orderBy('name')),
  byName: statement<{ name: string }>()((db) =>
    db.selectFrom('jobs').selectAll().where('name', '=', param('name')),
  ),
  put: statement<Tables['jobs']>()((db) =>
    db
      .insertInto('jobs')
      .values({
        name: param('name'),
        fence: param<number>('fence'),
        due_at: param<string | null>('due_at'),
        run_id: param<string | null>('run_id'),
        holder: param<string | null>('holder'),
        lease_until: param<string | null>('lease_until'),
      })
      .onConflict((conflict) =>
        conflict.column('name').doUpdateSet((row) => ({
          fence: row.ref('excluded.fence'),
          due_at: row.ref('excluded.due_at'),
          run_id: row.ref('excluded.run_id'),
          holder: row.ref('excluded.holder'),
          lease_until: row.ref('excluded.lease_until'),
        })),
      ),
  ),
  /** Compare-and-set: whoever lost the lease changes nothing. */
  extend: statement<{ run_id: string; fence: number; lease_until: string }>()((db) =>
    db
      .updateTable('jobs')
      .set({ lease_until: param<string>('lease_until') })
      .where('run_id', '=', param('run_id'))
      .where('fence', '=', param('fence')),
  ),
  free: statement<{ run_id: string; fence: number }>()((db) =>
    db
      .updateTable('jobs')
      .set({ run_id: null, holder: null, lease_until: null })
      .where('run_id', '=', param('run_id'))
      .where('fence', '=', param('fence')),
  ),
};

export const runs = {
  insert: statement<Tables['job_runs']>()((db) =>
    db.insertInto('job_runs').values({
      id: param('id'),
      job: param('job'),
      fence: param<number>('fence'),
      due_at: param<string | null>('due_at'),
      started_by: param('started_by'),
      started_at: param('started_at'),
      ended_at: param<string | null>('ended_at'),
      outcome: param<string | null>('outcome'),
      result: param<string | null>('result'),
      log: param('log'),
    }),
  ),
  byId: statement<{ id: string }>()((db) =>
    db.selectFrom('job_runs').selectAll().where('id', '=', param('id')),
  ),
  last: statement<{ job: string }>()((db) =>
    db
      .selectFrom('job_runs')
      .selectAll()
      .where('job', '=', param('job'))
      .orderBy('started_at', 'desc')
      .orderBy('id', 'desc')
      .limit(1),
  ),
  /** How often a due time was tried, and how. */
  ofDue: statement<{ job: string; due_at: string }>()((db) =>
    db
      .selectFrom('job_runs')
      .select('outcome')
      .where('job', '=', param('job'))
      .where('due_at', '=', param('due_at')),
  ),
  /** A run ends once. */
  end: statement<{ id: string; ended_at: string; outcome: string; result: string | null; log: string }>()(
    (db) =>
      db
        .updateTable('job_runs')
        .set({
          ended_at: param<string>('ended_at'),
          outcome: param<string>('outcome'),
          result: param<string | null>('result'),
          log: param<string>('log'),
        })
        .where('id', '=', param('id'))
        .where('ended_at', 'is', null),
  ),
  lose: statement<{ id: string; ended_at: string }>()((db) =>
    db
      .updateTable('job_runs')
      .set({ ended_at: param<string>('ended_at'), outcome: 'lost' })
      .where('id', '=', param('id'))
      .where('ended_at', 'is', null),
  ),
  removeBefore: statement<{ before: string }>()((db) =>
    db.deleteFrom('job_runs').where('ended_at', '<', param<string>('before')),
  ),
};

export const facts = {
  of: statement<{ subject: string }>()((db) =>
    db.selectFrom('backup_facts').selectAll().where('subject', '=', param('subject')),
  ),
  put: statement<Tables['backup_facts']>()((db) =>
    db
      .insertInto('backup_facts')
      .values({
        subject: param('subject'),
        url: param('url'),
        kind: param('kind'),
        at: param<string>('at'),
        value: param<string>('value'),
      })
      .onConflict((conflict) =>
        conflict.columns(['subject', 'url', 'kind']).doUpdateSet((row) => ({
          at: row.ref('excluded.at'),
          value: row.ref('excluded.value'),
        })),
      ),
  ),
};

export const newest = {
  entry: statement()((db) => db.selectFrom('audit_entries').select((row) => row.fn.max('seq').as('seq'))),
  event: statement()((db) => db.selectFrom('events').select((row) => row.fn.max('seq').as('seq'))),
};
