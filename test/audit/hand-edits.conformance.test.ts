import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { COLUMNS_OUTSIDE_THE_LOG, OUTSIDE_THE_LOG, type VerifyResult } from '../../service/audit/verify.ts';
import { statement, type Build } from '../../service/storage/statement.ts';
import type { Tables } from '../../service/storage/tables.ts';
import { queueFiles, startItems, type ItemsFixture } from '../work-items/service.fixture.ts';

/** Whoever can edit the database may write anything into it; verification reads all of it. */

let home: ItemsFixture;
beforeAll(async () => {
  home = await startItems(queueFiles({ ready: ['wi-A-1', 'wi-A-2'], done: ['wi-A-3'] }));
  const { items, owner, people, tokens } = home;
  const { id } = await people.invite(SYSTEM, { name: 'Pia', role: 'planner' });
  const input = { name: 'desk', roles: ['planner'], personId: id, expires: '1d' };
  const token = await tokens.create(SYSTEM, input);
  await tokens.create(SYSTEM, { ...input, name: 'shelf' });
  await tokens.revoke(SYSTEM, token.id);
  const gone = await people.invite(SYSTEM, { name: 'Gone', role: 'auditor' });
  await people.remove(SYSTEM, gone.id);
  await items.act(owner, 'wi-A-1', 'record-history');
  const planned = await items.act(owner, 'wi-A-1', 'start-execution', { dryRun: true });
  home.clock.advance(60_000);
  await items.act(owner, 'wi-A-1', 'start-execution', { decisionId: planned.result.decisionId });
  await items.act(owner, 'wi-A-2', 'record-history');
  await items.act(owner, 'wi-A-3', 'start-execution').catch(() => undefined);
  await home.audit.integrate();
});
afterAll(() => home.close());

class Undo extends Error {}
class Refused extends Error {}

/** What verification says after an edit; the database is then as before. Rejects with `Refused` for keys that must fit. */
async function after(...edits: Build<unknown>[]): Promise<VerifyResult> {
  let result: VerifyResult | undefined;
  const attack = home.storage.write(async (tx) => {
    for (const edit of edits) {
      await tx.run(statement()(edit), {}).catch((cause: unknown) => {
        throw new Refused('the database refused the edit', { cause });
      });
    }
    result = await home.verifyIn(tx);
    throw new Undo();
  });
  await attack.catch((error: unknown) => {
    if (!(error instanceof Undo)) throw error;
  });
  return result!;
}

const codes = ({ problems }: VerifyResult) => [...new Set(problems.map(({ code }) => code))].sort();

it('finds nothing before', async () => {
  expect(await home.storage.snapshot((reader) => home.verifyIn(reader))).toMatchObject({
    ok: true,
    problems: [],
  });
});

describe('a payload that tells nothing is named', () => {
  it.each(['{}', 'null', '[]', '"text"', 'no JSON', '{"roles":"owner"}', '{"roles":[{}]}', ''])(
    'of a person, of a token, of an item: %s',
    async (payload) => {
      for (const [stream, code] of [
        ['person', 'person-differs'],
        ['token', 'token-differs'],
        ['item', 'events-unfoldable'],
      ] as const) {
        const edit: Build<unknown> = (db) =>
          db.updateTable('events').set({ payload }).where('stream', '=', stream);
        expect(codes(await after(edit))).toEqual(expect.arrayContaining(['event-altered', code]));
      }
    },
  );

  it("swapped with another event's, for each two of them", async () => {
    const events = await home.storage.read.query((db) => db.selectFrom('events').selectAll().orderBy('seq'));
    const set =
      (seq: number, payload: string): Build<unknown> =>
      (db) =>
        db.updateTable('events').set({ payload }).where('seq', '=', seq);
    for (const one of events) {
      for (const other of events) {
        if (one.seq >= other.seq || one.payload === other.payload) continue;
        const result = await after(set(one.seq, other.payload), set(other.seq, one.payload));
        expect(codes(result)).toContain('event-altered');
      }
    }
  });
});

