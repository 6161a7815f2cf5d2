import type { Config } from '../service/config.ts';
import { FactoryError } from '../service/errors.ts';
import { assertRestores, restoreBest } from './lib/backup/attempt.ts';
import type { Attempted } from './lib/backup/attempt.ts';
import type { Entry } from './lib/backup/catalog.ts';
import { identitiesFor, identityFile } from './lib/backup/keys.ts';
import { withBase } from './lib/backup/pick.ts';
import type { Picked, Wanted } from './lib/backup/pick.ts';
import type { Fetching } from './lib/backup/restore.ts';
import { isTrusted } from './lib/backup/signers.ts';
import { namedSigners, trustedSigners } from './lib/backup/trust.ts';
import { whyUnusable } from './lib/backup/unusable.ts';
import { deadline } from './lib/deadline.ts';
import { destinationsOf } from './lib/destinations/open.ts';
import { usage } from './lib/failure.ts';
import { targetOf } from './lib/restore-target.ts';
import type { Target } from './lib/restore-target.ts';
import { accept } from './lib/restore/accept.ts';
import { commandFor, doneAnswer, isWhole, planAnswer } from './lib/restore/answers.ts';
import { blockersIn } from './lib/restore/blockers.ts';
import { assertSigner, nextSteps, olderRefused, restoreInPlace, undo } from './lib/restore/in-place.ts';
import { assertLogKeys } from './lib/restore/put-back.ts';
import { confirmation } from './lib/restore/seat.ts';
import { seatOf } from './lib/restore/seats.ts';
import { canBeOlder, hasEarlier, look, passedBy, remember } from './lib/restore/sources.ts';
import type { Asked, Found, Source } from './lib/restore/sources.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, Given, Run, VerbContext } from './lib/verb.ts';
import { parseTime } from './lib/time.ts';

const DEADLINE_MS = 4 * 60 * 60_000;

/** What another destination may do better. */
const ELSEWHERE =
  /^(destination-(?!object-exists)|backup-(damaged|foreign|incomplete|none|unknown)|ciphertext-|difference-|identity-wrong|manifest-|restore-older)/;

/**
 * A database from a backup, to a new file, a new Postgres database, or in the place of the one that is there. Where the
 * first destination cannot give it whole, the next one is asked; that is said, and exit 3 tells it to scripts.
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
    strangers: new Set(),
    identities: once(() => identitiesFor(config, identityFile(context.cwd, given))),
    sayFrom: given.text('from') !== undefined || configured.length > 1,
  };
  const sources = configured.map((one): Source => ({
    configured: one,
    found: null,
    tried: false,
    error: null,
  }));
  const canFall = canBeOlder(wanted);
  // First the best answer in every destination, then an earlier one.
  for (const older of canFall ? [false, true] : [false]) {
    const turn = older ? sources.filter(hasEarlier) : sources;
    for (const [index, source] of turn.entries()) {
      try {
        source.found ??= await look(source.configured, asked, context, given);
        const answer = await restoreFrom(source, source.found, { ...asked, older }, context, given);
        return source === sources[0] ? answer : fromAnother(answer);
      } catch (error) {
        if (!(error instanceof FactoryError && ELSEWHERE.test(error.code)) || signal.aborted) throw error;
        if (older && error.code === 'restore-older') throw error;
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

/** It had to be asked for elsewhere: degraded, unless it is worse than that. */
const fromAnother = (answer: Answer): Answer => ({ ...answer, exit: answer.exit || EXIT.degraded });

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

/** `older`: where the best answer does not restore, the next one is looked for. */
type Turn = Asked & { older: boolean };

/** One rule for every kind of restore: the best answer that restores, and what had to be passed over for it. */
async function restoreFrom(
  source: Source,
  found: Found,
  asked: Turn,
  context: VerbContext,
  given: Given,
): Promise<Answer> {
  const [best] = found.entries;
  const [better] = passedBy(best, found, [], asked).failed;
  if (!asked.older && better !== undefined) throw whyUnusable(better);
  if (given.flag('plan')) {
    source.tried = true;
    return planOf(found, asked, context, given);
  }
  return asked.target === null
    ? inPlaceOf(source, found, asked, context, given)
    : besideOf(source, found, { ...asked, target: asked.target }, context);
}

