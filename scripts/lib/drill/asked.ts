import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import type { Config, Destination as Configured } from '../../../service/config.ts';
import { OWN_NAME } from '../../../service/jobs/facts.ts';
import { backupBudget } from '../../../service/jobs/status.ts';
import { openOffline } from '../../../service/offline.ts';
import { NAME } from '../backup/format.ts';
import { identitiesFor, identityFile } from '../backup/keys.ts';
import { namedSigners, trustedSigners } from '../backup/trust.ts';
import { hasData } from '../data.ts';
import type { Access } from '../data.ts';
import { destinationsOf } from '../destinations/open.ts';
import { usage } from '../failure.ts';
import { secondsOf } from '../options.ts';
import type { Given, VerbContext } from '../verb.ts';
import type { Application, DrillJob } from './job.ts';

/** What a drill is asked for, from the command line and the configuration. */

const DEADLINE_SECONDS = 4 * 60 * 60;
const CANARY_EVERY_MS = 7 * 24 * 60 * 60_000;
const INTERVAL_SECONDS = 300;
const LEAST_BUDGET_SECONDS = 15 * 60;
const POSTGRES = /^postgres(ql)?:\/\//;

export interface Asked {
  config: Config;
  isOwn: boolean;
  subject: string;
  from: Configured;
  /** It is one of the destinations that this installation sends backups to. */
  isConfigured: boolean;
  application: Application | null;
  trusted: string[];
  live: DrillJob['live'];
  server: DrillJob['server'];
  budgetSeconds: number;
  timeoutMs: number;
  canary: boolean;
  /** Null: where the configuration says where to. */
  report: boolean | null;
  /** Errors: `identity-missing`, `backup-key-unreadable`. */
  identities: () => readonly string[];
}

export async function askedFor(config: Config, context: VerbContext, given: Given): Promise<Asked> {
  const from = destinationsOf(config, 'drill', given.text('from'));
  const [first] = from;
  if (first === undefined) throw usage('drill', 'No destination is configured: name one with --from.');
  if (from.length > 1 && given.text('from') !== undefined)
    throw usage('drill', '--from takes one destination.');
  const application = await applicationOf(context, given);
  const trust = namedSigners('drill', given);
  const isOwn = application === null;
  const { databaseUrl, keyringDir } = config;
  const live = isOwn && hasData(config) ? { databaseUrl, keyringDir } : null;
  const server = serverOf(config, context, given);
  const isConfigured = config.backup.destinations.some(({ url }) => url === first.url);
  return {
    ...{ config, isOwn, subject: given.text('name') ?? OWN_NAME, application, live, server, isConfigured },
    from: given.flag('next') && live !== null ? await longestAgo(config, from) : first,
    trusted: trustedSigners(config, trust),
    budgetSeconds: secondsOf('drill', 'max-age', given.text('maxAge')) ?? budgetOf(config, live),
    timeoutMs: (secondsOf('drill', 'timeout', given.text('timeout')) ?? DEADLINE_SECONDS) * 1000,
    canary: isOwn && (given.flag('canary') || canaryIsDue(config)),
    report: given.flag('report') ? true : null,
    identities: identitiesOf(config, context, given),
  };
}

/** Whoever typed the command is told at once; a job without a key has a drill to record that could not be held. */
function identitiesOf(config: Config, { cwd, keep }: VerbContext, given: Given): Asked['identities'] {
  const read = (): string[] => identitiesFor(config, identityFile(cwd, given));
  if (keep !== undefined) return read;
  const identities = read();
  return () => identities;
}

/** Errors: `usage`. */
function serverOf({ databaseUrl }: Config, { env }: VerbContext, given: Given): DrillJob['server'] {
  const named = given.text('server');
  if (named !== undefined && !(URL.canParse(named) && POSTGRES.test(named)))
    throw usage('drill', '--server: that is no address such as postgres://user@host/postgres.');
  const url = named ?? (POSTGRES.test(databaseUrl) ? databaseUrl : null);
  return url === null ? null : { url, env };
}

/**
 * Of Postgres there are full backups only, one a night. A drill judges what a backup holds: it does not fail one because a
 * full backup keeps the next differential waiting while it fetches.
 */
function budgetOf({ backup, databaseUrl }: Config, live: DrillJob['live']): number {
  const isFrequent = live !== null && !POSTGRES.test(databaseUrl);
  const budget = backupBudget(isFrequent ? (backup.differentialSeconds ?? INTERVAL_SECONDS) : null);
  return Math.max(budget, LEAST_BUDGET_SECONDS);
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

/** Works on the data of this installation, beside a running service. */
export async function within<T>(config: Config, work: (access: Access) => Promise<T>): Promise<T> {
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
  const unknown = unknownIn(command, ['db', 'dir', 'port']) ?? unknownIn(checks.join(' '), ['port']);
  if (unknown !== undefined)
    throw usage(
      'drill',
      `${unknown} stands for nothing: --boot takes {db}, {dir} and {port}, --check takes {port}.`,
    );
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

/** A misspelt placeholder, which the application would take for a name. `${…}` is of the shell. */
function unknownIn(text: string, known: readonly string[]): string | undefined {
  const found = [...text.matchAll(/(?<!\$)\{(\w+)\}/g)].find(([, name = '']) => !known.includes(name));
  return found?.[0];
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

/** When they were tried last. */
export const canaryFile = ({ dataDir }: Config): string => join(dataDir, 'drills', 'canary-at');

function canaryIsDue(config: Config): boolean {
  try {
    const age = Date.now() - Date.parse(readFileSync(canaryFile(config), 'utf8'));
    return !(age >= 0 && age < CANARY_EVERY_MS);
  } catch {
    // Never tried, or forgotten: trying once more costs seconds.
    return true;
  }
}
