import type { Config, Destination as Configured } from '../service/config.ts';
import { FactoryError } from '../service/errors.ts';
import { OWN_NAME } from '../service/jobs/facts.ts';
import { fingerprint } from '../service/jobs/recovery-key.ts';
import { restoreBest } from './lib/backup/attempt.ts';
import type { Attempted } from './lib/backup/attempt.ts';
import { readCatalog } from './lib/backup/catalog.ts';
import type { Catalog } from './lib/backup/catalog.ts';
import { identitiesFor, ownSigner } from './lib/backup/keys.ts';
import { ofSigners } from './lib/backup/signers.ts';
import { inOrder, pick } from './lib/backup/pick.ts';
import type { Picked, Wanted } from './lib/backup/pick.ts';
import { deadline } from './lib/deadline.ts';
import { destinationsOf, openDestination } from './lib/destinations/open.ts';
import { usage } from './lib/failure.ts';
import { fields } from './lib/layout.ts';
import { assertFits, targetOf } from './lib/restore-target.ts';
import type { Target } from './lib/restore-target.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, Given, Run, VerbContext } from './lib/verb.ts';
import { sizeText } from './lib/size.ts';

const DEADLINE_MS = 4 * 60 * 60_000;

/** What another destination may do better. */
const ELSEWHERE =
  /^(destination-(?!object-exists)|backup-(damaged|incomplete|none|unknown)|ciphertext-|difference-|identity-wrong|manifest-)/;

/**
 * A database from a backup, to a new file or a new Postgres database. Where the first destination cannot give it whole, the next one is asked; that
 * is said, and exit 3 tells it to scripts.
 */
export const restore: Run = async (context, given) => {
  const config = readConfig(context);
  const configured = destinationsOf(config, 'restore', given.text('from'));
  if (configured.length > 1 && given.text('from') !== undefined)
    throw usage('restore', '--from takes one destination.');
  const to = given.text('to');
  if (to === undefined) throw usage('restore', 'Say where the database goes: --to PATH.');
  const signal = deadline(DEADLINE_MS);
  const asked = { config, target: targetOf(to, config, context), wanted: wantedOf(given), signal };
  // First the best answer in every destination, then an earlier one.
  for (const older of canBeOlder(asked.wanted) ? [false, true] : [false])
    for (const [index, one] of configured.entries()) {
      try {
        const answer = await restoreFrom(one, { ...asked, older }, context, given);
        return index === 0 ? answer : { ...answer, exit: EXIT.degraded };
      } catch (error) {
        const next = configured[index + 1];
        const last = next === undefined && (older || !canBeOlder(asked.wanted));
        if (last || signal.aborted || !(error instanceof FactoryError && ELSEWHERE.test(error.code)))
          throw error;
        context.say(`${one.url}: ${error.message} Asking ${next?.url ?? 'for an earlier backup'}.`);
      }
    }
  throw usage('restore', 'No destination is configured: name one with --from.');
};

/** Somebody who names one backup wants no other. */
const canBeOlder = (wanted: Wanted): boolean => wanted === 'newest' || 'at' in wanted;

interface Asked {
  config: Config;
  target: Target;
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
  const found = await readCatalog(destination, given.text('name') ?? OWN_NAME, { signal, hidden });
  const catalog = ofSigners(found, [...given.list('trust'), ...ownSigner(config)]);
  if (!older) sayProblems(catalog, context);
  for (const { manifest } of inOrder(catalog, wanted, Date.now()).slice(0, 1)) assertFits(manifest, target);
  if (given.flag('plan')) return planOf(pick(catalog, wanted, Date.now()), configured.url, target.shown);
  const identities = identitiesFor(config, given.text('identity'));
  const attempted = await restoreBest(
    catalog,
    { wanted, now: Date.now(), older },
    {
      ...{ destination, identities, signal, progress: context.progress },
      write: (job) => target.write(job),
    },
  );
  return answerOf(attempted, target.shown, (performance.now() - started) / 1000);
}

/** A thousand lines say less than a few. */
const SHOWN = 5;

function sayProblems({ problems, entries }: Catalog, { say }: VerbContext): void {
  for (const { key, error } of problems.slice(0, SHOWN)) say(`Not usable: ${key}: ${error.message}`);
  if (problems.length > SHOWN)
    say(`Not usable either: ${problems.length - SHOWN} more; \`factory backups list\` names them.`);
  const signers = new Set(entries.map(({ manifest }) => manifest.signature.publicKey));
  for (const signer of signers) say(`Signed by ${signer} (fingerprint ${fingerprint(signer)}).`);
}

function wantedOf(given: Given): Wanted {
  const [at, backupId] = [given.text('at'), given.text('backup')];
  if (at !== undefined && backupId !== undefined) throw usage('restore', 'Give --at or --backup, not both.');
  if (backupId !== undefined) return { backupId };
  if (at === undefined) return 'newest';
  const time = Date.parse(at);
  if (Number.isNaN(time))
    throw usage('restore', `--at: "${at}" is no time. For example 2026-05-01T12:00:00Z.`);
  return { at: time };
}

/** Seconds that are lost: from when the copy was begun until now. */
function lossOf({ entry }: Picked): number {
  return Math.max(0, (Date.now() - Date.parse(entry.manifest.startedAt)) / 1000);
}

function planOf(picked: Picked, url: string, target: string): Answer {
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
    signedBy: manifest.signature.publicKey,
  };
  const text = fields([
    ['Backup', `${plan.backupId}, ${manifest.kind}`],
    ['Taken', `${plan.takenAt}: what came after it, ${Math.round(plan.lossSeconds)} s, is not in it`],
    ['From', url],
    ['Fetches', `${sizeText(fetched)}${plan.base ? `, ${plan.base} with it` : ''}`],
    ['Writes', `${target}, ${sizeText(plan.bytes)}`],
    ['Signed by', plan.signedBy],
  ]);
  return { json: { plan }, text: `${text}\n\nNothing was written. Without --plan this is done.` };
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
  const lines = [
    `${target}: ${backupId}, taken at ${takenAt}; ${size} verified in ${seconds.toFixed(1)} s.`,
    ...failed
      .slice(0, SHOWN)
      .map((one) => `Passed over, because it does not restore: ${one.backupId}: ${one.error.message}`),
    ...(failed.length > SHOWN
      ? [`Passed over as well: ${failed.length - SHOWN} more that do not restore.`]
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
