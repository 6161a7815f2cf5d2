import { asFactoryError, FactoryError } from '../service/errors.ts';
import { verifyFacts } from '../service/jobs/facts.ts';
import type { Fact, Listed } from '../service/jobs/facts.ts';
import { isOnSameDisk, SAME_DISK } from '../service/same-disk.ts';
import type { Catalog, Entry } from './lib/backup/catalog.ts';
import { exitOf, LIST_MS, problemsOf, readAll } from './lib/backup/read.ts';
import type { Read } from './lib/backup/read.ts';
import {
  damagedIn,
  openDamage,
  readVerified,
  saveVerified,
  verifiedWithBase,
} from './lib/backup/verified.ts';
import type { Damage, Verified } from './lib/backup/verified.ts';
import { verifyWithBase } from './lib/backup/verify.ts';
import { usage } from './lib/failure.ts';
import { table } from './lib/layout.ts';
import { recorded } from './lib/recorded.ts';
import type { Work } from './lib/recorded.ts';
import { readConfig } from './lib/settings.ts';
import { sizeText } from './lib/size.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, Given, Run, VerbContext } from './lib/verb.ts';

const VERIFY_MS = 12 * 60 * 60_000;

/** What each destination holds. */
export const list: Run = async (context, given) => {
  const { config, found, folder } = await readAll('backups list', context, given, LIST_MS);
  const onSameDisk = ({ configured }: Read): boolean => isOnSameDisk(configured, config);
  const verified = readVerified(folder);
  const of = (url: string, entry: Entry): Verified | null => verifiedWithBase(verified[url], entry);
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
    json: {
      backups,
      destinations: found.map((one) => ({
        ...{ url: one.url, sameDisk: onSameDisk(one) },
        keyrings: one.replicas.map(({ key, bytes, storedAt }) => ({ key, bytes, storedAt })),
      })),
      problems: problemsOf(found),
    },
    text: found
      .map((one) => {
        const damaged = damagedIn(verified[one.url]);
        return listText(one, onSameDisk(one), (entry) =>
          damaged.has(entry.manifest.backupId) ? 'damaged' : of(one.url, entry),
        );
      })
      .join('\n\n'),
    exit: exitOf(found),
  };
};

function listText(
  { url, catalog, replicas, error }: Read,
  sameDisk: boolean,
  verified: (entry: Entry) => Verified | 'damaged' | null,
): string {
  if (error !== null) return `${url}\n  ${error.message}\n  ${error.hint}`;
  const { entries, problems } = catalog ?? { entries: [], problems: [] };
  const rows = entries.map((entry) => {
    const { backupId, kind, finishedAt } = entry.manifest;
    const known = verified(entry);
    const checked = known === null ? 'never' : known === 'damaged' ? known : `${known.at}, ${known.how}`;
    return [backupId, kind, finishedAt, checked, sizeText(entry.bytes)];
  });
  const head = ['BACKUP', 'KIND', 'FINISHED', 'VERIFIED', 'STORED'];
  const lines = rows.length === 0 ? 'no backup yet' : table(head, rows);
  return [
    sameDisk ? `${url}  (${SAME_DISK})` : url,
    lines,
    ...replicas.slice(-1).map(({ key }) => `copies of the keyring: ${replicas.length}, the last ${key}`),
    ...problems.map(({ key, error: { message } }) => `not usable: ${key}: ${message}`),
  ].join('\n');
}

interface Finding {
  destination: string;
  backupId: string;
  error: FactoryError | null;
}

/** Reads backups again: the newest of each destination, one by its id, or all. */
export const verify: Run = async (context, given) => {
  const config = readConfig(context);
  const own = given.text('name') === undefined;
  if (!own) return (await verifyAll(context, given)).answer;
  return recorded(context, config, 'verify', (talking) => verifyAll(talking, given));
};

async function verifyAll(context: VerbContext, given: Given): Promise<Work> {
  const { found, folder, signal } = await readAll('backups verify', context, given, VERIFY_MS);
  const findings: Finding[] = [];
  for (const one of found) {
    const { url, destination, catalog } = one;
    if (destination === null || catalog === null) continue;
    const wanted = chosen(catalog, given);
    const results: Record<string, Verified | Damage> = {};
    const known = readVerified(folder)[url];
    const run = { destination, catalog, known, found: results, now: Date.now, signal };
    try {
      for (const [n, entry] of wanted.entries()) {
        const { backupId } = entry.manifest;
        context.progress(`Reading ${n + 1} of ${wanted.length} in ${url}: ${backupId}`);
        const error = await verifyWithBase(run, entry);
        findings.push({ destination: url, backupId, error });
      }
    } catch (error) {
      // It went away meanwhile: what was read before counts, and the other destinations are read all the same.
      one.error = asFactoryError(error, 'verify backups');
    }
    const present = catalog.entries.map(({ manifest }) => manifest.backupId);
    saveVerified(folder, url, results, present);
  }
  const verified = readVerified(folder);
  const facts = found.flatMap((one) => factsOf(one, verified[one.url]));
  return { answer: verifyAnswer(found, findings), facts };
}

/** From all that is known of a destination: what an earlier check found damaged stays so after one that looked at less. */
function factsOf(
  { url, catalog, error }: Read,
  known: Record<string, Verified | Damage> | undefined,
): Fact[] {
  const entries = catalog?.entries ?? [];
  const damage = openDamage(known, entries);
  const listed = catalog?.entries.map((entry): Listed => {
    const { backupId, kind, startedAt } = entry.manifest;
    const verified = verifiedWithBase(known, entry);
    return { backupId, kind, takenAt: startedAt, bytes: entry.bytes, verified };
  });
  return verifyFacts(url, listed ?? null, error ?? damage ?? catalog?.problems[0]?.error ?? null);
}

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
    hint: '`npx factory backups list` shows those that are there.',
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
