import type { Headroom } from './quotas.ts';

/**
 * The words of conversations, one line each, before their types.
 *
 * session      one conversation: messages in the order of `seq`, a title, a class
 * message      one contribution of a role; its parts are what was said, called, answered or attached
 * seq          place of a message in its session, from 1, without a gap, given when it is written
 * subject      whom content is about, by a free name; erasure and quotas go by it
 * class        what sort of session it is; policies go by it
 * author       the person or token that wrote
 * tombstone    what is left of a message that is gone: its place, when it went, and why
 * hold         keeps what it covers from every deletion until it is released
 * grant        lets somebody read a session that is not theirs, until a time
 */

export const ROLES_OF_MESSAGES = ['user', 'assistant', 'system', 'tool'] as const;
export type MessageRole = (typeof ROLES_OF_MESSAGES)[number];

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export interface TextPart {
  type: 'text';
  text: string;
}
export interface ToolCallPart {
  type: 'tool-call';
  toolCallId: string;
  name: string;
  /** What the tool was called with, under the name that the sender uses. */
  arguments?: Json | undefined;
  input?: Json | undefined;
}
export interface ToolResultPart {
  type: 'tool-result';
  toolCallId: string;
  name: string;
  /** Absent: removed by retention. */
  output?: Json | undefined;
  isError?: boolean | undefined;
}
export interface AttachmentPart {
  type: 'attachment';
  attachmentId: string;
  name?: string | undefined;
  mediaType?: string | undefined;
}
export type Part = TextPart | ToolCallPart | ToolResultPart | AttachmentPart;

/** A file of a session, without its content. */
export interface Attachment {
  id: string;
  bytes: number;
  /** Of its content, hex. */
  sha256: string;
  mediaType: string;
  /** Null: none was given. */
  name: string | null;
  createdAt: string;
}

/** `bytes` and `sha256` are of what was sent, also where it is held back. */
export interface AddedAttachment extends Attachment {
  findings?: Finding[];
  /** It waits in quarantine under this id. */
  quarantineId?: string;
}

export interface MessageInput {
  role: MessageRole;
  parts: Part[];
  /** Whom it is about; absent: as its session. */
  subjectId?: string | undefined;
}

/** Something sensitive that was found; never the text itself. Positions are UTF-16 units of the part's text. */
export interface Finding {
  rule: string;
  action: 'allow' | 'redact' | 'quarantine' | 'block';
  /** Index of the part. */
  part: number;
  start: number;
  end: number;
}

/** Why something is gone. */
export const CAUSES = ['person', 'retention', 'erasure'] as const;
export type Cause = (typeof CAUSES)[number];

export const AUTHOR_KINDS = ['person', 'token'] as const;

export interface Author {
  kind: (typeof AUTHOR_KINDS)[number];
  id: string;
  /** Of another installation: it came by an import. */
  foreign?: true;
}

export interface SessionView {
  id: string;
  /** Null: none was given, or it is not for the reader. */
  title: string | null;
  class: string;
  /** Null: not for the reader. */
  subjectId: string | null;
  itemId: string | null;
  author: Author;
  messages: number;
  lastSeq: number;
  bytes: number;
  version: number;
  createdAt: string;
  updatedAt: string;
  /** When the keyring with its key was given up as lost: its title and what was said until then cannot be read. */
  keysLostAt?: string;
}

export interface MessageView {
  id: string;
  seq: number;
  role: MessageRole;
  parts: Part[];
  subjectId: string;
  author: Author;
  createdAt: string;
  findings?: Finding[];
  /** There without its content: the key is gone, with a deletion that a restored database does not know, or with a keyring. */
  unreadable?: true;
  /** When the keyring with its key was given up as lost. */
  keysLostAt?: string;
}

export interface Tombstone {
  id: string;
  seq: number;
  role: MessageRole;
  deletedAt: string;
  deletedBy: Cause;
}

export interface AppendAnswer {
  id: string;
  seq: number;
  createdAt: string;
  findings?: Finding[];
  /** What waits for a decision, while a placeholder stands in the session. */
  quarantineId?: string;
  replayed: boolean;
  /** Of the quotas that are in force; of a message that was there before, none. */
  headroom: Headroom[];
}
