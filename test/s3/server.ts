import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateBucketCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { inject, onTestFinished } from 'vitest';
import { s3Destination } from '../../scripts/lib/destinations/s3.ts';
import type { Times } from '../../scripts/lib/destinations/s3-client.ts';
import type { Destination } from '../../scripts/lib/destinations/destination.ts';
import './setup.ts';

/** A versitygw of its own for a test, with a bucket as a provider would give it. */

const ROOT = { access: 'root', secret: 'root-secret' };
const READY_MS = 20_000;

export interface User {
  access: string;
  secret: string;
}

export interface Server {
  readonly endpoint: string;
  /** The folder that it serves; tests make objects older there. */
  readonly data: string;
  /** Where it keeps what was overwritten, in files that are named by their versions. */
  readonly versions: string;
  /** With every right. */
  readonly client: S3Client;
  /** kill -9; what it was writing is cut off. */
  kill(): Promise<void>;
  /** Starts it again on the same folder and port. */
  start(): Promise<void>;
  bucket(name: string, options?: { versioned?: boolean; lock?: 'GOVERNANCE' | 'COMPLIANCE' }): Promise<void>;
  /** A user who may do these things in a bucket and nothing else. */
  user(bucket: string, actions: string[]): Promise<User>;
  destination(bucket: string, user?: User, times?: Partial<Times>): Destination;
  /** As it is configured. */
  url(bucket: string): string;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const clientOf = (endpoint: string, { access, secret }: User): S3Client =>
  new S3Client({
    ...{ endpoint, region: 'us-east-1', forcePathStyle: true },
    credentials: { accessKeyId: access, secretAccessKey: secret },
  });

export async function startVersity(): Promise<Server> {
  const program = inject('versitygw');
  const folder = mkdtempSync(join(tmpdir(), 'factory-s3-'));
  const [data, versions, iam] = ['data', 'versions', 'iam'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const one of [data, versions, iam]) mkdirSync(one);
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const args = ['--quiet', '--port', `127.0.0.1:${port}`, '--access', ROOT.access, '--secret', ROOT.secret];
  args.push('--iam-dir', iam, 'posix', '--versioning-dir', versions, data);
  let child: ChildProcess | null = null;
  let users = 0;
  const client = clientOf(endpoint, ROOT);

  const start = async (): Promise<void> => {
    let log = '';
    const started = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    started.stderr.on('data', (text: Buffer) => (log += text.toString()));
    child = started;
    for (const end = Date.now() + READY_MS; ; await sleep(20)) {
      if (
        await fetch(endpoint).then(
          () => true,
          () => false,
        )
      )
        return;
      if (started.exitCode !== null || Date.now() > end) throw new Error(`versitygw did not start:\n${log}`);
    }
  };
  const kill = async (): Promise<void> => {
    const running = child;
    if (running === null || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await ended;
  };
  onTestFinished(async () => {
    client.destroy();
    await kill();
    rmSync(folder, { recursive: true, force: true });
  });
  await start();

  return {
    ...{ endpoint, data, versions, client, kill, start },

    async bucket(Bucket, { versioned = false, lock } = {}) {
      await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: lock !== undefined }));
      const versioning = { Bucket, VersioningConfiguration: { Status: 'Enabled' as const } };
      if (versioned || lock) await client.send(new PutBucketVersioningCommand(versioning));
      if (lock === undefined) return;
      const DefaultRetention = { Mode: lock, Days: 30 };
      const rule = { ObjectLockEnabled: 'Enabled' as const, Rule: { DefaultRetention } };
      await client.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration: rule }));
    },

    async user(Bucket, actions) {
      const made = { access: `user-${(users += 1)}`, secret: 'user-secret' };
      const admin = ['admin', '--access', ROOT.access, '--secret', ROOT.secret, '--endpoint-url', endpoint];
      const create = ['create-user', '--access', made.access, '--secret', made.secret, '--role', 'user'];
      execFileSync(program, [...admin, ...create], { stdio: 'ignore' });
      const Resource = [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`];
      const Statement = actions.map((Action) => ({
        ...{ Effect: 'Allow', Principal: { AWS: [made.access] }, Action: [Action] },
        Resource: Resource[/Bucket|ListB/.test(Action) ? 0 : 1],
      }));
      const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
      await client.send(new PutBucketPolicyCommand({ Bucket, Policy }));
      return made;
    },

    destination: (bucket, user = ROOT, times = {}) =>
      s3Destination(
        {
          ...{ kind: 's3', url: `s3://${bucket}/team`, bucket, prefix: 'team', endpoint, region: null },
          ...{ forcePathStyle: true, credentialsFile: null, giveUpMs: 10_000 },
        },
        { AWS_ACCESS_KEY_ID: user.access, AWS_SECRET_ACCESS_KEY: user.secret },
        times,
      ),

    url: (bucket) =>
      `s3://${bucket}/team?endpoint=${encodeURIComponent(endpoint)}&region=us-east-1&forcePathStyle=true`,
  };
}

/** What the host's key may do in production: write, list and read; never delete. */
export const HOST_RIGHTS = [
  ...['s3:PutObject', 's3:GetObject', 's3:ListBucket', 's3:AbortMultipartUpload'],
  ...['s3:GetBucketVersioning', 's3:GetBucketObjectLockConfiguration'],
];

/** A credentials file as AWS's tools write it. */
export function credentialsFile(path: string, { access, secret }: User = ROOT): string {
  writeFileSync(path, `[default]\naws_access_key_id = ${access}\naws_secret_access_key = ${secret}\n`);
  return path;
}
