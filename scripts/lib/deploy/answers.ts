import { fields } from '../layout.ts';
import { bytesOf } from '../release/manifest.ts';
import { sizeText } from '../size.ts';
import type { Answer } from '../verb.ts';
import type { Source } from './engine.ts';
import { preflightRefusal } from './rules/preflight.ts';
import { holderText } from './rules/lock.ts';
import type { DeployRecord } from '../../../service/jobs/deploy-history.ts';
import type { DeployHost, Lock } from './types.ts';

/** What `deploy` and `rollback` answer. */

export interface DeployPlan {
  environment: string;
  release: string;
  live: string | null;
  previous: string | null;
  /** Contents that the host lacks, by SHA-256. */
  missing: string[];
  missingBytes: number;
  /** Who deploys now; null: nobody. */
  holder: string | null;
  /** Why it would not begin; null: it would. */
  refusal: { code: string; message: string; hint: string } | null;
}

export async function planOf(
  host: DeployHost,
  { manifest, missing }: Source,
  { environment, lock }: { environment: string; lock: Lock | null },
): Promise<DeployPlan> {
  const [facts, lacking] = [await host.facts(), await missing()];
  const needed = bytesOf(lacking);
  return {
    ...{ environment, release: manifest.release, live: facts.live, previous: facts.previous },
    missing: lacking.map(({ sha256 }) => sha256),
    missingBytes: needed,
    holder: lock === null || lock.owner === null ? null : holderText(lock),
    refusal: preflightRefusal(facts, { wanted: environment, needed }),
  };
}

export function planAnswer(plan: DeployPlan): Answer {
  const { environment, release, live, previous, missing, missingBytes, holder, refusal } = plan;
  const text = fields([
    ['Environment', environment],
    ['Release', release === live ? `${release}, which is live` : release],
    ['Live', live ?? 'nothing yet'],
    ['Before it', previous ?? '-'],
    ['To send', missing.length === 0 ? 'nothing' : `${missing.length} files, ${sizeText(missingBytes)}`],
    ['Going on', holder ?? 'nothing'],
    ['Stands in the way', refusal === null ? 'nothing' : `${refusal.message} ${refusal.hint}`],
  ]);
  return { json: plan, text };
}

export function recordAnswer(record: DeployRecord): Answer {
  const { kind, environment, release, from, outcome, startedAt, endedAt } = record;
  const seconds = ((Date.parse(endedAt ?? startedAt) - Date.parse(startedAt)) / 1000).toFixed(1);
  const before = from === null || from === release ? '' : `, ${from} before it`;
  const text =
    outcome === 'unchanged'
      ? `${release} was live on ${environment} already.`
      : `${kind === 'deploy' ? 'Deployed' : 'Rolled back'}: ${release} is live on ${environment}${before}. ${seconds} s.`;
  return { json: record, text };
}
