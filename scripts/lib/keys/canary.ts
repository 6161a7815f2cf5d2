import { createPublicKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { armor } from 'age-encryption';
import { FactoryError } from '../../../service/errors.ts';
import {
  fingerprint,
  PROOFS_FILE,
  proofText,
  provenRecipients,
  readProof,
  recipientsDigest,
} from '../../../service/jobs/recovery-key.ts';
import type { Claim, Proven } from '../../../service/jobs/recovery-key.ts';
import { openBytes, sealBytes } from '../backup/sealed.ts';
import { replaceFile } from '../backup/state.ts';

/** Showing that a recovery key works: the host makes canaries, its owner opens them, the host keeps what was in them. */

/** A key that was last tried before is tried again with a new canary. */
const VALID_MS = 30 * 24 * 60 * 60_000;
const BLOCK = /-----BEGIN AGE ENCRYPTED FILE-----[\s\S]+?-----END AGE ENCRYPTED FILE-----/g;

/** One armored age file for each recipient, as text that can be copied about; `age -d` opens each of them as well. */
export async function makeCanaries(
  recipients: readonly string[],
  signing: KeyObject,
  now: number,
): Promise<string> {
  const made = recipients.map(async (recipient) => {
    const claim: Claim = {
      format: 'build-factory/recovery-canary/1',
      ...{ recipient, recipients: recipientsDigest(recipients), madeAt: new Date(now).toISOString() },
      nonce: randomBytes(16).toString('base64url'),
    };
    const sealed = await sealBytes(Buffer.from(`${proofText(claim, signing)}\n`), [recipient]);
    return `# ${recipient} (${fingerprint(recipient)})\n${armor.encode(sealed).trim()}`;
  });
  return (await Promise.all(made)).join('\n\n');
}

/** The proofs that these identities bring to light. Errors: `canary-malformed`, `identity-wrong`. */
export async function openCanaries(text: string, identities: readonly string[]): Promise<string[]> {
  const blocks = text.match(BLOCK) ?? [];
  if (blocks.length === 0) throw canaryError('malformed', 'This is no canary.');
  const opened: string[] = [];
  let failure: unknown = null;
  for (const block of blocks) {
    try {
      opened.push((await openBytes(Buffer.from(armor.decode(block)), identities)).toString('utf8').trim());
    } catch (error) {
      failure = error;
    }
  }
  if (opened.length > 0) return opened;
  if (failure instanceof FactoryError) throw failure;
  throw canaryError('malformed', 'This canary is damaged.', failure);
}

/**
 * Keeps proofs in the keyring, and answers what was proven. Errors: `proof-forged` (not made here, or changed),
 * `proof-outdated` (older than thirty days, or of other recipients than those of now).
 */
export function recordProofs(
  keyringDir: string,
  proofs: readonly string[],
  { signing, recipients, now }: { signing: KeyObject; recipients: readonly string[]; now: number },
): Proven[] {
  const publicKey = createPublicKey(signing);
  const provenAt = new Date(now).toISOString();
  const added = proofs.map((proof) => {
    const claim = claimOf(proof, publicKey);
    assertCurrent(claim, recipients, now);
    return { recipient: claim.recipient, provenAt, proof };
  });
  const known = provenRecipients({ keyringDir });
  const all = [
    ...known.filter((one) => !added.some(({ recipient }) => recipient === one.recipient)),
    ...added,
  ];
  const document = {
    format: 'build-factory/key-proofs/1',
    proofs: all.map(({ provenAt: at, proof }) => ({ provenAt: at, proof })),
  };
  replaceFile(join(keyringDir, PROOFS_FILE), `${JSON.stringify(document, null, 2)}\n`);
  return added;
}

function claimOf(proof: string, publicKey: KeyObject): Claim {
  const claim = readProof(proof, publicKey);
  if (claim !== null) return claim;
  throw new FactoryError({
    code: 'proof-forged',
    op: 'prove recovery key',
    message: 'This proof was not made by this installation, or it was changed.',
    hint: 'Copy the whole line that `npx factory keys prove --identity FILE --canary FILE` printed.',
  });
}

function assertCurrent(claim: Claim, recipients: readonly string[], now: number): void {
  const age = now - Date.parse(claim.madeAt);
  const why =
    claim.recipients !== recipientsDigest(recipients)
      ? 'the recipients are others since its canary was made'
      : age > VALID_MS
        ? 'its canary is older than 30 days'
        : null;
  if (why === null) return;
  throw new FactoryError({
    code: 'proof-outdated',
    op: 'prove recovery key',
    target: fingerprint(claim.recipient),
    message: `This proof does not count: ${why}.`,
    hint: 'Make a new canary: `npx factory keys prove --challenge`.',
  });
}

function canaryError(kind: 'malformed', message: string, cause?: unknown): FactoryError {
  return new FactoryError({
    ...{ code: `canary-${kind}`, op: 'open canary', message, cause },
    hint: 'Copy what `npx factory keys prove --challenge` printed, with its BEGIN and END lines.',
  });
}
