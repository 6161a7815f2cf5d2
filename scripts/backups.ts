import { join } from 'node:path';
import type { Config, Destination as Configured } from '../service/config.ts';
import { asFactoryError, FactoryError } from '../service/errors.ts';
import { OWN_NAME } from './backup.ts';
import { readCatalog } from './lib/backup/catalog.ts';
import type { Catalog, Entry } from './lib/backup/catalog.ts';
import { signingKey } from './lib/backup/keys.ts';
import { publicKeyOf } from './lib/backup/manifest.ts';
import { planDigest, planPrune } from './lib/backup/prune.ts';
import type { Candidate, PrunePlan } from './lib/backup/prune.ts';
import { removeBackup } from './lib/backup/remove.ts';
import { readVerified, saveVerified } from './lib/backup/verified.ts';
import type { Verified } from './lib/backup/verified.ts';
import { verifyCiphertext } from './lib/backup/verify.ts';
import type { Destination } from './lib/destinations/destination.ts';
import { destinationsOf, openDestination } from './lib/destinations/open.ts';
import { usage } from './lib/failure.ts';
import { table } from './lib/layout.ts';
import { readConfig } from './lib/settings.ts';
import { sizeText } from './lib/size.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, ExitCode, Given, Run, VerbContext } from './lib/verb.ts';

const LIST_MS = 5 * 60_000;
const VERIFY_MS = 12 * 60 * 60_000;
const DAY_MS = 24 * 60 * 60_000;

/** One destination as it was read, or why it could not be. */
interface Read {
  url: string;
  destination: Destination | null;
  catalog: Catalog | null;
  error: FactoryError | null;
}

async function read(
  configured: Configured,
  name: string,
  env: VerbContext['env'],
  signal: AbortSignal,
): Promise<Read> {
  const { url } = configured;
  try {
    const destination = await openDestination(configured, env);
    return { url, destination, catalog: await readCatalog(destination, name, { signal }), error: null };
  } catch (error) {
    return { url, destination: null, catalog: null, error: asFactoryError(error, 'read catalog') };
  }
}

async function readAll(verb: string, context: VerbContext, given: Given, ms: number) {
  const config = readConfig(context);
  const name = given.text('name') ?? OWN_NAME;
  const signal = AbortSignal.timeout(ms);
  const configured = destinationsOf(config, verb, given.text('from'));
  const found = await Promise.all(configured.map((one) => read(one, name, context.env, signal)));
  return { config, name, signal, found, folder: folderOf(config, name) };
}

function folderOf({ dataDir }: Config, name: string): string {
  return join(dataDir, 'backup', name);
}

/** What each destination holds. */
export const list: Run = async (context, given) => {
  const { found, folder } = await readAll('backups list', context, given, LIST_MS);
  const verified = readVerified(folder);
  const of = (url: string, { manifest }: Entry): Verified | null =>
    verified[url]?.[manifest.backupId] ?? null;
  const backups = found.flatMap(({ url, catalog }) =>
    (catalog?.entries ?? []).map((entry) => {
      const { backupId, kind, sequence, startedAt, finishedAt } = entry.manifest;
      const known = of(url, entry);
      const checked = { verifiedAt: known?.at ?? null, verifiedHow: known?.how ?? null };
      return {
        backupId,
        kind,
        sequence,
        startedAt,
        finishedAt,
        ...checked,
        bytes: entry.bytes,
        destination: url,
      };
    }),
  );
  return {
    json: { backups, problems: problemsOf(found) },
    text: found.map((one) => listText(one, (entry) => of(one.url, entry))).join('\n\n'),
    exit: exitOf(found),
  };
};

function problemsOf(found: readonly Read[]): unknown[] {
  return found.flatMap(({ url, catalog, error }) => [
    ...(error ? [{ destination: url, key: null, ...error.toJSON() }] : []),
    ...(catalog?.problems ?? []).map((one) => ({ destination: url, key: one.key, ...one.error.toJSON() })),
  ]);
}

function listText({ url, catalog, error }: Read, verified: (entry: Entry) => Verified | null): string {
  if (error !== null) return `${url}\n  ${error.message}\n  ${error.hint}`;
  const { entries, problems } = catalog ?? { entries: [], problems: [] };
  const rows = entries.map((entry) => {
    const { backupId, kind, finishedAt } = entry.manifest;
    const known = verified(entry);
    return [backupId, kind, finishedAt, known ? `${known.at}, ${known.how}` : 'never', sizeText(entry.bytes)];
  });
  const head = ['BACKUP', 'KIND', 'FINISHED', 'VERIFIED', 'STORED'];
  const lines = rows.length === 0 ? 'no backup yet' : table(head, rows);
  return [
    url,
    lines,
    ...problems.map(({ key, error: { message } }) => `not usable: ${key}: ${message}`),
  ].join('\n');
}

function exitOf(found: readonly Read[]): ExitCode {
  if (found.every(({ error }) => error !== null)) return EXIT.failed;
  const whole = found.every(({ error, catalog }) => error === null && catalog?.problems.length === 0);
  return whole ? EXIT.done : EXIT.degraded;
}

interface Finding {
  destination: string;
  backupId: string;
  error: FactoryError | null;
}

