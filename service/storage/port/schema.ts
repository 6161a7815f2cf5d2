import type pg from 'pg';
import { makeTables } from './target.ts';

const FRESH = 'factory_port_fresh';

/**
 * One line each table with what else decides what becomes of its rows, and each column, constraint, index, trigger, rule and
 * policy of a schema, without the schema's name. What others were granted is the operator's.
 */
const DESCRIBE = `
  select 'table ' || c.relname || ' ' || c.relkind::text
    || case c.relpersistence when 'p' then '' else ' unlogged' end
    || case when c.relrowsecurity then ' row security' else '' end
    || case when c.relforcerowsecurity then ' forced' else '' end
    || (select coalesce(string_agg(' may not ' || p, '' order by p), '')
        from unnest(array['select', 'insert', 'update', 'delete']) as p where not has_table_privilege(c.oid, p)) as line
  from pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
  where c.relkind in ('r', 'p', 'v', 'm', 'f')
  union all
  select 'rule ' || c.relname || ' ' || r.rulename || ' ' || r.ev_enabled::text
  from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
  where r.rulename <> '_RETURN'
  union all
  select 'policy ' || c.relname || ' ' || p.polname
  from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
  union all
  select 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    || case when a.attnotnull then ' not null' else '' end
    || case a.attidentity when '' then '' else ' identity ' || a.attidentity::text end
    || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
    || coalesce(' collate ' || nullif(l.collname, 'default'), '') as line
  from pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
  left join pg_collation l on l.oid = a.attcollation
  where c.relkind in ('r', 'p', 'v', 'm', 'f')
  union all
  select 'constraint ' || c.relname || ' ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
    || case when k.convalidated then '' else ' not validated' end
  from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = k.connamespace and n.nspname = $1
  where k.contype <> 'n'
  union all
  select 'index ' || replace(pg_get_indexdef(i.indexrelid), ' ON ' || quote_ident(n.nspname) || '.', ' ON ')
    || case when i.indisvalid then '' else ' not valid' end
  from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
  where c.relkind <> 't'
  union all
  select 'trigger ' || c.relname || ' ' || t.tgname || ' ' || t.tgenabled::text
  from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
  where not t.tgisinternal or t.tgenabled <> 'O'`;

/** What the schema has that a fresh one has not (`+`), and the other way round (`-`). Leaves nothing behind. */
export async function schemaDifferences(client: pg.Client): Promise<string[]> {
  const lines = async (name: string): Promise<string[]> => {
    // Definitions name other tables without their schema where that is the one in force.
    await client.query(`select set_config('search_path', $1, true)`, [name]);
    return (await client.query<{ line: string }>(DESCRIBE, [name])).rows.map(({ line }) => line);
  };
  const current = await client.query<{ name: string }>('select current_schema() as name');
  await client.query('begin');
  try {
    const found = new Set(await lines(current.rows[0]?.name ?? 'public'));
    await client.query(`create schema ${FRESH}`);
    await client.query(`set local search_path to ${FRESH}`);
    await makeTables(client);
    const fresh = new Set(await lines(FRESH));
    return [
      ...[...fresh].filter((line) => !found.has(line)).map((line) => `- ${line}`),
      ...[...found].filter((line) => !fresh.has(line)).map((line) => `+ ${line}`),
    ];
  } finally {
    await client.query('rollback');
  }
}
