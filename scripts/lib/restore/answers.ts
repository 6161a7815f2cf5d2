import type { FactoryError } from '../../../service/errors.ts';
import { fingerprint } from '../../../service/jobs/recovery-key.ts';
import type { Entry } from '../backup/catalog.ts';
import type { Missing } from '../backup/fetch-blobs.ts';
import type { Picked } from '../backup/pick.ts';
import { factoryCommand, shellWord } from '../command.ts';
import { fields } from '../layout.ts';
import { sizeText } from '../size.ts';
import { EXIT } from '../verb.ts';
import type { Answer, Given } from '../verb.ts';

/** What `restore` answers: what it would do, and what it did. */

/** For the estimate of a plan alone: a slow line, and a small machine that decrypts and checks. */
const FETCH_BYTES_A_SECOND = 10e6;
const WRITE_BYTES_A_SECOND = 40e6;
/** A thousand lines say less than a few. */
export const SHOWN = 5;

/** Better answers than the one that is given. */
export interface PassedOver {
  /** They do not restore, or cannot be used at all. */
  failed: readonly { backupId: string; takenAt?: string; error: FactoryError }[];
  /** Their destination does not confirm the time that they claim. */
  doubted: readonly string[];
  /** Destinations that could not be read, or could not give this very backup: it may be whole all the same. */
  troubles: readonly { url: string; error: FactoryError }[];
}

/** Nothing better than the answer is known of. */
export const isWhole = ({ failed, doubted }: Omit<PassedOver, 'troubles'>): boolean =>
  failed.length + doubted.length === 0;

/** Seconds that are lost: from when the copy was begun until now. */
function lossOf({ manifest }: Entry): number {
  return Math.max(0, (Date.now() - Date.parse(manifest.startedAt)) / 1000);
}

export interface Planned {
  picked: Picked;
  passed: PassedOver;
  from: string;
  to: string;
  signerKnown: boolean;
  /** Why an epoch put it aside; null: it counts. */
  putAside: FactoryError | null;
  /** Those that have to be fetched. */
  attachments: Missing;
  /** What would keep it from being done now. */
  blockers: readonly FactoryError[];
  /** In place: what confirms it, and the command that restores this very backup. */
  inPlace: { confirm: string; command: string } | null;
}

export function planAnswer(planned: Planned): Answer {
  const { picked, passed, from, to, signerKnown, putAside, attachments, blockers, inPlace } = planned;
  const { manifest, bytes } = picked.entry;
  const fetched = bytes + (picked.base?.bytes ?? 0) + attachments.bytes;
  const written = manifest.source.bytes + attachments.bytes;
  const seconds = Math.max(fetched / FETCH_BYTES_A_SECOND, written / WRITE_BYTES_A_SECOND);
  const plan = {
    ...{ backupId: manifest.backupId, takenAt: manifest.startedAt, lossSeconds: lossOf(picked.entry) },
    putAside: putAside && putAside.toJSON(),
    ...{ from, to, bytes: manifest.source.bytes, fetchBytes: fetched, attachments },
    ...{ base: picked.base?.manifest.backupId ?? null, etaSeconds: Math.ceil(seconds) },
    ...{ signedBy: manifest.signature.publicKey, signerKnown, confirm: inPlace?.confirm ?? null },
    ...{ command: inPlace?.command ?? null, passedOver: passedJson(passed) },
    notFrom: notFromJson(passed),
    blockers: blockers.map((one) => one.toJSON()),
  };
  const text = fields([
    ['Backup', `${plan.backupId}, ${manifest.kind}`],
    ['Taken', `${plan.takenAt}: what came after it, ${Math.round(plan.lossSeconds)} s, is not in it`],
    ...(putAside ? [['Put aside', asideText(putAside)] as [string, string]] : []),
    ['From', from],
    ['Fetches', `${sizeText(fetched)}${plan.base ? `, ${plan.base} with it` : ''}`],
    ['Writes', `${to}, ${sizeText(plan.bytes)}${attachmentsText(attachments)}`],
    ['Takes about', `${plan.etaSeconds} s at a modest pace`],
    ...(signerKnown ? [] : [['Signed by', strangerText(plan.signedBy)] as [string, string]]),
  ]);
  const next =
    inPlace === null
      ? `Without --plan this ${blockers.length === 0 ? 'is done' : 'is refused'}.`
      : `${inPlaceText(blockers)}\n${inPlace.command}`;
  const lines = [
    ...[text, ...passedLines(passed), ...blockedLines(blockers), ''],
    `Nothing was written. ${next}`,
  ];
  const exit = blockers.length === 0 ? exitFor(passed) : EXIT.refused;
  return { json: { plan }, text: lines.join('\n'), exit };
}

/** Only a person can tell which of the two it is. */
const asideText = ({ message }: FactoryError): string =>
  `${message} Or it is a last one of before, in a destination that was away when that epoch began: look at it with --to first`;

const attachmentsText = ({ count, bytes }: Missing): string =>
  count === 0 ? '' : `, and ${count} ${count === 1 ? 'attachment' : 'attachments'}, ${sizeText(bytes)}`;

