/** Who holds a key of a bucket: the host, which writes backups, or another machine, which prunes them. */
export type Use = 'host' | 'prune';

const HOST = ['listBuckets', 'listFiles', 'readFiles', 'writeFiles'];

/** Capabilities of Backblaze's application keys. Neither may write keys or buckets, or go round a lock. */
export const B2_CAPABILITIES: Record<Use, string[]> = {
  host: HOST,
  prune: [...HOST, 'deleteFiles'],
};

const OBJECTS = ['s3:GetObject', 's3:GetObjectVersion', 's3:PutObject', 's3:AbortMultipartUpload'];
const DELETES = ['s3:DeleteObject', 's3:DeleteObjectVersion'];

/** Amazon's policy of the same: what the host's user and the pruning user may. */
export const iamPolicy = (use: Use, bucket: string): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: ['s3:ListBucket', 's3:ListBucketVersions', 's3:GetBucketLocation', 's3:GetBucketVersioning'],
        Resource: `arn:aws:s3:::${bucket}`,
      },
      {
        Effect: 'Allow',
        Action: use === 'prune' ? [...OBJECTS, ...DELETES] : OBJECTS,
        Resource: `arn:aws:s3:::${bucket}/*`,
      },
    ],
  });
