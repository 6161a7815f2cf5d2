import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { parseConfig } from '../../../service/config.ts';
import type { Config } from '../../../service/config.ts';
import { makeFolder } from '../../../service/folders.ts';
import type { Evidence } from '../../../service/jobs/evidence.ts';
import { openOffline } from '../../../service/offline.ts';
import { openStorage } from '../../../service/storage/open.ts';
import { param, statement } from '../../../service/storage/statement.ts';
import { dataSuffix } from '../backup/format.ts';
import { makeBackup } from '../backup/make.ts';
import { publicKeyOf } from '../backup/manifest.ts';
import { postgresSource } from '../backup/postgres-source.ts';
import { sqliteSource } from '../backup/sqlite-source.ts';
import { folderDestination } from '../destinations/folder.ts';
import { withScratchDatabase } from '../postgres/scratch.ts';
import type { DrillJob } from './job.ts';
import { runDrill } from './run.ts';
import type { Workplace } from './workplace.ts';

/**
 * Backups that are made wrong on purpose. A drill that passes one of them, or fails it for another reason, would not
 * notice the real thing either.
 */

export type Canary = NonNullable<Evidence['canary']>[number];

const DAY_MS = 86_400_000;
const SUBJECT = 'factory';

interface Nest {
  folder: string;
  signing: KeyObject;
  identity: string;
  recipient: string;
  signal: AbortSignal;
  server: DrillJob['server'];
}

interface Spoiled {
  /** The check that has to fail. */
  check: string;
  /** Makes the backup below `folder`, of the database that is configured. */
  make(nest: Nest, folder: string, config: Config): Promise<void>;
}

const CANARIES: Readonly<Record<string, Spoiled>> = {
  corrupt: {
    check: 'restore',
    async make(nest, folder, config) {
      await send(nest, folder, await worked(config));
      await flip(join(folder, 'destination', 'full', SUBJECT));
    },
  },
  stale: {
    check: 'fresh',
    async make(nest, folder, config) {
      await send(nest, folder, await worked(config), Date.now() - 3 * DAY_MS);
    },
  },
  empty: {
    check: 'content',
    async make(nest, folder, config) {
      await (await openStorage(config.databaseUrl)).close();
      await send(nest, folder, config);
    },
  },
  'newer schema': {
    check: 'schema',
    async make(nest, folder, config) {
      await worked(config);
      const storage = await openStorage(config.databaseUrl);
      await storage.write((tx) => tx.run(setMeta, { key: 'min_reader', value: '9999' }));
      await storage.close();
      await send(nest, folder, config);
    },
  },
};

const setMeta = statement<{ key: string; value: string }>()((db) =>
  db
    .updateTable('meta')
    .set({ value: param('value') })
    .where('key', '=', param('key')),
);

/** Tries all of them. Rejects where they cannot be made. */
export async function tryCanaries(
  place: Workplace,
  { signal, progress, server }: Pick<DrillJob, 'signal' | 'progress' | 'server'>,
): Promise<Canary[]> {
  const identity = await generateX25519Identity();
  const signing = generateKeyPairSync('ed25519').privateKey;
  const nest = {
    folder: place.folder,
    signing,
    identity,
    recipient: await identityToRecipient(identity),
    signal,
    server,
  };
  const found: Canary[] = [];
  for (const [name, canary] of Object.entries(CANARIES)) {
    progress(`Trying a backup that is wrong on purpose: ${name}`);
    found.push(await tryOne(nest, place, name, canary));
  }
  return found;
}

async function tryOne(nest: Nest, place: Workplace, name: string, { check, make }: Spoiled): Promise<Canary> {
  const folder = join(nest.folder, `canary-${name.replace(' ', '-')}`);
  makeFolder(folder, 0o700);
  await inDatabase(nest, folder, (config) => make(nest, folder, config));
  const job: DrillJob = {
    ...{
      destination: destinationIn(folder),
      subject: SUBJECT,
      application: null,
      live: null,
      server: nest.server,
    },
    ...{ identities: () => [nest.identity], trusted: [publicKeyOf(nest.signing)], now: Date.now },
    ...{ budgetSeconds: DAY_MS / 1000, bootMs: 1, signal: nest.signal, progress: () => undefined },
  };
  const { outcome, checks } = await runDrill(job, { ...place, folder: join(folder, 'work') });
  const last = checks.at(-1);
  const caught = outcome === 'fail' && last?.name === check;
  const detail = caught
    ? last.detail
    : `The drill said ${outcome}; last check: ${last?.name}: ${last?.detail}`;
  return { name, caught, detail: detail.slice(0, 1000) };
}

/** On the engine of the drill: one that finds them on the other would prove nothing. */
async function inDatabase(
  { server }: Nest,
  folder: string,
  work: (config: Config) => Promise<void>,
): Promise<void> {
  if (server === null) return work(configAt(folder));
  await withScratchDatabase(server.url, ({ url }) => work(configAt(folder, { FACTORY_DATABASE_URL: url })));
}

function configAt(folder: string, database: Record<string, string> = {}): Config {
  const env = { FACTORY_DATA_DIR: join(folder, 'data'), ...database };
  const parsed = parseConfig(env, { cwd: folder });
  if ('problems' in parsed) throw new TypeError(JSON.stringify(parsed.problems));
  makeFolder(parsed.config.dataDir, 0o700);
  return parsed.config;
}

/** A database that the product has worked with. */
async function worked(config: Config): Promise<Config> {
  const access = await openOffline(config);
  await access.people.ensureOwner();
  await access.close();
  return config;
}

function destinationIn(folder: string) {
  const path = join(folder, 'destination');
  return folderDestination(pathToFileURL(path).href, path);
}

async function send(nest: Nest, folder: string, { databaseUrl }: Config, at = Date.now()): Promise<void> {
  const { recipient, signing, signal, server } = nest;
  const source =
    server === null
      ? sqliteSource(databaseUrl.slice('sqlite:'.length))
      : postgresSource(databaseUrl, server.env);
  const { destinations } = await makeBackup({
    ...{ name: SUBJECT, source },
    ...{ destinations: [destinationIn(folder)], recipients: [recipient], signing, signal },
    ...{
      folder: join(folder, 'state'),
      epoch: 0,
      release: null,
      auditCheckpoint: null,
      full: true,
      waitMs: 0,
    },
    ...{
      mark: null,
      beforeCopy: () => Promise.resolve(),
      now: () => at,
      say: () => undefined,
      progress: () => undefined,
    },
  });
  const error = destinations[0]?.error;
  if (error) throw error;
}

const SUFFIXES = (['sqlite', 'postgres'] as const).map((engine) => dataSuffix('full', engine));

/** One bit in the middle of the data. */
async function flip(folder: string): Promise<void> {
  const name = (await readdir(folder)).find((one) => SUFFIXES.some((suffix) => one.endsWith(suffix)));
  const file = await open(join(folder, name ?? ''), 'r+');
  try {
    const at = Math.floor((await file.stat()).size / 2);
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    await file.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, at);
  } finally {
    await file.close();
  }
}
