/**
 * Signed statements of size and root of the log, as in C2SP tlog-checkpoint: a signed note whose text is origin,
 * size, base64 root and one extension line `time <ISO>`. The origin separates our domains and names the key, too.
 */
import { createPublicKey, hash, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { FactoryError } from '../errors.ts';
import { HASH_BYTES } from './merkle.ts';
import type { Hash } from './merkle.ts';

/** Signature type of signed-note: Ed25519. */
const ED25519 = 0x01;
const KEY_ID_BYTES = 4;
const PUBLIC_KEY_BYTES = 32;

/** `at` is null where the note carries no time, as other logs' notes. */
export interface Checkpoint {
  origin: string;
  size: number;
  root: Hash;
  at: string | null;
}

/** A public key in signed-note's form `<name>+<key id, 8 hex>+<base64 of type and key>`. */
export interface VerifierKey {
  name: string;
  /** 4 bytes. */
  id: Buffer;
  key: KeyObject;
}

/** The name of the log of an installation; it ends in the version of leaf and checkpoint. */
export function auditOrigin(installation: string): string {
  return `build-factory/${installation}/audit/v1`;
}

/** The vkey text of the public half of an Ed25519 key. */
export function formatVkey(name: string, key: KeyObject): string {
  const typed = Buffer.concat([Buffer.of(ED25519), rawPublicKey(key)]);
  return `${name}+${keyId(name, typed).toString('hex')}+${typed.toString('base64')}`;
}

/** Throws `vkey-malformed`. */
export function parseVkey(text: string): VerifierKey {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text.trim());
  const typed = Buffer.from(match?.[3] ?? '', 'base64');
  if (match === null || typed.length !== 1 + PUBLIC_KEY_BYTES || typed[0] !== ED25519) {
    throw malformedVkey('it is not `<name>+<key id>+<base64>` of an Ed25519 key');
  }
  const [, name, id] = match;
  if (keyId(name!, typed).toString('hex') !== id)
    throw malformedVkey('its key id does not belong to name and key');
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: typed.subarray(1).toString('base64url') };
  return { name: name!, id: Buffer.from(id, 'hex'), key: createPublicKey({ key: jwk, format: 'jwk' }) };
}

/** The signed note for a size and root of the log named `origin`; `at` is ISO-8601 UTC. */
export function signCheckpoint(
  origin: string,
  privateKey: KeyObject,
  { size, root, at }: { size: number; root: Hash; at: string },
): string {
  const text = `${origin}\n${size}\n${root.toString('base64')}\ntime ${at}\n`;
  const typed = Buffer.concat([Buffer.of(ED25519), rawPublicKey(privateKey)]);
  const signature = Buffer.concat([keyId(origin, typed), sign(null, Buffer.from(text), privateKey)]);
  return `${text}\n\u2014 ${origin} ${signature.toString('base64')}\n`;
}

/** Reads a note without checking its signature. Throws `checkpoint-malformed`. */
export function parseCheckpoint(note: string): Checkpoint {
  const [origin, size, root, ...extensions] = splitNote(note).text.slice(0, -1).split('\n');
  if (!origin || extensions.includes('')) throw malformed('a line is empty');
  if (!/^(0|[1-9]\d{0,15})$/.test(size ?? '') || !Number.isSafeInteger(Number(size))) {
    throw malformed('the second line is not a size');
  }
  const rootBytes = Buffer.from(root ?? '', 'base64');
  if (rootBytes.length !== HASH_BYTES || rootBytes.toString('base64') !== root) {
    throw malformed('the third line is not the base64 of a SHA-256 root');
  }
  const time = extensions.find((line) => line.startsWith('time '))?.slice('time '.length);
  return { origin, size: Number(size), root: rootBytes, at: time ?? null };
}

/**
 * The checkpoint, if it is one of the log that `vkey` belongs to, signed with that key.
 * Throws `checkpoint-malformed`, `checkpoint-foreign` (another log), `checkpoint-unsigned` (no signature by this
 * key), `checkpoint-forged` (the signature does not hold), `vkey-malformed`.
 */
export function verifyCheckpoint(note: string, vkey: string): Checkpoint {
  const verifier = parseVkey(vkey);
  const checkpoint = parseCheckpoint(note);
  if (checkpoint.origin !== verifier.name) {
    throw failure(
      'checkpoint-foreign',
      `It is of the log ${checkpoint.origin}, the key of ${verifier.name}.`,
    );
  }
  const { text, signatures } = splitNote(note);
  const ours = signatures.filter(
    ({ name, bytes }) => name === verifier.name && bytes.subarray(0, KEY_ID_BYTES).equals(verifier.id),
  );
  if (ours.length === 0) {
    throw failure(
      'checkpoint-unsigned',
      `It is not signed with the key ${verifier.id.toString('hex')} of this log.`,
    );
  }
  const signed = Buffer.from(text);
  if (!ours.every(({ bytes }) => verify(null, signed, verifier.key, bytes.subarray(KEY_ID_BYTES)))) {
    throw failure('checkpoint-forged', 'Its signature does not belong to its text.');
  }
  return checkpoint;
}

interface NoteSignature {
  name: string;
  /** Key id, then the signature. */
  bytes: Buffer;
}

/** The signed text (with its last newline) and the signature lines of a note (C2SP signed-note). */
function splitNote(note: string): { text: string; signatures: NoteSignature[] } {
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n') || /[^\P{Cc}\n]/u.test(note))
    throw malformed('it is not a signed note');
  const lines = note.slice(split + 2, -1).split('\n');
  const signatures = lines.map((line) => {
    const match = /^\u2014 (\S+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
    if (match === null) throw malformed('a signature line is not one');
    return { name: match[1]!, bytes: Buffer.from(match[2]!, 'base64') };
  });
  return { text: note.slice(0, split + 1), signatures };
}

/** First 4 bytes of SHA-256(name || newline || type || public key). */
function keyId(name: string, typed: Buffer): Buffer {
  const input = Buffer.concat([Buffer.from(`${name}\n`), typed]);
  return hash('sha256', input, 'buffer').subarray(0, KEY_ID_BYTES);
}

function rawPublicKey(key: KeyObject): Buffer {
  const { x } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  return Buffer.from(x ?? '', 'base64url');
}

function malformed(problem: string): FactoryError {
  return failure('checkpoint-malformed', `This is no checkpoint: ${problem}.`);
}

function malformedVkey(problem: string): FactoryError {
  return new FactoryError({
    code: 'vkey-malformed',
    op: 'read verifier key',
    message: `This is no verifier key: ${problem}.`,
    hint: 'Give the text of audit-log.vkey from the keyring of the installation that wrote the log.',
  });
}

function failure(code: string, message: string): FactoryError {
  return new FactoryError({
    code,
    op: 'verify checkpoint',
    message,
    hint: 'Compare with a copy of the checkpoint, and of the verifier key, that was kept elsewhere.',
  });
}
