import { KEYS_FILE } from '../../../service/chat/keys/key-file.ts';
import { ROOT_FILE } from '../../../service/chat/keys/keys.ts';
import { openedKeys, type OpenedKeys } from '../../../service/chat/keys/opened-keys.ts';
import { JOURNAL_FILE, journalEntries } from '../../../service/chat/erasure/journal.ts';
import type { Journaled } from '../../../service/chat/erasure/journal.ts';
import type { Replica } from './replica.ts';

/**
 * Whether a copy of the keyring is worth what it says: its keys open with each other, and those that an older copy has are
 * there and are the same. Keys of conversations go by erasure and by deletion, and the journal, which is in the same copy,
 * names each of those. A copy that lacks a key without such an entry, or has another one in its place, was made by somebody
 * who wants the rest to be unreadable, or is damaged. Whoever has the host can sign one, so a signature tells nothing here.
 */

/** What is wrong with the newer of two copies that both open; null: nothing. Pure. */
export function droppedKeys(older: Replica, newer: Replica): string | null {
  const had = keysOf(older);
  if (had === null) return null;
  const has = keysOf(newer);
  if (has === null) return `it has no ${KEYS_FILE}, which the copy before it has`;
  const journal = entriesOf(newer);
  const shortened = entriesOf(older).findIndex(
    (entry, n) => JSON.stringify(entry) !== JSON.stringify(journal[n]),
  );
  if (shortened >= 0) return `its erasure journal lacks entry ${shortened + 1} of the copy before it`;
  return lackingOf(had, has, journal) ?? changedOf(had, has);
}

/** Why a copy's own keys cannot be used; null: they open, or it has none. Pure. */
export function unusableKeys(replica: Replica): string | null {
  try {
    keysOf(replica);
    return null;
  } catch (error) {
    return `its ${KEYS_FILE} does not open with the ${ROOT_FILE} beside it: ${(error as Error).message}`;
  }
}

function lackingOf(had: OpenedKeys, has: OpenedKeys, journal: readonly Journaled[]): string | null {
  const { subjects, sessions } = erasedIn(journal);
  const subject = [...had.subjects.keys()].find((id) => !has.subjects.has(id) && !subjects.has(id));
  if (subject !== undefined) return `it lacks the key of subject ${subject}, which no erasure names`;
  const replaced = new Set([...has.contents.values()].map(({ session, subject: of }) => `${session} ${of}`));
  const content = [...had.contents].find(
    ([id, { session, subject: of }]) =>
      !has.contents.has(id) &&
      !replaced.has(`${session} ${of}`) &&
      !subjects.has(of) &&
      !sessions.has(session),
  );
  return content === undefined ? null : `it lacks content key ${content[0]}, which no erasure names`;
}

/** A key never changes: new content has new keys. */
function changedOf(had: OpenedKeys, has: OpenedKeys): string | null {
  const other = (what: string): string => `${what} is another one than in the copy before it`;
  if (had.names !== null && had.names !== has.names) return other('its key of names');
  const subject = [...had.subjects].find(([id, digest]) => (has.subjects.get(id) ?? digest) !== digest);
  if (subject !== undefined) return other(`its key of subject ${subject[0]}`);
  const content = [...had.contents].find(
    ([id, { digest }]) => (has.contents.get(id)?.digest ?? digest) !== digest,
  );
  return content === undefined ? null : other(`its content key ${content[0]}`);
}

const opened = new WeakMap<Replica, OpenedKeys | null>();

/** Null: it has no key file. Errors: those of `openedKeys`. */
function keysOf(replica: Replica): OpenedKeys | null {
  const known = opened.get(replica);
  if (known !== undefined) return known;
  const file = fileOf(replica, KEYS_FILE);
  const keys = file && openedKeys(file, fileOf(replica, ROOT_FILE) ?? Buffer.alloc(0));
  opened.set(replica, keys);
  return keys;
}

function fileOf({ files }: Replica, name: string): Buffer | null {
  const found = files.find((file) => file.name === name);
  return found ? Buffer.from(found.base64, 'base64') : null;
}

const entriesOf = (replica: Replica): Journaled[] =>
  journalEntries(fileOf(replica, JOURNAL_FILE)?.toString('utf8') ?? '');

function erasedIn(journal: readonly Journaled[]): { subjects: Set<string>; sessions: Set<string> } {
  const erased = { subjects: new Set<string>(), sessions: new Set<string>() };
  for (const { entry } of journal) {
    if (entry.kind === 'erase-subject') erased.subjects.add(entry.subject);
    if (entry.kind === 'delete-session') erased.sessions.add(entry.session);
  }
  return erased;
}
