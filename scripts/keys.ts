import { createPublicKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import type { Config } from '../service/config.ts';
import { FactoryError } from '../service/errors.ts';
import {
  fingerprint,
  knownRecipients,
  NEXT_RECIPIENTS,
  privateKeyFiles,
  provenRecipients,
  readProof,
  recipientsToProve,
  recoveryKeyState,
  whyNoBackupHere,
} from '../service/jobs/recovery-key.ts';
import { createOnce } from '../service/keyring.ts';
import { identitiesFor, identityFile, ownSigner, recipientsFor, signingKey } from './lib/backup/keys.ts';
import { publicKeyOf } from './lib/backup/manifest.ts';
import { usage } from './lib/failure.ts';
import { makeCanaries, openCanaries, recordProofs } from './lib/keys/canary.ts';
import { heldRecipients } from './lib/keys/held.ts';
import { isOriginal, originalProvesNothing } from './lib/keys/original.ts';
import { table, wrap } from './lib/layout.ts';
import { readConfig } from './lib/settings.ts';
import type { Answer, Run } from './lib/verb.ts';

interface Shown {
  recipient: string;
  fingerprint: string;
  /** Of its private half, as far as this machine can know; null: not here. */
  privateKey: string | null;
  provenAt: string | null;
  /** False of the drill key in the keyring of a first installation. */
  needsProof: boolean;
}

/** Who can read backups; makes nothing but the signing key, which every installation has. */
export const show: Run = async (context) => {
  const config = readConfig(context);
  const recipients = await shownRecipients(config);
  const publicKey = publicKeyOf(signingKey(config));
  const json = {
    environment: config.environment,
    recipients,
    ...recoveryKeyState(config),
    privateKeys: privateKeyFiles(config),
    signer: { publicKey, fingerprint: fingerprint(publicKey) },
    problem: whyNoBackupHere(config),
  };
  const rows = recipients.map((one) => [
    one.fingerprint,
    one.privateKey ?? 'not on this machine',
    one.provenAt ?? (one.needsProof ? 'never' : 'not needed: drills use it here'),
    one.recipient,
  ]);
  const lines =
    rows.length === 0
      ? 'No recipients yet.'
      : table(['FINGERPRINT', 'PRIVATE HALF', 'PROVEN', 'RECIPIENT'], rows);
  const signer = `Backups are signed by ${publicKey} (fingerprint ${fingerprint(publicKey)}).\nKeep that line with the recovery key: a restore from nothing asks for it.`;
  return { json, text: [lines, signer, ...advice(config)].join('\n\n') };
};

async function shownRecipients(config: Config): Promise<Shown[]> {
  const held = await heldRecipients(config);
  const proven = new Map(provenRecipients(config).map(({ recipient, provenAt }) => [recipient, provenAt]));
  const toProve = recipientsToProve(config);
  return knownRecipients(config).map((recipient) => ({
    ...{ recipient, fingerprint: fingerprint(recipient), needsProof: toProve.includes(recipient) },
    privateKey: held.get(recipient) ?? null,
    provenAt: proven.get(recipient) ?? null,
  }));
}

/** What is to be done, most pressing first. */
function advice(config: Config): string[] {
  const { proven, provenAt, onHost, recoveryOnHost } = recoveryKeyState(config);
  const missing = whyNoBackupHere(config);
  const lines: string[] = [];
  if (missing !== null) lines.push(`${missing} ${NEXT_RECIPIENTS}`);
  if (onHost && config.environment === 'production')
    lines.push(
      'A private key lies on this host: whoever gets the host reads every backup. Move it to your own machine.',
    );
  else if (onHost && proven)
    lines.push(
      `The recovery key is proven: its copy was shown to work at ${provenAt}. ${recoveryOnHost ? 'The key itself' : 'Another key'} still lies here: whoever gets this machine reads every backup.`,
    );
  else if (onHost)
    lines.push(
      'Private keys lie here: backups protect against mistakes, not against whoever gets this machine. They protect against a lost disk once the recovery key and a destination are elsewhere: copy the key to another machine.',
    );
  if (missing === null && !proven)
    lines.push(
      `No copy of ${recipientsToProve(config).length > 1 ? 'every key' : 'the recovery key'} was shown to work yet: \`npx factory keys prove --help\` says how.`,
    );
  return lines.map((line) => wrap(line));
}

/** A key for the operator's own machine, as `age-keygen` writes it. */
export const create: Run = async ({ cwd }, given) => {
  const path = resolve(cwd, given.text('out') ?? '');
  if (existsSync(path)) throw keyExists(path);
  if (!existsSync(dirname(path)))
    throw keyFileError(
      path,
      'lies in a folder that does not exist',
      'Make the folder, or name another file.',
    );
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const head = `# created: ${new Date().toISOString()}\n# public key: ${recipient}\n`;
  createOnce(path, () => `${head}${identity}\n`);
  // Somebody else's file of that name may have come first.
  if (!readFileSync(path, 'utf8').includes(identity)) throw keyExists(path);
  const text = [
    `${path} was made. It reads every backup that is made for it: keep it as you keep passwords.`,
    'As the recovery key: on your own machine, with a copy, and never on the host that makes the backups.',
    'As the drill key: where drills are held, which in production is another host or the pipeline.',
    `Its public half, for FACTORY_BACKUP_RECIPIENTS:`,
    recipient,
  ];
  return { json: { file: path, recipient, fingerprint: fingerprint(recipient) }, text: text.join('\n') };
};

function keyExists(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'key-exists', op: 'make recovery key', target },
    message: `${target} exists already.`,
    hint: 'Name a new file; no key is ever replaced.',
  });
}

