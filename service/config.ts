import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { nearestName, VARIABLES } from './config-names.ts';
import type { Variable } from './config-names.ts';
import * as read from './config-values.ts';
import type { ConfigProblem, Destination, Parser } from './config-values.ts';

export type { ConfigProblem, Destination } from './config-values.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Everything the process takes from its environment. All paths are absolute. */
export interface Config {
  environment: 'development' | 'staging' | 'production';
  /** Name of the running build; null outside a release. */
  release: string | null;
  /** Where deploys of this host are written down; null: nothing deploys here. */
  deployLog: string | null;
  logLevel: (typeof LOG_LEVELS)[number];
  /** Port 0: any free one. */
  listen: { host: string; port: number } | { socket: string };
  /** Origin under which people reach the service; null: the address that it listens on. */
  baseUrl: string | null;
  /** Reverse proxies in front whose `X-Forwarded-*` counts. */
  trustProxy: number;
  dataDir: string;
  /** `sqlite:` and an absolute path, or `postgres://…`. May hold a password: never log it. */
  databaseUrl: string;
  keyringDir: string;
  /** Second place for audit checkpoints beside `<data>/checkpoints`. */
  checkpointDir: string | null;
  workItemsDir: string;
  queueWrites: boolean;
  /** Whether the service runs its jobs at their times; else something outside starts them. */
  jobs: boolean;
  backup: {
    destinations: Destination[];
    recipients: string[];
    identityFile: string | null;
    /** Five cron fields, UTC. */
    schedule: string;
    /** Null: chosen by the size of the database. */
    differentialSeconds: number | null;
    retentionDays: number;
    /** A destination that gives no good answer for so long is given up. */
    giveUpMs: number;
    /** When every backup is read again, a backup is restored for a trial, and old ones go: five cron fields, UTC. */
    verifySchedule: string;
    drillSchedule: string;
    pruneSchedule: string;
  };
  /** Raw Ed25519 public keys, base64, whose evidence of drills is believed beside the installation's own. */
  drillSigners: string[];
  /** For the verbs that call a running service. */
  client: { url: string | null; token: string | null };
}

/** Reads variables one by one and keeps what was wrong, so that all of it can be told at once. */
class Values {
  readonly problems: ConfigProblem[] = [];
  private readonly env: Environment;

  constructor(env: Environment) {
    this.env = env;
  }

  /** An empty variable counts as absent, as service managers and shells pass one on. */
  get<T, D>(name: Variable, fallback: D, parser: Parser<T>): T | D {
    const text = this.env[name];
    if (text === undefined || text === '') return fallback;
    const parsed = parser(text);
    if ('value' in parsed) return parsed.value;
    this.problems.push({ name, ...parsed });
    return fallback;
  }

  has(name: Variable): boolean {
    return (this.env[name] ?? '') !== '';
  }
}

/** Names that start like ours but are none of ours: most often a slip of the pen. */
function unknownNames(env: Environment): ConfigProblem[] {
  return Object.keys(env)
    .filter((name) => name.startsWith('FACTORY_') && !VARIABLES.some((known) => known === name))
    .filter((name) => !credentialsIndex(name))
    .map((name) => {
      const nearest = nearestName(name);
      const hint = nearest ? `The nearest known name is ${nearest}.` : '.env.example lists every name.';
      return { name, message: 'There is no such variable.', hint };
    });
}

/** `FACTORY_BACKUP_CREDENTIALS_<n>_FILE` -> n, counted from 1. */
function credentialsIndex(name: string): number | null {
  const found = /^FACTORY_BACKUP_CREDENTIALS_([1-9]\d?)_FILE$/.exec(name);
  return found === null ? null : Number(found[1]);
}

function parseListen(values: Values, path: Parser<string>): Config['listen'] {
  const host = values.get(
    'FACTORY_HOST',
    '127.0.0.1',
    read.matching(/^[A-Za-z0-9._:-]+$/, 'a host name or address', '127.0.0.1'),
  );
  const port = values.get('FACTORY_PORT', 8700, read.integer(0, 65_535, 8700));
  const socket = values.get('FACTORY_SOCKET', null, path);
  if (socket === null) return { host, port };
  if (values.has('FACTORY_PORT')) {
    values.problems.push({
      name: 'FACTORY_SOCKET',
      message: 'A socket and FACTORY_PORT are both set.',
      hint: 'Keep one of them: the service listens in one place.',
    });
  }
  return { socket };
}

