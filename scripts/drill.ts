import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Config, Destination as Configured } from '../service/config.ts';
import { SYSTEM } from '../service/audit/events.ts';
import { asFactoryError } from '../service/errors.ts';
import { isPublicKey } from '../service/ed25519.ts';
import { makeFolder } from '../service/folders.ts';
import { DRILL_FORMAT, evidenceText, OWN_SUBJECT, signEvidence } from '../service/jobs/evidence.ts';
import type { Evidence, UnsignedEvidence } from '../service/jobs/evidence.ts';
import type { DrillOutcome } from '../service/jobs/types.ts';
import { openOffline } from '../service/offline.ts';
import { identitiesFor } from './lib/backup/keys.ts';
import { NAME } from './lib/backup/format.ts';
import { replaceFile } from './lib/backup/state.ts';
import { saveVerified } from './lib/backup/verified.ts';
import { createApi } from './lib/client.ts';
import { hasData } from './lib/data.ts';
import type { Access } from './lib/data.ts';
import { destinationsOf, openAll } from './lib/destinations/open.ts';
import { tryCanaries } from './lib/drill/canary.ts';
import { oneLine } from './lib/drill/findings.ts';
import type { Application, DrillJob, DrillResult } from './lib/drill/job.ts';
import { drillSigningKey, trustedSigners } from './lib/drill/keys.ts';
import { runDrill } from './lib/drill/run.ts';
import { inWorkplace } from './lib/drill/workplace.ts';
import type { Workplace } from './lib/drill/workplace.ts';
import { usage } from './lib/failure.ts';
import { fields, table } from './lib/layout.ts';
import { secondsOf } from './lib/options.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, Given, Run, VerbContext } from './lib/verb.ts';

const DEADLINE_MS = 4 * 60 * 60_000;
const BOOT_MS = 120_000;
const CANARY_EVERY_MS = 7 * 24 * 60 * 60_000;
/** A day, and time for what makes the backup. */
const AGE_ELSEWHERE_SECONDS = 26 * 60 * 60;
const LEAST_BUDGET_SECONDS = 15 * 60;
const INTERVAL_SECONDS = 300;

/** Restores the newest backup of a destination, and starts the application on it. */
export const drill: Run = async (context, given) => {
  const config = readConfig(context);
  const asked = await askedFor(config, context, given);
  const stop = stopper(asked.timeoutMs);
  try {
    const folder = join(config.dataDir, 'drills');
    const at = new Date().toISOString();
    const made = await inWorkplace(folder, context.say, (place) =>
      hold(asked, at, place, context, stop.signal),
    );
    const evidence = signEvidence(made.unsigned, drillSigningKey(config));
    const file = join(folder, `${at.replaceAll(/[-:.]/g, '')}.json`);
    makeFolder(folder, 0o700);
    replaceFile(file, `${evidenceText(evidence)}\n`);
    remember(config, asked, evidence, made.result);
    if (asked.live !== null) await within(config, ({ drills }) => drills.accept(SYSTEM, evidence));
    const reported = await report(asked, config, evidence, context);
    return answer(evidence, file, reported);
  } finally {
    stop.release();
  }
};

interface Asked {
  config: Config;
  isOwn: boolean;
  subject: string;
  from: Configured;
  application: Application | null;
  trusted: string[];
  live: DrillJob['live'];
  budgetSeconds: number;
  timeoutMs: number;
  canary: boolean;
  /** Null: where the configuration says where to. */
  report: boolean | null;
  identity: string | undefined;
}

async function askedFor(config: Config, context: VerbContext, given: Given): Promise<Asked> {
  const from = destinationsOf(config, 'drill', given.text('from'));
  const [first] = from;
  if (first === undefined) throw usage('drill', 'No destination is configured: name one with --from.');
  if (from.length > 1 && given.text('from') !== undefined)
    throw usage('drill', '--from takes one destination.');
  const application = await applicationOf(context, given);
  const trust = given.list('trust');
  const wrong = trust.find((key) => !isPublicKey(key));
  if (wrong !== undefined)
    throw usage('drill', `--trust: "${wrong}" is no public key; \`keys show\` prints it.`);
  const isOwn = application === null;
  const { databaseUrl, keyringDir } = config;
  const live = isOwn && hasData(config) ? { databaseUrl, keyringDir } : null;
  const interval = config.backup.differentialSeconds ?? INTERVAL_SECONDS;
  const budget = live === null ? AGE_ELSEWHERE_SECONDS : Math.max(2 * interval, LEAST_BUDGET_SECONDS);
  return {
    ...{ config, isOwn, subject: given.text('name') ?? OWN_SUBJECT, application, live },
    from: given.flag('next') && live !== null ? await longestAgo(config, from) : first,
    trusted: trustedSigners(config, trust),
    budgetSeconds: secondsOf('drill', 'max-age', given.text('maxAge')) ?? budget,
    timeoutMs: (secondsOf('drill', 'timeout', given.text('timeout')) ?? DEADLINE_MS / 1000) * 1000,
    canary: isOwn && (given.flag('canary') || canaryIsDue(config)),
    report: given.flag('report') ? true : null,
    identity: given.text('identity'),
  };
}

