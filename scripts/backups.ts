import { asFactoryError, FactoryError } from '../service/errors.ts';
import { OWN_NAME, verifyFacts } from '../service/jobs/facts.ts';
import type { Fact, Listed } from '../service/jobs/facts.ts';
import { onSameDisk, SAME_DISK } from '../service/same-disk.ts';
import { checkReplica, missingReplica } from './lib/keys/check-replica.ts';
import { replicaNumber } from './lib/keys/replica.ts';
import { lastSentTo } from './lib/keys/send-replica.ts';
import type { Catalog, Entry } from './lib/backup/catalog.ts';
import { keepRun, verifying } from './lib/backup/keep-found.ts';
import { byId } from './lib/backup/pick.ts';
import { mayRestore, restoreEach } from './lib/backup/restore-each.ts';
import { noBackup } from './lib/backup/pick.ts';
import { exitOf, LIST_MS, problemsOf, readAll } from './lib/backup/read.ts';
import type { Read } from './lib/backup/read.ts';
import { damagedIn, openDamage, readVerified, verifiedWithBase } from './lib/backup/verified.ts';
import type { Damage, Verified } from './lib/backup/verified.ts';
import { verifyWithBase } from './lib/backup/verify.ts';
import { usage } from './lib/failure.ts';
import { table } from './lib/layout.ts';
import { recorded } from './lib/recorded.ts';
import type { Work } from './lib/recorded.ts';
import { readConfig } from './lib/settings.ts';
import { sizeText } from './lib/size.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, ExitCode, Given, Run, VerbContext } from './lib/verb.ts';

const VERIFY_MS = 12 * 60 * 60_000;

/** What each destination holds. */
export const list: Run = async (context, given) => {
  const { config, found, folder } = await readAll('backups list', context, given, LIST_MS);
  for (const { url, catalog, replicas } of found)
    catalog?.problems.push(...missingReplica(lastSentTo(folder, url), replicas));
  const near = await onSameDisk(
    found.map(({ configured }) => configured),
    config,
  );
  const verified = readVerified(folder);
  const of = (url: string, entry: Entry): Verified | null => verifiedWithBase(verified[url], entry);
  const isDamaged = (url: string, { manifest }: Entry): boolean =>
    damagedIn(verified[url]).has(manifest.backupId);
  const backups = found.flatMap(({ url, catalog }) =>
    (catalog?.entries ?? []).map((entry) => {
      const { backupId, kind, sequence, startedAt, finishedAt } = entry.manifest;
      const known = of(url, entry);
      const checked = {
        ...{ verifiedAt: known?.at ?? null, verifiedHow: known?.how ?? null },
        damaged: isDamaged(url, entry),
      };
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
        ...{ url: one.url, sameDisk: near.has(one.url) },
        keyrings: one.replicas.map(({ key, bytes, storedAt }) => ({ key, bytes, storedAt })),
        otherNames: one.catalog?.otherNames ?? [],
        hint: one.catalog && firstStep(one.catalog),
      })),
      problems: problemsOf(found),
    },
    text: found
      .map((one) =>
        listText(one, near.has(one.url), (entry) =>
          isDamaged(one.url, entry) ? 'damaged' : of(one.url, entry),
        ),
      )
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
  const { entries, problems, name, otherNames } = catalog ?? NOTHING;
  const rows = entries.map((entry) => {
    const { backupId, kind, finishedAt } = entry.manifest;
    const known = verified(entry);
    const checked = known === null ? 'never' : known === 'damaged' ? known : `${known.at}, ${known.how}`;
    return [backupId, kind, finishedAt, checked, sizeText(entry.bytes)];
  });
  const head = ['BACKUP', 'KIND', 'FINISHED', 'VERIFIED', 'STORED'];
  const others = otherNames.length === 0 ? '' : `; of others: ${otherNames.join(', ')} (--name)`;
  const next = catalog && firstStep(catalog);
  const none = `no backup of ${name} yet${others}${next === null ? '' : `\n  ${next}`}`;
  const lines = rows.length === 0 ? none : table(head, rows);
  return [
    sameDisk ? `${url}  (${SAME_DISK})` : url,
    lines,
    ...[...replicas]
      .sort((a, b) => (replicaNumber(a.key) ?? 0) - (replicaNumber(b.key) ?? 0))
      .slice(-1)
      .map(({ key }) => `copies of the keyring: ${replicas.length}, the last ${key}`),
    ...problems.map(({ key, error: { message } }) => `not usable: ${key}: ${message}`),
  ].join('\n');
}

