import { KEYS_FILE, heldKeys } from '../../../service/chat/keys/key-file.ts';
import { JOURNAL_FILE, journalEntries } from '../../../service/chat/erasure/journal.ts';
import type { Journaled } from '../../../service/chat/erasure/journal.ts';
import type { Replica } from './replica.ts';

/**
 * Whether a copy of the keyring lost keys that nobody erased. Keys of conversations go by erasure and by deletion, and the
 * journal, which is in the same copy, names each of those; a copy that lacks one without such an entry was made by somebody
 * who wants the rest to be unreadable, or is damaged. The copy before it is taken then.
 */

/** What is wrong with the newer of two copies; null: nothing. Pure. */
export function droppedKeys(older: Replica, newer: Replica): string | null {
  const before = fileOf(older, KEYS_FILE);
  if (before === null) return null;
  const after = fileOf(newer, KEYS_FILE);
  if (after === null) return `it has no ${KEYS_FILE}, which the copy before it has`;
  const journal = entriesOf(newer);
  const shortened = entriesOf(older).findIndex(
    (entry, n) => JSON.stringify(entry) !== JSON.stringify(journal[n]),
  );
  if (shortened >= 0) return `its erasure journal lacks entry ${shortened + 1} of the copy before it`;
  const [had, has] = [heldKeys(before), heldKeys(after)];
  const { subjects, sessions } = erasedIn(journal);
  const subject = [...had.subjects].find((id) => !has.subjects.has(id) && !subjects.has(id));
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