/** Reads backups again: the newest of each destination, one by its id, or all. */
export const verify: Run = async (context, given) => {
  const { found, folder, signal } = await readAll('backups verify', context, given, VERIFY_MS);
  const findings: Finding[] = [];
  for (const { url, destination, catalog } of found) {
    if (destination === null || catalog === null) continue;
    const wanted = chosen(catalog, given);
    const results: Record<string, Verified | null> = {};
    for (const [n, entry] of wanted.entries()) {
      const { backupId } = entry.manifest;
      context.progress(`Reading ${n + 1} of ${wanted.length} in ${url}: ${backupId}`);
      const error = await verifyCiphertext(destination, entry, signal);
      results[backupId] = error ? null : { at: new Date().toISOString(), how: 'ciphertext' };
      findings.push({ destination: url, backupId, error });
    }
    saveVerified(
      folder,
      url,
      results,
      catalog.entries.map(({ manifest }) => manifest.backupId),
    );
  }
  return verifyAnswer(found, findings);
};

function chosen({ entries, url }: Catalog, given: Given): Entry[] {
  const [id] = given.arguments;
  if (given.flag('all')) {
    if (id !== undefined) throw usage('backups verify', 'Give an id or --all, not both.');
    return entries;
  }
  if (id === undefined) return entries.slice(-1);
  const named = entries.filter(
    ({ manifest: { backupId } }) => backupId === id || backupId.endsWith(`/${id}`),
  );
  if (named.length > 0) return named;
  throw new FactoryError({
    code: 'backup-unknown',
    op: 'find backup',
    target: id,
    message: `There is no backup ${id} in ${url}.`,
    hint: '`factory backups list` shows those that are there.',
  });
}

function verifyAnswer(found: readonly Read[], findings: readonly Finding[]): Answer {
  const bad = findings.filter(({ error }) => error !== null);
  const json = {
    verified: findings
      .filter(({ error }) => error === null)
      .map(({ destination, backupId }) => ({ destination, backupId })),
    damaged: bad.map(({ error, ...where }) => ({ ...where, ...error?.toJSON() })),
    problems: problemsOf(found),
  };
  const lines = findings.map(({ destination, backupId, error }) =>
    error
      ? `damaged  ${backupId} in ${destination}: ${error.message}`
      : `ok       ${backupId} in ${destination}`,
  );
  const rest = found.flatMap(({ url, error }) => (error ? [`failed   ${url}: ${error.message}`] : []));
  const text = [...lines, ...rest].join('\n') || 'There is no backup to verify.';
  const catalogs = exitOf(found);
  return { json, text, exit: bad.length > 0 && catalogs === EXIT.done ? EXIT.degraded : catalogs };
}

/** Plans what may go; with `--apply DIGEST` exactly that plan is carried out. */
export const prune: Run = async (context, given) => {
  const { config, found, folder, signal } = await readAll('backups prune', context, given, LIST_MS);
  const own = publicKeyOf(signingKey(config));
  const verified = readVerified(folder);
  const plans = found.flatMap(({ url, destination, catalog }) => {
    if (destination === null || catalog === null) return [];
    const { retentionDays } = config.backup;
    const candidates = catalog.entries.map((entry) => candidateOf(entry, own, verified[url] ?? {}));
    const plan = planPrune(candidates, { now: Date.now(), retentionDays, intervalMs: DAY_MS });
    return [{ url, destination, catalog, plan, digest: planDigest(url, plan) }];
  });
  const digest = given.text('apply');
  if (digest === undefined) return planAnswer(found, plans);
  const one = plans.find((plan) => plan.digest === digest);
  if (one === undefined) throw outdated(digest);
  for (const [n, backupId] of one.plan.delete.entries()) {
    context.progress(`Deleting ${n + 1} of ${one.plan.delete.length}: ${backupId}`);
    const entry = one.catalog.entries.find(({ manifest }) => manifest.backupId === backupId);
    if (entry) await removeBackup(one.destination, entry, signal);
  }
  const json = { applied: { url: one.url, deleted: one.plan.delete, digest } };
  return { json, text: `${one.url}: ${one.plan.delete.length} backups deleted.` };
};

interface Planned {
  url: string;
  plan: PrunePlan;
  digest: string;
}

function candidateOf(
  { manifest, storedAt }: Entry,
  own: string,
  verified: Record<string, Verified>,
): Candidate {
  const { backupId, kind, sequence, base, signature } = manifest;
  return {
    ...{ backupId, kind, sequence, storedAt: Date.parse(storedAt), base: base?.backupId ?? null },
    ...{ verified: Object.hasOwn(verified, backupId), own: signature.publicKey === own },
  };
}

function planAnswer(found: readonly Read[], plans: readonly Planned[]): Answer {
  const documents = plans.map(({ url, plan, digest }) => ({ url, ...plan, digest }));
  const text = plans.map(({ url, plan, digest }) => {
    const gone = plan.delete.map((backupId) => `  delete  ${backupId}`);
    const kept = plan.keep.map(({ backupId, why }) => `  keep    ${backupId}: ${why}`);
    const next =
      plan.delete.length === 0
        ? (plan.refused && `Nothing is deleted: ${plan.refused}.`) || 'Nothing is old enough to be deleted.'
        : `Nothing was deleted yet. To delete these ${plan.delete.length}: factory backups prune --from '${url}' --apply ${digest}`;
    return [url, ...gone, ...kept, next].join('\n');
  });
  const failed = found.flatMap(({ url, error }) =>
    error ? [`${url}\n  ${error.message}\n  ${error.hint}`] : [],
  );
  return {
    json: { plan: documents[0] ?? null, plans: documents, problems: problemsOf(found) },
    text: [...text, ...failed].join('\n\n'),
    exit: exitOf(found),
  };
}

function outdated(target: string): FactoryError {
  return new FactoryError({
    code: 'plan-outdated',
    op: 'prune backups',
    target,
    message: 'No destination has this plan now: something came, went or grew old since it was shown.',
    hint: 'Look at the new plan: `factory backups prune`. Nothing was deleted.',
  });
}
