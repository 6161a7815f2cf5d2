import { param, statement } from './statement.ts';
import type { Tables } from './tables.ts';
import type { Reader, Transaction } from './transaction.ts';

/** What a database remembers about itself: a text for each name. */

const find = statement<{ key: string }>()((db) =>
  db.selectFrom('meta').select('value').where('key', '=', param('key')),
);
const put = statement<Tables['meta']>()((db) =>
  db
    .insertInto('meta')
    .values({ key: param('key'), value: param('value') })
    .onConflict((conflict) =>
      conflict.column('key').doUpdateSet((row) => ({ value: row.ref('excluded.value') })),
    ),
);
const remove = statement<{ key: string }>()((db) => db.deleteFrom('meta').where('key', '=', param('key')));

/** Null: nothing is remembered under this name. */
export async function readMeta(reader: Reader, key: string): Promise<string | null> {
  return (await reader.get(find, { key }))?.value ?? null;
}

export async function writeMeta(tx: Transaction, key: string, value: string): Promise<void> {
  await tx.run(put, { key, value });
}

export async function removeMeta(tx: Transaction, key: string): Promise<void> {
  await tx.run(remove, { key });
}
