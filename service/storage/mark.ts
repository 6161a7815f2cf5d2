import { randomUUID } from 'node:crypto';

/** Both engines: min_reader, and the installation's id, which stays as it was first set. */
export function markSql(minReader: number): string {
  return `insert into meta (key, value) values ('min_reader', '${minReader}') on conflict (key) do update set value = excluded.value;
    insert into meta (key, value) values ('installation', '${randomUUID()}') on conflict (key) do nothing`;
}