/** The destination whose last drill is longest ago; one that never had one comes first. */
async function longestAgo(config: Config, from: readonly Configured[]): Promise<Configured> {
  const known = await within(config, ({ drills }) => drills.history(200));
  const age = (one: Configured): number => {
    const at = known.findIndex(({ url }) => url === one.url);
    return at < 0 ? Infinity : at;
  };
  return from.reduce((oldest, one) => (age(one) > age(oldest) ? one : oldest));
}

async function within<T>(config: Config, work: (access: Access) => Promise<T>): Promise<T> {
  const access = await openOffline(config);
  try {
    return await work(access);
  } finally {
    await access.close();
  }
}

async function applicationOf({ cwd, env }: VerbContext, given: Given): Promise<Application | null> {
  const [name, command, checks] = [given.text('name'), given.text('boot'), given.list('check')];
  if (name === undefined && command === undefined && checks.length === 0) return null;
  if (name === undefined || command === undefined || checks.length === 0)
    throw usage('drill', "For another application give all three: --name NAME --boot 'COMMAND' --check URL.");
  if (!NAME.test(name)) throw usage('drill', `"${name}" is no name of a database: a-z, 0-9, - and _.`);
  const wrong = checks.find((check) => !URL.canParse(check.replaceAll('{port}', '1')));
  if (wrong !== undefined)
    throw usage('drill', `--check: "${wrong}" is no address, such as http://127.0.0.1:{port}/health.`);
  const file = given.text('file') ?? `${name}.db`;
  if (basename(file) !== file) throw usage('drill', `--file: "${file}" is no file name.`);
  const own = Object.entries(env).filter(
    ([key, value]) => value !== undefined && !key.startsWith('FACTORY_'),
  );
  return {
    command,
    checks,
    file,
    cwd,
    env: Object.fromEntries(own) as Record<string, string>,
    port: await freePort(),
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
      .once('error', reject)
      .listen(0, '127.0.0.1', () => {
        const { port } = server.address() as AddressInfo;
        server.close(() => resolve(port));
      });
  });
}

const canaryFile = ({ dataDir }: Config): string => join(dataDir, 'drills', 'canary-at');

function canaryIsDue(config: Config): boolean {
  try {
    const age = Date.now() - Date.parse(readFileSync(canaryFile(config), 'utf8'));
    return !(age >= 0 && age < CANARY_EVERY_MS);
  } catch {
    // Never tried, or forgotten: trying once more costs seconds.
    return true;
  }
}

/** Fires after the time that a drill may take, and at the signals that end a process; the drill then cleans up. */
function stopper(ms: number): { signal: AbortSignal; release: () => void } {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);
  return {
    signal: AbortSignal.any([AbortSignal.timeout(ms), interrupted.signal]),
    release: () => (['SIGINT', 'SIGTERM'] as const).forEach((signal) => process.off(signal, interrupt)),
  };
}

async function hold(
  asked: Asked,
  at: string,
  place: Workplace,
  context: VerbContext,
  signal: AbortSignal,
): Promise<{ unsigned: UnsignedEvidence; result: DrillResult }> {
  const { config, subject, application, trusted, live, budgetSeconds } = asked;
  const [destination] = await openAll([asked.from], context.env);
  if (destination === undefined) throw new TypeError('one destination was opened');
  const { progress } = context;
  const job: DrillJob = {
    ...{ destination, subject, application, trusted, live, budgetSeconds, bootMs: BOOT_MS, signal, progress },
    ...{ identities: () => identitiesFor(config, asked.identity), now: Date.now },
  };
  const result = await runDrill(job, place);
  const { catalog: _, ...found } = result;
  const tried = asked.canary ? await canaries(config, place, job) : null;
  if (tried !== null) found.checks.push(tried.check);
  const outcome = tried === null ? found.outcome : worse(found.outcome, tried.outcome);
  const unsigned: UnsignedEvidence = {
    ...{ format: DRILL_FORMAT, id: randomUUID(), subject, url: asked.from.url, at },
    ...found,
    ...{ outcome, rpoBudgetSeconds: budgetSeconds, canary: tried?.canary ?? null },
    ...{ release: config.release, host: hostname() },
  };
  return { unsigned, result };
}

