import type { Config, Destination as Configured } from '../service/config.ts';
import { FactoryError } from '../service/errors.ts';
import { OWN_NAME } from '../service/jobs/facts.ts';
import { fingerprint } from '../service/jobs/recovery-key.ts';
import { restoreBest } from './lib/backup/attempt.ts';
import type { Attempted } from './lib/backup/attempt.ts';
import { readCatalog } from './lib/backup/catalog.ts';
import type { Catalog } from './lib/backup/catalog.ts';
import { identitiesFor } from './lib/backup/keys.ts';
import { ofSigners } from './lib/backup/signers.ts';
import { isTrusted, trustedSigners } from './lib/backup/trust.ts';
import { inOrder, pick } from './lib/backup/pick.ts';
import type { Picked, Wanted } from './lib/backup/pick.ts';
import { deadline } from './lib/deadline.ts';
import { destinationsOf, openDestination } from './lib/destinations/open.ts';
import { usage } from './lib/failure.ts';
import { fields } from './lib/layout.ts';
import { assertFits, targetOf } from './lib/restore-target.ts';
import type { Target } from './lib/restore-target.ts';
import { accept } from './lib/restore/accept.ts';
import { nextSteps, restoreInPlace, undo } from './lib/restore/in-place.ts';
import { confirmation } from './lib/restore/seat.ts';
import { seatOf } from './lib/restore/seats.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, Given, Run, VerbContext } from './lib/verb.ts';
import { sizeText } from './lib/size.ts';
import { parseTime } from './lib/time.ts';

const DEADLINE_MS = 4 * 60 * 60_000;
/** For the estimate of a plan alone: a slow line, and a small machine that decrypts and checks. */
const FETCH_BYTES_A_SECOND = 10e6;
const WRITE_BYTES_A_SECOND = 40e6;

