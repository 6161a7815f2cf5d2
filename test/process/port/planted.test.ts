import { describe, expect, it } from 'vitest';
import { createDatabase, query } from '../../helpers/postgres.ts';
import { factory } from '../../scripts/cli.ts';
import { filledFolder } from './filled.ts';

interface Json {
  same: boolean;
  tables: { name: string; differences: number; named: { what: string; where?: string[] }[] }[];
  schema: string[];
  sequences: { table: string }[];
}

/** The row that is in the middle, by its place on disk; constraints would keep some changes away. */
const middle = (table: string): string =>
  `ctid = (select ctid from ${table} order by ctid offset (select count(*) / 2 from ${table}) limit 1)`;
const change = (table: string, column: string, to: string): string =>
  `update ${table} set ${column} = ${to} where ${middle(table)}`;
const swap = (table: string, column: string): string =>
  `with two as (select ctid as place, ${column} as v from ${table} order by ctid limit 2)
   update ${table} t set ${column} = o.v from two s, two o where t.ctid = s.place and o.place <> s.place`;

/** What was done, and where it has to be found. */
const PLANTED: readonly [sql: string, where: string][] = [
  [change('chat_messages', 'body', `'\\x00'::bytea`), 'chat_messages changed body'],
  [change('chat_messages', 'created_at', `created_at || ' '`), 'chat_messages changed created_at'],
  [change('audit_entries', 'leaf', `leaf || ' '`), 'audit_entries changed leaf'],
  [change('people', 'status', `'removed'`), 'people changed status'],
  [change('tokens', 'revoked_at', `'2020'`), 'tokens changed revoked_at'],
  [change('chat_holds', 'released_at', `'2020-01-01'`), 'chat_holds changed released_at'],
  [change('chat_policies', 'version', 'version + 1'), 'chat_policies changed version'],
  [change('jobs', 'holder', `coalesce(holder, '') || 'x'`), 'jobs changed holder'],
  [`update meta set value = 'x' where key = 'remembered'`, 'meta changed value'],
  // NUL is where others stop reading.
  [
    `update chat_messages set body = substring(body from 2) where number = (
       select min(number) from chat_messages where get_byte(body, 0) = 0)`,
    'chat_messages changed body',
  ],
  [
    `update chat_subjects set name = overlay(name placing '\\x01' from 1) where ${middle('chat_subjects')}`,
    'chat_subjects changed name',
  ],
  [
    `update people set created_at = overlay(created_at placing '00:' from 12 for 3) where name = 'Grace'`,
    'people changed created_at',
  ],
  [`update people set name = upper(name) where name = 'Grace'`, 'people changed name'],
  [
    `update work_items set document = document || e'\n' where ${middle('work_items')}`,
    'work_items changed document',
  ],
  [
    `update chat_messages set bytes = bytes + 1 where number = (select max(number) from chat_messages)`,
    'chat_messages changed bytes',
  ],
  [`delete from audit_entries where seq = (select max(seq) from audit_entries)`, 'audit_entries missing'],
  [`delete from outbox where ${middle('outbox')}`, 'outbox missing'],
  [`delete from chat_grants where ${middle('chat_grants')}`, 'chat_grants missing'],
  [`delete from chat_journal where seq = (select max(seq) from chat_journal)`, 'chat_journal missing'],
  [`delete from drills where digest = (select min(digest) from drills)`, 'drills missing'],
  [`insert into chat_usage values ('zzz', 'zzz', 'zzz', 1, 1)`, 'chat_usage added'],
  [`insert into chat_journal (seq, at, entry) values (0, '', '')`, 'chat_journal added'],
  [`insert into backup_facts values ('', '', '', '', '')`, 'backup_facts added'],
  [swap('events', 'payload'), 'events changed payload'],
  [swap('audit_tiles', 'hashes'), 'audit_tiles changed hashes'],
  [swap('decisions', 'body'), 'decisions changed body'],
  [`select setval(pg_get_serial_sequence('chat_subjects', 'number'), 3)`, 'sequence chat_subjects'],
  [
    `alter table login_links drop constraint login_links_project_id_person_id_fkey`,
    'schema - constraint login_links',
  ],
  [`drop index chat_messages_by_key`, 'schema - index CREATE UNIQUE INDEX chat_messages_by_key'],
  [
    `alter table chat_messages drop constraint chat_messages_session_fkey`,
    'schema - constraint chat_messages',
  ],
  [`drop index events_by_stream`, 'schema - index CREATE INDEX events_by_stream'],
  [`alter table sessions alter column csrf drop not null`, 'schema + column sessions.csrf text'],
  [`create table more (id int)`, 'schema + column more.id'],
  [`alter table chat_messages set unlogged`, 'schema + table chat_messages r unlogged'],
  [`create rule kept as on delete to chat_messages do instead nothing`, 'schema + rule chat_messages kept'],
  [`alter table chat_messages enable row level security`, 'schema + table chat_messages r row security'],
  [`create policy ours on chat_messages using (seq > 3)`, 'schema + policy chat_messages ours'],
  [`update meta set value = '3' where key = 'schema'`, 'sequence meta schema'],
];

describe('port verify', { timeout: 240_000 }, () => {
  it('finds each difference that was planted', async () => {
    const { folder } = await filledFolder(40);
    const to = await createDatabase();
    expect((await factory(folder, ['port', 'copy', '--to', to])).exit).toBe(0);
    const planted = PLANTED;
    expect(planted.length).toBeGreaterThanOrEqual(20);
    const missed: unknown[] = [];
    for (const [sql, where] of planted) {
      const copy = await copyOf(to);
      await query(copy, sql);
      const ran = await factory(folder, ['port', 'verify', '--to', copy, '--json']);
      const found = ran.exit === 1 ? placesOf(ran.json<Json>()) : [`exit ${ran.exit}`];
      // A column that changed is one that went and one that came; a swap is of two rows.
      const expected = where.startsWith('schema ') ? 'schema ' : where;
      const only = found.length > 0 && found.length <= 2 && found.every((one) => one.startsWith(expected));
      if (!only || !found.some((one) => one.startsWith(where))) missed.push([where, found]);
    }
    expect(missed).toEqual([]);
    // The one that nothing was done to.
    expect((await factory(folder, ['port', 'verify', '--to', to])).exit).toBe(0);
  });
});

function placesOf({ tables, schema, sequences }: Json): string[] {
  return [
    ...tables.flatMap(({ name, named }) =>
      named.map(({ what, where = [] }) => `${name} ${what} ${where.join()}`.trimEnd()),
    ),
    ...schema.map((line) => `schema ${line}`),
    ...sequences.map(({ table }) => `sequence ${table}`),
  ];
}

async function copyOf(url: string): Promise<string> {
  const other = new URL(await createDatabase());
  const name = other.pathname.slice(1);
  const server = new URL(url);
  server.pathname = '/postgres';
  await query(server.href, `drop database ${name}`);
  await query(server.href, `create database ${name} template ${new URL(url).pathname.slice(1)}`);
  return other.href;
}
