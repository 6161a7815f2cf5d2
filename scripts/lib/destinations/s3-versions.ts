import { DeleteObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { statusOf } from './s3-errors.ts';

interface At {
  client: S3Client;
  /** Asks again where that can help: 503 is routine at B2. */
  ask: <T>(work: () => Promise<T>) => Promise<T>;
  Bucket: string;
  Key: string;
  signal: AbortSignal;
}

/**
 * In a bucket with versions a delete only hides (B2 always does), and what is hidden is paid for. Versions go first and
 * the mark that hides them last, so that nothing comes back halfway. A key that may not, or a lock, leaves them to the
 * bucket's own rule for hidden versions: that is no failure.
 */
export async function removeVersions({ client, ask, Bucket, Key, signal }: At): Promise<void> {
  const abortSignal = signal;
  try {
    const command = new ListObjectVersionsCommand({ Bucket, Prefix: Key });
    const { Versions = [], DeleteMarkers = [] } = await ask(() => client.send(command, { abortSignal }));
    for (const one of [...Versions, ...DeleteMarkers].filter((each) => each.Key === Key)) {
      const { VersionId } = one;
      const remove = new DeleteObjectCommand({ Bucket, Key, VersionId });
      await ask(() => client.send(remove, { abortSignal }));
    }
  } catch (error) {
    const refused = [400, 403, 501].includes(statusOf(error) ?? 0);
    if (!refused) throw error;
  }
}
