import express, { type Request, type Response } from 'express';
import { FactoryError } from '../../../errors.ts';
import { nightsOf } from '../../../jobs/nights.ts';
import {
  JOB_NAMES,
  type JobName,
  type JobPlan,
  type JobRun,
  type OperationsPort,
} from '../../../jobs/types.ts';
import { operationsPage, type OperationsPage } from '../views/operations.ts';
import { folded, runPage } from '../views/run.ts';
import { formOf, isCode, principalOf, textOf, type Pages } from './render.ts';

const READ = 'factory.operations.read';
const RUN = 'factory.operations.run';
const PAGE = 25;
/** Read for one page at most. */
const MOST_RUNS = 500;
/** A run a night, and some that were started by hand. */
const NIGHTS = 100;
const DRILLS = 30;
const DEPLOYS = 10;
/** Why a report is not accepted: it is shown as it is now. */
const NOT_ACCEPTED = ['report-outdated', 'restore-not-paused'];
const REFUSALS = ['plan-outdated', 'job-running', 'job-paused'];

/** `/operations`: backups, drills, jobs and their runs; a job is started after its plan was shown, and a restore accepted after
 * its report was. */
export function operationsPages(pages: Pages): express.Router {
  const { context, view, send, permitted } = pages;
  const { operations } = context;
  const router = express.Router();

  async function show(
    request: Request,
    response: Response,
    shown: Partial<Pick<OperationsPage, 'plan' | 'report' | 'refusal'>> = {},
    status = 200,
  ): Promise<void> {
    const page = {
      ...(await gather(pages, request, response)),
      plan: null,
      report: null,
      refusal: null,
      ...shown,
    };
    const running = page.jobs.some((job) => job.running !== null);
    const body = operationsPage(view(response.locals), page);
    send(response, { title: 'Operations', place: 'operations', body, inPlace: running }, status);
  }

  router.use('/operations', async (_request, response, next) => {
    await permitted(response, READ, 'read operations');
    next();
  });

  router.get('/operations', (request, response) => show(request, response));

  router.get('/operations/runs/:id', async (request, response) => {
    const run = await operations.run(request.params.id);
    const body = runPage(view(response.locals), run, await namesOf(pages));
    const title = `Run of ${run.job}`;
    send(response, { title, place: 'operations', body, inPlace: run.endedAt === null });
  });

  router.post('/operations/jobs/:name', async (request, response) => {
    const { kind, id } = await permitted(response, RUN, 'start job');
    const job = jobOf(request.params.name);
    const { step, digest = '' } = formOf(request);
    if (step !== 'apply') return show(request, response, { plan: await operations.plan(job) });
    try {
      const { runId } = await context.startJob({ kind, id }, job, digest);
      response.redirect(303, `/operations/runs/${runId}`);
    } catch (error) {
      if (!REFUSALS.some((code) => isCode(error, code))) throw error;
      const { message, hint } = error as FactoryError;
      const plan: JobPlan = await operations.plan(job);
      await show(request, response, { plan, refusal: { message, hint } }, 409);
    }
  });
  router.post('/operations/restore', async (request, response) => {
    const { kind, id } = await permitted(response, RUN, 'accept restore');
    const { step, digest = '' } = formOf(request);
    if (step !== 'apply') return show(request, response, { report: await operations.driftReport() });
    try {
      await context.acceptRestore({ kind, id }, digest);
      response.redirect(303, '/operations?accepted=true');
    } catch (error) {
      if (!NOT_ACCEPTED.some((code) => isCode(error, code))) throw error;
      const { message, hint } = error as FactoryError;
      await show(
        request,
        response,
        { report: await operations.driftReport(), refusal: { message, hint } },
        409,
      );
    }
  });
  router.get('/operations/restore', (_request, response) => response.redirect(303, '/operations'));
  router.get('/operations/jobs/:name', (_request, response) => response.redirect(303, '/operations'));

  return router;
}

/** Everything that the page shows, at once. */
async function gather(
  pages: Pages,
  request: Request,
  response: Response,
): Promise<Omit<OperationsPage, 'plan' | 'report' | 'refusal'>> {
  const { operations, clock } = pages.context;
  const [job, cursor] = [textOf(request.query['job']), textOf(request.query['cursor'])];
  const chosen = JOB_NAMES.find((name) => name === job) ?? null;
  const [backups, drills, history, deploys, jobs, nightly, page, names, restored] = await Promise.all([
    operations.backups(),
    operations.drills(),
    operations.drillHistory(DRILLS),
    operations.deploys(DEPLOYS),
    operations.jobs(),
    operations.runs({ job: 'backup', limit: NIGHTS }),
    pageOfRuns(operations, chosen, cursor),
    namesOf(pages),
    operations.restored(),
  ]);
  return {
    ...{ backups, drills, history, deploys, jobs, names, restored },
    nights: nightsOf(nightly.runs, clock.now()),
    ...{ runs: page.runs, nextCursor: page.nextCursor, job: chosen },
    accepted: restored?.open === false && textOf(request.query['accepted']) !== '',
    mayRun: principalOf(response).permissions.has(RUN),
  };
}

/** Enough for a page when routine runs are folded, so that the night's is not behind a hundred differentials. */
async function pageOfRuns(
  operations: OperationsPort,
  job: JobName | null,
  from: string | undefined,
): Promise<{ runs: JobRun[]; nextCursor: string | null }> {
  const runs: JobRun[] = [];
  let cursor = from;
  do {
    const page = await operations.runs({
      ...{ limit: PAGE },
      ...(job ? { job } : {}),
      ...(cursor ? { cursor } : {}),
    });
    runs.push(...page.runs);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined && job === null && folded(runs).length < PAGE && runs.length < MOST_RUNS);
  return { runs, nextCursor: cursor ?? null };
}

/** Of people and their tokens, by id: runs say by whom they were started. */
async function namesOf({ context }: Pages): Promise<ReadonlyMap<string, string>> {
  const people = await context.people.list();
  return new Map(
    people.flatMap(({ id, name, tokens }) => [
      [id, name] as const,
      ...tokens.map((token) => [token.id, token.name] as const),
    ]),
  );
}

function jobOf(name: string | undefined): JobName {
  const job = JOB_NAMES.find((one) => one === name);
  if (job) return job;
  throw new FactoryError({
    code: 'not-found',
    op: 'find job',
    message: 'There is no such job.',
    hint: 'The Operations page lists all of them.',
  });
}
