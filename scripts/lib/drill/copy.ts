import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeLeaf } from '../../../service/audit/leaf.ts';
import { loadAuditKeys } from '../../../service/audit/keys.ts';
import { leavesFrom } from '../../../service/audit/store.ts';
import { verifyStorage } from '../../../service/audit/verify.ts';
import type { VerifyResult } from '../../../service/audit/verify.ts';
import { SYSTEM } from '../../../service/audit/events.ts';
import { parseConfig } from '../../../service/config.ts';
import type { Config } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { readSentinel } from '../../../service/jobs/mark.ts';
import { openOffline, verifyInstallation } from '../../../service/offline.ts';
import { knownInstallation, openStorage } from '../../../service/storage/open.ts';
import { statement } from '../../../service/storage/statement.ts';
import type { Reader } from '../../../service/storage/transaction.ts';
import type { Manifest } from '../backup/format.ts';
import type { Workplace } from './workplace.ts';

/**
 * The installation that the product is started as: the restored database, and around it nothing of the real one.
 *
 * Its log goes on with the drill's own entries, so the key that signs it is made for the drill: signed with the real one,
 * they would be a second history. Of the real keyring it gets the commitment key alone, where that is at hand, because
 * without it the contents of events cannot be compared with the log.
 */

export interface Copy {
  /** What its process gets. */
  env: Record<string, string>;
  config: Config;
  /** The contents of events can be verified here. */
  hasCommitment: boolean;
}

const COMMITMENT = 'commitment.key';

export function copyAt({ folder, socket, databaseUrl }: Workplace): {
  env: Record<string, string>;
  config: Config;
} {
  const env = {
    FACTORY_DATA_DIR: join(folder, 'data'),
    ...(databaseUrl === null ? {} : { FACTORY_DATABASE_URL: databaseUrl }),
    FACTORY_SOCKET: socket,
    FACTORY_WORK_ITEMS_DIR: join(folder, 'no-queue'),
    FACTORY_QUEUE_WRITES: 'off',
    FACTORY_JOBS: 'off',
    FACTORY_LOG_LEVEL: 'error',
  };
  const parsed = parseConfig(env, { cwd: folder });
  if ('problems' in parsed) throw new TypeError(JSON.stringify(parsed.problems));
  return { env, config: parsed.config };
}

export async function furnish(place: Workplace, keyringDir: string): Promise<Copy> {
  const { env, config } = copyAt(place);
  makeFolder(config.keyringDir, 0o700);
  const commitment = join(keyringDir, COMMITMENT);
  const hasCommitment = existsSync(commitment);
  if (hasCommitment) copyFileSync(commitment, join(config.keyringDir, COMMITMENT));
  loadAuditKeys(config.keyringDir, (await knownInstallation(config.databaseUrl)) ?? '', false);
  return { env, config, hasCommitment };
}

/** The log in the copy, held against the checkpoint in the manifest and all that it commits to. */
export async function verifyLog(
  { config, hasCommitment }: Copy,
  keyringDir: string,
  { source: { auditCheckpoint } }: Manifest,
): Promise<VerifyResult> {
  const path = join(keyringDir, 'audit-log.vkey');
  const vkey = existsSync(path) ? readFileSync(path, 'utf8').trim() : null;
  // Without the public key, its root is still compared when the application answers.
  const checkpoints =
    vkey === null || auditCheckpoint === null ? [] : [{ path: 'manifest', text: auditCheckpoint }];
  const storage = await openStorage(config.databaseUrl);
  try {
    if (hasCommitment)
      return await verifyInstallation(storage, config, { checkpoints, ...(vkey === null ? {} : { vkey }) });
    const own = readFileSync(join(config.keyringDir, 'audit-log.vkey'), 'utf8').trim();
    return await verifyStorage(storage, {
      ...{ vkey: vkey ?? own, commitmentKey: null, checkpointDirs: [], checkpoints },
    });
  } finally {
    await storage.close();
  }
}

/** Else the copy would refuse the empty place of its queue, or look into the real one. */
const forgetQueue = statement()((db) => db.deleteFrom('meta').where('key', '=', 'queue'));

/** Makes the copy ready to be started: a token of its own, and no queue. Answers the token and the sentinel. */
export async function prepare({ config }: Copy): Promise<{ token: string; sentinel: string | null }> {
  const access = await openOffline(config);
  try {
    const { storage, people, tokens } = access;
    const sentinel = await readSentinel(storage.read);
    await storage.write((tx) => tx.run(forgetQueue, {}));
    const everybody = await people.list();
    const owner = everybody.find(({ roles, status }) => roles.includes('owner') && status !== 'removed');
    if (owner === undefined) throw noOwner(config.databaseUrl);
    const input = { name: 'drill', roles: ['owner'], personId: owner.id, expires: '1d' };
    const { token } = await tokens.create(SYSTEM, input);
    return { token, sentinel };
  } finally {
    await access.close();
  }
}

function noOwner(target: string): FactoryError {
  return new FactoryError({
    code: 'drill-no-owner',
    op: 'prepare drill',
    target,
    message: 'The restored database has no owner, so nobody could sign in.',
    hint: 'Restore an earlier backup, and look what happened to the people of this installation.',
  });
}

const PAGE = 500;
/** A drill's own record is no work that could be lost. */
const OF_DRILLS = 'drill.recorded';

/** When the first change was made that a log of this size does not have; null: it has all. */
export async function firstMissing(reader: Reader, size: number): Promise<string | null> {
  for (let from = size + 1; ; from += PAGE) {
    const rows = await reader.all(leavesFrom, { from, limit: PAGE });
    const missing = rows.map(({ leaf }) => decodeLeaf(leaf)).find(({ action }) => action !== OF_DRILLS);
    if (missing !== undefined) return missing.at;
    if (rows.length < PAGE) return null;
  }
}
