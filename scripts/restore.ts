import type { Config, Destination as Configured } from '../service/config.ts';
import { FactoryError } from '../service/errors.ts';
import { OWN_NAME } from '../service/jobs/facts.ts';
import { readCatalog } from './lib/backup/catalog.ts';
import { identitiesFor } from './lib/backup/keys.ts';
import { pick } from './lib/backup/pick.ts';
import type { Picked, Wanted } from './lib/backup/pick.ts';
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
  /^(destination-(?!object-exists)|backup-(damaged|incomplete|none|unknown)|ciphertext-|difference-|manifest-)/;

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
  const asked = { config, target: targetOf(to, config, context), wanted: wantedOf(given) };
  for (const [index, one] of configured.entries()) {
    try {
      const answer = await restoreFrom(one, asked, context, given);
      return index === 0 ? answer : { ...answer, exit: EXIT.degraded };
    } catch (error) {
      const next = configured[index + 1];
      if (!next || !(error instanceof FactoryError && ELSEWHERE.test(error.code))) throw error;
      context.say(`${one.url}: ${error.message} Asking ${next.url}.`);
    }
  }
  throw usage('restore', 'No destination is configured: name one with --from.');
};

interface Asked {
  config: Config;
  target: Target;
  wanted: Wanted;
}

async function restoreFrom(
  configured: Configured,
  { config, target, wanted }: Asked,
  context: VerbContext,
  given: Given,
): Promise<Answer> {
  const started = performance.now();
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const destination = await openDestination(configured, context.env);
  const catalog = await readCatalog(destination, given.text('name') ?? OWN_NAME, { signal });
  for (const { key, error } of catalog.problems) context.say(`Not usable: ${key}: ${error.message}`);
  const picked = pick(catalog, wanted, Date.now());
  assertFits(picked.entry.manifest, target);
  if (given.flag('plan')) return planOf(picked, configured.url, target.shown);
  const identities = identitiesFor(config, given.text('identity'));
  await target.write({ destination, ...picked, identities, signal });
  return answerOf(picked, target.shown, (performance.now() - started) / 1000);
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

function answerOf(picked: Picked, target: string, seconds: number): Answer {
  const { backupId, startedAt: takenAt, source } = picked.entry.manifest;
  const json = {
    backupId,
    takenAt,
    lossSeconds: lossOf(picked),
    bytes: source.bytes,
    seconds,
    verified: true,
  };
  const size = sizeText(source.bytes);
  return {
    json,
    text: `${target}: ${backupId}, taken at ${takenAt}; ${size} verified in ${seconds.toFixed(1)} s.`,
  };
}
