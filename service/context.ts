import { join } from 'node:path';
import { childEnv } from './config-load.ts';
import type { Config } from './config.ts';
import { systemClock, type Clock } from './clock.ts';
import { createNames } from './access/names.ts';
import { createPeople } from './access/people.ts';
import { createSessions } from './access/sessions.ts';
import { createTokens } from './access/tokens.ts';
import { loadAuditKeys } from './audit/keys.ts';
import { createAuditLog } from './audit/log.ts';
import { folderBlobs } from './chat/attachments/blobs.ts';
import { createDirectory } from './chat/messages/directory.ts';
import { openJournal } from './chat/erasure/journal.ts';
import { openChatKeys } from './chat/keys/keys.ts';
import { createSearchIndex } from './chat/search/apart.ts';
import { createChat } from './chat/service.ts';
import { hasSealedContent } from './chat/store.ts';
import { createFeed } from './http/feed.ts';
import { createJobStarts } from './http/job-starts.ts';
import { createRefusals } from './http/refusals.ts';
import { createWeb } from './http/web/index.ts';
import { webContext } from './http/web-context.ts';
import { createDrills } from './jobs/drills.ts';
import type { OperationsPort } from './jobs/types.ts';
import { createKeyCopies } from './key-copies.ts';
import { createLogger, type Logger } from './logger.ts';
import { createMetrics } from './ops/metrics.ts';
import { createOperations } from './ops/operations.ts';
import { createHealth } from './ops/probes.ts';
import { childRunner } from './ops/run-child.ts';
import { createScheduler } from './ops/scheduler.ts';
import { createCursors } from './storage/cursor.ts';
import { installationId, logHasEntries, openStorage } from './storage/open.ts';
import type { ForgeSource } from './work-items/dependencies.ts';
import { openPolicyMemory } from './work-items/policy-memory.ts';
import { createPolicyReader } from './work-items/policy-reader.ts';
import { peopleFacts } from './work-items/people-facts.ts';
import { createWorkItems } from './work-items/service.ts';
import { createQueueHome } from './work-items/queue-home.ts';
import { openQueue } from './work-items/source.ts';
import { checkpointDirs, PROJECT, verifyInstallation } from './offline.ts';

export interface Overrides {
  clock?: Clock;
  logger?: Logger;
  forge?: ForgeSource | null;
  operations?: OperationsPort;
  /** The factory command line: jobs run as processes of it. Absent: this process runs none. */
  command?: readonly string[];
}

