import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql } from 'kysely';
import { SYSTEM } from '../../service/audit/events.ts';
import type { VerifyResult } from '../../service/audit/verify.ts';
import { statement, type Build } from '../../service/storage/statement.ts';
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

/** What verification says after an edit; the database is then as before. */
async function after(...edits: Build<unknown>[]): Promise<VerifyResult> {
  let result: VerifyResult | undefined;
  const attack = home.storage.write(async (tx) => {
    for (const edit of edits) await tx.run(statement()(edit), {});
    result = await home.verifyIn(tx);
    throw new Undo();
  });
  await expect(attack).rejects.toBeInstanceOf(Undo);
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

/** Every column that holds text, but those of tables that the answer names as not checked. */
const TEXTS = {
  audit_entries: ['leaf'],
  events: ['project_id', 'stream', 'stream_id', 'type', 'payload', 'actor', 'at'],
  decisions: [
    ...['id', 'project_id', 'item_id', 'identity', 'principal', 'outcome', 'commitment', 'at', 'body'],
  ],
  work_items: [
    ...['id', 'lane', 'title', 'work_type', 'search', 'supersedes', 'handoff_state', 'holder_id'],
    ...['created_at', 'updated_at', 'document'],
  ],
  history_snapshots: ['digest', 'content'],
  people: ['name', 'roles', 'status', 'created_at', 'updated_at'],
  tokens: ['name', 'roles', 'hash', 'expires_at', 'revoked_at', 'created_at', 'updated_at'],
} as const;

type Place = {
  [T in keyof typeof TEXTS]: { table: T; column: (typeof TEXTS)[T][number] };
}[keyof typeof TEXTS];

const places = Object.entries(TEXTS).flatMap(([table, columns]) =>
  columns.map((column) => ({ table, column }) as Place),
);

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
    fc.asyncProperty(fc.constantFrom(...places), fc.nat(), anyText, async ({ table, column }, nth, text) => {
      const rows = await home.storage.read.query((db) =>
        db
          .selectFrom(table)
          .select(sql<string | null>`${sql.ref(column)}`.as('value'))
          .orderBy(sql.ref(column)),
      );
      const { value } = rows[nth % rows.length]!;
      if (value === text) return;
      const result = await after((db) =>
        db
          .updateTable(table)
          .set({ [column]: text } as never)
          .where(
            value === null
              ? sql<boolean>`${sql.ref(column)} is null`
              : sql<boolean>`${sql.ref(column)} = ${value}`,
          ),
      );
      expect(result.problems, `${table}.${column}`).not.toEqual([]);
    }),
    { numRuns: 150 },
  );
});
