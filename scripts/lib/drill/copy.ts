import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { decodeLeaf } from '../../../service/audit/leaf.ts';
import { loadAuditKeys, readVerifierKeys } from '../../../service/audit/keys.ts';
import { readGivenUp } from '../../../service/audit/restored.ts';
import { leavesFrom } from '../../../service/audit/store.ts';
import { verifyStorage } from '../../../service/audit/verify.ts';
import type { VerifyResult } from '../../../service/audit/verify.ts';
import { SYSTEM } from '../../../service/audit/events.ts';
import { JOURNAL_FILE, journalEntries } from '../../../service/chat/erasure/journal.ts';
import { keyFileBytes, KEYS_FILE } from '../../../service/chat/keys/key-file.ts';
import { openChatKeys, ROOT_FILE } from '../../../service/chat/keys/keys.ts';
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
  /** Conversations can be read here, and what was deleted since the backup is known. */
  hasChatKeys: boolean;
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
  const hasCommitment = existsSync(commitment) && !(await hasOlderEvents(config.databaseUrl, keyringDir));
  if (hasCommitment) copyFileSync(commitment, join(config.keyringDir, COMMITMENT));
  const installation = (await knownInstallation(config.databaseUrl)) ?? '';
  loadAuditKeys(config.keyringDir, installation, false);
  return {
    env,
    config,
    hasCommitment,
    hasChatKeys: furnishChat(config.keyringDir, keyringDir, installation),
  };
}

/** Whether events were committed to with a key that is lost: only the log's own key tells from which entry on they were not. */
async function hasOlderEvents(databaseUrl: string, keyringDir: string): Promise<boolean> {
  if (!existsSync(join(keyringDir, 'audit-log.vkey'))) return false;
  const { vkey } = readVerifierKeys(keyringDir);
  const storage = await openStorage(databaseUrl);
  try {
    return (await readGivenUp(storage.read, vkey)).newKey !== null;
  } finally {
    await storage.close();
  }
}

/**
 * Keys of conversations and the journal of what was deleted, where they are at hand. Elsewhere new ones: the application
 * starts, and what is sealed stays sealed.
 */
function furnishChat(to: string, from: string, installation: string): boolean {
  const path = join(from, KEYS_FILE);
  if (existsSync(path)) {
    writeFileSync(join(to, KEYS_FILE), keyFileBytes(path), { mode: 0o600 });
    for (const name of [ROOT_FILE, JOURNAL_FILE])
      if (existsSync(join(from, name))) copyFileSync(join(from, name), join(to, name));
    return true;
  }
  openChatKeys({ keyringDir: to, installation, expected: false }).close();
  return false;
}

/** Entries of the journal that the copy carried out when it was started; throws what is still there and should be gone. */
export async function verifyErasures({ config }: Copy): Promise<string> {
  const entries = journalEntries(readFileSync(join(config.keyringDir, JOURNAL_FILE), 'utf8'));
  const storage = await openStorage(config.databaseUrl);
  try {
    const known = Number((await storage.read.get(journalHead, {}))?.seq ?? 0);
    if (known < entries.length) throw new Error(`It carried out ${known} of ${entries.length} entries.`);
    const live = new Set((await storage.read.all(liveSessions, {})).map(({ id }) => id));
    const erased = new Set((await storage.read.all(erasedSubjects, {})).map(({ id }) => id));
    for (const { entry } of entries) {
      if (entry.kind === 'delete-session' && live.has(entry.session) && !(await isHeld(storage.read)))
        throw new Error(`Session ${entry.session} was deleted, and is there again.`);
      if (entry.kind === 'erase-subject' && !erased.has(entry.subject))
        throw new Error(`Subject ${entry.subject} was erased, and is there again.`);
    }
    return `${entries.length} entries of the erasure journal are carried out; nothing of them is there again.`;
  } finally {
    await storage.close();
  }
}

const journalHead = statement()((db) =>
  db.selectFrom('chat_journal').select((e) => e.fn.max('seq').as('seq')),
);
const liveSessions = statement()((db) =>
  db.selectFrom('chat_sessions').select('id').where('deleted_at', 'is', null),
);
const erasedSubjects = statement()((db) =>
  db.selectFrom('chat_subjects').select('id').where('state', '=', sql.lit('erased')),
);
const someHold = statement()((db) =>
  db.selectFrom('chat_holds').select('id').where('released_at', 'is', null).limit(1),
);
const isHeld = async (reader: Reader): Promise<boolean> => (await reader.get(someHold, {})) !== undefined;

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