/** The command answers blockers that only a person can judge: what has to be sure before it is typed. */
function inPlaceText(blockers: readonly FactoryError[]): string {
  const first = ANSWERED.filter(([code]) => blockers.some((one) => one.code === code)).map(
    ([, what]) => what,
  );
  const sure = first.length === 0 ? '' : ` First ${first.join('; ')}.`;
  return `With the application stopped this very backup is restored by the command below.${sure}`;
}

const ANSWERED = [
  ['identity-missing', 'put the file of your recovery key for FILE'],
  ['signer-unknown', 'compare the key behind --trust with your recovery kit'],
  [
    'log-key-missing',
    'make sure that there is no copy of the keyring, else put it back and leave --new-log-key out',
  ],
] as const;

/** Of a signer that nobody has compared yet. */
export const strangerText = (signer: string): string =>
  `${signer} (fingerprint ${fingerprint(signer)}), who is not known here: compare it with your recovery kit, then name it with --trust`;

/** What keeps a restore from being done, in a plan. */
export function blockedLines(blockers: readonly FactoryError[]): string[] {
  return blockers.map(({ message, hint }) => `In the way: ${message} ${hint}`);
}

/**
 * The command of a plan in place, with everything that was given, and what the blockers say has to be given; `from`: the
 * destination, where it has to be said.
 */
export function commandFor(
  cwd: string,
  given: Given,
  {
    backupId,
    signer,
    from,
    confirm,
    blockers,
  }: {
    backupId: string;
    signer: string;
    from: string | null;
    confirm: string;
    blockers: readonly FactoryError[];
  },
): string {
  const isBlockedBy = (code: string): boolean => blockers.some((one) => one.code === code);
  // Which file has the key, nobody here knows.
  const identity = given.text('identity') ?? (isBlockedBy('identity-missing') ? 'FILE' : undefined);
  const trusted = [...given.list('trust'), ...(isBlockedBy('signer-unknown') ? [signer] : [])];
  const newLogKey = given.flag('newLogKey') ? !isBlockedBy('log-key-exists') : isBlockedBy('log-key-missing');
  const words = [
    ...['restore', '--in-place', '--backup', backupId],
    ...(from === null ? [] : ['--from', from]),
    ...(identity === undefined ? [] : ['--identity', identity]),
    ...trusted.flatMap((one) => ['--trust', one]),
    ...(given.flag('hidden') ? ['--hidden'] : []),
    ...(newLogKey ? ['--new-log-key'] : []),
    ...['--confirm', confirm],
  ];
  return `${factoryCommand(cwd)} ${words.map(shellWord).join(' ')}`;
}

export function doneAnswer(entry: Entry, passed: PassedOver, target: string, seconds: number): Answer {
  const { backupId, startedAt: takenAt, source } = entry.manifest;
  const json = {
    ...{ backupId, takenAt, lossSeconds: lossOf(entry), bytes: source.bytes, seconds, verified: true },
    passedOver: passedJson(passed),
    notFrom: notFromJson(passed),
  };
  const size = sizeText(source.bytes);
  const lines = [
    `${target}: ${backupId}, taken at ${takenAt}; ${size} verified in ${seconds.toFixed(1)} s.`,
    ...passedLines(passed),
  ];
  return { json, text: lines.join('\n'), exit: exitFor(passed) };
}

export const exitFor = (passed: PassedOver) =>
  isWhole(passed) && passed.troubles.length === 0 ? EXIT.done : EXIT.degraded;

const notFromJson = ({ troubles }: PassedOver) =>
  troubles.map(({ url, error }) => ({ destination: url, ...error.toJSON() }));

function passedJson({ failed, doubted }: PassedOver) {
  return [
    ...failed.map((one) => ({ backupId: one.backupId, ...one.error.toJSON() })),
    ...doubted.map((id) => ({ backupId: id, code: 'backup-time-doubtful' })),
  ];
}

/** Newer backups that this key does not open: somebody has changed the keys since. */
function closedText(closed: PassedOver['failed']): string[] {
  const [newest, oldest] = [closed[0], closed.at(-1)];
  if (newest === undefined || oldest === undefined) return [];
  const many = closed.length === 1 ? 'backup' : `${closed.length} backups`;
  return [
    `This key does not open the newest ${many} (made for other keys since ${oldest.takenAt}), ${newest.backupId} the last: give a key of now with --identity.`,
  ];
}

function passedLines({ failed, doubted, troubles }: PassedOver): string[] {
  const closed = failed.filter(({ error }) => error.code === 'identity-wrong');
  const broken = failed.filter((one) => !closed.includes(one));
  const lines = [
    ...closedText(closed),
    ...broken
      .slice(0, SHOWN)
      .map((one) => `Passed over, because it does not restore: ${one.backupId}: ${one.error.message}`),
  ];
  if (broken.length > SHOWN)
    lines.push(`Passed over as well: ${broken.length - SHOWN} more that do not restore.`);
  if (doubted.length > 0)
    lines.push(
      `Passed over: ${doubted.length} that the destination got at another time than they claim, ${doubted[0]} the first. Take one with --backup ID.`,
    );
  return [...lines, ...troubles.map(({ url, error }) => `Not from ${url}: ${error.message}`)];
}
