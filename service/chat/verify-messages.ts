import { setImmediate as nextTurn } from 'node:timers/promises';
import { decodeLeaf, type AuditLeaf } from '../audit/leaf.ts';
import type { AuditProblem } from '../audit/problems.ts';
import { SeqSet } from '../audit/seq-set.ts';
import { leavesFrom } from '../audit/store.ts';
import { storedObject } from '../audit/stored-json.ts';
import { FactoryError } from '../errors.ts';
import { param, statement } from '../storage/statement.ts';
import type { Reader } from '../storage/transaction.ts';
import { commitmentOf } from './append.ts';
import { decodeParts, messageId, openSealed } from './content.ts';
import type { ChatKeys } from './keys.ts';
import type { MessageRole } from './types.ts';

/**
 * Messages against the log: each has the entry of its append, and its content is what that entry committed to. What was
 * erased has no key and no content to compare; imports have one entry for a session, that says how far it goes.
 */

const PAGE = 256;

type Keys = Pick<ChatKeys, 'byId' | 'digestKey'>;
interface Committed {
  session: string;
  seq: number;
  commitment: string;
  entry: number;
}

const messagesBetween = statement<{ project_id: string; id: string; from: number; to: number }>()((db) =>
  db
    .selectFrom('chat_messages as m')
    .innerJoin('chat_sessions as s', 's.number', 'm.session')
    .leftJoin('chat_subjects as u', 'u.number', 'm.subject')
    .select(['m.number', 'm.seq', 'm.role', 'm.key_id', 'm.row_version', 'm.body', 'm.tool_output'])
    .select('u.id as subject')
    .where('s.project_id', '=', param('project_id'))
    .where('s.id', '=', param('id'))
    .where('m.seq', '>=', param('from'))
    .where('m.seq', '<=', param('to'))
    .orderBy('m.seq'),
);
interface Row {
  number: number;
  seq: number;
  role: string;
  key_id: number;
  row_version: number;
  body: Buffer | null;
  tool_output: Buffer | null;
  subject: string | null;
}

const placesAfter = statement<{ after: number }>()((db) =>
  db
    .selectFrom('chat_messages as m')
    .innerJoin('chat_sessions as s', 's.number', 'm.session')
    .select(['m.number', 'm.seq', 's.id', 's.deleted_by'])
    .where('m.number', '>', param('after'))
    .orderBy('m.number')
    .limit(PAGE),
);

const payloadsOf = statement<{ project_id: string; stream: string; type: string }>()((db) =>
  db
    .selectFrom('events')
    .select(['stream_id', 'payload'])
    .where('project_id', '=', param('project_id'))
    .where('stream', '=', param('stream'))
    .where('type', '=', param('type'))
    .orderBy('seq'),
);

/** With a session its messages go, and nothing is left of them. */
const deletedSession = statement<{ project_id: string; id: string }>()((db) =>
  db
    .selectFrom('chat_sessions')
    .select('number')
    .where('project_id', '=', param('project_id'))
    .where('id', '=', param('id'))
    .where('deleted_at', 'is not', null),
);
const isDeleted = async (reader: Reader, project_id: string, id: string): Promise<boolean> =>
  (await reader.get(deletedSession, { project_id, id })) !== undefined;

/** What is wrong with messages. `keys`: null where they are not at hand; content is not compared then. */
export async function verifyMessages(
  reader: Reader,
  projectId: string,
  keys: Keys | null,
): Promise<AuditProblem[]> {
  const problems: AuditProblem[] = [];
  const released = await releasedIn(reader, projectId);
  const seen = new SeqSet();
  for await (const page of committedIn(reader)) {
    const rows = await rowsOf(reader, projectId, page);
    for (const one of page) {
      const id = messageId(one.session, one.seq);
      const row = rows.get(id);
      if (row === undefined) {
        if (!(await isDeleted(reader, projectId, one.session))) problems.push(missing(one));
      } else {
        seen.add(row.number);
        const commitment = released.get(id) ?? one.commitment;
        if (keys !== null && !isSame(keys, row, { ...one, commitment })) problems.push(altered(one));
      }
    }
  }
  return [...problems, ...(await withoutEntry(reader, projectId, seen))];
}

