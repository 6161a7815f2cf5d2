import { join } from 'node:path';
import { createPeople } from './access/people.ts';
import { createTokens } from './access/tokens.ts';
import { verifyAccess } from './access/verify-access.ts';
import { readVerifierKeys, loadAuditKeys } from './audit/keys.ts';
import { createAuditLog } from './audit/log.ts';
import { verifyStorage, type VerifyResult, type VerifyStorageOptions } from './audit/verify.ts';
import { openChatKeys, type ChatKeys } from './chat/keys/keys.ts';
import { MessageCheck } from './chat/messages/verify-messages.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { FactoryError } from './errors.ts';
import { createDrills } from './jobs/drills.ts';
import { createLogger } from './logger.ts';
import { installationId, logHasEntries, openStorage } from './storage/open.ts';
import type { Storage } from './storage/transaction.ts';
import { createQueueHome } from './work-items/queue-home.ts';
import { verifyProjection } from './work-items/verify-projection.ts';

/** One project an instance until several are served; every key carries it. */
export const PROJECT = 'main';

/**
 * People and tokens on the data itself, for verbs that need no running service. A service that runs beside it sees the
 * change at once and signs its audit entries.
 */
export async function openOffline(config: Config) {
  const storage = await openStorage(config.databaseUrl);
  try {
    const keys = loadAuditKeys(
      config.keyringDir,
      await installationId(storage.read),
      await logHasEntries(storage.read),
    );
    const logger = createLogger('silent');
    const audit = createAuditLog({
      storage,
      keys,
      clock: systemClock,
      checkpointDirs: checkpointDirs(config),
      logger,
    });
    const listen = config.listen;
    const local = 'socket' in listen ? 'http://localhost' : `http://${listen.host}:${listen.port}`;
    const baseUrl = () => config.baseUrl ?? local;
    const installation = await installationId(storage.read);
    const drills = createDrills({
      storage,
      audit,
      clock: systemClock,
      projectId: PROJECT,
      installation,
      config,
    });
    const access = { storage, audit, clock: systemClock, projectId: PROJECT, baseUrl };
    const people = createPeople(access);
    return {
      storage,
      audit,
      people,
      drills,
      tokens: createTokens({ ...access, people, logger }),
      queueHome: createQueueHome({ storage, audit, projectId: PROJECT }, config.workItemsDir),
      close: () => storage.close(),
    };
  } catch (error) {
    await storage.close();
    throw error;
  }
}

export function checkpointDirs(config: Config): string[] {
  return [join(config.dataDir, 'checkpoints'), ...(config.checkpointDir ? [config.checkpointDir] : [])];
}

/** Everything that can be proven of an installation: the log, what it commits to, and what events must give. */
export async function verifyInstallation(
  storage: Pick<Storage, 'snapshot'>,
  config: Config,
  given: Pick<VerifyStorageOptions, 'checkpoints'> & { vkey?: string } = {},
): Promise<VerifyResult> {
  const { vkey, commitment } = readVerifierKeys(config.keyringDir);
  const keys = await chatKeysAtHand(storage, config);
  try {
    const result = await verifyStorage(storage, {
      vkey: given.vkey ?? vkey,
      commitmentKey: commitment,
      checkpointDirs: checkpointDirs(config),
      ...(given.checkpoints ? { checkpoints: given.checkpoints } : {}),
      checks: [(reader) => verifyProjection(reader, PROJECT), (reader) => verifyAccess(reader, PROJECT)],
      entryChecks: [(reader, problems) => new MessageCheck(reader, problems, PROJECT, keys)],
    });
    if (keys === null)
      result.notChecked.push('Contents of messages: the keys of conversations are not here.');
    return result;
  } finally {
    keys?.close();
  }
}

/** Null: they are not here, as where somebody verifies a copy. */
async function chatKeysAtHand(
  storage: Pick<Storage, 'snapshot'>,
  { keyringDir }: Config,
): Promise<ChatKeys | null> {
  try {
    const installation = await storage.snapshot(installationId);
    return openChatKeys({ keyringDir, installation, expected: true });
  } catch (error) {
    if (error instanceof FactoryError && error.code === 'chat-keys-missing') return null;
    throw error;
  }
}
