import { FactoryError } from '../../errors.ts';
import type { ChatDependencies } from '../dependencies.ts';
import type { Policies } from '../policies.ts';
import { gone } from '../refusals.ts';
import { keepingOf, purgeableFrom } from './retention.ts';
import { plans } from './store-retention.ts';

/** What is answered of something that is not shown any more: it was deleted for ever, or lies in the bin and can come back. */

export type GoneOf = (
  what: 'session' | 'message',
  target: string,
  row: { deleted_at: string | null; binned_at: string | null; class: string },
) => Promise<FactoryError>;

export function createGoneOf(
  { storage, projectId }: Pick<ChatDependencies, 'storage' | 'projectId'>,
  policies: Pick<Policies, 'ofClass' | 'general'>,
): GoneOf {
  return async (what, target, { deleted_at, binned_at, class: kind }) => {
    if (deleted_at !== null || binned_at === null) return gone(what, target);
    const [policy, general] = await Promise.all([policies.ofClass(kind), policies.general()]);
    const { days, binDays } = keepingOf('message', policy, general);
    const until = days === null ? null : purgeableFrom(binned_at, binDays);
    const run = await storage.read.get(plans.appliedAt, { project_id: projectId, at: binned_at });
    return inBin(what, target, { binnedAt: binned_at, purgeableFrom: until, plan: run?.id ?? null });
  };
}

function inBin(
  what: string,
  target: string,
  lies: { binnedAt: string; purgeableFrom: string | null; plan: string | null },
): FactoryError {
  const { binnedAt, purgeableFrom: until, plan } = lies;
  const end =
    until === null
      ? 'its policy keeps it there for ever'
      : `from ${until.slice(0, 10)} on a plan of retention can purge it for good`;
  return new FactoryError({
    ...{ code: 'gone', op: `use ${what}`, target },
    message: `The ${what} ${target} lies in the bin since ${binnedAt.slice(0, 10)}: retention put it there, and ${end}.`,
    hint: `An owner can take the run back as long as it lies there: on the page Retention, or by \`npx factory governance retention ${plan ?? 'PLAN'} --undo\`.`,
    details: { ...lies },
  });
}