/** What another destination may do better. */
const ELSEWHERE =
  /^(destination-(?!object-exists)|backup-(damaged|incomplete|none|unknown)|ciphertext-|difference-|identity-wrong|manifest-)/;

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
  const signal = deadline(DEADLINE_MS);
  const asked = { config, target: chosen(config, context, given), wanted: wantedOf(given), signal };
  // In the place of what is there, only the very backup that the plan shows is put.
  const canFall = asked.target !== null && canBeOlder(asked.wanted);
  // First the best answer in every destination, then an earlier one.
  for (const older of canFall ? [false, true] : [false])
    for (const [index, one] of configured.entries()) {
      try {
        const answer = await restoreFrom(one, { ...asked, older }, context, given);
        return index === 0 ? answer : { ...answer, exit: EXIT.degraded };
      } catch (error) {
        const next = configured[index + 1];
        const last = next === undefined && (older || !canFall);
        if (last || signal.aborted || !(error instanceof FactoryError && ELSEWHERE.test(error.code)))
          throw error;
        context.say(`${one.url}: ${error.message} Asking ${next?.url ?? 'for an earlier backup'}.`);
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
  /** Null: in place. */
  target: Target | null;
  wanted: Wanted;
  /** Where the best answer is damaged, the next best does. */
  older: boolean;
  signal: AbortSignal;
}

async function restoreFrom(
  configured: Configured,
  { config, target, wanted, older, signal }: Asked,
  context: VerbContext,
  given: Given,
): Promise<Answer> {
  const started = performance.now();
  const destination = await openDestination(configured, context.env);
  const hidden = given.flag('hidden');
  const trusted = trustedSigners(config, given.list('trust'));
  const name = given.text('name') ?? OWN_NAME;
  const catalog = ofSigners(await readCatalog(destination, name, { signal, hidden }, trusted), trusted);
  if (!older) sayProblems(catalog, context);
  const seconds = (): number => (performance.now() - started) / 1000;
  const seat = await seatOf(config);
  const fits = target ?? seat;
  for (const { manifest } of inOrder(catalog, wanted, Date.now()).slice(0, 1)) assertFits(manifest, fits);
  const known = ({ entry }: Picked): boolean => isTrusted(entry.manifest.signature.publicKey, trusted);
  if (given.flag('plan')) {
    const picked = pick(catalog, wanted, Date.now());
    const confirm = target === null ? confirmation(seat) : null;
    return planOf({ ...picked, signerKnown: known(picked), confirm }, configured.url, fits.shown);
  }
  if (target === null) {
    const picked = pick(catalog, wanted, Date.now());
    const done = await restoreInPlace(
      { ...picked, destination, catalog },
      { config, seat },
      context,
      given,
      signal,
    );
    const { json, text } = answerOf({ picked, failed: [], doubted: [] }, fits.shown, seconds());
    return { json: { ...(json as object), ...done }, text: `${text}\n${nextSteps(done)}` };
  }
  const identities = identitiesFor(config, given.text('identity'));
  const attempted = await restoreBest(
    catalog,
    { wanted, now: Date.now(), older },
    {
      ...{ destination, identities, signal, progress: context.progress },
      write: (job) => target.write(job),
    },
  );
  return answerOf(attempted, target.shown, seconds());
}

/** A thousand lines say less than a few. */
const SHOWN = 5;

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

/** Seconds that are lost: from when the copy was begun until now. */
function lossOf({ entry }: Picked): number {
  return Math.max(0, (Date.now() - Date.parse(entry.manifest.startedAt)) / 1000);
}

function planOf(
  picked: Picked & { signerKnown: boolean; confirm: string | null },
  url: string,
  target: string,
): Answer {
  const { signerKnown, confirm } = picked;
  const { manifest, bytes } = picked.entry;
  const fetched = bytes + (picked.base?.bytes ?? 0);
  const plan = {
    ...{
      backupId: manifest.backupId,
      takenAt: manifest.startedAt,
      lossSeconds: lossOf(picked),
      from: url,
      to: target,
    },
    ...{ bytes: manifest.source.bytes, fetchBytes: fetched, base: picked.base?.manifest.backupId ?? null },
    etaSeconds: Math.ceil(
      Math.max(fetched / FETCH_BYTES_A_SECOND, manifest.source.bytes / WRITE_BYTES_A_SECOND),
    ),
    ...{ signedBy: manifest.signature.publicKey, signerKnown, confirm },
  };
  const text = fields([
    ['Backup', `${plan.backupId}, ${manifest.kind}`],
    ['Taken', `${plan.takenAt}: what came after it, ${Math.round(plan.lossSeconds)} s, is not in it`],
    ['From', url],
    ['Fetches', `${sizeText(fetched)}${plan.base ? `, ${plan.base} with it` : ''}`],
    ['Writes', `${target}, ${sizeText(plan.bytes)}`],
    ['Takes about', `${plan.etaSeconds} s at a modest pace`],
    ['Signed by', `${plan.signedBy}${plan.signerKnown ? '' : ', who is not known here: --trust'}`],
  ]);
  const next =
    confirm === null
      ? 'Without --plan this is done.'
      : `With the application stopped it is done by --confirm ${confirm} instead of --plan.`;
  return { json: { plan }, text: `${text}\n\nNothing was written. ${next}` };
}

/** Newer backups that this key does not open: somebody has changed the keys since. */
function closedText(closed: Attempted['failed']): string[] {
  const [newest, oldest] = [closed[0], closed.at(-1)];
  if (newest === undefined || oldest === undefined) return [];
  const many = closed.length === 1 ? 'backup' : `${closed.length} backups`;
  return [
    `This key does not open the newest ${many} (made for other keys since ${oldest.takenAt}), ${newest.backupId} the last: give a key of now with --identity.`,
  ];
}

function answerOf({ picked, failed, doubted }: Attempted, target: string, seconds: number): Answer {
  const { backupId, startedAt: takenAt, source } = picked.entry.manifest;
  const json = {
    ...{ backupId, takenAt, lossSeconds: lossOf(picked), bytes: source.bytes, seconds, verified: true },
    passedOver: [
      ...failed.map((one) => ({ backupId: one.backupId, ...one.error.toJSON() })),
      ...doubted.map((id) => ({ backupId: id, code: 'backup-time-doubtful' })),
    ],
  };
  const size = sizeText(source.bytes);
  const closed = failed.filter(({ error }) => error.code === 'identity-wrong');
  const broken = failed.filter((one) => !closed.includes(one));
  const lines = [
    `${target}: ${backupId}, taken at ${takenAt}; ${size} verified in ${seconds.toFixed(1)} s.`,
    ...closedText(closed),
    ...broken
      .slice(0, SHOWN)
      .map((one) => `Passed over, because it does not restore: ${one.backupId}: ${one.error.message}`),
    ...(broken.length > SHOWN
      ? [`Passed over as well: ${broken.length - SHOWN} more that do not restore.`]
      : []),
    ...(doubted.length > 0
      ? [
          `Passed over: ${doubted.length} that the destination got long after the time that they claim, ${doubted[0]} the first. Take one with --backup ID.`,
        ]
      : []),
  ];
  const whole = failed.length + doubted.length === 0;
  return { json, text: lines.join('\n'), exit: whole ? EXIT.done : EXIT.degraded };
}
