import type { KeyObject } from 'node:crypto';
import { open, seal, type Place } from '../keys/crypto.ts';
import { isKeyGone, type ChatKeys } from '../keys/keys.ts';
import type { MessageRow, SessionRow } from '../store.ts';
import type { Json, MessageView, Part } from '../types.ts';

/**
 * How parts of a message become sealed values and back. Outputs of tools lie apart from the rest, because they have a
 * retention of their own. JSON text keeps what came, NUL and half surrogate pairs too.
 */

export interface Plain {
  /** Parts; outputs of tools are left out. */
  body: Buffer;
  /** Outputs by the index of their part; null: there is none. */
  toolOutput: Buffer | null;
}

/** Of parts, before a place in the session is known. */
export function encodeParts(parts: readonly Part[]): Plain {
  const outputs: [number, Json][] = [];
  const kept = parts.map((part, index) => {
    if (part.type !== 'tool-result' || part.output === undefined) return part;
    outputs.push([index, part.output]);
    const { output: _, ...rest } = part;
    return rest;
  });
  return {
    body: Buffer.from(JSON.stringify(kept)),
    toolOutput: outputs.length === 0 ? null : Buffer.from(JSON.stringify(outputs)),
  };
}

export function decodeParts(body: Buffer, toolOutput: Buffer | null): Part[] {
  const parts = JSON.parse(body.toString('utf8')) as Part[];
  if (toolOutput === null) return parts;
  for (const [index, output] of JSON.parse(toolOutput.toString('utf8')) as [number, Json][]) {
    const part = parts[index];
    if (part?.type !== 'tool-result') continue;
    const { type, toolCallId, name, ...rest } = part;
    parts[index] = { type, toolCallId, name, output, ...rest };
  }
  return parts;
}

/** Ids of messages are made of their place, which never changes: no id has to be stored, and none can be guessed wrong. */
export const messageId = (session: string, seq: number): string => `${session}.${seq}`;

/** The place that an id names in a session; null: it names none. */
export function seqOf(session: string, id: string): number | null {
  if (!id.startsWith(`${session}.`)) return null;
  const text = id.slice(session.length + 1);
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : null;
}

type Where = { session: string; seq: number; version: number };

const placeOf = (column: 'body' | 'tool_output', { session, seq, version }: Where): Place => ({
  ...{ column: `chat_messages.${column}`, id: messageId(session, seq), session, seq, version },
});

export function sealParts(
  key: KeyObject,
  where: Where,
  { body, toolOutput }: Plain,
): { body: Buffer; tool_output: Buffer | null } {
  return {
    body: seal(key, placeOf('body', where), body),
    tool_output: toolOutput && seal(key, placeOf('tool_output', where), toolOutput),
  };
}

/** What was sealed, as it was. Errors: as of `openParts`. */
export function openSealed(
  keys: Pick<ChatKeys, 'byId'>,
  session: string,
  { key_id, seq, row_version, body, tool_output }: Omit<Sealed, 'tool_binned_at'>,
): Plain {
  const key = keys.byId(key_id);
  const where = { session, seq, version: row_version };
  return {
    body: open(key, placeOf('body', where), body ?? Buffer.alloc(0)),
    toolOutput: tool_output && open(key, placeOf('tool_output', where), tool_output),
  };
}

type Sealed = Pick<MessageRow, 'key_id' | 'seq' | 'row_version' | 'body' | 'tool_output' | 'tool_binned_at'>;

/** The parts as the JSON text that they are stored as, where nothing has to be put into it. Errors: as of `openParts`. */
export function partsText(keys: ChatKeys, session: string, row: Sealed): string {
  if (row.tool_output) return JSON.stringify(openParts(keys, session, row));
  const where = { session, seq: row.seq, version: row.row_version };
  return open(keys.byId(row.key_id), placeOf('body', where), row.body ?? Buffer.alloc(0)).toString('utf8');
}

/** Without outputs that lie in the bin. Errors: `content-not-sealed`, `content-unreadable`, `content-key-gone`. */
export function openParts(keys: Pick<ChatKeys, 'byId'>, session: string, row: Sealed): Part[] {
  const key = keys.byId(row.key_id);
  const where = { session, seq: row.seq, version: row.row_version };
  const output = row.tool_binned_at === null ? row.tool_output : null;
  return decodeParts(
    open(key, placeOf('body', where), row.body ?? Buffer.alloc(0)),
    output && open(key, placeOf('tool_output', where), output),
  );
}

/** One message whose key is gone does not hide the others. */
export function readableParts(
  keys: Pick<ChatKeys, 'byId' | 'lostAt'>,
  session: string,
  row: Sealed,
): Pick<MessageView, 'parts' | 'unreadable' | 'keysLostAt'> {
  try {
    return { parts: openParts(keys, session, row) };
  } catch (error) {
    if (!isKeyGone(error)) throw error;
    const keysLostAt = keys.lostAt(row.key_id);
    return { parts: [], unreadable: true, ...(keysLostAt === null ? {} : { keysLostAt }) };
  }
}

/** The same content under another key, in the next version of its row. Errors: as of `openParts`. */
export function resealParts(
  keys: ChatKeys,
  session: string,
  row: Omit<Sealed, 'tool_binned_at'>,
  next: KeyObject,
): { body: Buffer; tool_output: Buffer | null } {
  const where = { session, seq: row.seq, version: row.row_version + 1 };
  return sealParts(next, where, openSealed(keys, session, row));
}

const placeOfTitle = (session: string, version: number): Place => ({
  ...{ column: 'chat_sessions.title', id: session, session, seq: 0, version },
});

export function sealTitle(key: KeyObject, session: string, version: number, title: string): Buffer {
  return seal(key, placeOfTitle(session, version), Buffer.from(JSON.stringify(title)));
}

export function openTitle(key: KeyObject, session: string, version: number, title: Buffer): string {
  return JSON.parse(open(key, placeOfTitle(session, version), title).toString('utf8')) as string;
}

/** One title whose key is gone does not hide the others. Null: it is. */
export function titleOrNull(
  keys: Pick<ChatKeys, 'byId'>,
  { id, key_id, row_version, title }: Pick<SessionRow, 'id' | 'key_id' | 'row_version'> & { title: Buffer },
): string | null {
  try {
    return openTitle(keys.byId(key_id), id, row_version, title);
  } catch (error) {
    if (isKeyGone(error)) return null;
    throw error;
  }
}

/** UTF-8 bytes of what people or tools wrote in a message. */
export function sizeOf({ body, toolOutput }: Plain): number {
  return body.length + (toolOutput?.length ?? 0);
}
