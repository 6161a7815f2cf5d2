import { createHmac, createSecretKey, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FactoryError } from '../../errors.ts';
import { createOnce, prepareKeyring } from '../../keyring.ts';
import type { SideFile } from '../../storage/side-file.ts';
import { cacheOf } from '../messages/cache.ts';
import { KEY_BYTES, open, place, seal, type Place } from './crypto.ts';
import { KEYS_FILE, openKeyFile } from './key-file.ts';

/**
 * The keys of conversations, in the keyring and so outside of the database and of its backups:
 *
 *   chat-root.key   32 random bytes; wraps the subjects' keys
 *   chat-keys.db    subjects' keys, and under each the content keys of its sessions, all wrapped
 *
 * Whoever has a key's file only has nothing; taking a subject's key away makes all that was sealed for it unreadable, in
 * every backup too, once the last copy of the keyring that holds the key is gone.
 */

export const ROOT_FILE = 'chat-root.key';
/** Opened keys that are kept in memory, of each kind. */
const CACHED = 10_000;

export interface ContentKey {
  /** As rows name it. */
  id: number;
  key: KeyObject;
}

export interface ChatKeys {
  /** The keyed digest under which a subject's name is found again; it says nothing of the name. */
  lookup(name: string): string;
  /** Makes a subject's key; on disk when this returns. */
  addSubject(subject: string): void;
  /** Whether the subject's key is there. */
  hasSubject(subject: string): boolean;
  /** A key of a subject for digests: same input, same digest, whatever content keys there were. Errors: `subject-key-gone`. */
  digestKey(subject: string): KeyObject;
  /** A key for what is about the subject itself, such as its name. Errors: `subject-key-gone`. */
  nameKey(subject: string): KeyObject;
  /** What is sealed now in a session for a subject; made where there is none, and on disk then. Errors: `subject-key-gone`. */
  current(session: string, subject: string): ContentKey;
  /** A new key for one thing alone, which nothing else of its session is sealed with. Errors: `subject-key-gone`. */
  apart(session: string, subject: string): ContentKey;
  /** Errors: `content-key-gone`, `subject-key-gone`. */
  byId(id: number): KeyObject;
  /** Chains the erasure journal. */
  journalKey(): KeyObject;
  /** Up to which entry of the erasure journal keys and files were taken away. */
  finished(): number;
  finish(seq: number): void;
  /** Every key that content of these was sealed with. */
  idsOf(of: { session: string } | { subject: string }): number[];
  /** Takes keys away for good. Sealed content of theirs cannot be read any more. */
  forgetSubject(subject: string): void;
  forgetSession(session: string): void;
  forgetContent(id: number): void;
  /** Whose a content key is; null: it is not there. */
  ownerOf(id: number): { session: string; subject: string } | null;
  /** When the keyring with a content key that is not there was given up as lost; null: it was not. */
  lostAt(id: number): string | null;
  /** Nothing is sealed with the keys of now any more; they open what they sealed until they are forgotten. Answers the last of them. */
  retire(): number;
  /** What the rotation of keys remembers of itself. */
  rotation(): string | null;
  setRotation(state: string): void;
  close(): void;
}

export interface KeyOptions {
  keyringDir: string;
  /** Of the database that the keys belong to. */
  installation: string;
  /** Whether content was sealed already: then its keys must be there. */
  expected: boolean;
}

/**
 * Opens the keys of this installation; made where there are none yet.
 * Errors: `chat-keys-missing`, `chat-keys-foreign`, `chat-keys-unreadable`, `keyring-unwritable`, `side-file-unreadable`.
 */
