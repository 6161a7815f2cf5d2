import { existsSync, renameSync, rmSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { recordChange, SYSTEM } from './audit/events.ts';
import { loadAuditKeys, LOG_KEY_FILES } from './audit/keys.ts';
import { open, seal } from './chat/keys/crypto.ts';
import { JOURNAL_FILE } from './chat/erasure/journal.ts';
import { KEYS_FILE } from './chat/keys/key-file.ts';
import { openChatKeys, ROOT_FILE, type ChatKeys } from './chat/keys/keys.ts';
import { compareKeys, makeKeysAnew, takeInKeys } from './chat/keys/lost-keys.ts';
import { findAgain, namedSubjects, sealedCounts, sealedSessions } from './chat/keys/store-lost.ts';
import type { SealedCounts, SealedSession } from './chat/keys/store-lost.ts';
import { placeOfName } from './chat/messages/directory.ts';
import { hasSealedContent, subjects } from './chat/store.ts';
import type { Config } from './config.ts';
import { asFactoryError, FactoryError } from './errors.ts';
import { newId } from './ids.ts';
import { openOffline, PROJECT } from './offline.ts';
import { markKeysLost } from './restored/mark.ts';
import { installationId, logHasEntries, openStorage } from './storage/open.ts';
import type { Storage, Transaction } from './storage/transaction.ts';

/** An installation whose keyring is lost for good goes on without what was sealed; one that is found is taken in again. */

export interface LossPlan {
  installation: string;
  /** Files that are not there, or are not what they were. */
  lost: string[];
  /** Whether the keys of the audit log are among them. */
  log: boolean;
  counts: SealedCounts;
  sessions: SealedSession[];
  upTo: number;
}

/** Room above the highest number that is seen: backups name keys of rows that are gone. */
const ROOM = 1_000_000;
/** What opening them says where they are lost, and not of somebody else. */
const LOSSES = new Set(['chat-keys-missing', 'chat-keys-unreadable', 'side-file-unreadable']);

async function within<T>({ databaseUrl }: Config, work: (storage: Storage) => Promise<T>): Promise<T> {
  const storage = await openStorage(databaseUrl);
  try {
    return await work(storage);
  } finally {
    await storage.close();
  }
}

/** What would be given up. Changes nothing. Errors: `keys-not-lost`, `chat-keys-foreign`. */
export function planLoss(config: Config): Promise<LossPlan> {
  return within(config, async (storage) => {
    const { keyringDir } = config;
    const installation = await installationId(storage.read);
    const sealed = await hasSealedContent(storage.read);
    const chat = sealed && areLost(keyringDir, installation);
    const logFiles = LOG_KEY_FILES.filter((name) => !existsSync(join(keyringDir, name)));
    const log = logFiles.length > 0 && (await logHasEntries(storage.read));
    if (!chat && !log) throw notLost(keyringDir);
    const chatFiles = [ROOT_FILE, KEYS_FILE, JOURNAL_FILE].filter(
      (name) => !existsSync(join(keyringDir, name)),
    );
    const { counts, upTo } = await sealedCounts(storage.read);
    const none = { messages: 0, titles: 0, attachments: 0, quarantined: 0, subjects: 0 };
    return {
      ...{ installation, log, upTo, counts: chat ? counts : none },
      lost: [...(chat ? (chatFiles.length > 0 ? chatFiles : [KEYS_FILE]) : []), ...(log ? logFiles : [])],
      sessions: chat ? await storage.read.all(sealedSessions, { project_id: PROJECT }) : [],
    };
  });
}

function areLost(keyringDir: string, installation: string): boolean {
  try {
    openChatKeys({ keyringDir, installation, expected: true }).close();
    return false;
  } catch (error) {
    if (LOSSES.has(asFactoryError(error, 'open keys').code)) return true;
    throw error;
  }
}

/** Carries exactly this plan out. Answers where what was left of the old keys lies now; null: nothing was. */
export async function giveUp(config: Config, plan: LossPlan, at: string): Promise<string | null> {
  const { keyringDir } = config;
  if (plan.log) await newLogKeys(config, plan.installation, at);
  const { installation, counts, upTo, lost, sessions } = plan;
  const access = await openOffline(config);
  try {
    // The record comes first: what ends before the keys are there is done again, and recorded again.
    await access.storage.write((tx) =>
      recordChange(tx, access.audit, {
        ...{ projectId: PROJECT, stream: 'governance', streamId: newId(), version: 1, type: 'keys-lost' },
        payload: { ...counts, sessions: sessions.length, upTo, lost },
        ...{ actor: SYSTEM, at, action: 'governance.keys-lost' },
      }),
    );
  } finally {
    await access.close();
  }
  if (!lost.includes(KEYS_FILE) && !lost.includes(ROOT_FILE)) return null;
  return makeKeysAnew({ keyringDir, installation, upTo: upTo + ROOM, at });
}

/** Made beside, and in force when the log says so. */
async function newLogKeys(config: Config, installation: string, at: string): Promise<void> {
  const { keyringDir } = config;
  const fresh = join(keyringDir, `new-${randomUUID()}`);
  const keys = loadAuditKeys(fresh, installation, false);
  await within(config, (storage) => markKeysLost(storage, keys, config, at));
  const vkey = join(keyringDir, 'audit-log.vkey');
  if (existsSync(vkey)) renameSync(vkey, `${vkey}.lost-${at.replaceAll(/[-:.]/g, '')}`);
  for (const name of [...LOG_KEY_FILES, 'audit-log.vkey'])
    renameSync(join(fresh, name), join(keyringDir, name));
  rmSync(fresh, { recursive: true });
}

export interface FoundPlan {
  installation: string;
  subjects: string[];
  contents: number[];
}

/** What a folder with the keys of before brings back. Changes nothing. Errors: those of the keys, `keys-known`. */
export function planFound(config: Config, from: string): Promise<FoundPlan> {
  return within(config, async (storage) => {
    const installation = await installationId(storage.read);
    const found = compareKeys({ from, keyringDir: config.keyringDir, installation });
    if (found.subjects.length + found.contents.length === 0) throw nothingNew(from);
    return { installation, ...found };
  });
}

/** Names that came back and had come into use again meanwhile: the older subject has another name now. */
export interface Renamed {
  subject: string;
  name: string;
}

export async function takeIn(config: Config, from: string, plan: FoundPlan, at: string): Promise<Renamed[]> {
  const { keyringDir } = config;
  const { installation } = plan;
  takeInKeys({ from, keyringDir, installation });
  const keys = openChatKeys({ keyringDir, installation, expected: true });
  const access = await openOffline(config);
  try {
    return await access.storage.write(async (tx) => {
      const renamed = await findNamesAgain(tx, keys, at);
      await recordChange(tx, access.audit, {
        ...{ projectId: PROJECT, stream: 'governance', streamId: newId(), version: 1, type: 'keys-found' },
        payload: { subjects: plan.subjects.length, contents: plan.contents.length, renamed: renamed.length },
        ...{ actor: SYSTEM, at, action: 'governance.keys-found' },
      });
      return renamed;
    });
  } finally {
    keys.close();
    await access.close();
  }
}

/** Subjects are found by a digest of their names under a key of the keyring, which is another one now. */
async function findNamesAgain(tx: Transaction, keys: ChatKeys, at: string): Promise<Renamed[]> {
  const renamed: Renamed[] = [];
  for (const row of await tx.all(namedSubjects, { project_id: PROJECT })) {
    if (!keys.hasSubject(row.id)) continue;
    const key = keys.nameKey(row.id);
    const place = placeOfName(row.id);
    const name = JSON.parse(open(key, place, row.name ?? Buffer.alloc(0)).toString('utf8')) as string;
    if (keys.lookup(name) === row.lookup) continue;
    const taken = await tx.get(subjects.byLookup, { project_id: PROJECT, lookup: keys.lookup(name) });
    const now = taken ? `${name} (until ${at})` : name;
    if (taken) renamed.push({ subject: row.id, name: now });
    const sealed = seal(key, place, Buffer.from(JSON.stringify(now)));
    await tx.run(findAgain, { number: row.number, lookup: keys.lookup(now), name: sealed });
  }
  return renamed;
}

function notLost(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'keys-not-lost', op: 'give up lost keys', target },
    message: `The keys of this installation are in ${target}, and open what they have to.`,
    hint: 'Nothing was changed. `npx factory doctor` says what else may be wrong.',
  });
}

function nothingNew(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'keys-known', op: 'take in found keys', target },
    message: `${target} has no key that is not here already.`,
    hint: 'Nothing was changed. Name the folder that holds chat-root.key and chat-keys.db of before.',
  });
}
