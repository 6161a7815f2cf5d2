import type { Config, Destination as Configured } from '../../../service/config.ts';
import { asFactoryError } from '../../../service/errors.ts';
import type { FactoryError } from '../../../service/errors.ts';
import { OWN_NAME } from '../../../service/jobs/facts.ts';
import { laterThan } from '../backup/attempt.ts';
import type { Attempted, Trouble } from '../backup/attempt.ts';
import { candidatesOf } from '../backup/candidates.ts';
import type { Candidate, Holding } from '../backup/candidates.ts';
import { inTurn, readCatalog } from '../backup/catalog.ts';
import type { Catalog, Entry } from '../backup/catalog.ts';
import { emptiedIn } from '../backup/emptied.ts';
import { folderOf } from '../backup/read.ts';
import type { Wanted } from '../backup/pick.ts';
import { isTrusted, ofSigners } from '../backup/signers.ts';
import { storedIn } from '../backup/stored.ts';
import { newerThan } from '../backup/unusable.ts';
import { assertExists, openDestination } from '../destinations/open.ts';
import { assertFits } from '../restore-target.ts';
import type { Target } from '../restore-target.ts';
import type { Given, VerbContext } from '../verb.ts';
import { SHOWN, strangerText } from './answers.ts';
import type { PassedOver } from './answers.ts';
import type { Seat } from './seat.ts';

/** What destinations have for a restore, all of them together, and what had to be passed over for it. */

export interface Asked {
  config: Config;
  seat: Seat;
  /** Null: in place. */
  target: Target | null;
  wanted: Wanted;
  trusted: readonly string[];
  signal: AbortSignal;
  /** Read once: standard input has them once. Errors: `identity-missing`. */
  identities: () => string[];
  /** Which destination is meant has to be said. */
  sayFrom: boolean;
}

export interface Found {
  catalogs: readonly Catalog[];
  /** The answers, the best first. */
  candidates: readonly [Candidate, ...Candidate[]];
  /** Destinations that could not be read: what they hold may be newer. */
  unread: readonly Trouble[];
  /** Why an epoch put aside the backup that was named; null: none did. */
  putAside: FactoryError | null;
}

/** Somebody who names one backup wants no other. */
export const canBeOlder = (wanted: Wanted): boolean => wanted === 'newest' || 'at' in wanted;

/**
 * Reads all of them before one is chosen. One that cannot be read is told, and the others answer; errors: why the first
 * cannot be read, where none can; those of `candidatesOf`.
 */
export async function look(
  configured: readonly Configured[],
  asked: Asked,
  context: VerbContext,
  given: Given,
): Promise<Found> {
  const { target, seat, wanted, trusted } = asked;
  const several = configured.length > 1;
  const read = await Promise.all(configured.map((one) => readOne(one, several, asked, context, given)));
  const holding = read.filter((one) => 'catalog' in one);
  const unread = read.filter((one) => 'error' in one);
  if (holding.length === 0 && unread[0]) throw unread[0].error;
  for (const { url, error } of unread)
    context.say(`${url} cannot be read: ${error.message} What it holds may be newer.`);
  const named = typeof wanted === 'object' && 'backupId' in wanted ? wanted.backupId : null;
  // To a file, where somebody looks at it, the end of an id is enough; in its place a database takes what was named in full.
  const isNamed = (backupId: string): boolean =>
    backupId === named || (target !== null && backupId.endsWith(`/${named}`));
  const putAside = named === null ? null : whyPutAside(holding, isNamed);
  const catalogs = ofSigners(
    holding.map(({ catalog }) => (named === null ? catalog : withPutAside(catalog, isNamed))),
    trusted,
  );
  if (putAside !== null && !given.flag('plan')) context.say(`Put aside, and named: ${putAside.message}`);
  for (const catalog of catalogs) sayProblems(catalog, asked, context);
  // A plan shows it itself, and in place it has to be named.
  if (target !== null && !given.flag('plan')) sayStrangers(catalogs, asked, context);
  const holdings = holding.map(({ destination }, index): Holding => {
    return { destination, catalog: catalogs[index] as Catalog };
  });
  const candidates = candidatesOf(holdings, wanted, Date.now());
  assertFits(candidates[0].entry.manifest, target ?? seat);
  return { catalogs, candidates, unread, putAside };
}

type Named = (backupId: string) => boolean;

/** Null: what was named counts in one of them, or is not there. */
function whyPutAside(holding: readonly Holding[], isNamed: Named): FactoryError | null {
  const counts = holding.some(({ catalog }) =>
    catalog.entries.some(({ manifest }) => isNamed(manifest.backupId)),
  );
  if (counts) return null;
  const all = holding.flatMap(({ catalog }) =>
    catalog.fenced
      .filter(({ manifest }) => isNamed(manifest.backupId))
      .map(({ key }) => catalog.problems.find((one) => one.key === key)?.error),
  );
  return all[0] ?? null;
}

