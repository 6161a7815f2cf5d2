import Database from 'better-sqlite3';
import pg from 'pg';

/** Runs plain SQL on the database behind a `FACTORY_DATABASE_URL`, past the storage layer. */
export async function rawSql(url: string, ...statements: string[]): Promise<Record<string, unknown>[]> {
  let rows: Record<string, unknown>[] = [];
  if (url.startsWith('sqlite:')) {
    const handle = new Database(url.slice('sqlite:'.length));
    for (const sql of statements) {
      const prepared = handle.prepare(sql);
      if (prepared.reader) rows = prepared.all() as Record<string, unknown>[];
      else prepared.run();
    }
    handle.close();
    return rows;
  }
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const sql of statements) rows = (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
  return rows;
}

/** The schema as text that is compared with the committed dump: tables, columns, keys and indexes, sorted. */
export async function dumpSchema(url: string): Promise<string> {
  if (url.startsWith('sqlite:')) {
    const rows = await rawSql(
      url,
      "select sql from sqlite_schema where sql is not null and name not like 'sqlite_%' order by type desc, name",
    );
    return `${rows
      .map(
        (row) =>
          `${String(row['sql'])
            .replace(/^ {6}/gm, '  ')
            .replace(/^ {4}\)/gm, ')')};`,
      )
      .join('\n\n')}\n`;
  }
  const columns = await rawSql(
    url,
    `select table_name, column_name, data_type, is_nullable from information_schema.columns
     where table_schema = current_schema() order by table_name, ordinal_position`,
  );
  const constraints = await rawSql(
    url,
    `select conrelid::regclass::text as table_name, pg_get_constraintdef(oid) as definition from pg_constraint
     where connamespace = current_schema()::regnamespace order by 1, contype desc, 2`,
  );
  const indexes = await rawSql(
    url,
    `select indexdef from pg_indexes where schemaname = current_schema()
     and indexname not in (select conname from pg_constraint) order by indexname`,
  );
  const tables = Map.groupBy(columns, (row) => String(row['table_name']));
  const text = [...tables].map(([table, rows]) => {
    const lines = rows.map(
      (row) =>
        `  ${String(row['column_name'])} ${String(row['data_type'])}${row['is_nullable'] === 'NO' ? ' not null' : ''}`,
    );
    const own = constraints
      .filter((row) => row['table_name'] === table)
      .map((row) => `  ${String(row['definition'])}`);
    return `${table}\n${[...lines, ...own].join('\n')}`;
  });
  return `${[...text, ...indexes.map((row) => String(row['indexdef']))].join('\n\n')}\n`;
}
