import type { Config } from '../service/config.ts';
import { asFactoryError, FactoryError } from '../service/errors.ts';
import { errorFact } from '../service/jobs/facts.ts';
import { isOnSameDisk } from '../service/same-disk.ts';
import type { Catalog, Entry } from './lib/backup/catalog.ts';
import { identitiesFor, identityFile } from './lib/backup/keys.ts';
import { agesFrom, DIFFERENTIAL_HOURS, planDigest, planPrune, untimely } from './lib/backup/prune.ts';
import type { Candidate, PrunePlan } from './lib/backup/prune.ts';
import { forgetPresent } from './lib/backup/present.ts';
import { planBlobs } from './lib/backup/prune-blobs.ts';
import type { BlobPlan } from './lib/backup/prune-blobs.ts';
import {
  applyElsewhere,
  applyHere,
  hostOnlyPlans,
  keyMayNotDelete,
  needsPruneKey,
} from './lib/backup/prune-elsewhere.ts';
import type { ToPrune } from './lib/backup/prune-elsewhere.ts';
import { exitOf, LIST_MS, problemsOf, readAll } from './lib/backup/read.ts';
import type { Read } from './lib/backup/read.ts';
import { appliedText, attachmentLines, attachmentsDocument, totalOf } from './lib/backup/prune-text.ts';
import type { Applied } from './lib/backup/prune-text.ts';
import { removeBlobs, REMOVE_MS } from './lib/backup/remove-blobs.ts';
import { removePlanned } from './lib/backup/remove.ts';
import { isTrusted } from './lib/backup/signers.ts';
import { readVerified, verifiedWithBase } from './lib/backup/verified.ts';
import type { Destination } from './lib/destinations/destination.ts';
import { planOutdated } from './lib/failure.ts';
import { REPLICA_WINDOW_MS, replicaNumber } from './lib/keys/replica.ts';
import { sentReplicas } from './lib/keys/send-replica.ts';
import { oldCopies } from './lib/keys/whole-replicas.ts';
import { recorded } from './lib/recorded.ts';
import type { Work } from './lib/recorded.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, Given, Run, VerbContext } from './lib/verb.ts';

const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;

/** Plans what may go; with `--apply DIGEST` exactly that plan is carried out. */
export const prune: Run = async (context, given) => {
  const digest = given.text('apply');
  if (digest === undefined) {
    const { config, found, plans } = await plansOf(context, given);
    return planAnswer(config, found, plans, given);
  }
  const config = readConfig(context);
  const apply = async (talking: VerbContext): Promise<Work> => {
    const { plans, signal } = await plansOf(talking, given);
    const one = plans.find((plan) => plan.digest === digest);
    if (one === undefined) throw planOutdated('prune backups', digest, 'backups prune');
    if (needsPruneKey(config, one) && given.text('credentials') === undefined) throw hostOnlyPlans(one);
    const json = { ...(await applyPlan(talking, one, signal)), digest };
    const exit = json.attachments.kept === null ? EXIT.done : EXIT.degraded;
    const answer = { json: { applied: json }, text: appliedText(json), exit };
    return { answer, facts: [errorFact('prune', one.url, null)] };
  };
  if (given.text('name') !== undefined) return (await apply(context)).answer;
  return recorded(context, config, 'prune', apply);
};

/**
 * The job: applies its own plan to each destination. Where only the prune key may, because this is production or because
 * the destination refuses, it says who does it; that is as it should be, and no failure.
 */
