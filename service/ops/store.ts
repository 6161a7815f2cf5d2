import { param, statement } from '../storage/statement.ts';

/** The queries of health and metrics. */

export const newestAuditEntry = statement()((db) =>
  db.selectFrom('audit_entries').select((row) => row.fn.max('seq').as('seq')),
);

export const outboxPending = statement<{ project_id: string }>()((db) =>
  db
    .selectFrom('outbox')
    .select((row) => row.fn.countAll<number>().as('count'))
    .where('project_id', '=', param('project_id')),
);

/** Ended runs of each job by outcome. */
export const runCounts = statement()((db) =>
  db
    .selectFrom('job_runs')
    .select((row) => ['job', 'outcome', row.fn.countAll<number>().as('count')])
    .where('outcome', 'is not', null)
    .groupBy(['job', 'outcome']),
);