async function besideOf(
  source: Source,
  found: Found,
  asked: Turn & { target: Target },
  context: VerbContext,
): Promise<Answer> {
  source.tried = true;
  const { target } = asked;
  const started = performance.now();
  const write = (job: Fetching & Picked): Promise<void> => target.write(job);
  const { picked, failed } = await bestOf(found, asked, context, asked.identities(), write);
  const passed = passedBy(picked.entry, found, failed, asked);
  return doneAnswer(picked.entry, passed, target.shown, secondsSince(started));
}

/** In the place of what is there, an older one than the best is put only if its id says so: it is looked for, and named. */
async function inPlaceOf(
  source: Source,
  found: Found,
  asked: Turn,
  context: VerbContext,
  given: Given,
): Promise<Answer> {
  const { config, seat, older, signal, wanted } = asked;
  const started = performance.now();
  const { destination, catalog, entries } = found;
  const chosen = older
    ? await bestOf(found, asked, context, asked.identities(), assertRestores)
    : { picked: { entry: entries[0] }, failed: [] };
  const { entry } = chosen.picked;
  const passed = passedBy(entry, found, chosen.failed, asked);
  if (canBeOlder(wanted) && !isWhole(passed)) throw olderRefused(seat, entry, passed);
  source.tried = true;
  const job = { ...withBase(catalog, entry), destination, catalog, identities: asked.identities };
  const done = await restoreInPlace(job, { config, seat }, context, given, signal);
  const { json, text } = doneAnswer(entry, passed, seat.shown, secondsSince(started));
  const { marks, ...put } = done;
  const marked = marks.map(({ url, error }) => ({ url, error: error && error.toJSON() }));
  return { json: { ...(json as object), ...put, marks: marked }, text: `${text}\n${nextSteps(done)}` };
}

function bestOf(
  { catalog, destination }: Found,
  { wanted, older, signal }: Turn,
  { progress }: VerbContext,
  identities: readonly string[],
  write: Parameters<typeof restoreBest>[2]['write'],
): Promise<Attempted> {
  const job = { destination, identities, signal, progress, write };
  return restoreBest(catalog, { wanted, now: Date.now(), older }, job);
}

/** What it answers is kept; what it throws is not. */
function once<T>(work: () => T): () => T {
  let known: { value: T } | null = null;
  return () => (known ??= { value: work() }).value;
}

const secondsSince = (started: number): number => (performance.now() - started) / 1000;

/** Reads every byte of what it promises, so that it is the backup that the restore takes. */
async function planOf(found: Found, asked: Turn, context: VerbContext, given: Given): Promise<Answer> {
  const { seat, target, trusted, sayFrom } = asked;
  const { url } = found;
  let identities: string[] = [];
  const keyless = await blockersIn(() => {
    identities = asked.identities();
  });
  context.progress('Reading what would be restored');
  const { picked, failed } = await bestOf(found, asked, context, identities, assertRestores);
  const { entry } = picked;
  const { backupId, signature } = entry.manifest;
  const confirm = confirmation(seat);
  const command = commandFor(context.cwd, given, { backupId, confirm, from: sayFrom ? url : null });
  const ofPlace =
    target === null ? await blockersInPlace(entry, url, asked, context, given) : await target.blockers(entry);
  return planAnswer({
    ...{ picked, passed: passedBy(entry, found, failed, asked), from: url },
    to: (target ?? seat).shown,
    signerKnown: isTrusted(signature.publicKey, trusted),
    blockers: [...keyless, ...ofPlace],
    inPlace: target === null ? { confirm, command } : null,
  });
}

async function blockersInPlace(
  entry: Entry,
  url: string,
  { config, seat, trusted }: Asked,
  context: VerbContext,
  given: Given,
): Promise<FactoryError[]> {
  const { signature, source } = entry.manifest;
  const beside = await targetOf(seat.target(seat.beside), config, context).blockers(entry);
  return [
    ...(await blockersIn(
      () => assertSigner(url, signature.publicKey, trusted),
      () => assertLogKeys(config, given.flag('newLogKey')),
    )),
    ...(await seat.blockers(source.bytes)),
    // What a killed restore left there is taken back first; a missing folder is made.
    ...beside.filter(({ code }) => seat.engine === 'postgres' && code !== 'restore-target-exists'),
  ];
}

function wantedOf(given: Given): Wanted {
  const [at, backupId] = [given.text('at'), given.text('backup')];
  if (at !== undefined && backupId !== undefined) throw usage('restore', 'Give --at or --backup, not both.');
  if (backupId !== undefined) return { backupId };
  if (at === undefined) return 'newest';
  return { at: parseTime('restore', at) };
}
