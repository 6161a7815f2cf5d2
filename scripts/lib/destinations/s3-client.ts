import { readFileSync } from 'node:fs';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import type { Destination as Configured } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';

/** How an S3 client is set up for what Backblaze B2 and DigitalOcean Spaces really take, and with whose keys. */

export type S3 = Extract<Configured, { kind: 's3' }>;
export type Env = Readonly<Record<string, string | undefined>>;

export interface Times {
  connectMs: number;
  /** Of silence, not of the whole request: a part can take minutes on a thin line. */
  silentMs: number;
  /** A destination that gives no good answer for so long is given up. */
  giveUpMs: number;
  /** A part is tried for so long while the server answers that it is busy: those before it were sent already. */
  partMs: number;
  /** The first pause before a request is sent again. */
  pauseMs: number;
}

/** A try may be silent for a quarter of what a destination gets in all. */
export function timesOf(giveUpMs: number): Times {
  const silentMs = Math.min(15_000, giveUpMs / 4);
  return { connectMs: Math.min(5000, silentMs), silentMs, giveUpMs, partMs: 10 * giveUpMs, pauseMs: 250 };
}

/**
 * No checksum trailers: B2 and Spaces refuse them, or store the framing. One try each: who asks again, and for how
 * long, is decided above, because the SDK's own patience ends after three tries whatever they took.
 */
export function clientConfig(
  { endpoint, region, forcePathStyle, credentialsFile }: S3,
  env: Env,
  { connectMs, silentMs }: Times,
): S3ClientConfig {
  return {
    ...(endpoint === null ? {} : { endpoint }),
    region: region ?? env['AWS_REGION'] ?? 'us-east-1',
    forcePathStyle,
    credentials: credentialsFrom(credentialsFile, env),
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 1,
    requestHandler: { connectionTimeout: connectMs, socketTimeout: silentMs },
  };
}

/** A file as AWS's tools write it: `aws_access_key_id = …` and `aws_secret_access_key = …`, whatever profile is above. */
function credentialsFrom(file: string | null, env: Env): { accessKeyId: string; secretAccessKey: string } {
  const text = file === null ? '' : readCredentials(file);
  const found = (name: string): string | undefined =>
    file === null
      ? env[name.toUpperCase()]
      : new RegExp(`^\\s*${name}\\s*=\\s*(\\S+)\\s*$`, 'mi').exec(text)?.[1];
  const [accessKeyId, secretAccessKey] = [found('aws_access_key_id'), found('aws_secret_access_key')];
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey };
  throw new FactoryError({
    code: 'destination-credentials',
    op: 'read credentials',
    target: file ?? 'AWS_ACCESS_KEY_ID',
    message:
      file === null
        ? 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set.'
        : `${file} holds no pair of keys.`,
    hint: 'Set them, or name a file with aws_access_key_id and aws_secret_access_key: FACTORY_BACKUP_CREDENTIALS_1_FILE.',
  });
}

function readCredentials(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new FactoryError({
      code: 'destination-credentials',
      op: 'read credentials',
      target: file,
      message: `${file} cannot be read: ${(cause as Error).message}.`,
      hint: 'Check the path and that this user may read it.',
      cause,
    });
  }
}
