import { AccessKey } from '@pulumi/aws/iam/accessKey.js';
import { User } from '@pulumi/aws/iam/user.js';
import { UserPolicy } from '@pulumi/aws/iam/userPolicy.js';
import { Provider } from '@pulumi/aws/provider.js';
import { Bucket } from '@pulumi/aws/s3/bucket.js';
import { BucketObjectLockConfiguration } from '@pulumi/aws/s3/bucketObjectLockConfiguration.js';
import { BucketPublicAccessBlock } from '@pulumi/aws/s3/bucketPublicAccessBlock.js';
import { BucketVersioning } from '@pulumi/aws/s3/bucketVersioning.js';
import { SpacesBucket } from '@pulumi/digitalocean/spacesBucket.js';
import { SpacesKey } from '@pulumi/digitalocean/spacesKey.js';
import * as pulumi from '@pulumi/pulumi';
import type { Config, Destination } from '../config.ts';
import { B2_CAPABILITIES, iamPolicy, type Use } from '../lib/access.ts';
import { B2Key } from '../lib/b2-key.ts';
import { destinationUrl, s3Endpoint } from '../lib/destinations.ts';
import { keyName } from '../lib/names.ts';

/** An access key of an S3-compatible store. */
interface Key {
  id: pulumi.Output<string>;
  secret: pulumi.Output<string>;
}

export interface Store {
  /** As FACTORY_BACKUP_DESTINATIONS has it. */
  url: string;
  provider: Destination['provider'];
  /** Whether the host's key is kept from deleting by the provider. */
  hostCannotDelete: boolean;
  host: Key;
  prune: Key;
  urns: pulumi.Output<string>[];
}

interface Place extends Destination {
  config: Config;
  /** From 1, the <n> of FACTORY_BACKUP_CREDENTIALS_<n>_FILE. */
  place: number;
}

const PROTECTED = { protect: true };

/** Spaces knows read and readwrite only, so both keys can delete: this destination is not enough by itself. */
function spaces({ config, place, bucket, region }: Place): Pick<Store, 'host' | 'prune' | 'urns'> {
  const made = new SpacesBucket(
    `backups-${place}`,
    // Once switched on, versioning cannot be taken back.
    { name: bucket, region, acl: 'private', versioning: { enabled: true } },
    PROTECTED,
  );
  const bucketName = made.name;
  const key = (use: Use): Key => {
    const made = new SpacesKey(
      `backups-${use}-${place}`,
      {
        name: keyName(config.environment, use, place),
        grants: [{ bucket: bucketName, permission: 'readwrite' }],
      },
      // Only the token is secret by itself.
      { additionalSecretOutputs: ['secretKey'] },
    );
    return { id: made.accessKey, secret: made.secretKey };
  };
  return { host: key('host'), prune: key('prune'), urns: [made.bucketUrn] };
}

/** A bucket by the S3 API, where nobody can delete what is younger than `lockDays`. */
function lockedBucket({ config, place, bucket }: Place, provider: Provider): Bucket {
  const made = new Bucket(
    `backups-${place}`,
    { bucket, objectLockEnabled: true },
    { ...PROTECTED, provider },
  );
  const versioning = new BucketVersioning(
    `backups-versions-${place}`,
    { bucket: made.bucket, versioningConfiguration: { status: 'Enabled' } },
    { provider },
  );
  new BucketObjectLockConfiguration(
    `backups-lock-${place}`,
    {
      bucket: made.bucket,
      rule: { defaultRetention: { mode: 'COMPLIANCE', days: config.lockDays } },
    },
    { provider, dependsOn: [versioning] },
  );
  return made;
}

function b2(where: Place): Pick<Store, 'host' | 'prune' | 'urns'> {
  const { config, place, region } = where;
  const secrets = new pulumi.Config();
  const keyId = secrets.requireSecret('b2KeyId');
  const key = secrets.requireSecret('b2Key');
  const provider = new Provider(`backups-provider-${place}`, {
    accessKey: keyId,
    secretKey: key,
    region,
    endpoints: [{ s3: s3Endpoint(where) }],
    s3UsePathStyle: true,
    skipCredentialsValidation: true,
    skipMetadataApiCheck: true,
    skipRegionValidation: true,
    skipRequestingAccountId: true,
  });
  const bucket = lockedBucket(where, provider);
  const made = (use: Use): Key => {
    const one = new B2Key(`backups-${use}-${place}`, {
      endpoint: config.b2Endpoint,
      keyId,
      key,
      name: keyName(config.environment, use, place),
      bucket: bucket.bucket,
      capabilities: B2_CAPABILITIES[use],
    });
    return { id: one.applicationKeyId, secret: one.applicationKey };
  };
  return { host: made('host'), prune: made('prune'), urns: [] };
}

function s3(where: Place): Pick<Store, 'host' | 'prune' | 'urns'> {
  const { config, place, region, bucket } = where;
  const secrets = new pulumi.Config();
  const provider = new Provider(`backups-provider-${place}`, {
    accessKey: secrets.requireSecret('awsAccessKeyId'),
    secretKey: secrets.requireSecret('awsSecretAccessKey'),
    region,
  });
  const made = lockedBucket(where, provider);
  new BucketPublicAccessBlock(
    `backups-private-${place}`,
    {
      bucket: made.bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    },
    { provider },
  );
  const key = (use: Use): Key => {
    const name = keyName(config.environment, use, place);
    const user = new User(`backups-user-${use}-${place}`, { name }, { provider });
    const policy = iamPolicy(use, bucket);
    new UserPolicy(`backups-${use}-${place}`, { name, user: user.name, policy }, { provider });
    const made = new AccessKey(
      `backups-key-${use}-${place}`,
      { user: user.name },
      { provider, additionalSecretOutputs: ['secret'] },
    );
    return { id: made.id, secret: made.secret };
  };
  return { host: key('host'), prune: key('prune'), urns: [] };
}

const MAKE = { spaces, b2, s3 };

/** A bucket and its two keys for each destination: one that the host has, and one that prunes from another machine. */
export const backupStores = (config: Config): Store[] =>
  config.backups.map((destination, at) => ({
    url: destinationUrl(destination),
    provider: destination.provider,
    hostCannotDelete: destination.provider !== 'spaces',
    ...MAKE[destination.provider]({ ...destination, config, place: at + 1 }),
  }));
