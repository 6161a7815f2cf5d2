import type { Config, Destination as Configured } from '../../../service/config.ts';
import type { FactoryError } from '../../../service/errors.ts';
import { OWN_NAME } from '../../../service/jobs/facts.ts';
import { laterThan, OF_THE_BACKUP } from '../backup/attempt.ts';
import { readCatalog } from '../backup/catalog.ts';
import type { Catalog, Entry } from '../backup/catalog.ts';
import { inOrder } from '../backup/pick.ts';
import type { Wanted } from '../backup/pick.ts';
import { isTrusted, ofSigners } from '../backup/signers.ts';
import { newerThan } from '../backup/unusable.ts';
import type { Destination } from '../destinations/destination.ts';
import { openDestination } from '../destinations/open.ts';
import { assertFits } from '../restore-target.ts';
import type { Target } from '../restore-target.ts';
import type { Given, VerbContext } from '../verb.ts';
import { SHOWN, strangerText } from './answers.ts';
import type { PassedOver } from './answers.ts';
import type { Seat } from './seat.ts';

/** What destinations have for a restore: the best answer of each, and what had to be passed over for it. */

export interface Asked {
  config: Config;
  seat: Seat;
  /** Null: in place. */
  target: Target | null;
  wanted: Wanted;
  trusted: readonly string[];
  signal: AbortSignal;
  /** Better answers, by id, that some destination has and cannot give whole. */
  passed: Map<string, { backupId: string; sequence: number; takenAt?: string; error: FactoryError }>;
  /** Read once: standard input has them once. Errors: `identity-missing`. */
  identities: () => string[];
  /** Which destination is meant has to be said. */
  sayFrom: boolean;
  /** Signers that nobody here knows and whose backups are taken: said once, where they are. */
  strangers: Set<string>;
}

/** A destination, what was found there, and what came of it. */
export interface Source {
  configured: Configured;
  found: Found | null;
  /** Its best answer was tried; else something better lies there, or elsewhere, and cannot be used. */
  tried: boolean;
  error: FactoryError | null;
}

export interface Found {
  url: string;
  destination: Destination;
  catalog: Catalog;
  /** The answers, the best first. */
  entries: [Entry, ...Entry[]];
}

/** Another answer of this destination may do where its best one did not; not where it does not answer. */
export function hasEarlier({ found, tried, error }: Source): boolean {
  if (found === null || error === null) return false;
  return !tried || (found.entries.length > 1 && OF_THE_BACKUP.test(error.code));
}

/** What a destination could not give, so that an older one from elsewhere is not taken for the newest. */
export function remember({ found, tried, error }: Source, { passed }: Asked): void {
  if (found === null || error === null || !tried || !OF_THE_BACKUP.test(error.code)) return;
  const { backupId, sequence, startedAt: takenAt } = found.entries[0].manifest;
  passed.set(backupId, { backupId, sequence, takenAt, error });
}

/** Somebody who names one backup wants no other. */
export const canBeOlder = (wanted: Wanted): boolean => wanted === 'newest' || 'at' in wanted;

export async function look(
  configured: Configured,
  asked: Asked,
  context: VerbContext,
  given: Given,
): Promise<Found> {
  const { target, seat, wanted, trusted, signal, passed } = asked;
  const destination = await openDestination(configured, context.env);
  const hidden = given.flag('hidden');
  const name = given.text('name') ?? OWN_NAME;
  const catalog = ofSigners(await readCatalog(destination, name, { signal, hidden }, trusted), trusted);
  sayProblems(catalog, context);
  // A plan shows it itself, and in place it has to be named.
  if (target !== null && !given.flag('plan')) sayStrangers(catalog, asked, context);
  const [best, ...others] = inOrder(catalog, wanted, Date.now());
  if (best === undefined) throw new TypeError('nothing is in order');
  assertFits(best.manifest, target ?? seat);
  const until = wanted === 'newest' ? Infinity : 'at' in wanted ? wanted.at : -Infinity;
  for (const one of newerThan(catalog, best.manifest.sequence))
    if (one.at <= until) passed.set(one.backupId, one);
  return { url: configured.url, destination, catalog, entries: [best, ...others] };
}

function sayProblems({ problems }: Catalog, { say }: VerbContext): void {
  for (const { key, error } of problems.slice(0, SHOWN)) say(`Not usable: ${key}: ${error.message}`);
  if (problems.length > SHOWN)
    say(`Not usable either: ${problems.length - SHOWN} more; \`npx factory backups list\` names them.`);
}

/** Where nobody said whose backups count, those of the only signer do: somebody has to compare who that is. */
function sayStrangers({ entries }: Catalog, { strangers, trusted }: Asked, { say }: VerbContext): void {
  for (const { manifest } of entries) {
    const { publicKey } = manifest.signature;
    if (isTrusted(publicKey, trusted) || strangers.has(publicKey)) continue;
    strangers.add(publicKey);
    say(`Signed by ${strangerText(publicKey)}.`);
  }
}

/** Every better answer than this one, here and in the destinations that were asked before. */
export function passedBy(
  taken: Entry,
  { entries }: Found,
  failed: PassedOver['failed'],
  { passed, wanted }: Asked,
): PassedOver {
  if (!canBeOlder(wanted)) return { failed: [], doubted: [] };
  const known = [...passed.values()]
    .filter(({ sequence }) => sequence > taken.manifest.sequence)
    .filter(({ backupId }) => !failed.some((one) => one.backupId === backupId))
    .sort((a, b) => b.sequence - a.sequence);
  const all = [...known, ...failed];
  return { failed: all, doubted: laterThan(taken, entries, all) };
}
