import { openSideFile, readSideBytes, type SideFile } from '../../storage/side-file.ts';

/** The file of the keys of conversations, as a file: what is in it is wrapped, see `keys.ts`. */

export const KEYS_FILE = 'chat-keys.db';
/** "BFky" as a 32-bit number. */
const APPLICATION_ID = 0x42466b79;
export const KIND = { what: 'The key file', applicationId: APPLICATION_ID };

const SCHEMA = [
  `create table about (key text primary key, value blob not null)`,
  `create table subjects (id text primary key, wrapped blob not null)`,
  `create table contents (
    id integer primary key autoincrement,
    session text not null,
    subject text not null references subjects (id) on delete cascade,
    current integer not null,
    wrapped blob not null
  )`,
  `create index contents_by_session on contents (session, subject)`,
  `create index contents_by_subject on contents (subject)`,
];

/** Opens or makes it. Errors: those of side files. */
export const openKeyFile = (path: string): SideFile => openSideFile(path, { ...KIND, schema: SCHEMA });

/** The bytes of a key file as they are at one moment: it may be in use. Errors: those of side files. */
export function keyFileBytes(path: string): Buffer {
  const file = openKeyFile(path);
  try {
    return file.bytes();
  } finally {
    file.close();
  }
}

/** A key file of its bytes; changes stay in memory. Errors: `side-file-foreign`, `side-file-unreadable`. */
export const openKeyBytes = (bytes: Buffer): SideFile => readSideBytes(bytes, KIND);
