import type { Config } from '../service/config.ts';
import { asFactoryError, FactoryError } from '../service/errors.ts';
import { errorFact } from '../service/jobs/facts.ts';
import { isOnSameDisk } from '../service/same-disk.ts';
import type { Catalog, Entry } from './lib/backup/catalog.ts';
import { identitiesFor, identityFile } from './lib/backup/keys.ts';
import { agesFrom, DIFFERENTIAL_HOURS, planDigest, planPrune } from './lib/backup/prune.ts';
import type { Candidate, PrunePlan } from './lib/backup/prune.ts';
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
    await applyPlan(talking, one, signal);
    const { delete: deleted, leftovers } = one.plan;
    const json = { applied: { url: one.url, deleted, leftovers, digest } };
    const rest = leftovers.length === 0 ? '' : `, and ${leftovers.length} objects without a manifest`;
    const answer = { json, text: `${one.url}: ${deleted.length} backups deleted${rest}.` };
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
    const applied: { url: string; deleted: string[]; leftovers: string[] }[] = [];
    for (const one of plans.filter(({ plan }) => plan.delete.length + plan.leftovers.length > 0)) {
      const { url, plan } = one;
      const error = await applyOwn(talking, config, one, signal);
      if (error === null) applied.push({ url, deleted: plan.delete, leftovers: plan.leftovers });
      else if (ELSEWHERE.has(error.code)) talking.say(`${error.message} ${error.hint}`);
      else errors.set(url, error);
    }
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

/** Null: it was carried out. */
async function applyOwn(
  context: VerbContext,
  config: Config,
  planned: Planned,
  signal: AbortSignal,
): Promise<FactoryError | null> {
  if (needsPruneKey(config, planned)) return hostOnlyPlans(planned);
  try {
    await applyPlan(context, planned, signal);
    return null;
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
      const plan = { ...planned, leftovers: [...planned.leftovers, ...old], keyring: kept };
      const digest = planDigest(url, plan);
      plans.push({ url, configured, destination, catalog, plan, digest, trusted, retentionDays });
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

async function applyPlan({ progress }: VerbContext, planned: Planned, signal: AbortSignal): Promise<void> {
  const { destination, catalog, plan } = planned;
  try {
    await removePlanned(destination, [...catalog.entries, ...catalog.baseless], plan, { signal, progress });
  } catch (error) {
    if (error instanceof FactoryError && error.code === 'destination-forbidden')
      throw keyMayNotDelete(planned, error);
    throw error;
  }
}

interface Planned extends ToPrune {
  destination: Destination;
  catalog: Catalog;
  plan: PrunePlan & { keyring: string | null };
}

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
    return { url, ...plan, digest, needsPruneKey: needsPruneKey(config, planned) };
  });
  const text = plans.map((planned) => {
    const { url, plan } = planned;
    const gone = plan.delete.map((backupId) => `  delete  ${backupId}`);
    const kept = plan.keep.map(({ backupId, why }) => `  keep    ${backupId}: ${why}`);
    const left = plan.leftovers.map((key) => `  delete  ${key}: ${whyLeft(key)}`);
    const elsewhere = needsPruneKey(config, planned) && given.text('credentials') === undefined;
    const apply = elsewhere
      ? `Whoever holds the prune key deletes these ${gone.length + left.length}: ${applyElsewhere(planned)}`
      : `To delete these ${gone.length + left.length}: ${applyHere(planned, given)}`;
    const next =
      gone.length + left.length === 0
        ? (plan.refused && `Nothing is deleted: ${plan.refused}.`) || 'Nothing is old enough to be deleted.'
        : `Nothing was deleted yet. ${apply}`;
    const copies = plan.keyring === null ? [] : [`  keep    ${plan.keyring}`];
    return [url, ...gone, ...left, ...kept, ...copies, next].join('\n');
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
