import type { KeyObject } from 'node:crypto';
import { canonicalJson } from '../../../service/canonical-json.ts';
import { signatureFits, signatureOf } from '../../../service/ed25519.ts';
import { FactoryError } from '../../../service/errors.ts';
import { FORMATS, FORMAT_WITH_BLOBS, manifestSchema } from './format.ts';
import type { Manifest, Unsigned } from './format.ts';

/** Manifests are canonical JSON, signed with the installation's Ed25519 key. */

const DOMAIN = 'build-factory/backup-manifest/1\n';
/** Larger than a manifest with the rows of a thousand tables. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

const signedBytes = (unsigned: Unsigned): Buffer => Buffer.from(DOMAIN + canonicalJson(unsigned));

export { publicKeyOf } from '../../../service/ed25519.ts';

export function signManifest(unsigned: Unsigned, key: KeyObject): Manifest {
  return { ...unsigned, signature: signatureOf(signedBytes(unsigned), key) };
}

export function manifestText(manifest: Manifest): string {
  return `${canonicalJson(manifest)}\n`;
}

/**
 * The manifest that lies at `key`. Errors: `manifest-newer`, `manifest-malformed`, `manifest-forged` (its signature does
 * not fit what it says). Whose signature it is, is the caller's question.
 */
export function readManifest(text: string, key: string): Manifest {
  const raw = parse(text, key);
  const format = (raw as { format?: unknown } | null)?.format;
  const known: readonly unknown[] = [...Object.values(FORMATS), FORMAT_WITH_BLOBS];
  if (typeof format === 'string' && !known.includes(format) && format.startsWith('build-factory/backup/')) {
    throw manifestError('newer', key, `is of the format ${format}, which this release does not read.`);
  }
  const parsed = manifestSchema.safeParse(raw);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw manifestError('malformed', key, `does not fit: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { signature, ...unsigned } = parsed.data;
  if (!signatureFits(signedBytes(unsigned), signature))
    throw manifestError('forged', key, 'was changed after it was signed.');
  if (manifestText(parsed.data) !== text)
    throw manifestError('malformed', key, 'is not written as it was made.');
  return parsed.data;
}

function parse(text: string, key: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw manifestError('malformed', key, 'is no JSON.', error);
  }
}

const HINTS = {
  newer: 'Use the release that made it, or a later one.',
  malformed:
    'Take another backup or destination; `backups verify` names every one that is not as it was made.',
  forged: 'Take another backup or destination; `backups verify` names every one that is not as it was made.',
};

function manifestError(kind: keyof typeof HINTS, target: string, why: string, cause?: unknown): FactoryError {
  return new FactoryError({
    ...{ code: `manifest-${kind}`, op: 'read manifest', target, cause },
    message: `The manifest ${target} ${why}`,
    hint: HINTS[kind],
  });
}
