import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Config } from '../service/config.ts';
import { backupFacts, EMPTIED, OWN_NAME, readFacts } from '../service/jobs/facts.ts';
import { ownMark, writeSentinel } from '../service/jobs/mark.ts';
import type { Storage } from '../service/storage/transaction.ts';
import { onSameDisk } from '../service/same-disk.ts';
import { FactoryError } from '../service/errors.ts';
import { assertNotFenced, readEpoch, writeFence } from '../service/epoch.ts';
import { recipientsFor, signingKey } from './lib/backup/keys.ts';
import { NAME } from './lib/backup/format.ts';
import { sayMade } from './lib/backup/recovery-text.ts';
import type { BackupResult } from './lib/backup/make.ts';
import { beginPresentAnew } from './lib/backup/present.ts';
import type { Sent } from './lib/backup/send.ts';
import { postgresSource } from './lib/backup/postgres-source.ts';
import { sqliteSource } from './lib/backup/sqlite-source.ts';
import type { Source } from './lib/backup/source.ts';
import { trustedSigners } from './lib/backup/trust.ts';
import { assertData } from './lib/data.ts';
import { deadline } from './lib/deadline.ts';
import type { Destination } from './lib/destinations/destination.ts';
import { destinationsOf, GIVEN_UP, openAll } from './lib/destinations/open.ts';
import { usage } from './lib/failure.ts';
import { recorded } from './lib/recorded.ts';
import type { Work } from './lib/recorded.ts';
import { sendReplica } from './lib/keys/send-replica.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { ExitCode, Given, Run, VerbContext } from './lib/verb.ts';
import { sizeText } from './lib/size.ts';

const DEADLINE_MS = 60 * 60_000;
const LOCK_WAIT_MS = 60_000;
const KEYRING_MS = 2 * 60_000;

/** One backup to every destination. */
export const backup: Run = async (context, given) => {
  const config = readConfig(context);
  const chosen = subject(config, context, given);
  const full = given.flag('full');
  const asked = { full, emptied: emptiedOf(config, given) };
  if (!chosen.own) return (await make(context, config, chosen, asked, null)).answer;
  const job = full || config.databaseUrl.startsWith('postgres') ? 'backup' : 'differential';
  return recorded(context, config, job, (talking, storage) => make(talking, config, chosen, asked, storage));
};

/** `storage`: of the product's own database, where it can be asked. */
async function make(
  context: VerbContext,
  config: Config,
  { name, source, own }: Subject,
  { full, emptied }: Asked,
  storage: Storage | null,
): Promise<Work> {
  if (own) assertNotFenced(config, 'make backup');
  const { makeBackup } = await import('./lib/backup/make.ts');
  const { recipients, made } = await recipientsFor(config);
  if (made !== null) sayMade(context, made);
  const configured = await patienceWith(config.backup.destinations, storage);
  const destinations = await openAll(configured, context.env);
  const isFirst = trustedSigners(config).length === 0;
  const mark = storage === null ? null : await ownMark(storage.read).catch(() => null);
  const result = await makeBackup({
    ...{ name, source, destinations, recipients, release: config.release, full, mark, isFirst, emptied },
    ...(own ? { ...epochOf(config), blobs: join(config.dataDir, 'blobs') } : { epoch: 0 }),
    signing: signingKey(config),
    folder: join(config.dataDir, 'backup', name),
    auditCheckpoint: own ? newestCheckpoint(config) : null,
    beforeCopy: async (at) => void (storage && (await leaveSentinel(storage, at, context))),
    waitMs: LOCK_WAIT_MS,
    now: Date.now,
    signal: deadline(DEADLINE_MS),
    say: context.say,
    progress: context.progress,
  }).catch((error: unknown) => {
    if (own) keepFence(config, error);
    throw error;
  });
  for (const { url, status } of result.destinations)
    if (emptied.has(url) && status !== 'failed') beginPresentAnew(join(config.dataDir, 'backup', name), url);
  const reached = destinations.filter(({ url }) => !isLeftOut(result.destinations, url));
  const keyring = own ? await sendKeyring(config, reached, recipients, emptied) : null;
  const keysFailed = keyring?.sent.some(({ status }) => status === 'failed') ?? false;
  const sent = exitOf(result.destinations);
  const exit = sent === EXIT.done && keysFailed ? EXIT.degraded : sent;
  const text = [resultText(result, source), ...keyringText(keyring?.sent ?? [])].join('\n');
  return {
    answer: {
      json: {
        ...document(result),
        keyring: keyring && { sequence: keyring.sequence, destinations: sentDocument(keyring.sent) },
      },
      ...{ text, exit },
    },
    facts: backupFacts(result, mark),
    // The first one is a full one, whatever was asked for.
    ...(result.kind === 'full' ? { job: 'backup' } : {}),
    ...(result.kind === 'skipped' && exit === EXIT.done ? { outcome: 'skipped' } : {}),
  };
}

