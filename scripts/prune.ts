import { FactoryError } from '../service/errors.ts';
import { errorFact } from '../service/jobs/facts.ts';
import type { Catalog, Entry } from './lib/backup/catalog.ts';
import { signingKey } from './lib/backup/keys.ts';
import { publicKeyOf } from './lib/backup/manifest.ts';
import { planDigest, planPrune } from './lib/backup/prune.ts';
import type { Candidate, PrunePlan } from './lib/backup/prune.ts';
import { exitOf, LIST_MS, problemsOf, readAll } from './lib/backup/read.ts';
import type { Read } from './lib/backup/read.ts';
import { removeBackup } from './lib/backup/remove.ts';
import { readVerified } from './lib/backup/verified.ts';
import type { Verified } from './lib/backup/verified.ts';
import type { Destination } from './lib/destinations/destination.ts';
import { recorded } from './lib/recorded.ts';
import type { Work } from './lib/recorded.ts';
import { readConfig } from './lib/settings.ts';
import type { Answer, Given, Run, VerbContext } from './lib/verb.ts';

const DAY_MS = 24 * 60 * 60_000;

/** Plans what may go; with `--apply DIGEST` exactly that plan is carried out. */
export const prune: Run = async (context, given) => {
  const digest = given.text('apply');
  if (digest === undefined) {
    const { found, plans } = await plansOf(context, given);
    return planAnswer(found, plans);
  }
  const apply = async (talking: VerbContext): Promise<Work> => {
    const { plans, signal } = await plansOf(talking, given);
    const one = plans.find((plan) => plan.digest === digest);
    if (one === undefined) throw outdated(digest);
    await applyPlan(talking, one, signal);
    const json = { applied: { url: one.url, deleted: one.plan.delete, digest } };
    const answer = { json, text: `${one.url}: ${one.plan.delete.length} backups deleted.` };
    return { answer, facts: [errorFact('prune', one.url, null)] };
  };
  if (given.text('name') !== undefined) return (await apply(context)).answer;
  return recorded(context, readConfig(context), 'prune', apply);
};

async function plansOf(context: VerbContext, given: Given) {
  const { config, found, folder, signal } = await readAll('backups prune', context, given, LIST_MS);
  const own = publicKeyOf(signingKey(config));
  const verified = readVerified(folder);
  const plans = found.flatMap(({ url, destination, catalog }): Planned[] => {
    if (destination === null || catalog === null) return [];
    const { retentionDays } = config.backup;
    const candidates = catalog.entries.map((entry) => candidateOf(entry, own, verified[url] ?? {}));
    const plan = planPrune(candidates, { now: Date.now(), retentionDays, intervalMs: DAY_MS });
    return [{ url, destination, catalog, plan, digest: planDigest(url, plan) }];
  });
  return { found, plans, signal };
}

async function applyPlan(
  { progress }: VerbContext,
  { destination, catalog, plan }: Planned,
  signal: AbortSignal,
): Promise<void> {
  for (const [n, backupId] of plan.delete.entries()) {
    progress(`Deleting ${n + 1} of ${plan.delete.length}: ${backupId}`);
    const entry = catalog.entries.find(({ manifest }) => manifest.backupId === backupId);
    if (entry) await removeBackup(destination, entry, signal);
  }
}

interface Planned {
  url: string;
  destination: Destination;
  catalog: Catalog;
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
