import type { Config, Destination as Configured } from '../service/config.ts';
import { asFactoryError, FactoryError } from '../service/errors.ts';
import { OWN_NAME } from '../service/jobs/facts.ts';
import { fingerprint } from '../service/jobs/recovery-key.ts';
import { laterThan, OF_THE_BACKUP, restoreBest } from './lib/backup/attempt.ts';
import { readCatalog } from './lib/backup/catalog.ts';
import type { Catalog, Entry } from './lib/backup/catalog.ts';
import { identitiesFor } from './lib/backup/keys.ts';
import { inOrder, withBase } from './lib/backup/pick.ts';
import type { Picked, Wanted } from './lib/backup/pick.ts';
import { ofSigners } from './lib/backup/signers.ts';
import { isTrusted, namedSigners, trustedSigners } from './lib/backup/trust.ts';
import { newerThan, whyUnusable } from './lib/backup/unusable.ts';
import { deadline } from './lib/deadline.ts';
import type { Destination } from './lib/destinations/destination.ts';
import { destinationsOf, openDestination } from './lib/destinations/open.ts';
import { usage } from './lib/failure.ts';
import { assertFits, targetOf } from './lib/restore-target.ts';
import type { Target } from './lib/restore-target.ts';
import { accept } from './lib/restore/accept.ts';
import { commandFor, doneAnswer, isWhole, planAnswer, SHOWN } from './lib/restore/answers.ts';
import type { PassedOver } from './lib/restore/answers.ts';
import { nextSteps, olderRefused, restoreInPlace, undo } from './lib/restore/in-place.ts';
import { confirmation } from './lib/restore/seat.ts';
import type { Seat } from './lib/restore/seat.ts';
import { seatOf } from './lib/restore/seats.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, Given, Run, VerbContext } from './lib/verb.ts';
import { parseTime } from './lib/time.ts';

const DEADLINE_MS = 4 * 60 * 60_000;

/** What another destination may do better. */
const ELSEWHERE =
  /^(destination-(?!object-exists)|backup-(damaged|foreign|incomplete|none|unknown)|ciphertext-|difference-|identity-wrong|manifest-|restore-older)/;

/**
 * A database from a backup, to a new file or a new Postgres database. Where the first destination cannot give it whole, the next one is asked; that
 * is said, and exit 3 tells it to scripts.
 */
export const restore: Run = async (context, given) => {
  const config = readConfig(context);
  if (given.flag('accept') || given.text('accept') !== undefined) return accept(context, given);
  if (given.flag('undo')) return undo(config, context, given);
  const configured = destinationsOf(config, 'restore', given.text('from'));
  if (configured.length > 1 && given.text('from') !== undefined)
    throw usage('restore', '--from takes one destination.');
  const [wanted, target] = [wantedOf(given), chosen(config, context, given)];
  const trusted = trustedSigners(config, namedSigners('restore', given));
  const signal = deadline(DEADLINE_MS);
  const asked: Asked = {
    ...{ config, seat: await seatOf(config), target, wanted, trusted, signal, passed: new Map() },
    sayFrom: given.text('from') !== undefined || configured.length > 1,
  };
  const sources = configured.map((one): Source => ({
    configured: one,
    found: null,
    tried: false,
    error: null,
  }));
  // In the place of what is there, nothing older is put unless its id says so.
  const canFall = canBeOlder(wanted) && (target !== null || given.flag('plan'));
  // First the best answer in every destination, then an earlier one.
  for (const older of canFall ? [false, true] : [false]) {
    const turn = older ? sources.filter(hasEarlier) : sources;
    for (const [index, source] of turn.entries()) {
      try {
        source.found ??= await look(source.configured, asked, context, given);
        const answer = await restoreFrom(source, source.found, { ...asked, older }, context, given);
        return source === sources[0] ? answer : { ...answer, exit: EXIT.degraded };
      } catch (error) {
        if (!(error instanceof FactoryError && ELSEWHERE.test(error.code)) || signal.aborted) throw error;
        source.error = error;
        remember(source, asked);
        const next = turn[index + 1];
        const rest = older || !canFall ? [] : sources.filter(hasEarlier);
        if (next === undefined && rest.length === 0) throw error;
        // A wrong key is no reason to promise anything; what is tried all the same is told if it helps.
        if (next === undefined && error.code === 'identity-wrong') continue;
        const whom = next?.configured.url ?? 'for an earlier backup';
        context.say(`${source.configured.url}: ${error.message} Asking ${whom}.`);
      }
    }
  }
  throw usage('restore', 'No destination is configured: name one with --from.');
};

