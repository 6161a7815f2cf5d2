import { fields, plain, table } from './layout.ts';

/** Sessions and messages as text. */

export interface Session {
  id: string;
  title: string | null;
  class: string;
  subjectId: string | null;
  itemId: string | null;
  author: { kind: string; id: string };
  messages: number;
  bytes: number;
  createdAt: string;
  updatedAt: string;
}
export interface SessionPage {
  sessions: Session[];
  nextCursor: string | null;
}
interface Part {
  type: string;
  text?: string;
  name?: string;
  attachmentId?: string;
  [member: string]: unknown;
}
export interface MessagePage {
  messages: {
    seq: number;
    role: string;
    createdAt: string;
    parts: Part[];
    unreadable?: true;
    keysLostAt?: string;
  }[];
  /** Places of messages that were deleted. */
  gone: { from: number; to: number }[];
  nextCursor: string | null;
}

export interface SearchPage {
  results: {
    in: string;
    sessionId: string;
    messageId: string | null;
    role: string | null;
    attachment: { name: string | null } | null;
    createdAt: string;
    snippet: string;
  }[];
  nextCursor: string | null;
  complete: boolean;
}

/** What became of what was sent. */
export interface Screened {
  findings?: { rule: string; action: string; part: number; start: number; end: number }[];
  quarantineId?: string;
}

const BECAME: Record<string, string> = {
  redact: 'taken out before it was kept',
  quarantine: 'held back until people decide',
};

/** Each thing that was found, by its rule, and where it waits. */
export function foundText({ findings = [], quarantineId }: Screened, file?: string): string[] {
  const lines = findings.map(({ rule, action, part }) => {
    const where = file === undefined ? `part ${part}` : plain(file);
    return `Found ${rule} in ${where}: ${BECAME[action] === undefined ? action : `${action}, ${BECAME[action]}`}`;
  });
  if (quarantineId !== undefined)
    lines.push(`In quarantine as ${quarantineId}: npx factory governance quarantine show ${quarantineId}`);
  return lines;
}

export function hitsText(hits: SearchPage['results']): string {
  if (hits.length === 0) return 'Nothing found.';
  return hits
    .map(({ sessionId, messageId, role, attachment, createdAt, snippet }) => {
      const text = plain(snippet).replaceAll(/\s+/g, ' ').trim();
      const file = attachment && `  file ${plain(attachment.name ?? 'without a name')}`;
      return `${messageId ?? sessionId}  ${role ?? 'title'}${file ?? ''}  ${createdAt}\n  ${text}`;
    })
    .join('\n\n');
}

export function sessionsText(sessions: readonly Session[], room: number | null): string {
  if (sessions.length === 0) return 'No sessions.';
  const rows = sessions.map(({ id, class: kind, messages, updatedAt, title, subjectId }) => [
    ...[id, kind, String(messages), updatedAt, title ?? (subjectId === null ? '(withheld)' : '-')],
  ]);
  return table(['ID', 'CLASS', 'MESSAGES', 'CHANGED', 'TITLE'], rows, room);
}

/** Whoever may not read a session is told neither its title nor its subject. */
const WITHHELD = 'withheld: not yours to read';

export function sessionText(session: Session): string {
  const rows: [string, string | number | null][] = [
    ['ID', session.id],
    ['Class', session.class],
    ['Subject', session.subjectId === null ? WITHHELD : plain(session.subjectId)],
    ['Work item', session.itemId],
    ['Begun by', `${session.author.kind} ${session.author.id}`],
    ['Messages', session.messages],
    ['Bytes', session.bytes],
    ['Begun', session.createdAt],
    ['Changed', session.updatedAt],
  ];
  return `${plain(session.title ?? (session.subjectId === null ? `Title ${WITHHELD}` : 'Without a title'))}\n\n${fields(rows)}`;
}

export function messagesText({ messages, gone }: Pick<MessagePage, 'messages' | 'gone'>): string {
  const all = [
    ...messages.map((message) => ({ seq: message.seq, text: messageText(message) })),
    ...gone.map(({ from, to }) => ({
      seq: from,
      text: from === to ? `Message ${from} was deleted` : `Messages ${from} to ${to} were deleted`,
    })),
  ];
  if (all.length === 0) return 'No messages.';
  return all
    .sort((one, other) => one.seq - other.seq)
    .map(({ text }) => text)
    .join('\n\n');
}

function messageText({ seq, role, createdAt, parts, ...lost }: MessagePage['messages'][number]): string {
  const said = lost.unreadable ? [unreadableText(lost)] : parts.map(partText);
  return [`${seq}  ${role}  ${createdAt}`, ...said].join('\n');
}

const unreadableText = ({ keysLostAt }: { keysLostAt?: string }): string =>
  keysLostAt === undefined
    ? 'This message cannot be read any more: its key is gone.'
    : `This message cannot be read any more: its key was in the keyring that was given up as lost ${keysLostAt}.`;

function partText({ type, ...part }: Part): string {
  if (type === 'text') return plain(part.text ?? '');
  if (type === 'attachment') return plain(`[attachment ${part.attachmentId ?? ''} ${part.name ?? ''}]`);
  const { name = '', toolCallId: _, ...rest } = part;
  return plain(`[${type} ${name}] ${JSON.stringify(rest)}`);
}