/**
 * With the backup that was named, and what it rests on, where an epoch put them aside: an epoch can be signed by somebody who
 * stole the key, or its host could not know of a backup in a destination that was away. Whoever asks for this very backup is
 * not to be kept from it.
 */
function withPutAside(catalog: Catalog, isNamed: Named): Catalog {
  const asked = catalog.fenced.filter(({ manifest }) => isNamed(manifest.backupId));
  const bases = new Set(asked.map(({ manifest }) => manifest.base?.backupId));
  const back = catalog.fenced.filter((one) => asked.includes(one) || bases.has(one.manifest.backupId));
  if (back.length === 0) return catalog;
  const keys = new Set(back.map(({ key }) => key));
  return {
    ...catalog,
    entries: [...catalog.entries, ...back].sort((a, b) => inTurn(a.manifest, b.manifest)),
    problems: catalog.problems.filter(({ key }) => !keys.has(key)),
  };
}

async function readOne(
  configured: Configured,
  several: boolean,
  { config, trusted, signal }: Asked,
  { env }: VerbContext,
  given: Given,
): Promise<Holding | Trouble> {
  try {
    const destination = await openDestination(configured, env);
    // A folder that is not there holds nothing, or is on a disk that is not mounted: beside others it must not look empty.
    if (several) await assertExists(destination, 'Mount it, or leave it out with --from.', { signal });
    const hidden = given.flag('hidden');
    const name = given.text('name') ?? OWN_NAME;
    const catalog = await readCatalog(destination, name, { signal, hidden }, trusted);
    const holding = { name, trusted, stored: storedIn(folderOf(config, name)) };
    const empty = await emptiedIn(destination, catalog, holding, { signal });
    if (empty !== null) throw empty;
    return { destination, catalog };
  } catch (error) {
    const known = asFactoryError(error, 'read catalog');
    if (signal.aborted || !known.code.startsWith('destination-')) throw error;
    return { url: configured.url, error: known };
  }
}

function sayProblems({ problems, url }: Catalog, { sayFrom }: Asked, { say }: VerbContext): void {
  const where = sayFrom ? ` in ${url}` : '';
  for (const { key, error } of problems.slice(0, SHOWN)) say(`Not usable${where}: ${key}: ${error.message}`);
  if (problems.length > SHOWN)
    say(
      `Not usable either${where}: ${problems.length - SHOWN} more; \`npx factory backups list\` names them.`,
    );
}

/** Where nobody said whose backups count, those of the only signer do: somebody has to compare who that is. */
function sayStrangers(catalogs: readonly Catalog[], { trusted }: Asked, { say }: VerbContext): void {
  const signers = catalogs.flatMap(({ entries }) =>
    entries.map(({ manifest }) => manifest.signature.publicKey),
  );
  for (const signer of new Set(signers))
    if (!isTrusted(signer, trusted)) say(`Signed by ${strangerText(signer)}.`);
}

/**
 * Every better answer than this one, wherever it lies; and what a destination lacks of the answer itself, because it could
 * not be read or has damage there. A destination that never had it lacks nothing.
 */
export function passedBy(
  taken: Entry,
  { catalogs, candidates, unread }: Found,
  { failed, troubles }: Pick<Attempted, 'failed' | 'troubles'>,
  { wanted }: Pick<Asked, 'wanted'>,
): PassedOver {
  const { backupId, sequence } = taken.manifest;
  const damaged = catalogs.flatMap((catalog) =>
    newerThan(catalog, sequence - 1)
      .filter((one) => one.backupId === backupId)
      .map(({ error }): Trouble => ({ url: catalog.url, error })),
  );
  const all = [...unread, ...troubles, ...damaged];
  if (!canBeOlder(wanted)) return { failed, doubted: [], troubles: all };
  const until = typeof wanted === 'object' && 'at' in wanted ? wanted.at : Infinity;
  const named = new Set(candidates.map(({ entry }) => entry.manifest.backupId));
  const known = new Map(
    catalogs
      .flatMap((catalog) => newerThan(catalog, sequence))
      .filter((one) => one.at <= until && !named.has(one.backupId))
      .map((one) => [one.backupId, one]),
  );
  const better = [...[...known.values()].sort((a, b) => b.sequence - a.sequence), ...failed];
  return { failed: better, doubted: laterThan(taken, candidates, better), troubles: all };
}
