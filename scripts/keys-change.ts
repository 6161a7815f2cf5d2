import type { Config } from '../service/config.ts';
import { recipients as recipientsParser } from '../service/config-values.ts';
import type { FactoryError } from '../service/errors.ts';
import {
  fingerprint,
  knownRecipients,
  LEAST_RECIPIENTS,
  privateKeyFiles,
} from '../service/jobs/recovery-key.ts';
import { identitiesFor, identityFile, recipientsFor, signingKey } from './lib/backup/keys.ts';
import { exitOf, problemsOf, readAll } from './lib/backup/read.ts';
import type { Read } from './lib/backup/read.ts';
import { shellWord } from './lib/command.ts';
import { planOutdated, usage } from './lib/failure.ts';
import { heldRecipients } from './lib/keys/held.ts';
import { planRewrap, removeOlderKeys, rewrap as rewrapOne, rewrapDigest } from './lib/keys/rewrap.ts';
import type { RewrapPlan } from './lib/keys/rewrap.ts';
import { applyRotation, rotationDigest } from './lib/keys/rotate.ts';
import type { Rotation } from './lib/keys/rotate.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, Given, Run, VerbContext } from './lib/verb.ts';

/** Other keys for backups: for those to come (`rotate`), and for those that are there (`rewrap`). */

const REWRAP_MS = 4 * 60 * 60_000;

/** Plans other recipients; with `--apply DIGEST` they are put into force. */
export const rotate: Run = async (context, given) => {
  const config = readConfig(context);
  const rotation = { before: knownRecipients(config), after: recipientsOf(given) };
  if (config.backup.recipients.length > 0 || config.environment === 'production')
    return configured(config, rotation);
  const digest = rotationDigest(rotation);
  const asked = given.text('apply');
  if (asked === undefined) return rotationPlan(rotation, digest);
  if (asked !== digest) throw planOutdated('rotate keys', asked, 'keys rotate');
  const held = await heldRecipients(config);
  const { recipients, made } = await applyRotation(config.keyringDir, rotation);
  const old = privateKeyFiles(config).filter((path) => !made.includes(path));
  const lines = [
    ...recipients.map((one) => `Reads the backups to come: ${fingerprint(one)}, ${one}`),
    ...made.map((path) => `Made: ${path}`),
    ...(old.length > 0 ? [`Kept: ${old.join(', ')}. Older backups need them until they are rewrapped.`] : []),
    ...stepsAfter(
      made,
      rotation.before.flatMap((one) => held.get(one) ?? []),
    ),
  ];
  return { json: { applied: { recipients, made, kept: old } }, text: lines.join('\n') };
};

/** In an order in which nothing that is there becomes unreadable, whenever somebody stops. */
function stepsAfter([recoveryKey]: readonly string[], [oldKey]: readonly string[]): string[] {
  const old = oldKey === undefined ? 'OLD' : shellWord(oldKey);
  const which = oldKey === undefined ? ' (OLD: a key of before, from where it is kept)' : '';
  return [
    'Next, in this order:',
    recoveryKey === undefined
      ? '1. Keep the private halves of these on another machine: the old keys do not open the backups to come.'
      : `1. Copy ${recoveryKey} to the other machine, beside the old copy: that one does not open the backups to come.`,
    '2. Show that the new copy works: npx factory keys prove --identity COPY, or the challenge of its --help.',
    '3. npx factory backup: a full one, for the new keys.',
    `4. npx factory keys rewrap --identity ${old}${which}: the new keys read the backups that are there as well.`,
    '5. When that ended with 0, take the old keys away yourself, here and there: no verb deletes a private key.',
  ];
}

/** Errors: `usage`. Null: none are given. */
function recipientsOf(given: Given): string[] | null {
  const named = given.list('recipient');
  if (named.length === 0) return null;
  const parsed = recipientsParser(named.join(' '));
  if (!('value' in parsed)) throw usage('keys rotate', `--recipient: ${parsed.message} ${parsed.hint}`);
  if (new Set(parsed.value).size >= LEAST_RECIPIENTS) return [...new Set(parsed.value)];
  throw usage('keys rotate', 'Give at least two recipients, so that one lost key loses nothing.');
}

/** Where the environment names them, it is the environment that changes. */
function configured({ backup }: Config, { before, after }: Rotation): Answer {
  const wanted = after ?? [];
  const line = `FACTORY_BACKUP_RECIPIENTS="${wanted.length > 0 ? wanted.join(' ') : 'age1… age1…'}"`;
  const source =
    backup.recipients.length > 0 ? 'FACTORY_BACKUP_RECIPIENTS says' : 'In production the configuration says';
  const lines = [
    `${source} who can read backups, so nothing was changed here. To change it:`,
    ...(wanted.length > 0
      ? []
      : ['0. On your own machine, once for each key: npx factory keys new --out recovery.key']),
    `1. Set ${line}, and start the service anew.`,
    '2. npx factory backup: a full one, because of the new recipients.',
    '3. npx factory keys prove --challenge, and so on: new recipients need new proofs.',
    '4. Where the old key is: npx factory keys rewrap --identity OLD.key, so that the new ones read what is there.',
  ];
  return { json: { plan: { before, after, configured: true, digest: null } }, text: lines.join('\n') };
}

function rotationPlan({ before, after }: Rotation, digest: string): Answer {
  const again = (after ?? []).map((one) => ` --recipient ${one}`).join('');
  const lines = [
    ...before.map((one) => `  until now  ${fingerprint(one)}  ${one}`),
    ...(after ?? []).map((one) => `  then       ${fingerprint(one)}  ${one}`),
    ...(after === null ? ['  then       two new keys, made in the keyring of this machine'] : []),
    'The next backup is a full one for them. Backups that are there stay readable with the old keys, which stay where they are.',
    `Nothing was changed yet. To do this: npx factory keys rotate${again} --apply ${digest}`,
  ];
  return { json: { plan: { before, after, configured: false, digest } }, text: lines.join('\n') };
}

