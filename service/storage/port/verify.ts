import type pg from 'pg';
import { FactoryError } from '../../errors.ts';
import { SCHEMA } from '../migrate.ts';
import { APPLICATION } from '../open-postgres.ts';
import { connectPostgres, describe, postgresStorage } from '../postgres.ts';
import type { Storage } from '../transaction.ts';
import { compareTable } from './compare.ts';
import type { TableComparison } from './compare.ts';
import { schemaDifferences } from './schema.ts';
import type { Source } from './source.ts';
import { claimTarget, connectTarget, finishTarget, inspectTarget, inTransaction } from './target.ts';

export interface SequenceDifference {
  table: string;
  /** The highest number that was given; null: none. */
  source: string | null;
  target: string | null;
}

export interface Verified {
  same: boolean;
  tables: TableComparison[];
  sequences: SequenceDifference[];
  /** Against a fresh database of this release. */
  schema: string[];
  /** Whether the mark was taken away by this run. */
  finished: boolean;
}

/** What reads one state of a database. */
export type Snapshots = Pick<Storage, 'snapshot'>;

export interface VerifyOptions {
  progress: (table: string, rows: number) => void;
  /** A further comparison of both sides, e.g. of their audit logs; its answer decides, too. */
  further: (source: Snapshots, target: Snapshots) => Promise<boolean>;
}

/**
 * Compares all of both databases; where nothing differs, the target may be used from then on. Errors:
 * `database-in-use`, `database-foreign`, `port-target-taken`, `port-missing`, `database-unreachable`.
 */
export async function verify(
  source: Source,
  url: string,
  { progress, further }: VerifyOptions,
): Promise<Verified> {
  const client = await connectTarget(url);
  try {
    await claimTarget(client, url);
    const found = await inspectTarget(client, url, source.installation);
    if (found.state === 'empty') throw missing(url);
    const schema = await schemaDifferences(client);
    // Without its tables there is nothing to compare rows with.
    const compared = schema.some((line) => /^- column/.test(line))
      ? null
      : await compareRows(client, source, progress);
    const agreed = compared !== null && (await compareFurther(source, url, further));
    const same = schema.length === 0 && compared?.same === true && agreed;
    const finished = same && found.state === 'unfinished';
    if (finished) await finishTarget(client);
    return { same, tables: compared?.tables ?? [], sequences: compared?.sequences ?? [], schema, finished };
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Past the mark that keeps everybody else out. */
async function compareFurther(
  source: Source,
  url: string,
  further: VerifyOptions['further'],
): Promise<boolean> {
  const { pool, version } = await connectPostgres(url);
  const target = postgresStorage(url, pool, version);
  try {
    return await further({ snapshot: (work) => work(source.reader) }, target);
  } finally {
    await target.close();
  }
}

async function compareRows(client: pg.Client, source: Source, progress: VerifyOptions['progress']) {
  return inTransaction(client, async () => {
    await client.query('set transaction isolation level repeatable read, read only');
    const tables: TableComparison[] = [];
    for (const table of source.tables)
      tables.push(await compareTable(client, source, table, (rows) => progress(table.name, rows)));
    const sequences = [...(await compareSequences(client, source)), ...(await compareOwnMeta(client))];
    const same =
      sequences.length === 0 &&
      tables.every((one) => one.differences === 0 && one.digest === one.targetDigest);
    return { same, tables, sequences };
  });
}

async function compareSequences(client: pg.Client, source: Source): Promise<SequenceDifference[]> {
  const found: SequenceDifference[] = [];
  for (const table of source.tables.filter(({ counted }) => counted)) {
    const name = await client.query<{ name: string }>(`select pg_get_serial_sequence($1, 'number') as name`, [
      table.name,
    ]);
    const { rows } = await client.query<{ last: string | null }>(
      `select case when is_called then last_value end as last from ${name.rows[0]?.name}`,
    );
    const last = source.lastNumber(table);
    const [ours, theirs] = [last === '0' ? null : last, rows[0]?.last ?? null];
    if (ours !== theirs) found.push({ table: table.name, source: ours, target: theirs });
  }
  return found;
}

/** What Postgres holds in `meta` and SQLite in its header. */
async function compareOwnMeta(client: pg.Client): Promise<SequenceDifference[]> {
  const { rows } = await client.query<{ key: string; value: string }>('select key, value from meta');
  const values = new Map(rows.map(({ key, value }) => [key, value]));
  const expected = { application: APPLICATION, schema: String(SCHEMA) };
  return Object.entries(expected)
    .filter(([key, value]) => values.get(key) !== value)
    .map(([key, value]) => ({ table: `meta ${key}`, source: value, target: values.get(key) ?? null }));
}

function missing(url: string): FactoryError {
  return new FactoryError({
    code: 'port-missing',
    op: 'port verify',
    target: describe(url),
    message: `${describe(url)} is empty: nothing was copied yet.`,
    hint: 'Run `npx factory port copy` first.',
  });
}