/** One that was given up when the last run asked it: it is asked again, but not waited for as long. */
const DOWN_MS = 15_000;

async function patienceWith(all: Config['backup']['destinations'], storage: Storage | null) {
  const known = storage === null ? null : await readFacts(storage.read, OWN_NAME).catch(() => null);
  return all.map((one) => {
    const isDown = known?.get(one.url)?.errors.some(({ code }) => GIVEN_UP.has(code)) ?? false;
    return isDown ? { ...one, giveUpMs: Math.min(one.giveUpMs, DOWN_MS) } : one;
  });
}

/** Whether this run has waited for a destination already, or must send nothing there: it gets nothing else either. */
const isLeftOut = (sent: readonly Sent[], url: string): boolean =>
  sent.some(
    ({ url: of, error }) => of === url && error && (GIVEN_UP.has(error.code) || error.code === EMPTIED),
  );

interface Asked {
  full: boolean;
  /** Addresses of `--emptied`. */
  emptied: ReadonlySet<string>;
}

/** Errors: `usage`. */
function emptiedOf(config: Config, given: Given): ReadonlySet<string> {
  const text = given.text('emptied');
  if (text === undefined) return new Set();
  const urls = destinationsOf(config, 'backup', text, '--emptied').map(({ url }) => url);
  const unknown = urls.find((url) => config.backup.destinations.every((one) => one.url !== url));
  if (unknown === undefined) return new Set(urls);
  throw usage('backup', `--emptied is for a configured destination, and ${unknown} is none.`);
}

/** A database that cannot be written is backed up all the same. */
async function leaveSentinel(storage: Storage, at: string, { say }: VerbContext): Promise<void> {
  try {
    await writeSentinel(storage, at);
  } catch (error) {
    say(`The time of this backup could not be left in the database: ${(error as Error).message}`);
  }
}

interface Subject {
  name: string;
  source: Source;
  own: boolean;
}

/** Another application's backups have one epoch: a restore in place is of the product's own database. */
function epochOf(config: Config) {
  const { epoch, since: epochSince } = readEpoch(config);
  return { epoch, epochSince, trusted: trustedSigners(config) };
}

/** The next start of the service knows it, too. */
function keepFence(config: Config, error: unknown): void {
  if (!(error instanceof FactoryError) || error.code !== 'epoch-fenced') return;
  const { epoch, url, backupId } = error.details as { epoch: number; url: string; backupId: string };
  writeFence(config, { epoch, url, backupId, at: new Date().toISOString() });
}

