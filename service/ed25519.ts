import { createPublicKey, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** Ed25519 with raw public keys in base64: what recovery kits carry and options take. */

/** An Ed25519 public key in SPKI form is these bytes and 32 more (RFC 8410). */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');
const KEY_BYTES = 32;

export interface Signature {
  /** Raw, base64. */
  publicKey: string;
  value: string;
}

/** Raw public half, base64. */
export function publicKeyOf(key: KeyObject): string {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return spki.subarray(SPKI_HEAD.length).toString('base64');
}

export function isPublicKey(text: string): boolean {
  const raw = Buffer.from(text, 'base64');
  return raw.length === KEY_BYTES && raw.toString('base64') === text;
}

export function signatureOf(bytes: Buffer, key: KeyObject): Signature {
  return { publicKey: publicKeyOf(key), value: sign(null, bytes, key).toString('base64') };
}

/** Whether the signature fits; whose it is, is the caller's question. */
export function signatureFits(bytes: Buffer, { publicKey, value }: Signature): boolean {
  if (!isPublicKey(publicKey)) return false;
  const raw = Buffer.from(publicKey, 'base64');
  const key = createPublicKey({ key: Buffer.concat([SPKI_HEAD, raw]), format: 'der', type: 'spki' });
  return verify(null, bytes, key, Buffer.from(value, 'base64'));
}
