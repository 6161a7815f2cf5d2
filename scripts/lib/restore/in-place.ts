import type { Config } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import { fingerprint } from '../../../service/jobs/recovery-key.ts';
import { OWN_NAME } from '../../../service/jobs/facts.ts';
import type { Catalog, Entry } from '../backup/catalog.ts';
import { leaveMarks, marksText } from '../epoch/leave-marks.ts';
import type { LeftMark } from '../epoch/leave-marks.ts';
import { fetchBlobs } from '../backup/fetch-blobs.ts';
import type { Picked } from '../backup/pick.ts';
import { isTrusted } from '../backup/signers.ts';
import { namedSigners, rememberTrust, trustedSigners } from '../backup/trust.ts';
import type { Destination } from '../destinations/destination.ts';
import { fields } from '../layout.ts';
import { targetOf } from '../restore-target.ts';
import { sizeText } from '../size.ts';
import { EXIT } from '../verb.ts';
import type { Answer, Given, VerbContext } from '../verb.ts';
import { blockedLines } from './answers.ts';
import type { PassedOver } from './answers.ts';
import { highest } from './highest.ts';
import { journals } from './journal.ts';
import type { Journal } from './journal.ts';
import { putBack } from './put-back.ts';
import type { PutBackResult } from './put-back.ts';
import { confirmation } from './seat.ts';
import { blobsOf, bringBack, waitingBlobs } from './seat-blobs.ts';
import type { Seat } from './seat.ts';
import { seatOf } from './seats.ts';

/** `restore --in-place` and `restore --undo`. */

interface Marked {
  /** Where it was said that the epoch began. */
  marks: LeftMark[];
}
export type PutInPlace = PutBackResult & Marked;

/** Replaces the database of this installation by a backup. */
export async function restoreInPlace(
  found: Picked & { destination: Destination; catalogs: readonly Catalog[]; identities: () => string[] },
  { config, seat }: { config: Config; seat: Seat },
  context: VerbContext,
  given: Given,
  signal: AbortSignal,
): Promise<PutInPlace> {
  assertConfirmed(seat, given, `${found.entry.manifest.backupId} takes the place of ${seat.shown}`);
  const { destination, catalogs, entry, base } = found;
  const { backupId, sequence, startedAt: takenAt, signature } = entry.manifest;
  const trust = namedSigners('restore', given);
  assertSigner(destination.url, signature.publicKey, trustedSigners(config, trust));
  const identities = found.identities();
  const known = await highest(config, OWN_NAME, catalogs, trust, context);
  const job = { destination, entry, base, identities, signal };
  const result = await putBack({
    ...{ config, seat, why: 'restore', backupId, sequence, takenAt, from: destination.url, known },
    newKey: given.flag('newLogKey'),
    make: async (to) => {
      // First what is checked soonest: where one is damaged, no database is made at all.
      await fetchBlobs(job, entry, waitingBlobs(config), blobsOf(config));
      await targetOf(seat.target(to), config, context).write(job);
    },
    now: Date.now,
    say: context.say,
  });
  rememberTrust(config, signature.publicKey);
  return { ...result, marks: await leaveMarks(config, context.env, [destination]) };
}

/** Goes back to the database that the last restore in place replaced. */
export async function undo(config: Config, context: VerbContext, given: Given): Promise<Answer> {
  const seat = await seatOf(config);
  const undone = await lastDone(config, seat);
  const { before, at, backupId } = undone;
  const confirm = confirmation(seat);
  const plan = {
    ...{ undoes: backupId, restoredAt: at, to: seat.shown, confirm },
    bytes: await seat.bytes(before),
  };
  if (given.flag('plan')) {
    const blockers = await seat.blockers(plan.bytes);
    const text = fields([
      [
        'Undoes',
        `the restore of ${backupId}, done at ${at}: what was written since is kept beside, and is not in use`,
      ],
      ['Writes', `${seat.shown}, ${sizeText(plan.bytes)}, as it was before`],
      ['To do it', `npx factory restore --undo --confirm ${confirm}`],
    ]);
    return {
      json: { plan: { ...plan, blockers: blockers.map((one) => one.toJSON()) } },
      text: [text, ...blockedLines(blockers), '', 'Nothing was written.'].join('\n'),
      exit: blockers.length === 0 ? EXIT.done : EXIT.refused,
    };
  }
  assertConfirmed(seat, given, `${seat.shown} as it was before ${at} takes the place of the one of now`);
  const result = await putBack({
    ...{ config, seat, why: 'undo', backupId, sequence: 0, takenAt: at, from: before },
    ...{ newKey: false, known: await highest(config, OWN_NAME, [], [], context) },
    make: async (beside) => {
      bringBack(config, undone);
      await seat.copy(before, beside);
    },
    now: Date.now,
    say: context.say,
  });
  const marks = await leaveMarks(config, context.env);
  const json = { undone: backupId, restoredAt: at, epoch: result.epoch, before: result.before };
  return {
    json,
    text: `${seat.shown} is as it was before the restore of ${backupId}.\n${nextSteps({ ...result, marks })}`,
  };
}