function parseDestinations(
  values: Values,
  env: Environment,
  dataDir: string,
  path: Parser<string>,
  giveUpMs: number,
): Destination[] {
  const folder = join(dataDir, 'backups');
  const standard: Destination[] = [
    { kind: 'folder', url: pathToFileURL(folder).href, path: folder, giveUpMs },
  ];
  const destinations = values.get('FACTORY_BACKUP_DESTINATIONS', standard, read.destinations);
  for (const one of destinations) one.giveUpMs = giveUpMs;
  for (const [name, value] of Object.entries(env)) {
    const index = credentialsIndex(name);
    if (index === null || value === undefined || value === '') continue;
    const target = destinations[index - 1];
    if (target?.kind === 's3') {
      const parsed = path(value);
      if ('value' in parsed) target.credentialsFile = parsed.value;
    } else {
      values.problems.push({
        name,
        message: `Destination ${index} of FACTORY_BACKUP_DESTINATIONS is not an S3 bucket.`,
        hint: 'The number is the place of the destination in that list, from 1.',
      });
    }
  }
  return destinations;
}

function parseDatabase(values: Values, dataDir: string, cwd: string): string {
  const url = values.get('FACTORY_DATABASE_URL', `sqlite:${join(dataDir, 'factory.db')}`, read.databaseUrl);
  return url.startsWith('sqlite:') ? `sqlite:${resolve(cwd, url.slice('sqlite:'.length))}` : url;
}

/**
 * The configuration that the environment describes, or every problem in it at once. Pure: reads no file; relative
 * paths are taken from `cwd`. `loadEnv` of `config-load.ts` prepares `env`.
 */
export function parseConfig(
  env: Environment,
  { cwd }: { cwd: string },
): { config: Config } | { problems: ConfigProblem[] } {
  const values = new Values(env);
  const path: Parser<string> = (value) => ({ value: resolve(cwd, value) });
  const dataDir = values.get('FACTORY_DATA_DIR', resolve(cwd, 'data'), path);
  const name = read.matching(/^[\w.+-]{1,100}$/, 'a plain name', '2026-05-01.1');
  const giveUpMs =
    1000 * values.get('FACTORY_BACKUP_GIVE_UP_SECONDS', read.GIVE_UP_MS / 1000, read.integer(1, 3600, 60));
  const config: Config = {
    environment: values.get('FACTORY_ENV', 'development', read.oneOf('development', 'staging', 'production')),
    release: values.get('FACTORY_RELEASE', null, name),
    deployLog: values.get('FACTORY_DEPLOY_LOG', null, path),
    logLevel: values.get('FACTORY_LOG_LEVEL', 'info', read.oneOf(...LOG_LEVELS)),
    listen: parseListen(values, path),
    baseUrl: values.get('FACTORY_BASE_URL', null, read.origin),
    trustProxy: values.get('FACTORY_TRUST_PROXY', 0, read.integer(0, 9, 1)),
    dataDir,
    databaseUrl: parseDatabase(values, dataDir, cwd),
    keyringDir: values.get('FACTORY_KEYRING_DIR', join(dataDir, 'keyring'), path),
    checkpointDir: values.get('FACTORY_CHECKPOINT_DIR', null, path),
    workItemsDir: values.get('FACTORY_WORK_ITEMS_DIR', resolve(cwd, 'work-items'), path),
    queueWrites: values.get('FACTORY_QUEUE_WRITES', 'on', read.oneOf('on', 'off')) === 'on',
    jobs: values.get('FACTORY_JOBS', 'on', read.oneOf('on', 'off')) === 'on',
    backup: {
      destinations: parseDestinations(values, env, dataDir, path, giveUpMs),
      recipients: values.get('FACTORY_BACKUP_RECIPIENTS', [], read.recipients),
      identityFile: values.get('FACTORY_BACKUP_IDENTITY_FILE', null, path),
      schedule: values.get('FACTORY_BACKUP_SCHEDULE', '15 2 * * *', read.cron),
      differentialSeconds: values.get(
        'FACTORY_BACKUP_DIFFERENTIAL_SECONDS',
        null,
        read.integer(1, 86_400, 300),
      ),
      retentionDays: values.get('FACTORY_BACKUP_RETENTION_DAYS', 30, read.integer(1, 3_650, 30)),
      giveUpMs,
      verifySchedule: values.get('FACTORY_VERIFY_SCHEDULE', '45 3 * * *', read.cron),
      drillSchedule: values.get('FACTORY_DRILL_SCHEDULE', '15 4 * * *', read.cron),
      pruneSchedule: values.get('FACTORY_PRUNE_SCHEDULE', '15 5 * * *', read.cron),
    },
    drillSigners: values.get('FACTORY_DRILL_SIGNERS', [], read.publicKeys),
    client: {
      url: values.get('FACTORY_URL', null, read.origin),
      token: values.get('FACTORY_TOKEN', null, read.token),
    },
  };
  const problems = [...values.problems, ...unknownNames(env)];
  return problems.length === 0 ? { config } : { problems };
}