/** The product's database, or another application's: `--db FILE --name NAME`. */
function subject(config: Config, { cwd, env }: VerbContext, given: Given): Subject {
  const [file, name] = [given.text('db'), given.text('name')];
  if (file === undefined && name === undefined) {
    assertData(config);
    return { name: OWN_NAME, source: ownSource(config, env), own: true };
  }
  if (file === undefined)
    throw usage('backup', '--name is for another application: name its file with --db.');
  if (/^postgres(ql)?:/.test(file))
    throw usage('backup', '--db takes a SQLite file; of Postgres, the product’s own database is backed up.');
  const chosen =
    name ??
    basename(file)
      .replace(/\.[^.]*$/, '')
      .toLowerCase();
  if (!NAME.test(chosen))
    throw usage('backup', `"${chosen}" is no name for a database: give --name, of a-z, 0-9, - and _.`);
  if (chosen === OWN_NAME)
    throw usage(
      'backup',
      `"${OWN_NAME}" is the product’s own database: give this one another name with --name.`,
    );
  return { name: chosen, source: sqliteSource(resolve(cwd, file)), own: false };
}

function ownSource({ databaseUrl }: Config, env: VerbContext['env']): Source {
  if (databaseUrl.startsWith('sqlite:'))
    return sqliteSource(databaseUrl.slice('sqlite:'.length), { own: true });
  return postgresSource(databaseUrl, env);
}

function newestCheckpoint({ dataDir }: Config): string | null {
  const folder = join(dataDir, 'checkpoints');
  try {
    const newest = readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .sort()
      .at(-1);
    return newest === undefined ? null : readFileSync(join(folder, newest), 'utf8');
  } catch {
    // Before the first one there is no folder.
    return null;
  }
}

function document({ destinations, ...result }: BackupResult): object {
  return { ...result, destinations: sentDocument(destinations) };
}

function sentDocument(sent: readonly Sent[]): unknown[] {
  return sent.map(({ url, status, error, sentAgain }) => ({
    ...{ url, status },
    ...(sentAgain ? { sentAgain } : {}),
    ...(error ? { error: error.toJSON() } : {}),
  }));
}

/** The copy of the keyring lies apart from the database's backups, and goes sooner. */
async function sendKeyring(
  config: Config,
  destinations: readonly Destination[],
  recipients: readonly string[],
  emptied: ReadonlySet<string>,
): Promise<Awaited<ReturnType<typeof sendReplica>>> {
  const near = await onSameDisk(config.backup.destinations, config);
  return sendReplica({
    ...{ name: OWN_NAME, keyringDir: config.keyringDir, destinations, recipients, now: Date.now() },
    emptied,
    folder: join(config.dataDir, 'backup', OWN_NAME),
    signing: signingKey(config),
    signal: AbortSignal.timeout(KEYRING_MS),
    isHere: (url) => near.has(url),
  });
}

function keyringText(sent: readonly Sent[]): string[] {
  return sent.flatMap(({ url, error }) =>
    error ? [`  failed  ${url}, the copy of the keyring: ${error.message}\n          ${error.hint}`] : [],
  );
}

function resultText(
  { kind, backupId, databaseBytes, storedBytes, seconds, destinations }: BackupResult,
  { note }: Source,
): string {
  const whole = destinations.filter(({ status }) => status === 'ok');
  const failed = destinations.flatMap(({ url, error }) =>
    error ? [`  failed  ${url}: ${error.message}\n          ${error.hint}`] : [],
  );
  const made = `${backupId}: ${kind}, ${sizeText(databaseBytes)} stored as ${sizeText(storedBytes)} in ${seconds.toFixed(1)} s.`;
  const head =
    whole.length === 0
      ? ['No destination has a backup of now.']
      : [kind === 'skipped' ? `Nothing changed since ${backupId}, which is in:` : made];
  const lines = whole.flatMap(({ url, sentAgain = [] }) => [
    `  ok      ${url}`,
    ...sentAgain.map((key) => `  mended  ${url}: ${key} was damaged, was sent again and read there.`),
  ]);
  return [...failed, ...head, ...lines, ...(note === null ? [] : [note])].join('\n');
}

function exitOf(destinations: readonly Sent[]): ExitCode {
  const failed = destinations.filter(({ status }) => status === 'failed').length;
  if (failed === 0) return EXIT.done;
  return failed === destinations.length ? EXIT.failed : EXIT.degraded;
}