/** What is left to do after a database was put back. */
export function nextSteps({ epoch, before, marks }: PutInPlace): string {
  return [
    `Epoch ${epoch} began. ${before === null ? 'There was no database before.' : `The database of before is kept: ${before}`}`,
    'Start the service, look at what drifted, and accept it: npx factory restore --accept',
    ...marksText(epoch, marks),
    'The service sends a backup once that is accepted; now: npx factory backup --full',
  ].join('\n');
}

async function lastDone(config: Config, seat: Seat): Promise<Journal & { before: string }> {
  const last = journals(config).findLast(({ state, engine }) => state === 'done' && engine === seat.engine);
  if (last?.why === 'undo') throw undoneAlready(last);
  const before = last?.before ?? null;
  if (last && before !== null && (await seat.has(before))) return { ...last, before };
  throw new FactoryError({
    code: 'restore-undo-none',
    op: 'undo restore',
    target: config.dataDir,
    message: last
      ? `The restore of ${last.at} had no database before it that is kept.`
      : 'No restore in place was done here.',
    hint: '`npx factory restore --in-place --plan` shows what can be restored. Nothing was changed.',
  });
}

/** A second undo would put back what the first one took away. */
function undoneAlready({ at, backupId, before, database }: Journal): FactoryError {
  const kept = before === null ? '' : ` What was in use until then is kept: ${before}.`;
  return new FactoryError({
    code: 'restore-undone',
    op: 'undo restore',
    target: database,
    message: `The restore of ${backupId} was undone already, at ${at}: another undo would take it back.`,
    hint: `Nothing was changed. To have the restored state again: \`npx factory restore --in-place --backup ${backupId} --plan\`.${kept}`,
  });
}

/** In place, nobody's backup is taken unless somebody said whose it is. Errors: `signer-unknown`. */
export function assertSigner(target: string, signer: string, trusted: readonly string[]): void {
  if (isTrusted(signer, trusted)) return;
  throw new FactoryError({
    code: 'signer-unknown',
    op: 'restore in place',
    target,
    message: `The backup is signed by ${signer} (fingerprint ${fingerprint(signer)}), which is not known on this machine.`,
    hint: 'Compare it with the recovery kit; if it is the same, name it: --trust KEY. Nothing was changed.',
    details: { signers: [signer] },
  });
}

/** In place, an older backup than the newest is taken by somebody who names it. */
export function olderRefused(seat: Seat, { manifest }: Entry, { failed, doubted }: PassedOver): FactoryError {
  const { backupId, startedAt } = manifest;
  const [first] = failed;
  const why = first
    ? `${first.backupId} cannot be used: ${first.error.message}`
    : `The destination got ${doubted[0]} at another time than it claims.`;
  return new FactoryError({
    code: 'restore-older',
    op: 'restore in place',
    target: seat.shown,
    message: `${why} The best of the others is ${backupId}, taken at ${startedAt}.`,
    hint: `Look at it with --plan; to take that one, name it: --backup ${backupId}. Nothing was changed.`,
    details: {
      backupId,
      passedOver: [...failed.map((one) => one.backupId), ...doubted],
    },
  });
}

function assertConfirmed(seat: Seat, given: Given, what: string): void {
  const confirm = confirmation(seat);
  if (given.text('confirm') === confirm) return;
  throw new FactoryError({
    code: 'restore-unconfirmed',
    op: 'restore in place',
    target: seat.shown,
    message:
      given.text('confirm') === undefined
        ? `${what}: that needs to be confirmed.`
        : `--confirm ${given.text('confirm')} is not what this machine and its database are called.`,
    hint: `Look at it with --plan; then add: --confirm ${confirm}. Nothing was changed.`,
    details: { confirm },
  });
}
