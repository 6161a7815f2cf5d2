import { join } from 'node:path';
import { SCHEMA } from '../../../service/storage/migrate.ts';
import { knownInstallation, openStorage } from '../../../service/storage/open.ts';
import { rowsOf } from '../backup/format.ts';
import type { Manifest } from '../backup/format.ts';
import { overSocket } from '../../../service/storage/postgres-databases.ts';
import { CLONE } from '../command.ts';
import { startApplication } from './boot.ts';
import { copyAt, firstMissing, furnish, prepare, verifyErasures, verifyLog } from './copy.ts';
import type { Copy } from './copy.ts';
import { CheckFailed } from './findings.ts';
import type { Findings } from './findings.ts';
import { askerOf } from './http.ts';
import type { DrillJob, DrillResult } from './job.ts';
import { READS } from './reads.ts';
import { judgeAge, networkText, since } from './rules.ts';
import type { Workplace } from './workplace.ts';

/** The product itself on its restored database. */

/** Two copies of a backup job may wait for each other before the copy is taken. */
const SENTINEL_BEFORE_MS = 10 * 60_000;

export async function proveOwn(
  job: DrillJob,
  place: Workplace,
  manifest: Manifest,
  found: Findings,
  result: DrillResult,
): Promise<void> {
  const { config } = copyAt(place);
  const installation = await knownInstallation(config.databaseUrl);
  // The restored tables have the rows of the manifest: that was compared.
  const entries = rowsOf(manifest, 'audit_entries');
  result.installation = installation;
  const isFull = installation !== null && entries > 0 && rowsOf(manifest, 'people') > 0;
  found.hold(
    'content',
    isFull,
    `${entries} audit entries.`,
    'It is no database that the product has worked with.',
  );
  const live = await lookLive(job, entries);
  if (live !== null) {
    const same = live.installation === installation;
    found.hold('installation', same, `${installation}.`, `It is of another installation, ${installation}.`);
  }
  judgeAge(job, live === null ? manifest.startedAt : live.missing, found, result);
  await rehearse(job, place, { manifest, installation: installation ?? '' }, found, result);
}

async function lookLive(
  { live }: DrillJob,
  entries: number,
): Promise<{ installation: string | null; missing: string | null } | null> {
  if (live === null) return null;
  const storage = await openStorage(live.databaseUrl);
  try {
    const installation = await knownInstallation(live.databaseUrl);
    return { installation, missing: await firstMissing(storage.read, entries) };
  } finally {
    await storage.close();
  }
}

/** From the restored file to a service that answers as the real one. */
async function rehearse(
  job: DrillJob,
  place: Workplace,
  { manifest, installation }: { manifest: Manifest; installation: string },
  found: Findings,
  result: DrillResult,
): Promise<void> {
  found.begin('schema', 'Opening the database');
  const keyringDir = job.live?.keyringDir ?? '';
  const copy = await furnish(place, keyringDir);
  await (await openStorage(copy.config.databaseUrl)).close();
  found.pass('schema', `This release reads it; its own schema is ${SCHEMA}.`);
  found.begin('audit log', 'Verifying the audit log');
  const log = await verifyLog(copy, keyringDir, manifest);
  const [problem] = log.problems;
  found.hold('audit log', log.ok, `${log.size} entries, ${log.signedSize} signed.`, problem?.message ?? '');
  found.begin('sentinel', 'Preparing the start');
  const { token, sentinel } = await prepare(copy);
  judgeSentinel(sentinel, manifest, found);
  await boot(job, place, { copy, token, manifest, installation }, found, result);
}

/** The time that the backup wrote into the database before it was copied: a copy of an older state has another. */
function judgeSentinel(sentinel: string | null, { startedAt, finishedAt }: Manifest, found: Findings): void {
  if (sentinel === null) return found.skip('sentinel', 'The backup wrote none.');
  const at = Date.parse(sentinel);
  const fits = at >= Date.parse(startedAt) - SENTINEL_BEFORE_MS && at <= Date.parse(finishedAt);
  found.hold(
    'sentinel',
    fits,
    `Of ${sentinel}.`,
    `It is of ${sentinel}; the backup was begun at ${startedAt}.`,
  );
}

async function boot(
  job: DrillJob,
  place: Workplace,
  own: { copy: Copy; token: string; manifest: Manifest; installation: string },
  found: Findings,
  result: DrillResult,
): Promise<void> {
  found.begin('boot', 'Starting the application');
  const started = performance.now();
  const signal = AbortSignal.any([job.signal, AbortSignal.timeout(job.bootMs)]);
  const way = place.databaseUrl === null ? null : await overSocket(place.databaseUrl);
  const needsNetwork = place.databaseUrl !== null && way === null;
  const env = { ...plainEnv(), ...own.copy.env, ...(way === null ? {} : { FACTORY_DATABASE_URL: way }) };
  const serve = [process.execPath, join(CLONE, 'scripts/launch.mjs'), 'serve', '--json'] as [
    string,
    ...string[],
  ];
  const running = await startApplication(
    { command: serve, cwd: place.folder, env },
    { signal, needsNetwork },
  );
  try {
    await running.firstLine();
    result.bootSeconds = since(started);
    result.network = running.apart ? 'enforced' : 'configured';
    found.pass(
      'boot',
      `It answered after ${result.bootSeconds} s. ${networkText(running.apart, needsNetwork)}`,
    );
    const ask = askerOf(place.socket, own.token, signal);
    const { hasCommitment, hasChatKeys } = own.copy;
    for (const [name, read] of Object.entries(READS)) {
      found.begin(`read: ${name}`, `Reading: ${name}`);
      found.pass(
        `read: ${name}`,
        await read(ask, { ...own, hasCommitment, hasChatKeys }).catch(wrong(`read: ${name}`)),
      );
    }
    found.begin('deleted stays deleted', 'Looking for what was deleted');
    if (hasChatKeys)
      found.pass(
        'deleted stays deleted',
        await verifyErasures(own.copy).catch(wrong('deleted stays deleted')),
      );
    else
      found.skip(
        'deleted stays deleted',
        'The erasure journal lies with the keys, which are not on this machine.',
      );
  } finally {
    await running.stop();
  }
}

const wrong =
  (check: string) =>
  (error: Error): never => {
    throw new CheckFailed(check, error.message);
  };

/** What every program needs, and nothing of ours. */
function plainEnv(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'PGPASSFILE', 'PGPASSWORD', 'PGSSLMODE'];
  return Object.fromEntries(
    kept.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
