import type { Principal } from '../../access/principal.ts';
import { FactoryError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { Reader, Transaction } from '../../storage/transaction.ts';
import { open, seal, type Place } from '../keys/crypto.ts';
import type { ChatKeys } from '../keys/keys.ts';
import { authors, subjects, type AuthorRow, type SubjectRow } from '../store.ts';
import type { Author } from '../types.ts';

/** Authors and subjects by their numbers, which rows carry instead of ids and names. */

export interface Subject {
  number: number;
  id: string;
}

export interface Directory {
  /** The author's number; null: nobody wrote under that id yet. */
  findAuthor(reader: Reader, principal: Pick<Principal, 'kind' | 'id'>): Promise<number | null>;
  /** The same, made where there is none. */
  author(tx: Transaction, principal: Pick<Principal, 'kind' | 'id' | 'personId'>): Promise<number>;
  /** Somebody of another installation: they are nobody here, whatever their id. */
  foreignAuthor(tx: Transaction, author: Pick<Author, 'kind' | 'id'>): Promise<number>;
  authorAt(reader: Reader, number: number): Promise<Author>;
  /** The subject of a name, made where there is none. Errors: `subject-erased`, `subject-key-gone`. */
  subject(tx: Transaction, name: string): Promise<Subject>;
  /** By its name, or by its id where its key is gone: nobody can tell that name any more, and the id is shown for it. */
  findSubject(reader: Reader, name: string): Promise<SubjectRow | undefined>;
  subjectAt(reader: Reader, number: number): Promise<Subject>;
  /** The name as it was given. Errors: `subject-key-gone`. */
  nameOf(reader: Reader, number: number): Promise<string>;
  /** Null: it was erased. */
  nameOrNull(reader: Reader, number: number): Promise<string | null>;
  /** The name; where its key is gone, the subject's id: so it can be told from others. Null: it was erased. */
  shownName(reader: Reader, number: number): Promise<string | null>;
  /** The same subject, if something may be written about it. Errors: `subject-erased`, `subject-key-gone`. */
  writable(reader: Reader, number: number): Promise<Subject>;
  /** Forgets what it kept in memory of a subject. */
  forget(number: number): void;
}

/** Before the kind of an author who came by an import. */
const FOREIGN = 'foreign-';
/** As ids of subjects are. */
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Names that are kept in memory. */
const CACHED = 10_000;

export function createDirectory(projectId: string, keys: ChatKeys, now: () => string): Directory {
  const authorNumbers = new Map<string, number>();
  const authorRows = new Map<number, AuthorRow>();
  const subjectRows = new Map<number, SubjectRow>();
  const names = new Map<number, string>();

  async function subjectRow(reader: Reader, number: number): Promise<SubjectRow> {
    const row = subjectRows.get(number) ?? (await reader.get(subjects.byNumber, { number }));
    if (!row) throw new Error(`There is no subject ${number}.`);
    if (row.state === 'active') keep(subjectRows, number, row);
    return row;
  }

  async function addSubject(tx: Transaction, name: string, lookup: string): Promise<Subject> {
    const id = newId();
    keys.addSubject(id);
    const sealed = seal(keys.nameKey(id), placeOfName(id), Buffer.from(JSON.stringify(name)));
    const row = { project_id: projectId, id, lookup, state: 'active', created_at: now(), name: sealed };
    const made = await tx.get(subjects.insert, row);
    return { number: made!.number, id };
  }

  async function nameOf(reader: Reader, number: number): Promise<string> {
    const known = names.get(number);
    if (known !== undefined) return known;
    const { id, name } = await subjectRow(reader, number);
    const text = open(keys.nameKey(id), placeOfName(id), name ?? Buffer.alloc(0)).toString('utf8');
    return keep(names, number, JSON.parse(text) as string);
  }

  /** A subject that is known by an entry of the journal alone came without its name. */
  async function nameAgain(tx: Transaction, { id, number }: SubjectRow, name: string): Promise<void> {
    if (!keys.hasSubject(id)) keys.addSubject(id);
    const sealed = seal(keys.nameKey(id), placeOfName(id), Buffer.from(JSON.stringify(name)));
    await tx.run(subjects.name, { number, name: sealed });
    subjectRows.delete(number);
  }

  /** Of a name that is not known: those whose key was lost are shown by their id. */
  async function keyless(reader: Reader, name: string): Promise<SubjectRow | undefined> {
    if (!ID.test(name)) return undefined;
    const row = await reader.get(subjects.byId, { id: name });
    const isLost = row?.project_id === projectId && row.name !== null && !keys.hasSubject(row.id);
    return isLost ? row : undefined;
  }

  async function findSubject(reader: Reader, name: string): Promise<SubjectRow | undefined> {
    const named = await reader.get(subjects.byLookup, { project_id: projectId, lookup: keys.lookup(name) });
    return named ?? keyless(reader, name);
  }

  return {
    async findAuthor(reader, { kind, id }) {
      const key = `${kind} ${id}`;
      const known = authorNumbers.get(key);
      if (known !== undefined) return known;
      const row = await reader.get(authors.find, { project_id: projectId, kind, id });
      return row ? keep(authorNumbers, key, row.number) : null;
    },
    async author(tx, { kind, id, personId }) {
      const known = await this.findAuthor(tx, { kind, id });
      if (known !== null) return known;
      const row = { project_id: projectId, kind, id, person_id: personId };
      return (await tx.get(authors.insert, row))!.number;
    },
    async foreignAuthor(tx, { kind, id }) {
      const row = { project_id: projectId, kind: `${FOREIGN}${kind}`, id };
      const known = await tx.get(authors.find, row);
      return known?.number ?? (await tx.get(authors.insert, { ...row, person_id: '' }))!.number;
    },
    async authorAt(reader, number) {
      const row = authorRows.get(number) ?? (await reader.get(authors.byNumber, { number }));
      if (!row) throw new Error(`There is no author ${number}.`);
      keep(authorRows, number, row);
      const foreign = row.kind.startsWith(FOREIGN);
      const kind = (foreign ? row.kind.slice(FOREIGN.length) : row.kind) as Author['kind'];
      return { kind, id: row.id, ...(foreign ? { foreign: true } : {}) };
    },
    async subject(tx, name) {
      const row = await findSubject(tx, name);
      if (!row) return addSubject(tx, name, keys.lookup(name));
      if (row.state !== 'active') throw subjectErased();
      if (row.name === null) await nameAgain(tx, row, name);
      else keys.digestKey(row.id);
      return { number: row.number, id: row.id };
    },
    findSubject,
    async subjectAt(reader, number) {
      const { id } = await subjectRow(reader, number);
      return { number, id };
    },
    nameOf,
    async nameOrNull(reader, number) {
      const { name } = await subjectRow(reader, number);
      return name === null ? null : nameOf(reader, number);
    },
    async shownName(reader, number) {
      const { id, name } = await subjectRow(reader, number);
      if (name === null) return null;
      return keys.hasSubject(id) ? nameOf(reader, number) : id;
    },
    async writable(reader, number) {
      const { id, state } = await subjectRow(reader, number);
      if (state !== 'active') throw subjectErased();
      keys.digestKey(id);
      return { number, id };
    },
    forget(number) {
      subjectRows.delete(number);
      names.delete(number);
    },
  };
}

export const placeOfName = (id: string): Place => ({
  column: 'chat_subjects.name',
  id,
  session: '',
  seq: 0,
  version: 0,
});

/** The oldest goes where there are too many. */
function keep<K, V>(map: Map<K, V>, key: K, value: V): V {
  map.set(key, value);
  if (map.size > CACHED) map.delete(map.keys().next().value as K);
  return value;
}

export function subjectErased(): FactoryError {
  return new FactoryError({
    code: 'subject-erased',
    op: 'write content',
    message: 'This subject was erased: nothing is written about it any more.',
    hint: 'Drop what you wanted to write; it was erased for good.',
  });
}
