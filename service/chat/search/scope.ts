import { hash } from 'node:crypto';
import type { Scope } from '../access.ts';
import type { Kind } from './places.ts';
import type { Term, SearchQuery } from './query.ts';

/**
 * Who may read a message stands in the index beside its words, and the search asks for both at once: what somebody may not
 * read is not even counted. Sessions never change hands or class, so it stays true; grants are in the question.
 */

export interface SessionFacts {
  id: string;
  number: number;
  person_id: string;
  author: number;
  class: string;
}

export interface SearchFilters {
  session?: number | undefined;
  /** Whose session it is. */
  person?: string | undefined;
  class?: string | undefined;
  /** What it has to stand in. */
  in?: Kind | undefined;
}

/**
 * A class or an id may have characters at which a token ends, and is long for what stands beside each message. Of 48 bits, so
 * that among a thousand classes two are one with a chance of 2 in a thousand million.
 */
const short = (text: string): string => hash('sha256', text).slice(0, 12);
const KIND_TOKENS: Record<Kind, string> = { message: 'im', title: 'it', attachment: 'ia' };
const ofSession = (number: number): string => `s${number}`;
const ofAuthor = (number: number): string => `a${number}`;
const ofPerson = (id: string): string => `p${short(id)}`;
const ofClass = (name: string): string => `c${short(name)}`;
const ofKind = (kind: Kind): string => KIND_TOKENS[kind];

export const scopeTokens = (session: SessionFacts, kind: Kind): string[] => [
  ...[ofSession(session.number), ofAuthor(session.author), ofPerson(session.person_id)],
  ...[ofClass(session.class), ofKind(kind)],
];

/** The expression of FTS5; null: there is nothing that they may read. */
export function matchOf(query: SearchQuery, scope: Scope, filters: SearchFilters): string | null {
  const words = query.wanted.map((term) => `body : ${phrase(term)}`);
  const within = [...readable(scope), ...filtered(filters)];
  if (within.includes(null)) return null;
  const wanted = [...words, ...(within as string[]).map((one) => `scope : ${one}`)];
  const all = `(${wanted.join(') AND (')})`;
  if (query.unwanted.length === 0) return all;
  return `(${all}) NOT (body : (${query.unwanted.map(phrase).join(' OR ')}))`;
}

function readable(scope: Scope): (string | null)[] {
  if (scope === 'all') return [];
  const { own, granted } = scope;
  const ways = granted.map(ofSession);
  if (own !== null) ways.push('author' in own ? ofAuthor(own.author) : ofPerson(own.person_id));
  return [ways.length === 0 ? null : `(${ways.map(quoted).join(' OR ')})`];
}

function filtered({ session, person, class: name, in: kind }: SearchFilters): string[] {
  const tokens: string[] = [];
  if (session !== undefined) tokens.push(ofSession(session));
  if (person !== undefined) tokens.push(ofPerson(person));
  if (name !== undefined) tokens.push(ofClass(name));
  if (kind !== undefined) tokens.push(ofKind(kind));
  return tokens.map(quoted);
}

/** Tokens have no quote in them. */
const quoted = (token: string): string => `"${token}"`;
const phrase = ({ tokens, prefix }: Term): string => `"${tokens.join(' ')}"${prefix ? ' *' : ''}`;
