import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { changedPages } from '../scripts/lib/backup/pages.ts';
import { readPages } from '../scripts/lib/backup/bulk.ts';
import { childEnv } from '../service/config-load.ts';
import { launch, newPlace } from '../test/process/service.ts';
import type { Place } from '../test/process/service.ts';
import { versitygw } from '../test/s3/setup.ts';
import { installed, resticBackup, shell } from './backup-peers.ts';
import type { Bucket } from './backup-peers.ts';
import { changePages, fillDatabase } from './database.ts';
import { median } from './figures.ts';
import type { Figure, Options } from './figures.ts';
import { measure } from './process-tree.ts';
import type { Measured } from './process-tree.ts';

/**
 * `backup` and `restore` beside a shell pipeline and restic, on the same file and the same server, in turns. A peer or a
 * server that is not installed is said and left out.
 */

const CHANGED = 0.025;

export async function backup({ bytes, rounds, say }: Options): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'factory-bench-backup-'));
  const server = await startServer(folder, say);
  try {
    const database = join(folder, 'app.db');
    say(`filling a database of ${Math.round(bytes / 2 ** 20)} MiB`);
    fillDatabase(database, bytes);
    const place = ourPlace(folder, server?.bucket ?? null);
    const runs = await inTurns({ folder, database, place, bucket: server?.bucket ?? null, rounds, say });
    return [...figuresOf(runs), ...(await differential(place, database, folder))];
  } finally {
    server?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Bench {
  folder: string;
  database: string;
  place: Place;
  bucket: Bucket | null;
  rounds: number;
  say(text: string): void;
}

type Runs = Record<'backup' | 'restore' | 'shellBackup' | 'shellRestore' | 'restic', Measured[]>;

async function inTurns({ folder, database, place, bucket, rounds, say }: Bench): Promise<Runs> {
  const runs: Runs = { backup: [], restore: [], shellBackup: [], shellRestore: [], restic: [] };
  const tools = ['sqlite3', 'zstd', 'age', 'age-keygen', 'sha256sum', ...(bucket ? ['curl'] : [])];
  const peer = installed(...tools) ? shell(database, folder, bucket) : null;
  if (peer === null) say(`the shell pipeline is left out: it needs ${tools.join(', ')}`);
  const restic = installed('restic');
  if (!restic) say('restic is left out: it is not installed');
  const to = join(place.dir, 'restored.db');
  for (let turn = 0; turn < rounds; turn += 1) {
    const full = ['backup', '--full', '--db', database, '--name', 'app', '--json'];
    runs.backup.push(await measure('our backup', launch(place, full)));
    if (peer) runs.shellBackup.push(await measure('the shell backup', peer.backup()));
    if (restic) runs.restic.push(await measure('restic', resticBackup(database, folder, bucket, turn)));
    const args = ['restore', '--name', 'app', '--to', to, '--json'];
    runs.restore.push(await measure('our restore', launch(place, args)));
    if (peer) runs.shellRestore.push(await measure('the shell restore', peer.restore()));
    rmSync(to);
    for (const [name, all] of Object.entries(runs)) {
      const last = all.at(-1);
      if (last) say(`  ${name}: ${last.seconds.toFixed(1)} s, processor ${last.cpuSeconds.toFixed(1)} s`);
    }
  }
  return runs;
}

function figuresOf(runs: Runs): Figure[] {
  const of = (all: readonly Measured[], key: 'seconds' | 'cpuSeconds'): number =>
    median(all.map((one) => one[key]));
  const beside = (what: string, ours: Measured[], peer: Measured[]): Figure[] => {
    if (peer.length === 0) return [];
    const figure = (
      key: 'seconds' | 'cpuSeconds',
    ): Pick<Figure, 'bench' | 'value' | 'unit' | 'peer' | 'ratio'> => ({
      ...{ bench: 'backup', unit: 's', value: of(ours, key), peer: of(peer, key) },
      ratio: of(ours, key) / of(peer, key),
    });
    return [
      { ...figure('seconds'), what, goal: { most: 1, of: 'ratio' } },
      { ...figure('cpuSeconds'), what: `${what}: processor time` },
    ];
  };
  const memory = (what: string, all: Measured[]): Figure => ({
    ...{ bench: 'backup', what, unit: 'MiB', goal: { most: 200 } },
    value: Math.max(...all.map(({ memoryMiB }) => memoryMiB)),
  });
  return [
    ...beside('full backup beside the shell pipeline', runs.backup, runs.shellBackup),
    ...beside('full backup beside restic', runs.backup, runs.restic),
    ...beside('verified restore beside the shell pipeline', runs.restore, runs.shellRestore),
    { bench: 'backup', what: 'verified restore', value: of(runs.restore, 'seconds'), unit: 's' },
    memory('memory of a backup, all processes', runs.backup),
    memory('memory of a restore, all processes', runs.restore),
  ];
}

/** What is sent where a part of the pages changed, as a share of the database. */
async function differential(place: Place, database: string, folder: string): Promise<Figure[]> {
  const before = join(folder, 'before.db');
  copyFileSync(database, before);
  changePages(database, CHANGED);
  const { signal } = new AbortController();
  const [old, now] = [await readPages(before, 4096, signal), await readPages(database, 4096, signal)];
  rmSync(before);
  const share = changedPages(old.list, now.list).length / (now.list.length / 16);
  const args = ['backup', '--db', database, '--name', 'app', '--json'];
  const ran = await measure('our differential', launch(place, args));
  const made = JSON.parse(ran.stdout) as { kind: string; storedBytes: number; databaseBytes: number };
  if (made.kind !== 'differential') throw new Error(`a ${made.kind} backup was made, not a differential`);
  const sent = (100 * made.storedBytes) / made.databaseBytes;
  return [
    { bench: 'backup', what: 'pages that changed', value: 100 * share, unit: '%' },
    { bench: 'backup', what: 'differential, of the raw size', value: sent, unit: '%', goal: { most: 4 } },
    { bench: 'backup', what: 'differential', value: ran.seconds, unit: 's' },
  ];
}

function ourPlace(folder: string, bucket: Bucket | null): Place {
  const url = bucket
    ? `s3://bench/ours?endpoint=${encodeURIComponent(bucket.endpoint)}&region=us-east-1&forcePathStyle=true`
    : pathToFileURL(join(folder, 'ours')).href;
  const keys: Record<string, string> = bucket
    ? { AWS_ACCESS_KEY_ID: bucket.access, AWS_SECRET_ACCESS_KEY: bucket.secret }
    : {};
  // As the service starts its children.
  const memory = childEnv(folder, {}) as Record<string, string>;
  return newPlace({ below: folder, env: { FACTORY_BACKUP_DESTINATIONS: url, ...keys, ...memory } });
}

/** Null: where there is none, a folder takes its place, for all of them. */
async function startServer(
  folder: string,
  say: (text: string) => void,
): Promise<{ bucket: Bucket; stop(): void } | null> {
  let program: string;
  try {
    program = versitygw();
  } catch (error) {
    say(`no S3 server: a folder takes its place. ${(error as Error).message}`);
    return null;
  }
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const data = join(folder, 's3');
  mkdirSync(join(data, 'bench'), { recursive: true });
  const bucket = { endpoint: `http://127.0.0.1:${port}`, access: 'bench', secret: 'bench-secret' };
  const args = [
    '--quiet',
    '--port',
    `127.0.0.1:${port}`,
    '--access',
    bucket.access,
    '--secret',
    bucket.secret,
  ];
  const child = spawn(program, [...args, 'posix', data], { stdio: 'ignore' });
  for (let tries = 0; ; tries += 1) {
    if (
      await fetch(bucket.endpoint).then(
        () => true,
        () => false,
      )
    )
      break;
    if (tries > 200 || child.exitCode !== null) throw new Error('versitygw did not start');
    await sleep(50);
  }
  return { bucket, stop: () => void child.kill('SIGKILL') };
}
