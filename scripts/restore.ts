import type { Config } from '../service/config.ts';
import { FactoryError } from '../service/errors.ts';
import { assertRestores, OF_A_COPY, restoreBest } from './lib/backup/attempt.ts';
import type { Attempted } from './lib/backup/attempt.ts';
import type { Candidate, Copy } from './lib/backup/candidates.ts';
import type { Entry } from './lib/backup/catalog.ts';
import { assertRoomForBlobs, blobsToFetch } from './lib/backup/fetch-blobs.ts';
import type { Missing } from './lib/backup/fetch-blobs.ts';
import { keepDamage } from './lib/backup/keep-found.ts';
import { identitiesFor, identityFile } from './lib/backup/keys.ts';
import type { Picked, Wanted } from './lib/backup/pick.ts';
import { folderOf } from './lib/backup/read.ts';
import type { Fetching } from './lib/backup/restore.ts';
import { isTrusted } from './lib/backup/signers.ts';
import { namedSigners, trustedSigners } from './lib/backup/trust.ts';
import { deadline } from './lib/deadline.ts';
import { destinationsOf } from './lib/destinations/open.ts';
import { usage } from './lib/failure.ts';
import { targetOf, withBlobs } from './lib/restore-target.ts';
import type { Target } from './lib/restore-target.ts';
import { accept } from './lib/restore/accept.ts';
import { commandFor, doneAnswer, exitFor, isWhole, planAnswer } from './lib/restore/answers.ts';
import { blockersIn } from './lib/restore/blockers.ts';
import { assertSigner, nextSteps, olderRefused, restoreInPlace, undo } from './lib/restore/in-place.ts';
import { assertLogKeys } from './lib/restore/put-back.ts';
import type { PutInPlace } from './lib/restore/in-place.ts';
import { blobsOf, waitingBlobs } from './lib/restore/seat-blobs.ts';
import { confirmation } from './lib/restore/seat.ts';
import { seatOf } from './lib/restore/seats.ts';
import { canBeOlder, look, passedBy } from './lib/restore/sources.ts';
import type { Asked, Found } from './lib/restore/sources.ts';
import { readConfig } from './lib/settings.ts';
import type { Answer, Given, Run, VerbContext } from './lib/verb.ts';
import { parseTime } from './lib/time.ts';

const DEADLINE_MS = 4 * 60 * 60_000;

/**
 * A database from a backup, to a new file, a new Postgres database, or in the place of the one that is there: the best one
 * of all destinations together, since any of them may have missed the last nights.
 */
export const restore: Run = async (context, given) => {
  const config = readConfig(context);
  if (given.flag('accept') || given.text('accept') !== undefined) return accept(context, given);
  if (given.flag('undo')) return undo(config, context, given);
  const configured = destinationsOf(config, 'restore', given.text('from'));
  if (configured.length > 1 && given.text('from') !== undefined)
    throw usage('restore', '--from takes one destination.');
  if (configured.length === 0) throw usage('restore', 'No destination is configured: name one with --from.');
  const [wanted, target] = [wantedOf(given), chosen(config, context, given)];
  const trusted = trustedSigners(config, namedSigners('restore', given));
  const asked: Asked = {
    ...{ config, seat: await seatOf(config), target, wanted, trusted, signal: deadline(DEADLINE_MS) },
    identities: once(() => identitiesFor(config, identityFile(context.cwd, given))),
    sayFrom: given.text('from') !== undefined || configured.length > 1,
  };
  const found = await look(configured, asked, context, given);
  if (given.flag('plan')) return planOf(found, asked, context, given);
  return target === null
    ? inPlaceOf(found, asked, context, given)
    : besideOf(found, { ...asked, target }, context);
};

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

async function besideOf(
  found: Found,
  asked: Asked & { target: Target },
  context: VerbContext,
): Promise<Answer> {
  const { target } = asked;
  const started = performance.now();
  const attempted = await bestOf(found.candidates, asked, context, asked.identities(), (job) =>
    withBlobs(job, target),
  );
  const { entry } = attempted.picked;
  return doneAnswer(entry, passedBy(entry, found, attempted, asked), target.shown, secondsSince(started));
}

