import type { Insertable, Selectable } from 'kysely';
import { param, statement } from '../../storage/statement.ts';
import type { Tables } from '../../storage/tables.ts';
import type { Reader } from '../../storage/transaction.ts';
import type { StepKind } from './retention.ts';

/** The queries of retention: plans, and the bin. */

export type PlanRow = Selectable<Tables['chat_plans']>;
type Scoped<T> = T & { project_id: string };
type Places = { session: number; from: number; to: number };

export const plans = {
  insert: statement<Insertable<Tables['chat_plans']>>()((db) =>
    db.insertInto('chat_plans').values({
      project_id: param('project_id'),
      id: param('id'),
      digest: param('digest'),
      state: param('state'),
      created_by: param('created_by'),
      created_at: param('created_at'),
      progress: param('progress'),
      document: param('document'),
    }),
  ),
  byId: statement<Scoped<{ id: string }>>()((db) =>
    db
      .selectFrom('chat_plans')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
  /** The run that put something into the bin, by the time that both have. */
  appliedAt: statement<Scoped<{ at: string }>>()((db) =>
    db
      .selectFrom('chat_plans')
      .select('id')
      .where('project_id', '=', param('project_id'))
      .where('applied_at', '=', param('at')),
  ),
  /** Without what they are about. */
  stateOf: statement<Scoped<{ id: string }>>()((db) =>
    db
      .selectFrom('chat_plans')
      .select(['state', 'progress', 'applied_at'])
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
  /** Nothing changes where it is in another state. */
  move: statement<
    Scoped<{ id: string; from: string; to: string; applied_at: string | null; progress: string }>
  >()((db) =>
    db
      .updateTable('chat_plans')
      .set({ state: param('to'), applied_at: param('applied_at'), progress: param('progress') })
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id'))
      .where('state', '=', param('from')),
  ),
  unfinished: statement<Scoped<object>>()((db) =>
    db
      .selectFrom('chat_plans')
      .select('id')
      .where('project_id', '=', param('project_id'))
      .where('state', '=', 'applying')
      .orderBy('id'),
  ),
};

export const sessionsAfter = statement<Scoped<{ after: number; limit: number }>>()((db) =>
  db
    .selectFrom('chat_sessions')
    .selectAll()
    .where('project_id', '=', param('project_id'))
    .where('deleted_at', 'is', null)
    .where('number', '>', param('after'))
    .orderBy('number')
    .limit(param('limit')),
);

/** Into the bin (`at`), and out of it again what was put there at that time. */
export const bin = {
  session: statement<{ number: number; at: string }>()((db) =>
    db
      .updateTable('chat_sessions')
      .set((e) => ({ binned_at: param('at'), version: e('version', '+', 1) }))
      .where('number', '=', param('number'))
      .where('deleted_at', 'is', null)
      .where('binned_at', 'is', null),
  ),
  messages: statement<Places & { at: string }>()((db) =>
    db
      .updateTable('chat_messages')
      .set({ binned_at: param('at') })
      .where('session', '=', param('session'))
      .where('seq', '>=', param('from'))
      .where('seq', '<=', param('to'))
      .where('deleted_at', 'is', null)
      .where('binned_at', 'is', null),
  ),
  outputs: statement<Places & { at: string }>()((db) =>
    db
      .updateTable('chat_messages')
      .set({ tool_binned_at: param('at') })
      .where('session', '=', param('session'))
      .where('seq', '>=', param('from'))
      .where('seq', '<=', param('to'))
      .where('tool_output', 'is not', null)
      .where('tool_binned_at', 'is', null),
  ),
  file: statement<{ number: number; at: string }>()((db) =>
    db
      .updateTable('chat_attachments')
      .set({ binned_at: param('at') })
      .where('number', '=', param('number')),
  ),
};

export const unbin = {
  session: statement<{ number: number; at: string }>()((db) =>
    db
      .updateTable('chat_sessions')
      .set((e) => ({ binned_at: null, version: e('version', '+', 1) }))
      .where('number', '=', param('number'))
      .where('binned_at', '=', param('at')),
  ),
  binned: statement<{ session: number; at: string }>()((db) =>
    db
      .selectFrom('chat_messages')
      .select(['seq', 'bytes'])
      .where('session', '=', param('session'))
      .where('binned_at', '=', param('at')),
  ),
  messages: statement<{ session: number; at: string }>()((db) =>
    db
      .updateTable('chat_messages')
      .set({ binned_at: null })
      .where('session', '=', param('session'))
      .where('binned_at', '=', param('at')),
  ),
  outputs: statement<{ session: number; at: string }>()((db) =>
    db
      .updateTable('chat_messages')
      .set({ tool_binned_at: null })
      .where('session', '=', param('session'))
      .where('tool_binned_at', '=', param('at')),
  ),
  files: statement<{ session: number; at: string }>()((db) =>
    db
      .updateTable('chat_attachments')
      .set({ binned_at: null })
      .where('session', '=', param('session'))
      .where('binned_at', '=', param('at')),
  ),
};

/** Runs that may have left something in the bin, the newest first. */
export async function binnedIn(
  reader: Reader,
  projectId: string,
): Promise<{ id: string; state: string; at: string }[]> {
  const rows = await reader.query((db) =>
    db
      .selectFrom('chat_plans')
      .select(['id', 'state', 'applied_at'])
      .where('project_id', '=', projectId)
      .where('state', 'in', ['applying', 'applied'])
      .where('applied_at', 'is not', null)
      .orderBy('applied_at', 'desc')
      .orderBy('id', 'desc'),
  );
  return rows.map(({ id, state, applied_at }) => ({ id, state, at: applied_at ?? '' }));
}

export interface BinCount {
  class: string;
  kind: StepKind;
  items: number;
  messages: number;
  bytes: number;
}

interface InBin {
  projectId: string;
  at: string;
  /** Ids of sessions. */
  ids: readonly string[];
}

/** What was put into the bin at a time and is still there, of one kind and of these sessions, by class. */
export async function inBin(reader: Reader, kind: StepKind, of: InBin): Promise<BinCount[]> {
  return (await IN_BIN[kind](reader, of)).map((one) => countOf(kind, one));
}

const IN_BIN: Record<StepKind, (reader: Reader, of: InBin) => Promise<Summed[]>> = {
  session: (reader, { projectId, at, ids }) =>
    reader.query((db) =>
      db
        .selectFrom('chat_sessions as s')
        .where('s.project_id', '=', projectId)
        .where('s.id', 'in', ids)
        .where('s.binned_at', '=', at)
        .groupBy('s.class')
        .select((e) => [
          's.class',
          ...([e.fn.countAll().as('items'), e.fn.sum('s.messages').as('messages')] as const),
          e.fn.sum('s.bytes').as('bytes'),
        ]),
    ),
  message: (reader, { projectId, at, ids }) =>
    reader.query((db) =>
      db
        .selectFrom('chat_sessions as s')
        .innerJoin('chat_messages as m', 'm.session', 's.number')
        .where('s.project_id', '=', projectId)
        .where('s.id', 'in', ids)
        .where('m.binned_at', '=', at)
        .groupBy('s.class')
        .select((e) => ['s.class', e.fn.countAll().as('items'), e.fn.sum('m.bytes').as('bytes')]),
    ),
  toolOutput: (reader, { projectId, at, ids }) =>
    reader.query((db) =>
      db
        .selectFrom('chat_sessions as s')
        .innerJoin('chat_messages as m', 'm.session', 's.number')
        .where('s.project_id', '=', projectId)
        .where('s.id', 'in', ids)
        .where('m.tool_binned_at', '=', at)
        .groupBy('s.class')
        .select((e) => [
          's.class',
          e.fn.countAll().as('items'),
          e.fn.sum(e.fn<number>('length', ['m.tool_output'])).as('bytes'),
        ]),
    ),
  attachment: (reader, { projectId, at, ids }) =>
    reader.query((db) =>
      db
        .selectFrom('chat_sessions as s')
        .innerJoin('chat_attachments as a', 'a.session', 's.number')
        .where('s.project_id', '=', projectId)
        .where('s.id', 'in', ids)
        .where('a.binned_at', '=', at)
        .groupBy('s.class')
        .select((e) => ['s.class', e.fn.countAll().as('items'), e.fn.sum('a.bytes').as('bytes')]),
    ),
};

type Summed = { class: string; items: unknown; messages?: unknown; bytes: unknown };

/** Postgres gives sums of large numbers as text. */
function countOf(kind: StepKind, { class: of, items, messages = 0, bytes }: Summed): BinCount {
  const [count, inside, size] = [items, messages, bytes].map((value) => Number(value ?? 0));
  return { class: of, kind, items: count ?? 0, messages: inside ?? 0, bytes: size ?? 0 };
}
