import { z } from 'zod';
import { isOverdue } from '../../jobs/ages.ts';
import { publicBackups, publicDrills, restoreBadge } from '../../jobs/public-status.ts';
import type { JobRun, JobSummary } from '../../jobs/types.ts';
import { badgeSvg } from '../badge.ts';
import { sendJson } from '../operation.ts';
import { operation } from './context.ts';
import { cursor, limit, madeId } from './schemas/fields.ts';
import * as schemas from './schemas/operations.ts';

/** Backups, drills, and the jobs that make them: for monitors, people and scripts. */

const PUBLIC = { tag: 'Operations', access: 'public' } as const;
const READ = { tag: 'Operations', access: 'factory.operations.read' } as const;
const RUN = { tag: 'Operations', access: 'factory.operations.run' } as const;
const DEFAULT_PAGE = 50;
const HISTORY = 30;
const DEPLOYS = 30;
/** A monitor that asks sooner learns nothing new: the fastest job runs once a minute. */
const RETRY_SECONDS = 60;

const OVERDUE =
  '503 when there is none, when the newest is older than the budget, and when it is known to fail: any HTTP monitor ' +
  'can watch it.';

const backupHealth = operation({
  ...{ method: 'get', path: '/api/health/backups', id: 'showBackupHealth', ...PUBLIC },
  summary: 'Whether the newest verified backup is young enough',
  description: OVERDUE,
  responses: {
    200: { description: 'It is.', schema: schemas.publicBackups },
    503: { description: 'It is not.', schema: schemas.publicBackups },
  },
  async handle({ res }, { operations, clock }) {
    const status = await operations.backups();
    const overdue = isOverdue(status);
    if (overdue) res.set('Retry-After', String(RETRY_SECONDS));
    sendJson(res, overdue ? 503 : 200, publicBackups(status, clock.now()));
  },
});

const drillHealth = operation({
  ...{ method: 'get', path: '/api/health/drills', id: 'showDrillHealth', ...PUBLIC },
  summary: 'Whether the last drill that passed is young enough',
  description: OVERDUE,
  responses: {
    200: { description: 'It is.', schema: schemas.publicDrills },
    503: { description: 'It is not.', schema: schemas.publicDrills },
  },
  async handle({ res }, { operations }) {
    const status = await operations.drills();
    const overdue = isOverdue(status);
    if (overdue) res.set('Retry-After', String(RETRY_SECONDS));
    sendJson(res, overdue ? 503 : 200, publicDrills(status));
  },
});

const badge = operation({
  ...{ method: 'get', path: '/api/badge/restore.svg', id: 'showRestoreBadge', ...PUBLIC },
  summary: 'When a backup was last restored, as a picture for a README',
  responses: { 200: { description: 'SVG.', schema: z.string(), contentType: 'image/svg+xml' } },
  async handle({ res }, { operations, clock }) {
    const text = restoreBadge(await operations.drills(), clock.now());
    // Other sites may show it: that is what it is for.
    res
      .status(200)
      .set({
        'Content-Type': 'image/svg+xml',
        'Cache-Control': 'public, max-age=60',
        'Cross-Origin-Resource-Policy': 'cross-origin',
      })
      .end(badgeSvg(text));
  },
});

const showStatus = operation({
  ...{ method: 'get', path: '/api/operations/status', id: 'showOperations', ...READ },
  summary: 'Everything that the Operations page shows: backups, drills, deploys, jobs',
  responses: { 200: { description: 'The status.', schema: schemas.status } },
  async handle({ res }, { operations }) {
    const [backups, drills, drillHistory, deploys, jobs] = await Promise.all([
      operations.backups(),
      operations.drills(),
      operations.drillHistory(HISTORY),
      operations.deploys(DEPLOYS),
      operations.jobs(),
    ]);
    sendJson(res, 200, {
      backups,
      drills,
      drillHistory,
      deploys: deploys.deploys,
      jobs: jobs.map(jobDocument),
    });
  },
});

const listJobs = operation({
  ...{ method: 'get', path: '/api/operations/jobs', id: 'listJobs', ...READ },
  summary: 'List the jobs with their schedules, next times and last runs',
  responses: { 200: { description: 'The jobs.', schema: schemas.jobs } },
  async handle({ res }, { operations }) {
    sendJson(res, 200, { jobs: (await operations.jobs()).map(jobDocument) });
  },
});

const listRuns = operation({
  ...{ method: 'get', path: '/api/operations/runs', id: 'listRuns', ...READ },
  summary: 'List runs of jobs, newest first',
  query: z.strictObject({ job: schemas.jobName.optional(), cursor, limit }),
  responses: { 200: { description: 'A page of runs, without their logs.', schema: schemas.runs } },
  async handle({ res, query }, { operations }) {
    const { job, cursor: after, limit = DEFAULT_PAGE } = query;
    const { runs, nextCursor } = await operations.runs({
      ...{ limit },
      ...(job ? { job } : {}),
      ...(after ? { cursor: after } : {}),
    });
    sendJson(res, 200, { runs: runs.map(runSummary), nextCursor });
  },
});

const showRun = operation({
  ...{ method: 'get', path: '/api/operations/runs/{id}', id: 'showRun', ...READ },
  summary: 'One run, with its result and its log',
  params: z.strictObject({ id: madeId }),
  responses: { 200: { description: 'The run.', schema: schemas.run } },
  async handle({ res, params }, { operations }) {
    sendJson(res, 200, await operations.run(params.id));
  },
});

const byName = z.strictObject({ name: schemas.jobName });

const planJob = operation({
  ...{ method: 'post', path: '/api/operations/jobs/{name}/plan', id: 'planJob', ...RUN },
  summary: 'What a run started now would do; changes nothing',
  params: byName,
  responses: { 200: { description: 'The plan.', schema: schemas.plan } },
  async handle({ res, params }, { operations }) {
    sendJson(res, 200, await operations.plan(params.name));
  },
});

const startJob = operation({
  ...{ method: 'post', path: '/api/operations/jobs/{name}/runs', id: 'startJob', ...RUN },
  summary: 'Start a job as its plan says',
  description: '409 when the plan is not the present one any more, and while the job runs or is paused.',
  params: byName,
  body: schemas.startRequest,
  responses: {
    202: {
      description: 'It runs in the background.',
      schema: schemas.started,
      links: { showRun: { id: '/runId' } },
    },
  },
  problems: [409],
  async handle({ res, params, body, principal }, context) {
    const { kind, id } = principal;
    sendJson(res, 202, await context.startJob({ kind, id }, params.name, body.digest));
  },
});

function runSummary({ id, job, fence, dueAt, startedBy, startedAt, endedAt, outcome }: JobRun) {
  return { id, job, fence, dueAt, startedBy, startedAt, endedAt, outcome };
}

function jobDocument({ running, last, ...job }: JobSummary) {
  return { ...job, running: running && runSummary(running), last: last && runSummary(last) };
}

export const operationsOperations = [
  backupHealth,
  drillHealth,
  badge,
  showStatus,
  listJobs,
  listRuns,
  showRun,
  planJob,
  startJob,
];
