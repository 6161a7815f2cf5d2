import { canonicalJson } from '../canonical-json.ts';
import type { FactoryError } from '../errors.ts';
import type { Reader, Storage } from '../storage/transaction.ts';
import { facts as table } from './store.ts';
import type { DestinationStatus } from './types.ts';

/** What runs found out about destinations: verbs make facts of their results, status rules read them. */

/** The product's own database in its destinations. */
export const OWN_NAME = 'factory';

/** Code of a destination that holds none of the backups that were stored there. */
export const EMPTIED = 'destination-emptied';

/** Which kind of run an error is of: a later one of that kind that succeeds takes it away. */
export const FACT_ERRORS = ['backup', 'verify', 'prune', 'drill'] as const;
export type FactError = (typeof FACT_ERRORS)[number];

type ErrorValue = { code: string; message: string; hint: string } | null;

export type Fact = { url: string } & (
  | { kind: 'newest'; value: DestinationStatus['newest'] }
  | { kind: 'verified'; value: DestinationStatus['verified'] }
  | { kind: 'covered'; value: NonNullable<Known['covered']> }
  | { kind: 'total'; value: { backups: number; bytes: number } }
  | { kind: `error.${FactError}`; value: ErrorValue }
);

/** What is known of one destination, each part with the time at which it was found out. */
export interface Known {
  newest: DestinationStatus['newest'];
  verified: DestinationStatus['verified'];
  /**
   * Everything up to `at` is in this backup, and says nothing of any other. `mark`: of the database then, see `mark.ts`;
   * `lookedAt`: when the destination itself was asked whether it has every object of it. `backupId`: absent where an
   * older release wrote it.
   */
  covered: { at: string; mark: string | null; lookedAt: string | null; backupId?: string } | null;
  total: DestinationStatus['total'];
  errors: (NonNullable<DestinationStatus['error']> & { of: FactError })[];
}

/** What `factory backup` answers, as far as facts need it. */
export interface BackupOutcome {
  backupId: string;
  kind: 'full' | 'differential' | 'skipped';
  /** Everything that was committed before is in the backup. */
  startedAt: string;
  storedBytes: number;
  destinations: readonly { url: string; error?: FactoryError | undefined }[];
}

/** `mark`: of the database before the copy was taken; null: unknown. */
export function backupFacts(outcome: BackupOutcome, mark: string | null): Fact[] {
  const { backupId, kind, startedAt, storedBytes: bytes } = outcome;
  return outcome.destinations.flatMap(({ url, error }): Fact[] => {
    if (error) return [errorFact('backup', url, error), ...goneFacts(url, error)];
    const value = { at: startedAt, mark, lookedAt: startedAt, backupId };
    const covered: Fact = { url, kind: 'covered', value };
    const sent: Fact[] =
      kind === 'skipped'
        ? []
        : [{ url, kind: 'newest', value: { backupId, kind, takenAt: startedAt, bytes } }];
    return [...sent, covered, errorFact('backup', url, null)];
  });
}

/** Until when everything is in the newest backup; null: that is another one than the one of which it was found out. */
export function coveredNow({ newest, covered }: Known): string | null {
  return covered !== null && newest?.backupId === covered.backupId ? covered.at : null;
}

/** A backup as its destination shows it; `verified`: with what it rests on, see `scripts/lib/backup/verified.ts`. */
export interface Listed {
  backupId: string;
  kind: string;
  takenAt: string;
  bytes: number;
  verified: { at: string; how: 'ciphertext' | 'restored' } | null;
}

/**
 * What a verification found in one destination: `backups` in their order; `error`: why it could not be read, or the
 * damage that is known there, whichever run found it. A backup that is gone or damaged is none, whatever was known before.
 */
export function verifyFacts(
  url: string,
  backups: readonly Listed[] | null,
  error: FactoryError | null,
): Fact[] {
  const failed = errorFact('verify', url, error);
  if (backups === null) return [failed, ...goneFacts(url, error)];
  const last = backups.at(-1);
  const good = backups.findLast(({ verified }) => verified !== null);
  const bytes = backups.reduce((sum, one) => sum + one.bytes, 0);
  return [
    failed,
    { url, kind: 'total', value: { backups: backups.length, bytes } },
    {
      ...{ url, kind: 'newest' },
      value: last
        ? { backupId: last.backupId, kind: last.kind, takenAt: last.takenAt, bytes: last.bytes }
        : null,
    },
    {
      ...{ url, kind: 'verified' },
      value: good?.verified
        ? {
            ...{ backupId: good.backupId, takenAt: good.takenAt },
            ...{ verifiedAt: good.verified.at, how: good.verified.how },
          }
        : null,
    },
  ];
}

/** Of a destination that turned out to be empty: what was known to be there is not. */
function goneFacts(url: string, error: FactoryError | null): Fact[] {
  if (error?.code !== EMPTIED) return [];
  return [
    { url, kind: 'newest', value: null },
    { url, kind: 'verified', value: null },
    { url, kind: 'total', value: { backups: 0, bytes: 0 } },
  ];
}

/** Null takes the error away. */
export function errorFact(of: FactError, url: string, error: FactoryError | null): Fact {
  const value = error && { code: error.code, message: error.message, hint: error.hint };
  return { url, kind: `error.${of}`, value };
}

export async function saveFacts(
  storage: Storage,
  subject: string,
  at: string,
  found: readonly Fact[],
): Promise<void> {
  if (found.length === 0) return;
  await storage.write(async (tx) => {
    for (const { url, kind, value } of found)
      await tx.run(table.put, { subject, url, kind, at, value: canonicalJson(value) });
  });
}

/** By destination. */
export async function readFacts(reader: Reader, subject: string): Promise<Map<string, Known>> {
  const known = new Map<string, Known>();
  for (const { url, kind, at, value } of await reader.all(table.of, { subject })) {
    const one = known.get(url) ?? nothingKnown();
    known.set(url, one);
    add(one, { url, kind, value: JSON.parse(value) as unknown } as Fact, at);
  }
  return known;
}

export function nothingKnown(): Known {
  return { newest: null, verified: null, covered: null, total: null, errors: [] };
}

function add(known: Known, fact: Fact, at: string): void {
  switch (fact.kind) {
    case 'newest':
      known.newest = fact.value;
      break;
    case 'verified':
      known.verified = fact.value;
      break;
    case 'covered':
      known.covered = fact.value;
      break;
    case 'total':
      known.total = { ...fact.value, at };
      break;
    case 'error.backup':
    case 'error.verify':
    case 'error.prune':
    case 'error.drill':
      if (fact.value !== null)
        known.errors.push({ ...fact.value, at, of: fact.kind.slice('error.'.length) as FactError });
  }
}
