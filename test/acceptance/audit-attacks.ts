import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { COLUMNS_OUTSIDE_THE_LOG } from '../../service/audit/verify.ts';
import { actionPath } from '../process/client.ts';
import { factoryJson } from '../process/service.ts';
import type { Place } from '../process/service.ts';
import { readRows, tamper } from './database.ts';
import type { Lane } from './lanes.ts';
import { inLab, onServer, openLab, queueOf, verifyAudit } from './lab.ts';
import type { Lab, Outcome, Run } from './lab.ts';
import type { Random } from './random.ts';

/**
 * Somebody with full access to the database changes rows by hand, one way at a time, each on a fresh copy of a log
 * that verifies. `factory verify-audit` has to find each.
 */

type Row = Record<string, unknown>;
type Statements = { sql: string; values?: unknown[] }[];

const TABLES = [
  'audit_entries',
  'events',
  'decisions',
  'history_snapshots',
  'work_items',
  'people',
  'tokens',
] as const;
type Table = (typeof TABLES)[number];

const WAYS = ['edit', 'delete', 'insert', 'swap', 'truncate'] as const;
type Way = (typeof WAYS)[number] | 'replace-log';

/** What identifies a row; everything else can be edited or swapped. */
const KEYS: Record<Table, string> = {
  audit_entries: 'seq',
  events: 'seq',
  decisions: 'id',
  history_snapshots: 'seq',
  work_items: 'id',
  people: 'id',
  tokens: 'id',
};

const LANES_WITH_WORK: Lane[] = ['backlog', 'ready', 'executing', 'review'];

/** A plan that nobody went by has no entry, so nothing can tell that it is gone. */
const VOUCHED_FOR = `where outcome <> 'planned' or exists
  (select 1 from decisions later where later.body like '%"plan":"' || decisions.id || '"%')`;

export function auditAttacks(run: Run): Promise<Outcome> {
  return inLab(run, queueOf(12, LANES_WITH_WORK), async (lab): Promise<Outcome> => {
    await makeHistory(lab, run.random);
    await lab.service.stop();
    const before = await verifyAudit(lab.place);
    if (!before.answer.ok)
      return { failures: [`false alarm: ${JSON.stringify(before.answer.problems)}`], figures: {} };
    const failures: string[] = [];
    const attacks = drawAttacks(run.random, run.count);
    for (const { table, way } of attacks) {
      const missed = await attack(run, lab.place, table, way);
      if (missed !== null) failures.push(missed);
      run.say(`${way} in ${table}: ${missed === null ? 'found' : 'MISSED'}`);
    }
    return { failures, figures: { attacks: attacks.length, entries: before.answer.size } };
  });
}

/** Every way in every table once, in random order and further ones at random, up to `count`; the whole log first. */
function drawAttacks(random: Random, count: number): { table: Table; way: Way }[] {
  const all = TABLES.flatMap((table) => WAYS.map((way) => ({ table, way })));
  const shuffled = all.map((one) => ({ one, at: random.next() })).sort((a, b) => a.at - b.at);
  const drawn: { table: Table; way: Way }[] = [
    { table: 'audit_entries', way: 'replace-log' },
    ...shuffled.map(({ one }) => one),
  ];
  while (drawn.length < count) drawn.push(random.pick(all));
  return drawn.slice(0, count);
}

async function makeHistory(lab: Lab, random: Random): Promise<void> {
  for (const role of ['planner', 'reviewer'])
    await factoryJson(lab.place, 'people', 'invite', '--name', `A ${role}`, '--role', role);
  for (let n = 0; n < 40; n += 1) {
    const identity = random.pick([
      'record-history',
      'refresh-truth',
      'mark-ready',
      'start-execution',
      'claim',
    ] as const);
    await lab
      .as('owner')
      .post(actionPath(random.pick(lab.ids), identity), { input: { note: `Action ${n}.` } });
    const planned = actionPath(random.pick(lab.ids), 'record-history');
    const { body } = await lab.as('owner').post(`${planned}?dryRun=true`);
    if (n % 4 === 0) await lab.as('owner').post(planned, { decisionId: body.decisionId as string });
    await lab
      .as('auditor')
      .post(actionPath(random.pick(lab.ids), 'cancel'), {}, { 'if-match': '*', 'idempotency-key': `k${n}` });
  }
  // A checkpoint follows within a second; the attacks are judged up to the newest one.
  await sleep(1500);
}

/** Null where it was found, else what was missed. */
async function attack(run: Run, original: Place, table: Table, way: Way): Promise<string | null> {
  const copy = await copyOf(run, original);
  try {
    const statements = await plan(run, copy, table, way);
    await tamper(copy, statements);
    const { code, answer } = await verifyAudit(copy);
    if (!answer.ok && code === 1 && answer.problems.length > 0) return null;
    return `${way} in ${table} was not found (exit ${code}): ${JSON.stringify(statements).slice(0, 600)}`;
  } finally {
    rmSync(copy.dir, { recursive: true, force: true });
    if (run.engine === 'postgres')
      await onServer(run.postgresUrl ?? '', `drop database ${databaseName(copy)} with (force)`);
  }
}

