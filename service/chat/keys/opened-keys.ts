import { createSecretKey, hash, type KeyObject } from 'node:crypto';
import { readSideBytes } from '../../storage/side-file.ts';
import { open, place } from './crypto.ts';
import { KIND } from './key-file.ts';

/** Every key of a key file, opened, by a digest of its bytes: what a copy of the keyring is worth. */
export interface OpenedKeys {
  /** Of the key of names and of the journal; null: the file was never used. */
  names: string | null;
  /** Subject -> digest. */
  subjects: Map<string, string>;
  contents: Map<number, { session: string; subject: string; digest: string }>;
}

/**
 * Errors: `side-file-foreign`, `side-file-unreadable`, `content-not-sealed`, `content-unreadable` (a key does not open with
 * the one that wraps it).
 */
export function openedKeys(keyFile: Buffer, rootKey: Buffer): OpenedKeys {
  const file = readSideBytes(keyFile, KIND);
  try {
    const about = (key: string): Buffer | undefined =>
      file.get<{ value: Buffer }>('select value from about where key = ?', key)?.value;
    const root = createSecretKey(rootKey);
    const installation = about('installation')?.toString();
    const names =
      installation === undefined
        ? null
        : digestOf(open(root, place('keyring.names', installation), about('names') ?? Buffer.alloc(0)));
    const keys = new Map<string, KeyObject>();
    const subjects = new Map<string, string>();
    for (const { id, wrapped } of file.all<{ id: string; wrapped: Buffer }>(
      'select id, wrapped from subjects',
    )) {
      const key = open(root, place('keyring.subjects', id), wrapped);
      keys.set(id, createSecretKey(key));
      subjects.set(id, digestOf(key));
    }
    const contents: OpenedKeys['contents'] = new Map();
    for (const { id, session, subject, wrapped } of file.all<Row>(CONTENTS)) {
      const at = { ...place('keyring.contents', subject), session, seq: id };
      const owner = keys.get(subject);
      if (owner === undefined) continue;
      contents.set(id, { session, subject, digest: digestOf(open(owner, at, wrapped)) });
    }
    return { names, subjects, contents };
  } finally {
    file.close();
  }
}

interface Row {
  id: number;
  session: string;
  subject: string;
  wrapped: Buffer;
}

const CONTENTS = 'select id, session, subject, wrapped from contents';

const digestOf = (key: Buffer): string => hash('sha256', key);