const WORST: readonly DrillOutcome[] = ['fail', 'inconclusive', 'pass'];
const worse = (one: DrillOutcome, other: DrillOutcome): DrillOutcome =>
  WORST.indexOf(one) < WORST.indexOf(other) ? one : other;

/** A canary that passes is a failed drill; canaries that could not be made say nothing. */
async function canaries(config: Config, place: Workplace, job: DrillJob) {
  try {
    const canary = await tryCanaries(place, job);
    const missed = canary.filter(({ caught }) => !caught).map(({ name }) => name);
    replaceFile(canaryFile(config), new Date().toISOString());
    const detail =
      missed.length === 0 ? `All ${canary.length} were found.` : `Not found: ${missed.join(', ')}.`;
    const status = missed.length === 0 ? ('pass' as const) : ('fail' as const);
    return { canary, outcome: status, check: { name: 'canary', status, detail } };
  } catch (error) {
    const check = {
      name: 'canary',
      status: 'skipped' as const,
      detail: oneLine((error as Error).message).slice(0, 1000),
    };
    return { canary: null, outcome: 'inconclusive' as const, check };
  }
}

/** What restored is the best verification that there is. */
function remember(
  { dataDir }: Config,
  { subject, from }: Asked,
  evidence: Evidence,
  result: DrillResult,
): void {
  const { backupId, checks, at } = evidence;
  const isRestored = checks.some(({ name, status }) => name === 'restore' && status === 'pass');
  if (backupId === null || result.catalog === null || !isRestored) return;
  const folder = join(dataDir, 'backup', subject);
  makeFolder(folder, 0o700);
  const present = result.catalog.entries.map(({ manifest }) => manifest.backupId);
  saveVerified(folder, from.url, { [backupId]: { at, how: 'restored' } }, present);
}

/** To the service that is configured, if one is; elsewhere than on its own host that is how it learns of drills. */
async function report(
  asked: Asked,
  config: Config,
  body: Evidence,
  { say }: VerbContext,
): Promise<boolean | null> {
  const { url, token } = config.client;
  if (!(asked.report ?? (asked.isOwn && url !== null && token !== null))) return null;
  try {
    await createApi(config).ask('/api/operations/drills', { method: 'POST', body });
    return true;
  } catch (error) {
    const { message, hint } = asFactoryError(error, 'report drill');
    say(`The drill could not be reported: ${message} ${hint}`);
    return false;
  }
}

const EXITS = { pass: EXIT.done, fail: EXIT.failed, inconclusive: EXIT.degraded } as const;

function answer(evidence: Evidence, file: string, reported: boolean | null): Answer {
  const { outcome, checks, rpoSeconds, rtoSeconds, restoreSeconds, bootSeconds, backupId, url } = evidence;
  const times = { rpoSeconds, rtoSeconds, restoreSeconds, bootSeconds };
  const json = {
    outcome,
    backupId,
    url,
    ...times,
    checks,
    canary: evidence.canary,
    file,
    reported,
    evidence,
  };
  const seconds = (value: number | null): string => (value === null ? 'not known' : `${value.toFixed(1)} s`);
  const head = fields([
    ['Outcome', outcome],
    ['Backup', `${backupId ?? 'none'} in ${url}`],
    ['Would be lost', seconds(rpoSeconds)],
    ['Restored in', seconds(restoreSeconds)],
    ['Answers after', seconds(rtoSeconds)],
    ['Evidence', file],
    ['Signed by', evidence.signature.publicKey],
  ]);
  const rows = checks.map(({ name, status, detail }) => [status, name, detail]);
  const exit = reported === false && outcome === 'pass' ? EXIT.degraded : EXITS[outcome];
  return { json, text: `${head}\n\n${table(['CHECK', 'NAME', 'FOUND'], rows)}`, exit };
}
