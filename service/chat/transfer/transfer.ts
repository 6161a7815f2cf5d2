import { z } from 'zod';
import { FINDING, PARTS, ROLE, SESSION_CLASS, SUBJECT_ID, TITLE } from '../shapes.ts';
import { AUTHOR_KINDS, CAUSES, type Author, type Finding } from '../types.ts';

/**
 * The form in which a session goes to another installation, one JSON document a line, in UTF-8:
 *
 *   session       what it is
 *   attachment    a file of the message that follows, then its content in `data` lines
 *   message       in the order of `seq`, from 1 and without a gap
 *   tombstone     in the place of a message that is gone
 *   end           how many there were: a file that was cut lacks it
 *
 * A file may hold several sessions. Members stand in one order, so that an export of an import is the same to the byte.
 */

export const FORMAT = 'build-factory/session/1';
/** Of a file, in one `data` line. */
export const DATA_BYTES = 192 * 1024;

const at = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'Must be a time of UTC with milliseconds.');
const seq = z.int().min(1);
const count = z.int().min(0);
const author = z.strictObject({ kind: z.enum(AUTHOR_KINDS), id: z.string().min(1).max(200) });

const SESSION = z.strictObject({
  ...{ type: z.literal('session'), format: z.literal(FORMAT), id: z.uuid(), title: TITLE.nullable() },
  class: SESSION_CLASS,
  /** Null: whom it is about was erased. */
  subjectId: SUBJECT_ID.nullable(),
  itemId: z.string().min(1).max(200).nullable(),
  ...{ author, version: seq, createdAt: at, updatedAt: at },
});
const ATTACHMENT = z.strictObject({
  ...{ type: z.literal('attachment'), id: z.uuid(), seq, subjectId: SUBJECT_ID, author },
  ...{ name: z.string().max(500).nullable(), mediaType: z.string().min(1).max(200), bytes: count },
  ...{ sha256: z.string().regex(/^[0-9a-f]{64}$/), createdAt: at },
});
const DATA = z.strictObject({ type: z.literal('data'), data: z.base64().min(1) });
const MESSAGE = z.strictObject({
  ...{ type: z.literal('message'), seq, role: ROLE, parts: PARTS, subjectId: SUBJECT_ID, author },
  ...{ createdAt: at, findings: z.array(FINDING).min(1).optional() },
});
const TOMBSTONE = z.strictObject({
  ...{ type: z.literal('tombstone'), seq, role: ROLE, author, createdAt: at },
  ...{ deletedAt: at, deletedBy: z.enum(CAUSES) },
});
const END = z.strictObject({ type: z.literal('end'), messages: count, attachments: count, lastSeq: count });

export const LINE = z.discriminatedUnion('type', [SESSION, ATTACHMENT, DATA, MESSAGE, TOMBSTONE, END]);
export type Line = z.output<typeof LINE>;
export type LineOf<T extends Line['type']> = Extract<Line, { type: T }>;
export type SessionLine = LineOf<'session'>;
export type AttachmentLine = LineOf<'attachment'>;
export type MessageLine = LineOf<'message'>;
export type TombstoneLine = LineOf<'tombstone'>;

/** What a line is made of, before it is text. `foreign` says nothing to others. */
type Plain<T extends Line['type']> = Omit<LineOf<T>, 'type'>;

const by = ({ kind, id }: Pick<Author, 'kind' | 'id'>) => ({ kind, id });

export function sessionLine(line: Omit<Plain<'session'>, 'format'>): string {
  const { id, title, class: kind, subjectId, itemId, version, createdAt, updatedAt } = line;
  const head = { type: 'session', format: FORMAT, id, title, class: kind, subjectId, itemId };
  return JSON.stringify({ ...head, author: by(line.author), version, createdAt, updatedAt });
}

export function attachmentLine(line: Plain<'attachment'>): string {
  const { id, seq: place, subjectId, name, mediaType, bytes, sha256, createdAt } = line;
  const head = { type: 'attachment', id, seq: place, subjectId, author: by(line.author) };
  return JSON.stringify({ ...head, name, mediaType, bytes, sha256, createdAt });
}

export const dataLine = (data: Buffer): string => `{"type":"data","data":"${data.toString('base64')}"}`;

/** `parts`, `subject` and `author` as JSON text: what is stored as such, or comes again and again, is not made anew. */
export function messageLine(line: {
  seq: number;
  role: string;
  parts: string;
  subject: string;
  author: string;
  createdAt: string;
  findings: readonly Finding[];
}): string {
  const { seq: place, role, parts, subject, author: who, createdAt, findings } = line;
  const found = findings.length === 0 ? '' : `,"findings":${JSON.stringify(findings.map(findingOf))}`;
  return `{"type":"message","seq":${place},"role":"${role}","parts":${parts},"subjectId":${subject},"author":${who},"createdAt":"${createdAt}"${found}}`;
}

const findingOf = ({ rule, action, part, start, end }: Finding): Finding => ({
  ...{ rule, action, part, start, end },
});

export const authorText = (author: Pick<Author, 'kind' | 'id'>): string => JSON.stringify(by(author));

export function tombstoneLine(line: Plain<'tombstone'>): string {
  const { seq: place, role, createdAt, deletedAt, deletedBy } = line;
  const head = { type: 'tombstone', seq: place, role, author: by(line.author) };
  return JSON.stringify({ ...head, createdAt, deletedAt, deletedBy });
}

export function endLine({ messages, attachments, lastSeq }: Plain<'end'>): string {
  return JSON.stringify({ type: 'end', messages, attachments, lastSeq });
}
