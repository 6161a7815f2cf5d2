import { hostname } from 'node:os';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Config } from '../service/config.ts';
import { SYSTEM } from '../service/audit/events.ts';
import { asFactoryError, FactoryError } from '../service/errors.ts';
import { makeFolder } from '../service/folders.ts';
import { DRILL_FORMAT, evidenceText, signEvidence } from '../service/jobs/evidence.ts';
import type { Evidence, UnsignedEvidence } from '../service/jobs/evidence.ts';
import { errorFact } from '../service/jobs/facts.ts';
import type { Fact } from '../service/jobs/facts.ts';
import type { DrillOutcome } from '../service/jobs/types.ts';
import { keepDamage } from './lib/backup/keep-found.ts';
import { replaceFile } from './lib/backup/state.ts';
import { saveVerified } from './lib/backup/verified.ts';
import type { Verified } from './lib/backup/verified.ts';
import { createApi } from './lib/client.ts';
import { shellWord } from './lib/command.ts';
import { openAll } from './lib/destinations/open.ts';
import { askedFor, canaryFile, within } from './lib/drill/asked.ts';
import type { Asked } from './lib/drill/asked.ts';
import { tryCanaries } from './lib/drill/canary.ts';
import { oneLine } from './lib/drill/findings.ts';
import type { DrillJob, DrillResult } from './lib/drill/job.ts';
import { drillSigningKey } from './lib/drill/keys.ts';
import { runDrill } from './lib/drill/run.ts';
import { inWorkplace } from './lib/drill/workplace.ts';
import type { Workplace } from './lib/drill/workplace.ts';
import { fields, table } from './lib/layout.ts';
import { recorded } from './lib/recorded.ts';
import type { Work } from './lib/recorded.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, Run, VerbContext } from './lib/verb.ts';

const BOOT_MS = 120_000;

/** Restores the newest backup of a destination, and starts the application on it. */
export const drill: Run = async (context, given) => {
  const config = readConfig(context);
  const asked = await askedFor(config, context, given);
  if (asked.live === null) return (await run(asked, context)).answer;
  return recorded(context, config, 'drill', (talking) => run(asked, talking));
};

async function run(asked: Asked, context: VerbContext): Promise<Work> {
  const { config, live } = asked;
  const stop = stopper(asked.timeoutMs);
  try {
    const folder = join(config.dataDir, 'drills');
    const at = new Date().toISOString();
    const made = await inWorkplace(folder, context.say, (place) =>
      hold(asked, at, place, context, stop.signal),
    );
    const evidence = signEvidence(made.unsigned, drillSigningKey(config, live !== null));
    const file = join(folder, `${at.replaceAll(/[-:.]/g, '')}.json`);
    replaceFile(file, `${evidenceText(evidence)}\n`);
    remember(config, asked, evidence, made.result);
    const aside = live !== null && !asked.isConfigured && evidence.outcome !== 'pass';
    if (aside)
      context.say(
        `No backups are sent to ${asked.from.url}: this drill is not recorded against those of here.`,
      );
    else if (live !== null) await within(config, ({ drills }) => drills.accept(SYSTEM, evidence));
    const reported = aside ? null : await report(asked, config, evidence, context);
    return { answer: answer(evidence, file, reported), facts: factsOf(evidence, made.result), aside };
  } finally {
    stop.release();
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
  const { config, subject, application, trusted, live, server, budgetSeconds } = asked;
  const [destination] = await openAll([asked.from], context.env);
  if (destination === undefined) throw new TypeError('one destination was opened');
  const { progress } = context;
  const job: DrillJob = {
    ...{
      destination,
      subject,
      application,
      trusted,
      live,
      server,
      budgetSeconds,
      bootMs: BOOT_MS,
      signal,
      progress,
    },
    ...{ identities: asked.identities, now: Date.now },
  };
  const result = await runDrill(job, place);
  const { catalog, error } = result;
  const remembered = join(config.dataDir, 'backup', subject);
  if (catalog !== null && error !== null)
    await keepDamage(remembered, { destination, catalog }, error, signal);
  const mistake = mistakeIn(asked, result, context);
  if (mistake !== null) throw mistake;
  const { catalog: _catalog, error: _error, takenAt: _taken, ...found } = result;
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

/**
 * Why it could not begin for reasons of who called it: with a key that does not open it, or at a place that nobody sends
 * backups to and that has none. A job is called by nobody, and where no data lies here the address is all that is known.
 */
function mistakeIn(
  { live, isConfigured }: Asked,
  { error }: DrillResult,
  { keep }: VerbContext,
): FactoryError | null {
  if (keep !== undefined) return null;
  if (error?.code === 'identity-wrong') return error;
  return error?.code === 'backup-none' && live !== null && !isConfigured ? error : null;
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
  { at, backupId }: Evidence,
  { catalog, takenAt, checks }: DrillResult,
): void {
  if (backupId === null || catalog === null || takenAt === null || !isRestored(checks)) return;
  const folder = join(dataDir, 'backup', subject);
  makeFolder(folder, 0o700);
  const present = catalog.entries.map(({ manifest }) => manifest.backupId);
  // Every byte of what it rests on was read for it.
  const base = catalog.entries.find(({ manifest }) => manifest.backupId === backupId)?.manifest.base;
  const below: Record<string, Verified> = base ? { [base.backupId]: { at, how: 'ciphertext' } } : {};
  saveVerified(folder, from.url, { ...below, [backupId]: { at, how: 'restored' } }, present);
}

const isRestored = (checks: DrillResult['checks']): boolean =>
  checks.some(({ name, status }) => name === 'restore' && status === 'pass');

/** What the installation then knows of the destination. */
function factsOf({ url, outcome, at, backupId, checks }: Evidence, { takenAt }: DrillResult): Fact[] {
  const why = checks.findLast(({ status }) => status !== 'pass');
  const error = new FactoryError({
    code: `drill-${outcome}`,
    op: 'hold drill',
    message: `${why?.name}: ${why?.detail}`,
    hint: `Hold it again by hand: \`npx factory drill --from ${shellWord(url)}\`; runbooks/drill-failed.md leads on.`,
  });
  const verified: Fact[] =
    backupId !== null && takenAt !== null && isRestored(checks)
      ? [{ url, kind: 'verified', value: { backupId, takenAt, verifiedAt: at, how: 'restored' } }]
      : [];
  return [...verified, errorFact('drill', url, outcome === 'pass' ? null : error)];
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