export const pruneJob: Run = (context, given) =>
  recorded(context, readConfig(context), 'prune', async (talking) => {
    const { config, found, plans, signal } = await plansOf(talking, given);
    const errors = new Map(found.map(({ url, error }) => [url, error]));
    const applied: Applied[] = [];
    for (const one of plans) {
      const { refused } = one.plan.attachments;
      if (refused !== null) talking.say(`${one.url}: all attachments stay: ${refused}.`);
      if (countOf(one.plan) === 0) continue;
      const done = await applyOwn(talking, config, one, signal);
      if (!(done instanceof FactoryError)) applied.push(done);
      else if (ELSEWHERE.has(done.code)) talking.say(`${done.message} ${done.hint}`);
      else errors.set(one.url, done);
    }
    for (const one of applied) talking.say(appliedText(one));
    const { json, exit = EXIT.done } = planAnswer(config, found, plans, given);
    const failed = [...errors.values()].some((error) => error !== null);
    const deleted = applied.reduce((sum, one) => sum + one.deleted.length, 0);
    return {
      answer: {
        json: { ...(json as object), applied },
        text: `${deleted} backups deleted.`,
        exit: exit === EXIT.done && failed ? EXIT.degraded : exit,
      },
      facts: [...errors].map(([url, error]) => errorFact('prune', url, error)),
    };
  });

const ELSEWHERE = new Set(['prune-needs-key', 'prune-forbidden']);

/** What was done, or why it was not. */
async function applyOwn(
  context: VerbContext,
  config: Config,
  planned: Planned,
  signal: AbortSignal,
): Promise<Applied | FactoryError> {
  if (needsPruneKey(config, planned)) return hostOnlyPlans(planned);
  try {
    return await applyPlan(context, planned, signal);
  } catch (error) {
    return asFactoryError(error, 'prune backups');
  }
}

async function plansOf(context: VerbContext, given: Given) {
  const { config, found, folder, trusted, signal } = await readAll('backups prune', context, given, LIST_MS);
  const verified = readVerified(folder);
  const identities = identitiesAtHand(context, config, given);
  const plans: Planned[] = [];
  for (const one of found) {
    const { url, configured, destination, catalog, replicas } = one;
    if (destination === null || catalog === null) continue;
    const { retentionDays } = config.backup;
    const candidates = [
      ...catalog.entries.map((entry) => candidateOf(entry, trusted, verified[url])),
      ...outlived(catalog).map((entry) => candidateOf(entry, trusted, undefined)),
    ];
    const leftovers = catalog.leftovers.map(({ key, storedAt }) => ({ key, storedAt: Date.parse(storedAt) }));
    const rules = { now: Date.now(), retentionDays, intervalMs: DAY_MS };
    const planned = planPrune(candidates, rules, leftovers);
    const windowMs = (await isOnSameDisk(configured, config)) ? 0 : REPLICA_WINDOW_MS;
    const knowing = {
      identities,
      trusted,
      sent: sentReplicas(folder),
      now: agesFrom(
        candidates.filter((one) => one.own),
        rules,
      ),
      windowMs,
      signal,
    };
    try {
      const { old, kept } =
        planned.refused === null ? await oldCopies(destination, replicas, knowing) : { old: [], kept: null };
      const retentionMs = retentionDays * DAY_MS;
      const late = untimely(
        candidates.filter((one) => one.own),
        rules,
      );
      const blobs = { catalog, gone: planned.delete, untimely: late, now: knowing.now, retentionMs, signal };
      const { plan: attachments, claims } = await planBlobs(destination, blobs);
      const plan = {
        ...{ ...planned, leftovers: [...planned.leftovers, ...old, ...claims], keyring: kept, attachments },
      };
      const digest = planDigest(url, plan);
      plans.push({ url, configured, destination, catalog, folder, plan, digest, trusted, retentionDays });
    } catch (error) {
      one.error = asFactoryError(error, 'prune backups');
    }
  }
  return { config, found, plans, signal };
}

/** A host in production has none, and plans all the same: it knows what it sent. */
function identitiesAtHand({ cwd }: VerbContext, config: Config, given: Given): string[] {
  const file = identityFile(cwd, given);
  if (file !== undefined) return identitiesFor(config, file);
  try {
    return identitiesFor(config, undefined);
  } catch {
    return [];
  }
}

/**
 * Differentials whose full backup is gone go when others of their age do, or they would be a problem for ever. Younger ones
 * are not even asked about: the full one may come back, and as a newest backup they must not make old ones seem replaced.
 */
function outlived({ baseless }: Catalog): Entry[] {
  const before = Date.now() - DIFFERENTIAL_HOURS * HOUR_MS;
  return baseless.filter(({ storedAt }) => Date.parse(storedAt) < before);
}

