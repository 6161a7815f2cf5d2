import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../service/config.ts';
import { FactoryError } from '../service/errors.ts';
import { makeFolder } from '../service/folders.ts';
import { OWN_NAME } from '../service/jobs/facts.ts';
import { fingerprint, knownRecipients } from '../service/jobs/recovery-key.ts';
import { createOnce } from '../service/keyring.ts';
import { firstVersions, inFirstVersions } from './lib/backup/first-version.ts';
import { identitiesFor, identityFile } from './lib/backup/keys.ts';
import { namedSigners } from './lib/backup/trust.ts';
import type { Stored } from './lib/destinations/destination.ts';
import { destinationsOf, openDestination } from './lib/destinations/open.ts';
import { usage } from './lib/failure.ts';
import { pickReplica } from './lib/keys/pick-replica.ts';
import {
  implausibleReplica,
  implausibleReplicas,
  MAX_REPLICA_BYTES,
  replicaNumber,
  replicaPrefix,
} from './lib/keys/replica.ts';
import type { Replica } from './lib/keys/replica.ts';
import { readConfig } from './lib/settings.ts';
import { parseTime } from './lib/time.ts';
import { EXIT } from './lib/verb.ts';
import type { Given, Run } from './lib/verb.ts';

/** The keyring of an installation, from its copy in a destination, into a folder that is empty. */

const DEADLINE_MS = 10 * 60_000;

export const restoreKeyring: Run = async (context, given) => {
  const config = readConfig(context);
  const [configured, ...more] = destinationsOf(config, 'keys restore', given.text('from'));
  if (configured === undefined || more.length > 0)
    throw usage('keys restore', 'Name the destination: --from URL.');
  const trusted = namedSigners('keys restore', given);
  assertEmpty(config.keyringDir);
  const identities = identitiesFor(config, identityFile(context.cwd, given));
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const destination = await openDestination(configured, context.env);
  const { stored, versions } = await firstVersions(destination, [replicaPrefix(OWN_NAME)], { signal });
  const from = inFirstVersions(destination, versions);
  const unreal = implausibleReplicas(stored.map((one) => one.key));
  const copies = inTime(
    stored.filter((one) => !unreal.has(one.key)),
    given,
  );
  const { replica, key, ...rest } = await pickReplica(copies, {
    ...{ from, identities, trusted, signal },
  });
  const passedOver = [
    ...[...unreal].map((one) => ({ key: one, error: implausibleReplica(one) })),
    ...rest.passedOver,
  ];
  writeKeyring(config.keyringDir, replica);
  const { publicKey } = replica.signature;
  const files = replica.files.map(({ name }) => name);
  const lines = [
    `${config.keyringDir}: ${files.length} files of ${replica.madeAt}, from ${key}.`,
    ...files.map((name) => `  ${name}`),
    `Signed by ${publicKey} (fingerprint ${fingerprint(publicKey)}): compare it with your recovery kit.`,
    ...recipientsText(config),
    ...drillKeyText(config),
    ...passedOver.map((one) => `Passed over: ${one.key}: ${one.error.message}`),
  ];
  return {
    json: {
      ...{ keyring: config.keyringDir, key, madeAt: replica.madeAt, files, signer: publicKey },
      recipients: knownRecipients(config),
      passedOver: passedOver.map((one) => ({ key: one.key, ...one.error.toJSON() })),
    },
    text: lines.join('\n'),
    exit: passedOver.length === 0 ? EXIT.done : EXIT.degraded,
  };
};

/** The next backups are read with the keys of before. Where the configuration does not say so, it is told what to say. */
function recipientsText(config: Config): string[] {
  const known = knownRecipients(config);
  if (known.length === 0 || config.backup.recipients.length > 0) return [];
  return [
    'Backups from here on are made for the recipients of before. Keep them in .env, production asks for it:',
    `  FACTORY_BACKUP_RECIPIENTS=${known.join(' ')}`,
    ...(config.environment === 'production'
      ? []
      : ['If the lost host ran with FACTORY_ENV=production, set that, too, before anything starts here.']),
  ];
}

/** No copy holds a private key, and a drill here needs one; in production drills are held elsewhere. */
function drillKeyText({ backup, environment, keyringDir }: Config): string[] {
  if (backup.identityFile !== null || environment === 'production') return [];
  return [
    'Drills on this machine need a private key, and the copy holds none. One of:',
    `  copy the drill key back, as ${join(keyringDir, 'backup-drill.key')} with mode 0600,`,
    '  name a key that reads the backups with FACTORY_BACKUP_IDENTITY_FILE,',
    '  or, where the drill key is lost, make new ones for the backups to come: npx factory keys rotate',
  ];
}

/** Nothing of a keyring is ever replaced. Errors: `keyring-exists`. */
function assertEmpty(keyringDir: string): void {
  const found = existsSync(keyringDir) ? readdirSync(keyringDir) : [];
  if (found.length === 0) return;
  throw new FactoryError({
    code: 'keyring-exists',
    op: 'restore keyring',
    target: keyringDir,
    message: `${keyringDir} holds ${found.length} files already, ${found[0]} the first.`,
    hint: 'Name another folder with FACTORY_KEYRING_DIR, or move these away yourself. Nothing was written.',
  });
}

/** By the destination's clock, the newest first. Errors: `usage`, `keyring-copy-none`. */
function inTime(stored: readonly Stored[], given: Given): Stored[] {
  const at = given.text('at');
  const until = at === undefined ? Infinity : parseTime('keys restore', at);
  const copies = stored
    .filter(({ key, bytes }) => replicaNumber(key) !== null && bytes <= MAX_REPLICA_BYTES)
    .filter(({ storedAt }) => Date.parse(storedAt) <= until)
    .sort((a, b) => (replicaNumber(b.key) ?? 0) - (replicaNumber(a.key) ?? 0));
  if (copies.length > 0) return copies;
  throw new FactoryError({
    code: 'keyring-copy-none',
    op: 'restore keyring',
    message: `There is no copy of a keyring there${at === undefined ? '' : ` of ${at} or before`}.`,
    hint: 'Copies are sent by `npx factory backup` of the product’s own database. Check the address.',
  });
}

/** Beside, then renamed: the folder is there whole, or not at all. Errors: `keyring-unwritable`, `keyring-exists`. */
function writeKeyring(keyringDir: string, { files }: Replica): void {
  const beside = `${keyringDir}.${randomUUID()}.part`;
  makeFolder(dirname(keyringDir), 0o700);
  mkdirSync(beside, { mode: 0o700 });
  try {
    for (const { name, mode, base64 } of files) {
      const path = join(beside, name);
      createOnce(path, () => Buffer.from(base64, 'base64'), 0o600);
      chmodSync(path, mode & 0o644);
    }
    if (existsSync(keyringDir)) rmdirSync(keyringDir);
    renameSync(beside, keyringDir);
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
}
