import { asFactoryError } from '../service/errors.ts';
import { OWN_NAME } from '../service/jobs/facts.ts';
import { readCatalog } from './lib/backup/catalog.ts';
import type { Catalog, Entry } from './lib/backup/catalog.ts';
import { namedSigners } from './lib/backup/trust.ts';
import { verifyCiphertext } from './lib/backup/verify.ts';
import type { Destination } from './lib/destinations/destination.ts';
import { destinationsOf, openAll } from './lib/destinations/open.ts';
import { usage } from './lib/failure.ts';
import { table } from './lib/layout.ts';
import { counted, judge } from './lib/observe/judge.ts';
import type { Finding } from './lib/observe/judge.ts';
import { secondsOf } from './lib/options.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, Run, VerbContext } from './lib/verb.ts';

const LIST_MS = 5 * 60_000;
const VERIFY_MS = 12 * 60 * 60_000;
/** A day, and time for what makes the backup. */
const MAX_AGE_SECONDS = 26 * 60 * 60;

/** Reads a destination from anywhere, and judges on its own whether there is a backup. */
export const observe: Run = async (context, given) => {
  const from = given.text('from');
  if (from === undefined) throw usage('observe', 'Name the destination: --from URL.');
  const configured = destinationsOf(readConfig(context), 'observe', from);
  const trusted = namedSigners('observe', given);
  const maxAgeSeconds = secondsOf('observe', 'max-age', given.text('maxAge')) ?? MAX_AGE_SECONDS;
  const rules = { now: Date.now(), maxAgeSeconds, trusted };
  const [destination, second] = await openAll(configured, context.env);
  if (destination === undefined || second !== undefined)
    throw usage('observe', '--from takes one destination.');
  const { url } = destination;
  const signal = AbortSignal.timeout(given.flag('verify') ? VERIFY_MS : LIST_MS);
  try {
    const catalog = await readCatalog(destination, given.text('name') ?? OWN_NAME, { signal }, trusted);
    const checks = judge(catalog, rules);
    const newest = counted(catalog, trusted).at(-1) ?? null;
    if (given.flag('verify')) checks.push(...(await reread(destination, catalog, newest, signal, context)));
    return answer(url, checks, newest, catalog, rules.now);
  } catch (error) {
    const { message, hint } = asFactoryError(error, 'observe destination');
    return answer(
      url,
      [{ name: 'reachable', status: 'failing', detail: `${message} ${hint}` }],
      null,
      null,
      0,
    );
  }
};

/** The bytes of the newest backup, and of the one below it: what lies there is what the manifest names. */
async function reread(
  destination: Destination,
  { entries }: Catalog,
  newest: Entry | null,
  signal: AbortSignal,
  { progress }: VerbContext,
): Promise<Finding[]> {
  if (newest === null) return [];
  const { base } = newest.manifest;
  const below = entries.filter(({ manifest }) => manifest.backupId === base?.backupId);
  if (base !== null && below.length === 0)
    return [
      { name: 'content', status: 'failing', detail: `${base.backupId}, which it rests on, is missing.` },
    ];
  for (const entry of [...below, newest]) {
    progress(`Reading ${entry.manifest.backupId}`);
    const error = await verifyCiphertext(destination, entry, signal);
    if (error !== null) return [{ name: 'content', status: 'failing', detail: error.message }];
  }
  return [{ name: 'content', status: 'ok', detail: 'Every byte of the newest is the one that was sent.' }];
}

function statusOf(checks: readonly Finding[]): 'ok' | 'degraded' | 'failing' {
  if (checks.some(({ status }) => status === 'failing')) return 'failing';
  return checks.some(({ status }) => status === 'degraded') ? 'degraded' : 'ok';
}

const EXITS = { ok: EXIT.done, degraded: EXIT.degraded, failing: EXIT.failed } as const;

function answer(
  url: string,
  checks: readonly Finding[],
  newest: Entry | null,
  catalog: Catalog | null,
  now: number,
): Answer {
  const status = statusOf(checks);
  const json = {
    ...{ status, url },
    newest: newest && {
      backupId: newest.manifest.backupId,
      kind: newest.manifest.kind,
      takenAt: newest.manifest.startedAt,
      ageSeconds: Math.round((now - Date.parse(newest.manifest.startedAt)) / 1000),
      bytes: newest.bytes,
    },
    backups: catalog?.entries.length ?? null,
    checks,
    problems: (catalog?.problems ?? []).map(({ key, error }) => ({ key, ...error.toJSON() })),
  };
  const rows = checks.map((check) => [check.status, check.name, check.detail]);
  return {
    json,
    text: `${url}: ${status}\n\n${table(['STATUS', 'CHECK', 'FOUND'], rows)}`,
    exit: EXITS[status],
  };
}