export function openChatKeys({ keyringDir, installation, expected }: KeyOptions): ChatKeys {
  const [rootPath, path] = [join(keyringDir, ROOT_FILE), join(keyringDir, KEYS_FILE)];
  const missing = [rootPath, path].find((one) => !existsSync(one));
  if (expected && missing !== undefined)
    throw keysError('missing', missing, `${missing} is missing, and conversations were sealed with it.`);
  if (!existsSync(rootPath) && existsSync(path))
    throw keysError('missing', rootPath, `${rootPath} is missing, and ${path} was wrapped with it.`);
  prepareKeyring(keyringDir);
  createOnce(rootPath, () => randomBytes(KEY_BYTES));
  const bytes = readFileSync(rootPath);
  if (bytes.length !== KEY_BYTES)
    throw keysError('unreadable', rootPath, `${rootPath} holds ${bytes.length} bytes, not ${KEY_BYTES}.`);
  const root = createSecretKey(bytes);
  const file = openKeyFile(path);
  try {
    return keysIn(file, root, verifiedNames(file, root, installation, path));
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Row of the key file: which keys were lost, and when. */
export const LOST = 'lost';
/** What the wrapped key of a subject is bound to. */
export const placeOfSubject = (id: string): Place => place('keyring.subjects', id);

/** The key of names, which is made with the file and proves that root key and file belong together. */
export function verifiedNames(
  file: SideFile,
  root: KeyObject,
  installation: string,
  path: string,
): KeyObject {
  const read = (key: string): Buffer | undefined => file.get<{ value: Buffer }>(ABOUT, key)?.value;
  file.transaction(() => {
    if (read('installation') !== undefined) return;
    const put = (key: string, value: Buffer) =>
      file.run('insert into about (key, value) values (?, ?)', key, value);
    put('names', seal(root, place('keyring.names', installation), randomBytes(KEY_BYTES)));
    put('installation', Buffer.from(installation));
  });
  const of = read('installation')?.toString() ?? '';
  if (of !== installation)
    throw keysError(
      'foreign',
      path,
      `${path} belongs to installation ${of}, the database to ${installation}.`,
    );
  try {
    return createSecretKey(
      open(root, place('keyring.names', installation), read('names') ?? Buffer.alloc(0)),
    );
  } catch (error) {
    throw keysError('unreadable', path, `${path} was not wrapped with the ${ROOT_FILE} beside it.`, error);
  }
}

function keysIn(file: SideFile, root: KeyObject, names: KeyObject): ChatKeys {
  const subjects = cacheOf<string, KeyObject>(CACHED);
  const contents = cacheOf<number, KeyObject>(CACHED);
  const currents = cacheOf<string, number>(CACHED);

  function losses(): { at: string; upTo: number }[] {
    const text = file.get<{ value: Buffer }>(ABOUT, LOST)?.value.toString() ?? '[]';
    return JSON.parse(text) as { at: string; upTo: number }[];
  }

  const lostAt = (id: number): string | null => losses().find(({ upTo }) => id <= upTo)?.at ?? null;

  function subjectKey(id: string): KeyObject {
    const known = subjects.get(id);
    if (known) return known;
    const row = file.get<{ wrapped: Buffer }>('select wrapped from subjects where id = ?', id);
    if (!row) throw gone('subject', id, losses().length > 0);
    return subjects.put(id, createSecretKey(open(root, place('keyring.subjects', id), row.wrapped)));
  }

  function addKey(session: string, subject: string, current: 0 | 1): ContentKey {
    const key = randomBytes(KEY_BYTES);
    const owner = subjectKey(subject);
    const id = file.transaction(() => {
      if (current === 1)
        file.run('update contents set current = 0 where session = ? and subject = ?', session, subject);
      // The number is part of what binds the wrapped key, so the row comes first.
      const { lastId } = file.run(
        'insert into contents (session, subject, current, wrapped) values (?, ?, ?, ?)',
        ...[session, subject, current, Buffer.alloc(0)],
      );
      const wrapped = seal(owner, { ...place('keyring.contents', subject), session, seq: lastId }, key);
      file.run('update contents set wrapped = ? where id = ?', wrapped, lastId);
      return lastId;
    });
    return { id, key: contents.put(id, createSecretKey(key)) };
  }

  function addContent(session: string, subject: string): ContentKey {
    const made = addKey(session, subject, 1);
    currents.put(`${session} ${subject}`, made.id);
    return made;
  }

  function byId(id: number): KeyObject {
    const known = contents.get(id);
    if (known) return known;
    const row = file.get<{ session: string; subject: string; wrapped: Buffer }>(
      'select session, subject, wrapped from contents where id = ?',
      id,
    );
    if (!row) throw gone('content', String(id), lostAt(id) !== null);
    const at = { ...place('keyring.contents', row.subject), session: row.session, seq: id };
    return contents.put(id, createSecretKey(open(subjectKey(row.subject), at, row.wrapped)));
  }

  const derive = (from: KeyObject, what: string): KeyObject =>
    createSecretKey(Buffer.from(hkdfSync('sha256', from, '', `build-factory/chat/${what}/v1`, KEY_BYTES)));
  const digestKeys = cacheOf<string, KeyObject>(CACHED);
  const forgetAll = (): void => [subjects, contents, currents, digestKeys].forEach((cache) => cache.clear());

  return {
    lookup: (name) =>
      createHmac('sha256', names)
        .update(`subject\0${JSON.stringify(name)}`)
        .digest('base64url'),
    addSubject(subject) {
      const wrapped = seal(root, place('keyring.subjects', subject), randomBytes(KEY_BYTES));
      file.run('insert into subjects (id, wrapped) values (?, ?)', subject, wrapped);
    },
    hasSubject: (subject) => file.get('select id from subjects where id = ?', subject) !== undefined,
    digestKey: (subject) =>
      digestKeys.get(subject) ?? digestKeys.put(subject, derive(subjectKey(subject), 'digest')),
    nameKey: (subject) => derive(subjectKey(subject), 'name'),
    current(session, subject) {
      const known = currents.get(`${session} ${subject}`);
      const id = known ?? file.get<{ id: number }>(CURRENT, session, subject)?.id;
      if (id === undefined) return addContent(session, subject);
      return { id: currents.put(`${session} ${subject}`, id), key: byId(id) };
    },
    apart: (session, subject) => addKey(session, subject, 0),
    byId,
    journalKey: () => derive(names, 'journal'),
    finished: () => Number(file.get<{ value: Buffer }>(ABOUT, 'finished')?.value.toString() ?? 0),
    finish: (seq) => void file.run(SET_ABOUT, 'finished', Buffer.from(String(seq))),
    idsOf: (of) =>
      ('session' in of
        ? file.all<{ id: number }>('select id from contents where session = ? order by id', of.session)
        : file.all<{ id: number }>('select id from contents where subject = ? order by id', of.subject)
      ).map(({ id }) => id),
    forgetSubject(subject) {
      file.run('delete from subjects where id = ?', subject);
      forgetAll();
    },
    forgetSession(session) {
      file.run('delete from contents where session = ?', session);
      forgetAll();
    },
    forgetContent(id) {
      file.run('delete from contents where id = ?', id);
      forgetAll();
    },
    ownerOf: (id) =>
      file.get<{ session: string; subject: string }>(
        'select session, subject from contents where id = ?',
        id,
      ) ?? null,
    retire() {
      file.run('update contents set current = 0 where current = 1');
      currents.clear();
      return file.get<{ last: number }>('select coalesce(max(id), 0) as last from contents')?.last ?? 0;
    },
    lostAt,
    rotation: () => file.get<{ value: Buffer }>(ABOUT, 'rotation')?.value.toString() ?? null,
    setRotation: (state) => void file.run(SET_ABOUT, 'rotation', Buffer.from(state)),
    close: () => file.close(),
  };
}

const ABOUT = 'select value from about where key = ?';
export const SET_ABOUT =
  'insert into about (key, value) values (?, ?) on conflict (key) do update set value = excluded.value';
const CURRENT = 'select id from contents where session = ? and subject = ? and current = 1';

function gone(kind: 'subject' | 'content', target: string, lost: boolean): FactoryError {
  const said = lost
    ? {
        message: `The ${kind} key ${target} was given up as lost: what it sealed cannot be read, and nothing is added to it.`,
        hint: 'Begin a new session; what cannot be read can still be deleted. If the old keyring turns up, an operator takes it in with `npx factory keys found --from FOLDER`.',
      }
    : {
        message: `The ${kind} key ${target} is not in the keyring: what it sealed was erased, or the keyring is older than the database.`,
        hint: 'Nothing was changed: begin a new session. Where nothing was erased, an operator puts back the keyring that belongs to this database: `npx factory keys restore`.',
      };
  return new FactoryError({ code: `${kind}-key-gone`, op: 'open content', target, ...said });
}

const GONE = new Set(['content-key-gone', 'subject-key-gone']);

/** Whether a key is not there: erased, or lost with its keyring. */
export const isKeyGone = (error: unknown): boolean => error instanceof FactoryError && GONE.has(error.code);

function keysError(
  kind: 'missing' | 'foreign' | 'unreadable',
  target: string,
  message: string,
  cause?: unknown,
): FactoryError {
  return new FactoryError({
    code: `chat-keys-${kind}`,
    op: 'open keys of conversations',
    target,
    message,
    hint: 'Nothing was changed. Put back the keyring that belongs to this database: `npx factory keys restore`.',
    cause,
  });
}