/** Wires everything, once; nobody imports a singleton. Opens the database and the keyring, starts nothing. */
export async function createContext(config: Config, overrides: Overrides = {}) {
  const clock = overrides.clock ?? systemClock;
  const logger = overrides.logger ?? createLogger(config.logLevel);
  const projectId = PROJECT;
  const storage = await openStorage(config.databaseUrl);
  const installation = await installationId(storage.read);
  const keys = loadAuditKeys(config.keyringDir, installation, await logHasEntries(storage.read));
  const audit = createAuditLog({ storage, keys, clock, checkpointDirs: checkpointDirs(config), logger });

  const address = createAddress(config);
  const access = { storage, audit, clock, projectId, baseUrl: address.baseUrl };
  const people = createPeople(access);
  const tokens = createTokens({ ...access, people, logger });
  const sessions = createSessions({ ...access, people });
  const refuse = createRefusals(storage, audit, clock, logger, projectId);

  const metrics = createMetrics();
  const feed = createFeed({ storage, projectId, logger, tokens, sessions });
  const queue = openQueue({ dir: config.workItemsDir, clock, logger });
  const policy = createPolicyReader(queue, logger, await openPolicyMemory(storage, audit, projectId, clock));
  const cursors = createCursors(keys.commitment);
  const items = createWorkItems(
    {
      ...{ storage, audit, clock, logger, projectId, queue, people, cursors, policy: policy.current },
      queueDir: config.workItemsDir,
      queueWrites: config.queueWrites,
      queueKnown: policy.known,
      policyProblems: policy.fileProblems,
      names: createNames(storage.read, projectId),
      forge: overrides.forge ?? null,
      changed: feed.notify,
    },
    metrics.actionOutcome,
  );
  const chatKeys = openChatKeys({
    ...{ keyringDir: config.keyringDir, installation, expected: await hasSealedContent(storage.read) },
  });
  const blobsFolder = join(config.dataDir, 'blobs');
  const chat = createChat({
    ...{ storage, audit, clock, logger, cursors, projectId, keys: chatKeys },
    directory: createDirectory(projectId, chatKeys, () => clock.iso()),
    journal: openJournal({
      ...{ keyringDir: config.keyringDir, installation, key: chatKeys.journalKey() },
      finished: chatKeys.finished(),
    }),
    blobs: folderBlobs(blobsFolder),
    index: createSearchIndex({
      ...{ databaseUrl: config.databaseUrl, folder: join(config.dataDir, 'search') },
      blobsFolder,
      ...{ installation, projectId, keys: chatKeys, logger, restarts: metrics.searchRestarts },
    }),
    changed: () => feed.notify(),
    appended: metrics.appendOutcome,
    keyCopies: createKeyCopies(config),
    people: peopleFacts(people, policy.current),
  });
  await chat.replay();
  const queueHome = createQueueHome({ storage, audit, projectId }, config.workItemsDir);
  const drills = createDrills({ storage, audit, clock, projectId, installation, config });
  const run = overrides.command ? childRunner(overrides.command, childEnv(process.cwd(), process.env)) : null;
  const scheduler = createScheduler({ config, storage, clock, logger, run });
  const operations =
    overrides.operations ??
    createOperations({ config, storage, audit, projectId, clock, cursors, drills, scheduler });
  const startJob = createJobStarts({ operations, storage, audit, refuse, projectId });
  const health = createHealth({
    ...{ storage, audit, clock, config, items, operations, installation },
    search: chat.search,
  });
  const verifyAudit = () => verifyInstallation(storage, config);
  const base = {
    config,
    clock,
    logger,
    projectId,
    storage,
    audit,
    people,
    tokens,
    sessions,
    refuse,
    metrics,
    feed,
    items,
    chat,
    operations,
    startJob,
    health,
    drills,
    cursors,
    verifyAudit,
  };
  const web = createWeb(webContext({ ...base, policy }));
  metrics.observe(base);

  return {
    ...base,
    ...address,
    web,
    policy,
    queueHome,
    release: config.release,
    environment: config.environment,
    /** Starts the background work; resolves when the queue folder was read once. */
    start(): Promise<void> {
      audit.start();
      scheduler.start();
      void chat.start().catch((error: unknown) => logger.error({ err: error }, 'Erasures wait to go on.'));
      return items.start();
    },
    /** Ends it in the order in which nothing is lost: work first, then the log's checkpoint, then the database. */
    async close(): Promise<void> {
      await feed.close();
      await Promise.all([items.stop(), scheduler.stop()]);
      await chat.stop();
      await audit.stop();
      await storage.close();
      chat.close();
    },
  };
}

export type Context = Awaited<ReturnType<typeof createContext>>;

/** Under which names the service answers; the port is known once it listens. */
function createAddress(config: Config) {
  let listening = config.baseUrl ?? 'http://127.0.0.1';
  const baseUrl = () => config.baseUrl ?? listening;
  const hosts = (): ReadonlySet<string> => {
    const names = new Set([new URL(baseUrl()).host.toLowerCase(), new URL(listening).host.toLowerCase()]);
    const { port } = new URL(listening);
    for (const name of ['127.0.0.1', 'localhost', '[::1]']) names.add(port ? `${name}:${port}` : name);
    return names;
  };
  return {
    baseUrl,
    hosts,
    secure: (config.baseUrl ?? '').startsWith('https:'),
    /** Tells the address once the server listens. */
    listensOn(url: string): void {
      listening = url;
    },
  };
}
