import { createSecretKey, randomUUID, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../folders.ts';
import { syncFolder } from '../../replace-file.ts';
import { JOURNAL_FILE } from '../erasure/journal.ts';
import { open, seal } from './crypto.ts';
import { keyFileBytes, KEYS_FILE, openKeyBytes, openKeyFile } from './key-file.ts';
import { LOST, openChatKeys, placeOfSubject, ROOT_FILE, SET_ABOUT, verifiedNames } from './keys.ts';

/**
 * Keys of conversations that are lost for good, and new ones in their place. Numbers go on above those of before, so that what
 * was sealed with a lost key is known by its number, and so that keys that are found one day fit in beside the new ones.
 */

const FILES = [ROOT_FILE, KEYS_FILE, `${KEYS_FILE}-wal`, `${KEYS_FILE}-shm`, JOURNAL_FILE];

export interface Anew {
  keyringDir: string;
  installation: string;
  /** Highest number that anything was sealed with. */
  upTo: number;
  at: string;
}

/**
 * New keys where those of before are lost; what is left of them is put aside. The key file comes last: without it a start
 * finds no keys, so whatever ends before that is done again. Answers the folder of what was put aside; null: nothing was there.
 */
export function makeKeysAnew({ keyringDir, installation, upTo, at }: Anew): string | null {
  const fresh = join(keyringDir, `new-${randomUUID()}`);
  openChatKeys({ keyringDir: fresh, installation, expected: false }).close();
  const file = openKeyFile(join(fresh, KEYS_FILE));
  file.transaction(() => {
    file.run(`insert into sqlite_sequence (name, seq) values ('contents', ?)`, upTo);
    file.run(SET_ABOUT, LOST, Buffer.from(JSON.stringify([{ at, upTo }])));
  });
  file.settle();
  file.close();
  const aside = join(keyringDir, `lost-${at.replaceAll(/[-:.]/g, '')}`);
  const left = FILES.filter((name) => existsSync(join(keyringDir, name)));
  if (left.length > 0) makeFolder(aside, 0o700);
  for (const name of left) renameSync(join(keyringDir, name), join(aside, name));
  for (const name of [ROOT_FILE, KEYS_FILE]) renameSync(join(fresh, name), join(keyringDir, name));
  rmSync(fresh, { recursive: true });
  syncFolder(keyringDir);
  return left.length > 0 ? aside : null;
}

export interface FoundKeys {
  /** Subjects whose keys are not here, and numbers of content keys that are not. */
  subjects: string[];
  contents: number[];
}

interface Place {
  /** Folder with the keys that were found. */
  from: string;
  keyringDir: string;
  installation: string;
}

/** What a keyring that was found has and this one lacks. Errors: `chat-keys-missing`, `chat-keys-foreign`, `chat-keys-unreadable`. */
export function compareKeys(place: Place): FoundKeys {
  return withBoth(place, ({ missing }) => ({
    subjects: missing.subjects.map(({ id }) => id),
    contents: missing.contents.map(({ id }) => id),
  }));
}

/**
 * Takes them in. What was deleted meanwhile loses its keys again at the next start, which goes through the whole journal.
 * Errors: as of `compareKeys`.
 */
export function takeInKeys(place: Place): void {
  withBoth(place, ({ file, root, foundRoot, missing }) =>
    file.transaction(() => {
      for (const { id, wrapped } of missing.subjects) {
        const key = open(foundRoot, placeOfSubject(id), wrapped);
        file.run('insert into subjects (id, wrapped) values (?, ?)', id, seal(root, placeOfSubject(id), key));
      }
      for (const { id, session, subject, current, wrapped } of missing.contents)
        file.run(
          'insert into contents (id, session, subject, current, wrapped) values (?, ?, ?, ?, ?)',
          ...[id, session, subject, current, wrapped],
        );
      file.run(SET_ABOUT, 'finished', Buffer.from('0'));
    }),
  );
}

interface SubjectKey {
  id: string;
  wrapped: Buffer;
}
interface ContentRow {
  id: number;
  session: string;
  subject: string;
  current: number;
  wrapped: Buffer;
}

function withBoth<T>(
  { from, keyringDir, installation }: Place,
  work: (both: {
    file: ReturnType<typeof openKeyFile>;
    root: KeyObject;
    foundRoot: KeyObject;
    missing: { subjects: SubjectKey[]; contents: ContentRow[] };
  }) => T,
): T {
  for (const dir of [from, keyringDir])
    openChatKeys({ keyringDir: dir, installation, expected: true }).close();
  const rootOf = (dir: string): KeyObject => createSecretKey(readFileSync(join(dir, ROOT_FILE)));
  const found = openKeyBytes(keyFileBytes(join(from, KEYS_FILE)));
  const file = openKeyFile(join(keyringDir, KEYS_FILE));
  try {
    verifiedNames(found, rootOf(from), installation, join(from, KEYS_FILE));
    const subjects = new Set(file.all<{ id: string }>('select id from subjects').map(({ id }) => id));
    const contents = new Set(file.all<{ id: number }>('select id from contents').map(({ id }) => id));
    const missing = {
      subjects: found.all<SubjectKey>('select * from subjects').filter(({ id }) => !subjects.has(id)),
      contents: found.all<ContentRow>('select * from contents').filter(({ id }) => !contents.has(id)),
    };
    return work({ file, root: rootOf(keyringDir), foundRoot: rootOf(from), missing });
  } finally {
    found.close();
    file.close();
  }
}
