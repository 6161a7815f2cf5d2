import { hostname } from 'node:os';
import { asFactoryError, FactoryError } from '../service/errors.ts';
import { OWN_NAME, readFacts } from '../service/jobs/facts.ts';
import { databaseBytes, jobsOf } from '../service/jobs/jobs.ts';
import { claim, finish, heartbeat, heldRun, HEARTBEAT_MS } from '../service/jobs/leases.ts';
import type { Claim } from '../service/jobs/leases.ts';
import { insertEnded, runById } from '../service/jobs/runs.ts';
import type { RunEnd } from '../service/jobs/runs.ts';
import { jobSummaries } from '../service/jobs/summaries.ts';
import type { JobName, JobRun, JobSummary } from '../service/jobs/types.ts';
import type { Config } from '../service/config.ts';
import { openAsItIs } from '../service/storage/open.ts';
import type { Storage } from '../service/storage/transaction.ts';
import { assertData } from './lib/data.ts';
import { GIVEN_UP } from './lib/destinations/open.ts';
import { table } from './lib/layout.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, ExitCode, Given, Run, RunKeeper, VerbContext } from './lib/verb.ts';

/** What a job is on the command line. */
const VERB_OF: Record<Exclude<JobName, 'prune'>, { path: string; flags: string[] }> = {
  backup: { path: 'backup', flags: ['full'] },
  differential: { path: 'backup', flags: [] },
  verify: { path: 'backups verify', flags: ['all', 'restore-each'] },
  // Of several destinations the next one each time: a night's drill says nothing of the others.
  drill: { path: 'drill', flags: ['next'] },
};

export const list: Run = async (context) => {
  const config = readConfig(context);
  return withDatabase(config, async (storage) => {
    const now = Date.now();
    const jobs = await jobSummaries(storage.read, {
      config,
      databaseBytes: databaseBytes(config),
      since: now,
      now,
    });
    const rows = jobs.map((job) => [
      job.name,
      job.schedule,
      job.paused ? 'paused' : (job.nextAt ?? '-'),
      lastText(job),
    ]);
    return { json: { jobs }, text: table(['JOB', 'SCHEDULE', 'NEXT', 'LAST RUN'], rows) };
  });
};

function lastText({ running, last }: JobSummary): string {
  if (running) return `running since ${running.startedAt}`;
  return last ? `${last.outcome ?? ''}, ${last.endedAt ?? ''}` : 'never';
}

/** Does a job under its lease, and the look at what was sent that belongs to it. */
export const run: Run = async (context, given) => {
  const config = readConfig(context);
  const name = given.arguments[0] as JobName;
  return withDatabase(config, async (storage) => {
    const held = await heldFor(storage, config, name, given.text('claim'));
    const beat = setInterval(() => {
      // Whoever lost it is told when the run ends.
      heartbeat(storage, held, Date.now()).catch(() => undefined);
    }, HEARTBEAT_MS);
    try {
      const exit = await workOf(context, storage, held);
      const ended = await runById(storage.read, held.runId);
      return { json: ended, text: runText(ended, exit), exit };
    } finally {
      clearInterval(beat);
    }
  });
};

async function heldFor(
  storage: Storage,
  config: Config,
  job: JobName,
  claimed: string | undefined,
): Promise<Claim> {
  if (claimed !== undefined) return heldRun(storage.read, claimed);
  const why = jobsOf(config, null).find(({ name }) => name === job)?.elsewhere ?? null;
  if (why !== null) throw elsewhere(job, why);
  const startedBy = { kind: 'command-line' as const, id: null };
  const holder = `${hostname()} process ${process.pid}`;
  return claim(storage, { job, dueAt: null, startedBy, holder, now: Date.now() });
}

/** The verb's work, recorded as the run that was claimed; what it threw is in there, too. */
async function workOf(context: VerbContext, storage: Storage, held: Claim): Promise<ExitCode> {
  let end: RunEnd | null = null;
  const keep: RunKeeper = async (_, ended) => {
    end = ended;
    await finish(storage, held, ended);
  };
  let exit: ExitCode = EXIT.done;
  try {
    const work = await workFor(context, held.job);
    const answer = await work({ ...context, keep });
    exit = answer?.exit ?? EXIT.done;
    if (end === null) await finish(storage, held, endOf('ok', answer?.json));
    if (sentSomething(held.job, answer) || (await leftUnread(storage, held.job, answer)))
      exit = worse(exit, await verifyNewest({ ...context, givenUp: givenUpIn(answer) }, storage, held));
  } catch (thrown) {
    const error = asFactoryError(thrown, `run ${held.job}`);
    context.say(`${error.message}\n  ${error.hint}`);
    if (end === null) await finish(storage, held, endOf('failed', { error: error.toJSON() }));
    exit = EXIT.failed;
  }
  return exit;
}