/** Attachments go last: what a backup names is there for as long as it is listed. */
async function applyPlan({ progress }: VerbContext, planned: Planned, signal: AbortSignal): Promise<Applied> {
  const { url, destination, catalog, plan } = planned;
  try {
    await removePlanned(destination, [...catalog.entries, ...catalog.baseless], plan, { signal, progress });
    forgetPresent(planned.folder, url, plan.delete);
    const removing = { catalog, signal: AbortSignal.timeout(REMOVE_MS), progress };
    const { gone, kept } = await removeBlobs(destination, plan.attachments, removing);
    const { delete: deleted, leftovers } = plan;
    return { url, deleted, leftovers, attachments: { ...totalOf(gone), kept } };
  } catch (error) {
    if (error instanceof FactoryError && error.code === 'destination-forbidden')
      throw keyMayNotDelete(planned, error);
    throw error;
  }
}

interface Planned extends ToPrune {
  destination: Destination;
  catalog: Catalog;
  /** What this machine remembers of it. */
  folder: string;
  plan: PrunePlan & { keyring: string | null; attachments: BlobPlan };
}

const countOf = ({ delete: gone, leftovers, attachments }: Planned['plan']): number =>
  gone.length + leftovers.length + attachments.objects.length;

function candidateOf(
  { manifest, storedAt }: Entry,
  own: readonly string[],
  verified: Parameters<typeof verifiedWithBase>[0],
): Candidate {
  const { backupId, kind, sequence, base, signature } = manifest;
  return {
    ...{ backupId, kind, sequence, storedAt: Date.parse(storedAt), base: base?.backupId ?? null },
    ...{
      verified: verifiedWithBase(verified, { manifest }) !== null,
      own: isTrusted(signature.publicKey, own),
    },
  };
}

const whyLeft = (key: string): string =>
  replicaNumber(key) === null ? 'it belongs to no backup' : 'newer copies of the keyring are there';

function planAnswer(config: Config, found: readonly Read[], plans: readonly Planned[], given: Given): Answer {
  const documents = plans.map((planned) => {
    const { url, plan, digest } = planned;
    const attachments = attachmentsDocument(plan.attachments);
    return { url, ...plan, attachments, digest, needsPruneKey: needsPruneKey(config, planned) };
  });
  const text = plans.map((planned) => {
    const { url, plan } = planned;
    const gone = plan.delete.map((backupId) => `  delete  ${backupId}`);
    const kept = plan.keep.map(({ backupId, why }) => `  keep    ${backupId}: ${why}`);
    const left = plan.leftovers.map((key) => `  delete  ${key}: ${whyLeft(key)}`);
    const elsewhere = needsPruneKey(config, planned) && given.text('credentials') === undefined;
    const count = gone.length + left.length + totalOf(plan.attachments.objects).count;
    const apply = elsewhere
      ? `Whoever holds the prune key deletes these ${count}: ${applyElsewhere(planned)}`
      : `To delete these ${count}: ${applyHere(planned, given)}`;
    const next =
      countOf(plan) === 0
        ? (plan.refused && `Nothing is deleted: ${plan.refused}.`) || 'Nothing is old enough to be deleted.'
        : `Nothing was deleted yet. ${apply}`;
    const copies = plan.keyring === null ? [] : [`  keep    ${plan.keyring}`];
    return [url, ...gone, ...left, ...attachmentLines(plan.attachments), ...kept, ...copies, next].join('\n');
  });
  const failed = found.flatMap(({ url, error }) =>
    error ? [`${url}\n  ${error.message}\n  ${error.hint}`] : [],
  );
  const unusable = found.flatMap(({ catalog }) =>
    (catalog?.problems ?? []).map(({ key, error }) => `not usable: ${key}: ${error.message}`),
  );
  return {
    json: { plan: documents[0] ?? null, plans: documents, problems: problemsOf(found) },
    text: [...text, ...failed, ...unusable].join('\n\n'),
    exit: exitOf(found),
  };
}
