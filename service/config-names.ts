/** Every variable of ours; `.env.example` explains each. Client names (`FACTORY_URL`, `FACTORY_TOKEN`) included. */
export const VARIABLES = [
  'FACTORY_ENV',
  'FACTORY_RELEASE',
  'FACTORY_DEPLOY_LOG',
  'FACTORY_LOG_LEVEL',
  'FACTORY_HOST',
  'FACTORY_PORT',
  'FACTORY_SOCKET',
  'FACTORY_BASE_URL',
  'FACTORY_TRUST_PROXY',
  'FACTORY_DATA_DIR',
  'FACTORY_DATABASE_URL',
  'FACTORY_KEYRING_DIR',
  'FACTORY_CHECKPOINT_DIR',
  'FACTORY_WORK_ITEMS_DIR',
  'FACTORY_QUEUE_WRITES',
  'FACTORY_JOBS',
  'FACTORY_BACKUP_DESTINATIONS',
  'FACTORY_BACKUP_RECIPIENTS',
  'FACTORY_BACKUP_IDENTITY_FILE',
  'FACTORY_BACKUP_SCHEDULE',
  'FACTORY_BACKUP_DIFFERENTIAL_SECONDS',
  'FACTORY_BACKUP_RETENTION_DAYS',
  'FACTORY_VERIFY_SCHEDULE',
  'FACTORY_DRILL_SCHEDULE',
  'FACTORY_PRUNE_SCHEDULE',
  'FACTORY_DRILL_SIGNERS',
  'FACTORY_BACKUP_GIVE_UP_SECONDS',
  'FACTORY_URL',
  'FACTORY_TOKEN',
] as const;
export type Variable = (typeof VARIABLES)[number];

/** Variables that may hold a secret, and so may come as a file named by `<NAME>_FILE`. */
export const SECRETS = ['FACTORY_DATABASE_URL', 'FACTORY_TOKEN'] as const satisfies Variable[];

/** Levenshtein distance: single-letter insertions, deletions and replacements between two words. */
export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

const PREFIX = 'FACTORY_';

/**
 * The known name that `name` begins, else the one that takes the fewest changes; the earlier one of two. Null where
 * none is near: what all names share aside, more than half of it would have to change.
 */
export function nearestName(name: string): string | null {
  const own = name.length - PREFIX.length;
  if (own <= 0) return null;
  const known = [
    ...VARIABLES,
    ...SECRETS.map((secret) => `${secret}_FILE`),
    'FACTORY_BACKUP_CREDENTIALS_1_FILE',
  ];
  const begun = known.filter((candidate) => candidate.startsWith(name));
  const nearest = (begun.length > 0 ? begun : known).reduce((best, candidate) =>
    distance(name, candidate) < distance(name, best) ? candidate : best,
  );
  return begun.length > 0 || distance(name, nearest) <= own / 2 ? nearest : null;
}