/** Somebody who names one backup wants no other. */
const canBeOlder = (wanted: Wanted): boolean => wanted === 'newest' || 'at' in wanted;

/** Null: in place. Errors: `usage`, `restore-engine`. */
function chosen(config: Config, context: VerbContext, given: Given): Target | null {
  const to = given.text('to');
  if (!given.flag('inPlace')) {
    if (to !== undefined) return targetOf(to, config, context);
    throw usage('restore', 'Say where the database goes: --to PATH, or --in-place.');
  }
  if (to !== undefined) throw usage('restore', 'Give --to or --in-place, not both.');
  if (given.text('name') !== undefined)
    throw usage('restore', "--in-place is of the product's own database: restore another one with --to.");
  return null;
}

interface Asked {
  config: Config;
  seat: Seat;
  /** Null: in place. */
  target: Target | null;
  wanted: Wanted;
  trusted: readonly string[];
  signal: AbortSignal;
  /** Better answers, by id, that some destination has and cannot give whole. */
  passed: Map<string, { backupId: string; sequence: number; takenAt?: string; error: FactoryError }>;
  /** Which destination is meant has to be said. */
  sayFrom: boolean;
}

/** A destination, what was found there, and what came of it. */
interface Source {
  configured: Configured;
  found: Found | null;
  /** Its best answer was tried; else something better lies there, or elsewhere, and cannot be used. */
  tried: boolean;
  error: FactoryError | null;
}

interface Found {
  url: string;
  destination: Destination;
  catalog: Catalog;
  /** The answers, the best first. */
  entries: [Entry, ...Entry[]];
}

/** Another answer of this destination may do where its best one did not; not where it does not answer. */
function hasEarlier({ found, tried, error }: Source): boolean {
  if (found === null || error === null) return false;
  return !tried || (found.entries.length > 1 && OF_THE_BACKUP.test(error.code));
}

/** What a destination could not give, so that an older one from elsewhere is not taken for the newest. */
function remember({ found, tried, error }: Source, { passed }: Asked): void {
  if (found === null || error === null || !tried || !OF_THE_BACKUP.test(error.code)) return;
  const { backupId, sequence, startedAt: takenAt } = found.entries[0].manifest;
  passed.set(backupId, { backupId, sequence, takenAt, error });
}

async function look(
  configured: Configured,
  { target, seat, wanted, trusted, signal, passed }: Asked,
  context: VerbContext,
  given: Given,
): Promise<Found> {
  const destination = await openDestination(configured, context.env);
  const hidden = given.flag('hidden');
  const name = given.text('name') ?? OWN_NAME;
  const catalog = ofSigners(await readCatalog(destination, name, { signal, hidden }, trusted), trusted);
  sayProblems(catalog, context);
  const [best, ...others] = inOrder(catalog, wanted, Date.now());
  if (best === undefined) throw new TypeError('nothing is in order');
  assertFits(best.manifest, target ?? seat);
  const until = wanted === 'newest' ? Infinity : 'at' in wanted ? wanted.at : -Infinity;
  for (const one of newerThan(catalog, best.manifest.sequence))
    if (one.at <= until) passed.set(one.backupId, one);
  return { url: configured.url, destination, catalog, entries: [best, ...others] };
}

