import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AuditLeaf } from '../../audit/leaf.ts';
import type { AuditProblem, Problems } from '../../audit/problems.ts';
import { SeqSet } from '../../audit/seq-set.ts';
import { storedObject } from '../../audit/stored-json.ts';
import type { EntryCheck } from '../../audit/verify.ts';
import { runs } from '../../audit/verify-rows.ts';
import { FactoryError } from '../../errors.ts';
import { param, statement } from '../../storage/statement.ts';
import type { Reader } from '../../storage/transaction.ts';
import { commitmentOf } from './put.ts';
import { decodeParts, messageId, openSealed } from './content.ts';
import { isKeyGone, type ChatKeys } from '../keys/keys.ts';
import type { MessageRole } from '../types.ts';

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

const deletedSession = statement<{ project_id: string; id: string }>()((db) =>
  db
    .selectFrom('chat_sessions')
    .select('number')
    .where('project_id', '=', param('project_id'))
    .where('id', '=', param('id'))
    .where('deleted_at', 'is not', null),
);
/** `keys`: null where they are not at hand; content is not compared then. */
export class MessageCheck implements EntryCheck {
  readonly #reader: Reader;
  readonly #problems: Problems;
  readonly #projectId: string;
  readonly #keys: Keys | null;
  readonly #seen = new SeqSet();
  #released: Map<string, string> | null = null;

  constructor(reader: Reader, problems: Problems, projectId: string, keys: Keys | null) {
    this.#reader = reader;
    this.#problems = problems;
    this.#projectId = projectId;
    this.#keys = keys;
  }

  async page(entries: { seq: number; leaf: AuditLeaf }[]): Promise<void> {
    const page = entries.flatMap(({ seq: entry, leaf: { object, message } }) =>
      message && object?.kind === 'session' ? [{ ...message, session: object.id, entry }] : [],
    );
    this.#released ??= await releasedIn(this.#reader, this.#projectId);
    const rows = await rowsOf(this.#reader, this.#projectId, page);
    for (const one of page) {
      const id = messageId(one.session, one.seq);
      const row = rows.get(id);
      if (row === undefined) {
        if (!(await this.#isDeleted(one.session))) this.#problems.add(missing(one));
        continue;
      }
      this.#seen.add(row.number);
      const commitment = this.#released.get(id) ?? one.commitment;
      if (this.#keys !== null && !isSame(this.#keys, row, { ...one, commitment }))
        this.#problems.add(altered(one));
    }
  }

  /** Rows that no entry speaks of, and that no import brought. */
  async finish(): Promise<void> {
    const of = { project_id: this.#projectId, stream: 'session', type: 'session-imported' };
    const imported = new Map(
      (await this.#reader.all(payloadsOf, of)).map(({ stream_id, payload }) => [
        stream_id,
        Number(storedObject(payload)?.['lastSeq'] ?? 0),
      ]),
    );
    for (let after = 0; ;) {
      const rows = await this.#reader.all(placesAfter, { after });
      for (const { number, seq, id, deleted_by } of rows)
        // An import that is under way is nobody's yet.
        if (deleted_by !== 'import' && !this.#seen.has(number) && seq > (imported.get(id) ?? 0))
          this.#problems.add(withoutEntry(messageId(id, seq)));
      if (rows.length < PAGE) return;
      after = rows.at(-1)!.number;
      await nextTurn();
    }
  }

  /** With a session its messages go, and nothing is left of them. */
  async #isDeleted(id: string): Promise<boolean> {
    return (await this.#reader.get(deletedSession, { project_id: this.#projectId, id })) !== undefined;
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
    for (const { from, to } of runs(places.map(({ seq }) => seq).sort((a, b) => a - b)))
      for (const row of await reader.all(messagesBetween, { project_id, id, from, to }))
        rows.set(messageId(id, row.seq), row);
  return rows;
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
    if (error instanceof FactoryError) return isKeyGone(error);
    throw error;
  }
}

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

function withoutEntry(id: string): AuditProblem {
  return {
    code: 'message-without-entry',
    message: `Message ${id} has no entry in the log.`,
    hint: 'Its row was not written by the service, or its entry was removed.',
  };
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
