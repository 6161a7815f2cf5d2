import type { SideFile } from '../../storage/side-file.ts';
import { SLOTS } from './places.ts';

/**
 * The words of the index, in shards of so many messages each, every one an FTS5 table of its own. Taking one document out of
 * such a table changes the pages of each of its words and beginnings, which takes some ms; to copy one that stays takes a
 * hundredth of that, and to drop a table next to nothing. So what goes takes whole shards with it where it can, and a large
 * session goes in a time that follows from its own size. FTS5 also writes small tables faster, as there is less to merge.
 */

/** To write a shard of 4,096 messages anew takes a tenth of a second, and 300,000 are asked for in some 70 questions. */
const SPAN = 4096 * SLOTS;
/** How many documents are copied in the time in which one is taken out. */
const COPIES = 50;
/** Of what one step copies: some seconds. Where more stays, documents are taken out one by one. */
const MOST_TOKENS = 1_000_000;
/** In one transaction. */
const ONE_BY_ONE = 8;

export const SHARDS_SCHEMA = [
  /** Which there are. */
  'create table shards (shard integer primary key)',
];

/** A document as its shard has it. */
export interface Words {
  place: number;
  body: string;
  scope: string;
}

export interface Sought {
  /** An FTS5 expression. */
  match: string;
  before: number;
  from?: string | undefined;
  to?: string | undefined;
  limit: number;
}

export interface Shards {
  put(words: Words): void;
  /** Takes the words of these places out, lowest first, as many as one step can; answers how many. */
  remove(places: readonly number[]): number;
  /** Places, highest first. */
  find(sought: Sought): number[];
}

const shardOf = (place: number): number => Math.floor(place / SPAN);
const nameOf = (shard: number): string => `words_${shard}`;

/** Calls that change something are parts of the caller's transaction, which takes the rows of `docs` out itself. */
export function createShards(file: () => SideFile): Shards {
  const run = (sql: string, ...params: unknown[]) => file().run(sql, ...params);

  function make(name: string): void {
    // Our tokens are runs of ASCII letters and digits and of all that is beyond ASCII: what `ascii` takes for tokens.
    // Beginnings of two letters are sought among those of three as well; a further table for them is a third of the file.
    const options = "columnsize = 0, prefix = '3', tokenize = 'ascii'";
    run(`create virtual table ${name} using fts5(body, scope, ${options})`);
    run(`insert into ${name} (${name}, rank) values ('secure-delete', 1)`);
  }

  function drop(shard: number): void {
    run(`drop table ${nameOf(shard)}`);
    run('delete from shards where shard = ?', shard);
  }

  function copyWithout(shard: number, going: readonly number[]): void {
    const name = nameOf(shard);
    make('copied');
    run(
      `insert into copied (rowid, body, scope) select rowid, body, scope from ${name}
       where rowid not in (select value from json_each(?))`,
      JSON.stringify(going),
    );
    run(`drop table ${name}`);
    run(`alter table copied rename to ${name}`);
  }

  /** What a shard has, and how much of it are these. */
  function sizesOf(shard: number, going: readonly number[]) {
    const [from, to] = [shard * SPAN, (shard + 1) * SPAN];
    return file().get<{ docs: number; tokens: number; going: number; leaving: number }>(
      `select count(*) as docs, sum(tokens) as tokens, sum(leaves) as going,
         sum(case when leaves then tokens else 0 end) as leaving
       from (select tokens, place in (select value from json_each(?)) as leaves
         from docs where place >= ? and place < ?)`,
      ...[JSON.stringify(going), from, to],
    )!;
  }

  return {
    put({ place, body, scope }) {
      const shard = shardOf(place);
      if (run('insert or ignore into shards (shard) values (?)', shard).changes > 0) make(nameOf(shard));
      run(`insert into ${nameOf(shard)} (rowid, body, scope) values (?, ?, ?)`, place, body, scope);
    },
    remove(places) {
      const shard = shardOf(places[0]!);
      const next = places.findIndex((place) => shardOf(place) !== shard);
      const here = next < 0 ? places : places.slice(0, next);
      const { docs, tokens, going, leaving } = sizesOf(shard, here);
      const staying = docs - going;
      if (staying === 0) drop(shard);
      else if (staying <= going * COPIES && tokens - leaving <= MOST_TOKENS) copyWithout(shard, here);
      else {
        const some = here.slice(0, ONE_BY_ONE);
        for (const place of some) run(`delete from ${nameOf(shard)} where rowid = ?`, place);
        return some.length;
      }
      return here.length;
    },
    find({ match, before, from, to, limit }) {
      const shards = file().all<{ shard: number }>(
        'select shard from shards where shard <= ? order by shard desc',
        shardOf(before - 1),
      );
      const dated = from !== undefined || to !== undefined;
      const found: number[] = [];
      for (const { shard } of shards) {
        const name = nameOf(shard);
        const left = limit - found.length;
        const rows = dated
          ? file().all<{ rowid: number }>(datedIn(name), match, before, from ?? '', to ?? '~', left)
          : file().all<{ rowid: number }>(anyIn(name), match, before, left);
        for (const { rowid } of rows) found.push(rowid);
        if (found.length >= limit) break;
      }
      return found;
    },
  };
}

const anyIn = (name: string): string =>
  `select rowid from ${name} where ${name} match ? and rowid < ? order by rowid desc limit ?`;
const datedIn = (name: string): string => `
  select ${name}.rowid from ${name} join docs on docs.place = ${name}.rowid
  where ${name} match ? and ${name}.rowid < ? and docs.at >= ? and docs.at < ? order by ${name}.rowid desc limit ?`;