async function restoreFrom(
  source: Source,
  found: Found,
  asked: Asked & { older: boolean },
  context: VerbContext,
  given: Given,
): Promise<Answer> {
  const { config, seat, target, wanted, signal, older } = asked;
  const started = performance.now();
  const { destination, catalog, entries } = found;
  const [best] = entries;
  const passed = passedBy(best, found, [], asked);
  const isPlan = given.flag('plan');
  const isReplaced = target === null && !isPlan;
  if (isReplaced && canBeOlder(wanted) && !isWhole(passed)) throw olderRefused(seat, best, passed);
  const [better] = passed.failed;
  if (!older && better !== undefined) throw whyUnusable(better);
  source.tried = true;
  if (isPlan) return planOf(found, asked, context, given);
  if (target === null) {
    const picked = withBase(catalog, best);
    const job = { ...picked, destination, catalog };
    const done = await restoreInPlace(job, { config, seat }, context, given, signal);
    const { json, text } = doneAnswer(best, passed, seat.shown, secondsSince(started));
    return { json: { ...(json as object), ...done }, text: `${text}\n${nextSteps(done)}` };
  }
  const identities = identitiesFor(config, given.text('identity'));
  const { picked, failed } = await restoreBest(
    catalog,
    { wanted, now: Date.now(), older },
    {
      ...{ destination, identities, signal, progress: context.progress },
      write: (job) => target.write(job),
    },
  );
  const all = passedBy(picked.entry, found, failed, asked);
  return doneAnswer(picked.entry, all, target.shown, secondsSince(started));
}

const secondsSince = (started: number): number => (performance.now() - started) / 1000;

/** Every better answer than this one, here and in the destinations that were asked before. */
function passedBy(
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

function planOf(found: Found, asked: Asked & { older: boolean }, context: VerbContext, given: Given): Answer {
  const { seat, target, trusted, older, sayFrom } = asked;
  const { entries, catalog, url } = found;
  const failed: { backupId: string; error: FactoryError }[] = [];
  for (const entry of older ? entries : entries.slice(0, 1)) {
    const picked = rested(catalog, entry);
    if ('error' in picked) {
      failed.push({ backupId: entry.manifest.backupId, error: picked.error });
      continue;
    }
    const { backupId, signature } = entry.manifest;
    const confirm = confirmation(seat);
    const command = commandFor(context.cwd, given, { backupId, confirm, from: sayFrom ? url : null });
    return planAnswer({
      ...{ picked, passed: passedBy(entry, found, failed, asked), from: url },
      to: (target ?? seat).shown,
      signerKnown: isTrusted(signature.publicKey, trusted),
      inPlace: target === null ? { confirm, command } : null,
    });
  }
  throw failed[0]?.error ?? new TypeError('nothing was there to plan with');
}

/** With what it rests on, or why that is not there. */
function rested(catalog: Catalog, entry: Entry): Picked | { error: FactoryError } {
  try {
    return withBase(catalog, entry);
  } catch (error) {
    return { error: asFactoryError(error, 'find backup') };
  }
}

function sayProblems({ problems, entries }: Catalog, { say }: VerbContext): void {
  for (const { key, error } of problems.slice(0, SHOWN)) say(`Not usable: ${key}: ${error.message}`);
  if (problems.length > SHOWN)
    say(`Not usable either: ${problems.length - SHOWN} more; \`npx factory backups list\` names them.`);
  const signers = new Set(entries.map(({ manifest }) => manifest.signature.publicKey));
  for (const signer of signers) say(`Signed by ${signer} (fingerprint ${fingerprint(signer)}).`);
}

function wantedOf(given: Given): Wanted {
  const [at, backupId] = [given.text('at'), given.text('backup')];
  if (at !== undefined && backupId !== undefined) throw usage('restore', 'Give --at or --backup, not both.');
  if (backupId !== undefined) return { backupId };
  if (at === undefined) return 'newest';
  return { at: parseTime('restore', at) };
}