/** Null: there are backups, or what might have been some. */
function firstStep({ name, entries, problems, otherNames }: Catalog): string | null {
  if (entries.length + problems.length + otherNames.length > 0) return null;
  const how = name === OWN_NAME ? '' : ` --db FILE --name ${name}`;
  return `\`npx factory backup${how}\` makes the first one.`;
}

const NOTHING: Pick<Catalog, 'entries' | 'problems' | 'name' | 'otherNames'> = {
  ...{ entries: [], problems: [], name: '', otherNames: [] },
};

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

/** As a job asks for it: backups of the own database that no database was made of yet are restored, too. */
export const RESTORE_EACH = 'restore-each';

async function verifyAll(context: VerbContext, given: Given): Promise<Work> {
  const { config, found, folder, signal } = await readAll('backups verify', context, given, VERIFY_MS);
  const restoring = given.flag(RESTORE_EACH)
    ? mayRestore(config, folder, Date.now(), context.progress)
    : null;
  const findings: Finding[] = [];
  const unopened: Unopened[] = [];
  const objects: DamagedThere[] = [];
  // An address that was typed for this and has nothing is misspelt: nothing was verified, and that is no success.
  const [empty] = found.flatMap(({ catalog }) => catalog ?? []);
  if (given.text('from') !== undefined && empty && empty.entries.length + empty.problems.length === 0)
    throw noBackup(empty);
  const chosen = chosenIn(found, given);
  for (const one of found) {
    const { url, destination, catalog } = one;
    const wanted = chosen.get(url);
    if (destination === null || catalog === null || !Array.isArray(wanted)) continue;
    const run = verifying(folder, destination, catalog, signal);
    try {
      for (const [n, entry] of wanted.entries()) {
        const { backupId } = entry.manifest;
        context.progress(`Reading ${n + 1} of ${wanted.length} in ${url}: ${backupId}`);
        const error = await verifyWithBase(run, entry);
        findings.push({ destination: url, backupId, error });
      }
      if (restoring !== null) {
        const tried = await restoreEach(run, restoring);
        findings.push(...tried.damaged.map((damage) => ({ destination: url, ...damage })));
        unopened.push(...tried.unopened.map((backupId) => ({ destination: url, backupId })));
      }
      const { name } = catalog;
      catalog.problems.push(...(await checkReplica(folder, destination, { name, signal })));
    } catch (error) {
      // It went away meanwhile: what was read before counts, and the other destinations are read all the same.
      one.error = asFactoryError(error, 'verify backups');
    }
    await keepRun(folder, run);
    for (const [key, error] of run.wrong) objects.push({ destination: url, key, error });
  }
  const verified = readVerified(folder);
  const facts = found.flatMap((one) => factsOf(one, verified[one.url]));
  const missing = [...chosen].flatMap(([url, one]) =>
    one instanceof FactoryError ? [{ url, error: one }] : [],
  );
  if (unopened.length > 0) context.say(unopenedText(unopened));
  return { answer: verifyAnswer(found, findings, { missing, unopened, objects }), facts };
}

/** A backup that was read, and of which no database could be made for want of its key. */
interface Unopened {
  destination: string;
  backupId: string;
}