interface Planned {
  read: Read;
  plan: RewrapPlan;
  digest: string;
}

/** Plans which key objects are made anew; with `--apply DIGEST` they are. */
export const rewrap: Run = async (context, given) => {
  const { config, found, signal } = await readAll('keys rewrap', context, given, REWRAP_MS);
  const { recipients } = await recipientsFor(config);
  const plans = found.flatMap((read): Planned[] => {
    if (read.catalog === null) return [];
    const plan = planRewrap(read.catalog.entries, recipients);
    return [{ read, plan, digest: rewrapDigest(read.url, plan, recipients) }];
  });
  const asked = given.text('apply');
  if (asked === undefined) {
    const held = await heldRecipients(config);
    return rewrapPlan(found, plans, { recipients, options: givenAgain(given), held });
  }
  const one = plans.find(({ digest }) => digest === asked);
  if (one === undefined) throw planOutdated('rewrap keys', asked, 'keys rewrap');
  const identities = identitiesFor(config, identityFile(context.cwd, given));
  return applyRewrap(context, one, { config, identities, recipients, signal });
};

async function applyRewrap(
  { progress }: VerbContext,
  { read: { url, destination, catalog }, plan }: Planned,
  given: { config: Config; identities: string[]; recipients: string[]; signal: AbortSignal },
): Promise<Answer> {
  if (destination === null || catalog === null) throw new TypeError('a plan without a destination');
  const job = { ...given, destination, signing: signingKey(given.config), now: Date.now };
  const entries = new Map(catalog.entries.map((entry) => [entry.manifest.backupId, entry]));
  const started = performance.now();
  const kept: { backupId: string; error: FactoryError }[] = [];
  const numbers = new Map(plan.wrap.map(({ backupId, number }) => [backupId, number]));
  const all = [...numbers.keys(), ...plan.clean];
  for (const [n, backupId] of all.entries()) {
    progress(`Rewrapping ${n + 1} of ${all.length}: ${backupId}`);
    const entry = entries.get(backupId);
    if (entry === undefined) continue;
    const number = numbers.get(backupId);
    const now = number === undefined ? entry : await rewrapOne(job, entry, number);
    const error = await removeOlderKeys(job, now);
    if (error !== null) kept.push({ backupId, error });
  }
  const seconds = (performance.now() - started) / 1000;
  const json = {
    applied: { url, rewrapped: [...numbers.keys()], cleaned: plan.clean, seconds },
    kept: kept.map(({ backupId, error }) => ({ backupId, ...error.toJSON() })),
  };
  const lines = [
    `${url}: ${numbers.size} backups rewrapped in ${seconds.toFixed(1)} s.`,
    ...(kept.length === 0
      ? []
      : [
          `Old key objects stayed in ${kept.length} of them, so the old key still opens these: ${kept[0]?.error.message}`,
          'A key that may delete does it (--credentials FILE, or the prune key’s machine), or the end of the lock.',
        ]),
  ];
  return { json, text: lines.join('\n'), exit: kept.length === 0 ? EXIT.done : EXIT.degraded };
}

/** What was given to the plan belongs to the command that carries it out. */
function givenAgain(given: Given): string {
  return ['identity', 'credentials', 'name']
    .flatMap((name) => {
      const value = given.text(name);
      return value === undefined ? [] : [` --${name} ${shellWord(value)}`];
    })
    .join('');
}

/** Whether a key that lies here is one of those for which each backup of the plan is made. */
function opensAll({ read: { catalog }, plan }: Planned, held: ReadonlyMap<string, string>): boolean {
  const wanted = new Set(plan.wrap.map(({ backupId }) => backupId));
  const entries = (catalog?.entries ?? []).filter(({ manifest }) => wanted.has(manifest.backupId));
  return entries.every(({ manifest, wraps = [] }) =>
    (wraps[0]?.recipients ?? manifest.recipients).some((one) => held.has(one)),
  );
}

function rewrapPlan(
  found: readonly Read[],
  plans: readonly Planned[],
  {
    recipients,
    options,
    held,
  }: { recipients: readonly string[]; options: string; held: ReadonlyMap<string, string> },
): Answer {
  const documents = plans.map(({ read: { url }, plan, digest }) => ({ url, ...plan, digest }));
  const text = plans.map((planned) => {
    const { plan, digest } = planned;
    const { url } = planned.read;
    const asks = !/ --identity /.test(options) && !opensAll(planned, held);
    const key = asks ? ' --identity OLD' : '';
    const lines = [
      ...plan.wrap.map(({ backupId }) => `  rewrap  ${backupId}`),
      ...plan.clean.map((backupId) => `  clean   ${backupId}: an older key object is still there`),
    ];
    const next =
      lines.length === 0
        ? 'Every backup is for the recipients of now.'
        : `Nothing was changed yet. To do this: npx factory keys rewrap --from ${shellWord(url)}${options}${key} --apply ${digest}`;
    const which = asks ? ['OLD is a file with a key that opens them; none of those lies here.'] : [];
    return [url, ...lines, next, ...which].join('\n');
  });
  const whom = `For ${recipients.map((one) => fingerprint(one)).join(', ')}. Data stays as it is; only key objects are made anew.`;
  return {
    json: { plans: documents, problems: problemsOf(found) },
    text: [...text, whom].join('\n\n'),
    exit: exitOf(found),
  };
}