describe('what no event tells in words is found too', () => {
  const appliedPlan = sql<string>`(select id from decisions where outcome = 'planned')`;
  it.each<[string, Build<unknown>, string]>([
    [
      'a snapshot that is given to another item',
      (db) => db.updateTable('history_snapshots').set({ item_id: 'wi-A-3' }).where('item_id', '=', 'wi-A-1'),
      'snapshot-differs',
    ],
    [
      'a snapshot that is dated back',
      (db) => db.updateTable('history_snapshots').set({ created_at: '2020-01-01T00:00:00.000Z' }),
      'snapshot-differs',
    ],
    [
      'a snapshot whose time is written in another way',
      (db) => db.updateTable('history_snapshots').set({ created_at: sql`replace(created_at, 'Z', '')` }),
      'snapshot-differs',
    ],
    [
      'a snapshot of another project',
      (db) => db.updateTable('history_snapshots').set({ project_id: 'other' }),
      'snapshot-differs',
    ],
    [
      'a snapshot that was added',
      (db) =>
        db
          .insertInto('history_snapshots')
          .columns(['seq', 'project_id', 'item_id', 'digest', 'created_at', 'content'])
          .expression((from) =>
            from
              .selectFrom('history_snapshots')
              .select((row) => row.lit(1).as('seq'))
              .select(['project_id', 'item_id', 'digest', 'created_at', 'content'])
              .limit(1),
          ),
      'snapshot-differs',
    ],
    [
      'the plan that was applied gone',
      (db) => db.deleteFrom('decisions').where('id', '=', appliedPlan),
      'plan-missing',
    ],
    [
      'the plan that was applied under another id',
      (db) => db.updateTable('decisions').set({ id: 'other' }).where('id', '=', appliedPlan),
      'plan-missing',
    ],
    [
      'the plan that was applied with another body',
      (db) => db.updateTable('decisions').set({ body: '{}' }).where('id', '=', appliedPlan),
      'decision-altered',
    ],
  ])('%s', async (_, edit, code) => {
    expect(codes(await after(edit))).toContain(code);
  });
});

type Place = { table: keyof Tables; column: string };

/** Every column that holds text, of the tables and columns that the answer does not name as not checked. */
function places(): Place[] {
  const schema = readFileSync('service/storage/schema.sqlite.sql', 'utf8');
  const found = [...schema.matchAll(/^CREATE TABLE (\w+) \(([^;]*)\);/gm)].flatMap(([, table, columns]) =>
    [...columns!.matchAll(/(\w+) text\b/g)].map(([, column]) => ({
      table: table as keyof Tables,
      column: column!,
    })),
  );
  // Of messages it is content, role and place: test/chat/verify.conformance.test.ts.
  return found.filter(
    ({ table, column }) =>
      table !== 'chat_messages' &&
      !OUTSIDE_THE_LOG.includes(table) &&
      !COLUMNS_OUTSIDE_THE_LOG.includes(`${table}.${column}`),
  );
}

/** JSON, JSON with fields that are looked for, and what is no JSON. NUL is what Postgres cannot hold. */
const anyText = fc
  .oneof(
    fc.json(),
    fc
      .dictionary(fc.constantFrom('roles', 'status', 'snapshot', 'record', 'plan', 'type'), fc.jsonValue())
      .map((value) => JSON.stringify(value)),
    fc.string({ unit: 'binary' }),
  )
  .map((text) => text.replaceAll('\0', ''));

it('never throws whatever stands in a text column, and names it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...places()), fc.nat(), anyText, async (place, nth, text) => {
      const { table } = place;
      const column = sql.ref<string | null>(place.column);
      const rows = await home.storage.read.query((db) =>
        db.selectFrom(table).select(column.as('value')).orderBy(column),
      );
      const { value } = rows[nth % rows.length]!;
      if (value === text) return;
      const changed = sql`update ${sql.table(table)} set ${column} = ${text}
        where ${value === null ? sql`${column} is null` : sql`${column} = ${value}`}`;
      const result = await after((db) => ({ compile: () => changed.compile(db) })).catch((error: unknown) => {
        if (error instanceof Refused) return null;
        throw error;
      });
      // A foreign key that the database itself holds cannot be edited by hand either.
      if (result === null) return;
      expect(result.problems, `${table}.${place.column}`).not.toEqual([]);
    }),
    { numRuns: 150 },
  );
});