function unopenedText(unopened: readonly Unopened[]): string {
  const names = unopened.map(({ destination, backupId }) => `${backupId} in ${destination}`);
  return `Not restored for a trial, because no key that lies here opens them: ${names.join(', ')}. Their ciphertext counts all the same. \`npx factory keys rewrap --identity OLD\`, with a key that opens them, gives them to the keys of now.`;
}

/**
 * What is to be read in each destination that answers, or why it is not there; the others are read all the same. Errors:
 * `usage`; why it is not there, where no destination knows it.
 */
function chosenIn(found: readonly Read[], given: Given): Map<string, Entry[] | FactoryError> {
  const chosen = new Map(
    found.flatMap(({ url, catalog }) => (catalog === null ? [] : [[url, chosenOf(catalog, given)] as const])),
  );
  const all = [...chosen.values()];
  const [first] = all;
  if (first instanceof FactoryError && chosen.size === found.length && all.every(isUnknown)) throw first;
  return chosen;
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

const isUnknown = (one: Entry[] | FactoryError): boolean =>
  one instanceof FactoryError && /^backup-(none|unknown)$/.test(one.code);

function chosenOf(catalog: Catalog, given: Given): Entry[] | FactoryError {
  const [id] = given.arguments;
  if (given.flag('all') && id !== undefined) throw usage('backups verify', 'Give an id or --all, not both.');
  if (given.flag('all')) return catalog.entries;
  if (id === undefined) return catalog.entries.slice(-1);
  try {
    return [byId(catalog, id)];
  } catch (error) {
    return asFactoryError(error, 'verify backups');
  }
}

/** An attachment, or a list of them. */
interface DamagedThere {
  destination: string;
  key: string;
  error: FactoryError;
}

interface Beside {
  missing: readonly { url: string; error: FactoryError }[];
  unopened: readonly Unopened[];
  objects: readonly DamagedThere[];
}

function verifyAnswer(
  found: readonly Read[],
  findings: readonly Finding[],
  { missing, unopened, objects }: Beside,
): Answer {
  const bad = findings.filter(({ error }) => error !== null);
  const json = {
    verified: findings
      .filter(({ error }) => error === null)
      .map(({ destination, backupId }) => ({ destination, backupId })),
    damaged: bad.map(({ error, ...where }) => ({ ...where, ...error?.toJSON() })),
    damagedObjects: objects.map(({ error, ...where }) => ({ ...where, ...error.toJSON() })),
    notRestored: unopened,
    problems: [
      ...problemsOf(found),
      ...missing.map(({ url, error }) => ({ destination: url, key: null, ...error.toJSON() })),
    ],
  };
  const lines = findings.map(({ destination, backupId, error }) =>
    error
      ? `damaged  ${backupId} in ${destination}: ${error.message}`
      : `ok       ${backupId} in ${destination}`,
  );
  const rest = [
    ...objects.map((one) => `damaged  ${one.key} in ${one.destination}: ${one.error.hint}`),
    ...missing.map(({ url, error }) => `missing  ${url}: ${error.message}`),
    ...found.flatMap(({ url, error }) => (error ? [`failed   ${url}: ${error.message}`] : [])),
    ...found.flatMap(({ catalog }) =>
      (catalog?.problems ?? []).map(({ key, error }) => `unusable ${key}: ${error.message}`),
    ),
  ];
  const text = [...lines, ...rest].join('\n') || 'There is no backup to verify.';
  return {
    json,
    text,
    exit: verifyExit(exitOf(found), findings, bad.length + missing.length + objects.length),
  };
}

/** Where something was asked for and nothing of it could be read, nothing is verified. */
function verifyExit(catalogs: ExitCode, findings: readonly Finding[], wrong: number): ExitCode {
  if (findings.length === 0 && wrong > 0) return EXIT.failed;
  return wrong > 0 && catalogs === EXIT.done ? EXIT.degraded : catalogs;
}