const endOf = (outcome: 'ok' | 'failed', result: unknown): RunEnd => ({
  ...{ outcome, endedAt: new Date().toISOString(), result, log: '' },
});

async function workFor(
  { verbs }: VerbContext,
  job: JobName,
): Promise<(context: VerbContext) => Promise<Answer | null>> {
  if (job === 'prune') {
    const { pruneJob } = await import('./prune.ts');
    return (context) => pruneJob(context, typed([]));
  }
  const { path, flags } = VERB_OF[job];
  const verb = verbs.find((one) => one.path === path);
  if (verb === undefined) throw elsewhere(job, `This release has no verb ${path}.`);
  const work = await verb.load();
  return (context) => work(context, typed(flags));
}

/** A verb's options as if they had been typed. */
function typed(flags: readonly string[]): Given {
  return { arguments: [], text: () => undefined, flag: (name) => flags.includes(name), list: () => [] };
}

/** Only what was read again counts as a backup. */
function sentSomething(job: JobName, answer: Answer | null): boolean {
  if (job !== 'backup' && job !== 'differential') return false;
  return (answer?.json as { kind?: string } | undefined)?.kind !== 'skipped' && answer?.exit !== EXIT.failed;
}

/** What a run before could not read again, is read now; a look that was going on meanwhile may have missed it, too. */
async function leftUnread(storage: Storage, job: JobName, answer: Answer | null): Promise<boolean> {
  if ((job !== 'backup' && job !== 'differential') || answer?.exit === EXIT.failed) return false;
  const facts = [...(await readFacts(storage.read, OWN_NAME)).values()];
  return facts.some(({ covered, newest, verified }) => {
    const { backupId } = covered ?? {};
    return backupId !== undefined && (verified?.backupId !== backupId || newest?.backupId !== backupId);
  });
}

/** What the backup has waited for in vain; the verification after it need not. */
function givenUpIn(answer: Answer | null): Map<string, FactoryError> {
  const { destinations = [] } = (answer?.json ?? {}) as { destinations?: SentDocument[] };
  return new Map(
    destinations.flatMap(({ url, error }) =>
      error && GIVEN_UP.has(error.code)
        ? [[url, new FactoryError({ ...error, op: 'read catalog', target: url })] as const]
        : [],
    ),
  );
}

interface SentDocument {
  url: string;
  error?: { code: string; message: string; hint: string };
}

async function verifyNewest(context: VerbContext, storage: Storage, held: Claim): Promise<ExitCode> {
  const { startedBy } = await runById(storage.read, held.runId);
  const keep: RunKeeper = async (_, ended) => void (await insertEnded(storage, { ...ended, startedBy }));
  const { RESTORE_EACH, verify } = await import('./backups.ts');
  return (await verify({ ...context, keep }, typed([RESTORE_EACH])))?.exit ?? EXIT.done;
}

function worse(one: ExitCode, other: ExitCode): ExitCode {
  if (one === EXIT.failed || other === EXIT.failed) return EXIT.failed;
  return one === EXIT.done ? other : one;
}

function runText({ id, job, outcome, startedAt, endedAt }: JobRun, exit: ExitCode): string {
  // Sent whole, and not well where it was read again.
  const after =
    outcome === 'ok' && exit !== EXIT.done ? ', but what was verified after it is not all well' : '';
  return `${job}: ${outcome ?? 'running'}${after}, from ${startedAt} to ${endedAt ?? 'now'}. Run ${id}.`;
}

async function withDatabase<T>(config: Config, work: (storage: Storage) => Promise<T>): Promise<T> {
  assertData(config);
  const storage = await openAsItIs(config.databaseUrl);
  if (storage === null) throw older();
  try {
    return await work(storage);
  } finally {
    await storage.close();
  }
}

function older(): FactoryError {
  return new FactoryError({
    ...{ code: 'database-older', op: 'run job' },
    message: 'An older release made this database, and it knows no jobs.',
    hint: 'Start the service of this release once; `npx factory backup` makes a backup before that.',
  });
}

function elsewhere(target: JobName, message: string): FactoryError {
  return new FactoryError({
    ...{ code: 'job-elsewhere', op: 'run job', target, message },
    hint: '`npx factory jobs list` shows what runs here.',
  });
}