/** In the place of what is there, an older one than the best is put only if its id says so: it is looked for, and named. */
async function inPlaceOf(found: Found, asked: Asked, context: VerbContext, given: Given): Promise<Answer> {
  const { config, seat, signal, wanted } = asked;
  const { candidates, catalogs } = found;
  const started = performance.now();
  const olderNamed = async (): Promise<FactoryError> => {
    const read = await bestOf(candidates, asked, context, asked.identities(), assertRestores);
    const { entry } = read.picked;
    return olderRefused(seat, entry, passedBy(entry, found, read, asked));
  };
  const [best] = candidates;
  const older = canBeOlder(wanted);
  if (older && !isWhole(passedBy(best.entry, found, NOTHING_TRIED, asked))) throw await olderNamed();
  let done: PutInPlace | null = null;
  const write = async (job: Fetching & Picked): Promise<void> => {
    const one = { ...job, catalogs, identities: asked.identities };
    done = await restoreInPlace(one, { config, seat }, context, given, signal);
  };
  const attempted = await bestOf([best], asked, context, [], write).catch(async (error: unknown) => {
    const another = older && error instanceof FactoryError && OF_A_COPY.test(error.code) && !signal.aborted;
    if (!another || candidates.length === 1) throw error;
    // Where none of the others restores, the reason is that of the best.
    throw await olderNamed().catch(() => error);
  });
  const { entry } = attempted.picked;
  const passed = passedBy(entry, found, attempted, asked);
  const { json, text } = doneAnswer(entry, passed, seat.shown, secondsSince(started));
  const result = done as PutInPlace | null;
  if (result === null) throw new TypeError('nothing was put in place');
  const { marks, ...put } = result;
  const marked = marks.map(({ url, error }) => ({ url, error: error && error.toJSON() }));
  return {
    json: { ...(json as object), ...put, marks: marked },
    text: `${text}\n${nextSteps(result)}`,
    exit: exitFor(passed),
  };
}

const NOTHING_TRIED = { failed: [], troubles: [] };

function bestOf(
  candidates: readonly Candidate[],
  { config, signal }: Asked,
  { progress, say }: VerbContext,
  identities: readonly string[],
  write: Parameters<typeof restoreBest>[1]['write'],
): Promise<Attempted> {
  const damaged = (copy: Copy, error: FactoryError): Promise<void> =>
    keepDamage(folderOf(config, copy.catalog.name), copy, error, signal);
  return restoreBest(candidates, { identities, signal, progress, say, write, damaged });
}

/** What it answers is kept; what it throws is not. */
function once<T>(work: () => T): () => T {
  let known: { value: T } | null = null;
  return () => (known ??= { value: work() }).value;
}

const secondsSince = (started: number): number => (performance.now() - started) / 1000;

/** Reads every byte of what it promises, so that it is the backup that the restore takes. */
async function planOf(found: Found, asked: Asked, context: VerbContext, given: Given): Promise<Answer> {
  const { seat, target, trusted, sayFrom } = asked;
  let identities: string[] = [];
  const keyless = await blockersIn(() => {
    identities = asked.identities();
  });
  context.progress('Reading what would be restored');
  const place = target?.blobs ?? waitingBlobs(asked.config);
  let attachments: Missing = { count: 0, bytes: 0 };
  const attempted = await bestOf(found.candidates, asked, context, identities, async (job) => {
    await assertRestores(job);
    attachments = await blobsToFetch(job, job.entry, target === null ? blobsOf(asked.config) : undefined);
  });
  const { picked, url } = attempted;
  const { entry } = picked;
  const { backupId, signature } = entry.manifest;
  const confirm = confirmation(seat);
  const ofPlace =
    target === null ? await blockersInPlace(entry, url, asked, context, given) : await target.blockers(entry);
  const noRoom = await blockersIn(() => assertRoomForBlobs(place, attachments.bytes));
  const blockers = [...keyless, ...ofPlace, ...noRoom];
  const command = commandFor(context.cwd, given, {
    ...{ backupId, signer: signature.publicKey, confirm, blockers },
    from: sayFrom ? url : null,
  });
  return planAnswer({
    ...{ picked, passed: passedBy(entry, found, attempted, asked), from: url, putAside: found.putAside },
    to: (target ?? seat).shown,
    signerKnown: isTrusted(signature.publicKey, trusted),
    blockers,
    attachments,
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