/** Of each page of the log: what its entries say of messages. What is malformed is found elsewhere. */
async function* committedIn(reader: Reader): AsyncGenerator<Committed[]> {
  for (let from = 0; ;) {
    const entries = await reader.all(leavesFrom, { from, limit: PAGE });
    yield entries.flatMap(({ seq: entry, leaf }) => {
      const { object, message } = leafOf(leaf) ?? {};
      return message && object?.kind === 'session' ? [{ ...message, session: object.id, entry }] : [];
    });
    if (entries.length < PAGE) return;
    from = entries.at(-1)!.seq + 1;
    await nextTurn();
  }
}

function leafOf(text: string): AuditLeaf | null {
  try {
    return decodeLeaf(text);
  } catch {
    return null;
  }
}

/** The rows that a page speaks of, by the ids of messages. Those of a session lie close together. */
async function rowsOf(
  reader: Reader,
  project_id: string,
  page: readonly Committed[],
): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  for (const [id, places] of Map.groupBy(page, ({ session }) => session))
    for (const { from, to } of rangesOf(places.map(({ seq }) => seq)))
      for (const row of await reader.all(messagesBetween, { project_id, id, from, to }))
        rows.set(messageId(id, row.seq), row);
  return rows;
}

/** Numbers as ranges without large holes. */
function rangesOf(numbers: readonly number[]): { from: number; to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  for (const seq of [...numbers].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && seq - last.to <= PAGE) last.to = seq;
    else ranges.push({ from: seq, to: seq });
  }
  return ranges;
}

/** Whether the content is what was committed to, as far as it is there and its keys are. */
function isSame(keys: Keys, row: Row, { session, seq, commitment }: Committed): boolean {
  if (row.body === null || row.subject === null) return true;
  try {
    const plain = openSealed(keys, session, row);
    const input = { role: row.role as MessageRole };
    const found = commitmentOf(keys.digestKey(row.subject), session, seq, { plain, input });
    return found === commitment || (plain.toolOutput === null && lacksOutput(plain.body));
  } catch (error) {
    if (error instanceof FactoryError) return GONE.has(error.code);
    throw error;
  }
}

const GONE = new Set(['content-key-gone', 'subject-key-gone']);

/** Retention takes outputs of tools away, and what is left cannot be told from what was committed to. */
const lacksOutput = (body: Buffer): boolean =>
  decodeParts(body, null).some((part) => part.type === 'tool-result' && part.output === undefined);

/** What was let in from quarantine was committed to anew. By the ids of messages. */
async function releasedIn(reader: Reader, project_id: string): Promise<Map<string, string>> {
  const rows = await reader.all(payloadsOf, {
    ...{ project_id, stream: 'governance', type: 'quarantine-released' },
  });
  return new Map(
    rows.flatMap(({ payload }) => {
      const { session, seq, commitment } = storedObject(payload) ?? {};
      if (typeof commitment !== 'string') return [];
      return [[messageId(String(session), Number(seq)), commitment] as const];
    }),
  );
}

/** Rows that no entry speaks of, and that no import brought. */
async function withoutEntry(reader: Reader, project_id: string, seen: SeqSet): Promise<AuditProblem[]> {
  const problems: AuditProblem[] = [];
  const imported = new Map(
    (await reader.all(payloadsOf, { project_id, stream: 'session', type: 'session-imported' })).map(
      ({ stream_id, payload }) => [stream_id, Number(storedObject(payload)?.['lastSeq'] ?? 0)],
    ),
  );
  for (let after = 0; ;) {
    const rows = await reader.all(placesAfter, { after });
    for (const { number, seq, id, deleted_by } of rows) {
      // An import that is under way is nobody's yet.
      if (deleted_by === 'import' || seen.has(number) || seq <= (imported.get(id) ?? 0)) continue;
      problems.push({
        code: 'message-without-entry',
        message: `Message ${messageId(id, seq)} has no entry in the log.`,
        hint: 'Its row was not written by the service, or its entry was removed.',
      });
    }
    if (rows.length < PAGE) return problems;
    after = rows.at(-1)!.number;
    await nextTurn();
  }
}

function missing({ session, seq, entry }: Committed): AuditProblem {
  return {
    code: 'message-missing',
    message: `Message ${messageId(session, seq)}, which entry ${entry} records, has no row, not even that of a deleted one.`,
    seq: entry,
    hint: 'The row was removed from chat_messages. A backup from before has it.',
  };
}

function altered({ session, seq, entry }: Committed): AuditProblem {
  return {
    code: 'message-altered',
    message: `Message ${messageId(session, seq)} is not what entry ${entry} committed to.`,
    seq: entry,
    hint: 'Its row in chat_messages was changed. A backup from before has the original.',
  };
}
