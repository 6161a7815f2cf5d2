import type { Config, Destination } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import { replicaNumber } from '../keys/replica.ts';

/**
 * What is typed where the prune key is. That machine knows nothing of this one: not whose backups count, not how long they
 * are kept, and not which of them are whole, so that it reads them first.
 */

export interface ToPrune {
  url: string;
  configured: Destination;
  digest: string;
  plan: { leftovers: readonly string[] };
  /** Signers whose backups count here. */
  trusted: readonly string[];
  retentionDays: number;
}

const DEFAULT_DAYS = 30;

/** Where a stolen host must not be able to delete, its keys are not the ones that prune. A folder has no keys. */
export function needsPruneKey(
  { environment }: Pick<Config, 'environment'>,
  { configured }: Pick<ToPrune, 'configured'>,
): boolean {
  return environment === 'production' && configured.kind === 's3';
}

export function applyElsewhere({ url, digest, plan, trusted, retentionDays }: ToPrune): string {
  const trust = trusted.map((key) => ` --trust ${key}`).join('');
  const place = `--from '${url}' --credentials FILE${trust}`;
  const days = retentionDays === DEFAULT_DAYS ? '' : `FACTORY_BACKUP_RETENTION_DAYS=${retentionDays} `;
  // A copy of the keyring goes only for one that was seen to be whole.
  const identity = plan.leftovers.some((key) => replicaNumber(key) !== null) ? ' --identity FILE' : '';
  return (
    `npx factory backups verify --all ${place} && ` +
    `${days}npx factory backups prune ${place}${identity} --apply ${digest}`
  );
}

export function hostOnlyPlans(planned: ToPrune): FactoryError {
  return new FactoryError({
    code: 'prune-needs-key',
    op: 'prune backups',
    target: planned.url,
    message: 'In production the host plans, and does not delete with the key that lies on it.',
    hint: `Whoever holds the prune key runs this, where that key is: ${applyElsewhere(planned)}. Nothing was deleted.`,
  });
}

export function keyMayNotDelete(planned: ToPrune, cause: FactoryError): FactoryError {
  return new FactoryError({
    code: 'prune-forbidden',
    op: 'prune backups',
    target: planned.url,
    message: `This key may not delete in ${planned.url}; on a host that is as it should be.`,
    hint: `Whoever holds the prune key runs this: ${applyElsewhere(planned)}. No backup was broken.`,
    cause,
  });
}
