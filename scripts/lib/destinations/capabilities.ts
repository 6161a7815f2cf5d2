import type { Destination as Configured } from '../../../service/config.ts';
import type { FactoryError } from '../../../service/errors.ts';

/** What is known of a destination after it was tried out. */
export interface Capabilities {
  url: string;
  /** ISO-8601 UTC. */
  at: string;
  kind: Configured['kind'];
  /** What kept it from being used at all; the rest is as far as it came. */
  error: FactoryError | null;
  write: boolean;
  read: boolean;
  /** Null: the bucket did not say, and nothing good follows from that. */
  delete: boolean | null;
  /** A version that a delete or an overwrite hid can be removed for good by this key. */
  deleteVersions: boolean | null;
  /** `If-None-Match: *`: kept, refused or not looked at. Nothing rests on it. */
  conditionalWrites: 'kept' | 'refused' | 'ignored' | 'unknown';
  versioning: 'enabled' | 'suspended' | 'off' | 'unknown';
  /** The bucket's default retention. */
  lock: { mode: string; days: number } | 'off' | 'unknown';
  /** Days after which a rule of the bucket removes current objects. */
  expiresAfterDays: number | null;
  /** The SDK's own CRC32 of requests is accepted; we send a Content-MD5. */
  crc32: boolean | null;
  /** Its clock minus ours. */
  clockSkewSeconds: number | null;
  /** Bytes of the disk of a folder, and those that this user can still write; null: a bucket does not say. */
  space: { free: number; total: number } | null;
}

/** Below the prefix, beside the backups; always the same, so that there is never more than one. */
export const PROBE_KEY = 'probe/doctor';

export const nothingKnown = ({ url, kind }: Configured, at: string): Capabilities => ({
  ...{ url, at, kind, error: null, write: false, read: false, delete: null, deleteVersions: null },
  ...{ conditionalWrites: 'unknown', versioning: 'unknown', lock: 'unknown', expiresAfterDays: null },
  ...{ crc32: null, clockSkewSeconds: null, space: null },
});
