import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../service/config.ts';
import { assertNotFenced, readEpoch } from '../service/epoch.ts';
import { OWN_NAME } from '../service/jobs/facts.ts';
import { askForFence } from './lib/epoch/fence-watch.ts';
import { typedIn } from './lib/command.ts';
import { hasData } from './lib/data.ts';
import { addressCheck } from './lib/doctor/address.ts';
import { auditCheck, newestEntry } from './lib/doctor/audit-log.ts';
import { ok, probe, warn } from './lib/doctor/check.ts';
import type { Check } from './lib/doctor/check.ts';
import { destinationChecks } from './lib/doctor/destinations.ts';
import { findDatabase } from './lib/doctor/database.ts';
import type { Found } from './lib/doctor/database.ts';
import { keyringCheck, recipientsCheck } from './lib/doctor/keyring.ts';
import { clockCheck, diskCheck, nodeCheck, sqliteCheck, writtenTimes } from './lib/doctor/machine.ts';
import { createdbCheck, dumpsCheck } from './lib/doctor/postgres.ts';
import { queueCheck } from './lib/doctor/queue.ts';
import { plain, wrap } from './lib/layout.ts';
import { readConfig, releaseName } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { ExitCode, Run, VerbContext } from './lib/verb.ts';

/** Looks at everything that a start needs, and tries out where backups go; what it writes there it removes. */
export const doctor: Run = async (context) => {
  const checks = [await probe('node', () => nodeCheck()), await probe('sqlite', sqliteCheck)];
  let config: Config | null = null;
  checks.push(await probe('configuration', () => configCheck((config = readConfig(context)))));
  if (config !== null) checks.push(...(await installationChecks(config, context)));
  const told = checks.map((check) => ({ ...check, hint: check.hint && typedIn(context.cwd, check.hint) }));
  return { json: { checks: told }, text: told.map(checkText).join('\n'), exit: exitOfChecks(checks) };
};

async function installationChecks(config: Config, { progress, env }: VerbContext): Promise<Check[]> {
  progress('Looking at the database …');
  const found: Found = { check: ok('database', ''), storage: null };
  found.check = await probe('database', async () => {
    const { check, storage } = await findDatabase(config);
    found.storage = storage;
    return check;
  });
  try {
    return [
      await probe('epoch', () => epochCheck(config, env)),
      await probe('disk', () => diskCheck(config)),
      found.check,
      // Where the server is not reached, that is said already.
      ...(config.databaseUrl.startsWith('postgres') && found.check.status !== 'fail'
        ? [
            await probe('dumps', () => dumpsCheck(config, env)),
            await probe('createdb', () => createdbCheck(config)),
          ]
        : []),
      ...(await contentChecks(config, found)),
      await probe('backup keys', () => recipientsCheck(config)),
      ...(await destinationChecks(config, env)),
    ];
  } finally {
    await found.storage?.close();
  }
}

/** Destinations are asked as at a start: what they know of is remembered. */
async function epochCheck(config: Config, env: VerbContext['env']): Promise<Check> {
  await askForFence(config, env);
  assertNotFenced(config, 'check epoch');
  return ok(
    'epoch',
    `No machine is known to have taken over; this one is in epoch ${readEpoch(config).epoch}.`,
  );
}

async function contentChecks(config: Config, { storage }: Found): Promise<Check[]> {
  const newest = storage && (await newestEntry(storage.read));
  const checks = [await probe('keyring', () => keyringCheck(config, newest !== null))];
  if (storage)
    checks.push(await probe('audit log', () => auditCheck(storage.read, config, newest?.seq ?? 0)));
  const written = newest ? [{ what: `audit entry ${newest.seq}`, at: newest.at }] : [];
  checks.push(await probe('clock', () => clockCheck(Date.now(), [...written, ...writtenTimes(config)])));
  const others = othersIn(config);
  if (others.length > 0)
    return [...checks, ok('service', `None here: this folder looks after backups of ${others.join(', ')}.`)];
  checks.push(
    await probe('work items', () => queueCheck(config, storage)),
    await probe('address', () => addressCheck(config)),
  );
  return checks;
}

/** Other applications that backups were made of here, where there is no database of a service; else none. */
function othersIn(config: Config): string[] {
  const folder = join(config.dataDir, 'backup');
  if (hasData(config) || !existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== OWN_NAME)
    .map(({ name }) => name);
}

/** Outside development people come from elsewhere, so links and cookies need the address that they use. */
function configCheck({ environment, baseUrl, release }: Config): Check {
  const name = 'configuration';
  if (environment !== 'development' && !baseUrl?.startsWith('https:')) {
    return warn(
      name,
      `${environment} without an https address.`,
      'Set FACTORY_BASE_URL to the address that people open.',
    );
  }
  return ok(name, `environment ${environment}, release ${releaseName(release)}.`);
}

/** What fails makes the whole fail; warnings alone leave it degraded. */
export function exitOfChecks(checks: readonly Check[]): ExitCode {
  if (checks.some(({ status }) => status === 'fail')) return EXIT.failed;
  return checks.some(({ status }) => status === 'warn') ? EXIT.degraded : EXIT.done;
}

function checkText({ name, status, detail, hint }: Check): string {
  const line = `${status.padEnd(4)}  ${name.padEnd(13)}  ${plain(detail)}`;
  return hint === null ? line : `${line}\n${wrap(hint, ' '.repeat(21))}`;
}