async function copyOf(run: Run, { dir, env }: Place): Promise<Place> {
  const to = `${dir}-copy`;
  cpSync(dir, to, { recursive: true });
  const copy = { dir: to, data: join(to, 'data'), queue: join(to, 'work-items'), env: { ...env } };
  if (run.engine === 'sqlite') return copy;
  const url = new URL(env.FACTORY_DATABASE_URL ?? '');
  const name = `${url.pathname.slice(1)}_copy`;
  await onServer(run.postgresUrl ?? '', `create database ${name} template ${url.pathname.slice(1)}`);
  url.pathname = `/${name}`;
  return { ...copy, env: { ...env, FACTORY_DATABASE_URL: url.href } };
}

function databaseName(place: Place): string {
  return new URL(place.env.FACTORY_DATABASE_URL ?? '').pathname.slice(1);
}

async function plan(run: Run, place: Place, table: Table, way: Way): Promise<Statements> {
  const { random } = run;
  if (way === 'replace-log') return replaceLog(run);
  const where = table === 'decisions' ? VOUCHED_FOR : '';
  const rows = await readRows<Row>(place, `select * from ${table} ${where} order by ${KEYS[table]}`);
  const key = KEYS[table];
  const victim = random.pick(rows);
  const byKey = `delete from ${table} where ${key} = ?`;
  if (way === 'delete') return [{ sql: byKey, values: [victim[key]] }];
  if (way === 'truncate') {
    const from = random.below(rows.length);
    return rows.slice(from).map((row) => ({ sql: byKey, values: [row[key]] }));
  }
  if (way === 'insert')
    return table === 'audit_entries'
      ? wedge(random.pick(rows))
      : [insert(table, forged(random, victim, table, rows))];
  if (way === 'swap') return swap(random, table, rows);
  const column = random.pick(editable(table, victim));
  return [
    {
      sql: `update ${table} set ${column} = ? where ${key} = ?`,
      values: [edited(random, victim[column]), victim[key]],
    },
  ];
}

function editable(table: Table, row: Row): string[] {
  return Object.keys(row).filter(
    (name) => name !== KEYS[table] && !COLUMNS_OUTSIDE_THE_LOG.includes(`${table}.${name}`),
  );
}

/** The same kind of value with one small difference, as a careful forger makes it. */
function edited(random: Random, value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value !== 'string' || value === '') return '2026-01-01T00:00:00.000Z';
  const at = random.below(value.length);
  const other = value[at] === 'a' ? 'b' : 'a';
  return value.slice(0, at) + other + value.slice(at + 1);
}

/** A copy of an entry in front of it; those behind move up. What is appended behind the newest checkpoint is not covered. */
function wedge({ seq, leaf }: Row): Statements {
  return [
    { sql: 'update audit_entries set seq = -(seq + 1) where seq >= ?', values: [seq] },
    { sql: 'update audit_entries set seq = -seq where seq < 0' },
    insert('audit_entries', { seq, leaf }),
  ];
}

function forged(random: Random, victim: Row, table: Table, rows: Row[]): Row {
  const key = KEYS[table];
  const last = rows.at(-1)?.[key];
  const id = typeof last === 'number' ? last + 1 : `${String(victim[key])}-${random.below(1000)}`;
  return {
    ...victim,
    [key]: id,
    ...(table === 'tokens' ? { hash: random.next().toString(16).padEnd(64, '0') } : {}),
  };
}

function insert(table: Table, row: Row): Statements[number] {
  const names = Object.keys(row);
  return {
    sql: `insert into ${table} (${names.join(', ')}) values (${names.map(() => '?').join(', ')})`,
    values: Object.values(row),
  };
}

/** Two rows change places: each gets the other's content under its own key. */
function swap(random: Random, table: Table, rows: Row[]): Statements {
  const key = KEYS[table];
  const one = random.pick(rows);
  const other = random.pick(rows.filter((row) => differs(table, row, one)));
  const set = (to: Row, from: Row): Statements[number] => {
    const names = editable(table, to);
    const sql = `update ${table} set ${names.map((name) => `${name} = ?`).join(', ')} where ${key} = ?`;
    return { sql, values: [...names.map((name) => from[name]), to[key]] };
  };
  // A unique hash cannot be in two rows for a moment.
  const aside =
    table === 'tokens'
      ? [{ sql: `update tokens set hash = 'aside' where id = ?`, values: [other[key]] }]
      : [];
  return [...aside, set(one, other), set(other, one)];
}

function differs(table: Table, a: Row, b: Row): boolean {
  return editable(table, a).some((name) => a[name] !== b[name]);
}

/** The whole log of another installation of the same size, whole in itself. */
async function replaceLog(run: Run): Promise<Statements> {
  const other = await openLab(run, queueOf(12, LANES_WITH_WORK));
  try {
    await makeHistory(other, run.random);
    await other.service.stop();
    const statements: Statements = [{ sql: 'delete from audit_entries' }, { sql: 'delete from audit_tiles' }];
    for (const table of ['audit_entries', 'audit_tiles'] as const) {
      for (const row of await readRows<Row>(other.place, `select * from ${table}`)) {
        const names = Object.keys(row);
        const sql = `insert into ${table} (${names.join(', ')}) values (${names.map(() => '?').join(', ')})`;
        statements.push({ sql, values: Object.values(row) });
      }
    }
    return statements;
  } finally {
    await other.close();
  }
}
