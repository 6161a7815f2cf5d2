import type { Config, Destination } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import { OWN_NAME } from '../../../service/jobs/facts.ts';
import { shellWord } from '../command.ts';
import type { Given } from '../verb.ts';
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
  /** Of the database. */
  catalog: { name: string };
}

const DEFAULT_DAYS = 30;

/** Where a stolen host must not be able to delete, its keys are not the ones that prune. A folder has no keys. */
export function needsPruneKey(
  { environment }: Pick<Config, 'environment'>,
  { configured }: Pick<ToPrune, 'configured'>,
): boolean {
  return environment === 'production' && configured.kind === 's3';
}

export function applyElsewhere(planned: ToPrune): string {
  const { digest, plan, trusted } = planned;
  const place = `${placeText(planned)} --credentials FILE${trustText(trusted)}`;
  const days = daysText(planned);
  // A copy of the keyring goes only for one that was seen to be whole.
  const identity = plan.leftovers.some((key) => replicaNumber(key) !== null) ? ' --identity FILE' : '';
  return (
    `npx factory backups verify --all ${place} && ` +
    `${days}npx factory backups prune ${place}${identity} --apply ${digest}`
  );
}

/** Where the plan was made: with all that it was made with, or the digest would be another one. */
export function applyHere(planned: ToPrune, given: Given): string {
  const files = ['credentials', 'identity'].flatMap((option) => {
    const file = given.text(option);
    return file === undefined ? [] : [` --${option} ${shellWord(file)}`];
  });
  const words = [placeText(planned), ...files, trustText(given.list('trust'))].join('');
  return `${daysText(planned)}npx factory backups prune ${words} --apply ${planned.digest}`;
}

function placeText({ url, catalog: { name } }: ToPrune): string {
  return `--from '${url}'${name === OWN_NAME ? '' : ` --name ${name}`}`;
}

const trustText = (signers: readonly string[]): string => signers.map((key) => ` --trust ${key}`).join('');

const daysText = ({ retentionDays }: ToPrune): string =>
  retentionDays === DEFAULT_DAYS ? '' : `FACTORY_BACKUP_RETENTION_DAYS=${retentionDays} `;

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