function keyFileError(target: string, why: string, hint: string): FactoryError {
  return new FactoryError({
    ...{ code: 'key-file', op: 'make recovery key', target, hint },
    message: `${target} ${why}.`,
  });
}

/** The three steps of a proof, and the one that does all of them. */
export const prove: Run = async (context, given) => {
  const [canary, proofs] = [given.text('canary'), given.list('proof')];
  const steps = [given.flag('challenge'), canary !== undefined, proofs.length > 0].filter(Boolean).length;
  if (steps > 1) throw usage('keys prove', 'Give one of --challenge, --canary and --proof.');
  const config = readConfig(context);
  if (given.flag('challenge')) return challenge(config);
  if (proofs.length > 0)
    return keep(
      config,
      proofs.flatMap((text) => text.trim().split(/\s+/)),
    );
  const file = identityFile(context.cwd, given);
  const original = isOriginal(config, file);
  if (canary === undefined && original) throw originalProvesNothing(file);
  const identities = identitiesFor(config, file);
  if (canary !== undefined) {
    const proofs = await openCanaries(readCanary(resolve(context.cwd, canary)), identities);
    if (original && proofs.some((proof) => isOwn(config, proof))) throw originalProvesNothing(file);
    return { json: { proofs }, text: proofs.join('\n') };
  }
  const { recipients } = await recipientsFor(config);
  const made = await makeCanaries(recipients, signingKey(config), Date.now());
  return keep(config, await openCanaries(made, identities));
};

async function challenge(config: Config): Promise<Answer> {
  const { recipients } = await recipientsFor(config);
  const text = await makeCanaries(recipients, signingKey(config), Date.now());
  return { json: { canary: text, recipients }, text };
}

/** Whether the canary of this proof was made here: then the keys of this machine are not the copy that it asks for. */
function isOwn(config: Config, proof: string): boolean {
  if (ownSigner(config).length === 0) return false;
  return readProof(proof, createPublicKey(signingKey(config))) !== null;
}

function readCanary(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw keyFileError(file, `cannot be read: ${(cause as Error).message}`, 'Check the path of the canary.');
  }
}

async function keep(config: Config, proofs: readonly string[]): Promise<Answer> {
  const { recipients } = await recipientsFor(config);
  const kept = recordProofs(config.keyringDir, proofs, {
    signing: signingKey(config),
    ...{ recipients, now: Date.now() },
  });
  const state = recoveryKeyState(config);
  const known = new Set(provenRecipients(config).map(({ recipient }) => recipient));
  const left = recipientsToProve(config).filter((recipient) => !known.has(recipient));
  const lines = kept.map(({ recipient }) => `Proven: ${fingerprint(recipient)}, ${recipient}`);
  const rest = left.map((recipient) => `Not yet: ${fingerprint(recipient)}, ${recipient}`);
  const proven = kept.map(({ recipient, provenAt }) => ({
    recipient,
    fingerprint: fingerprint(recipient),
    provenAt,
  }));
  return { json: { ...state, kept: proven, left }, text: [...lines, ...rest].join('\n') };
}
