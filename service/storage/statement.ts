import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
  type Compilable,
  type RawBuilder,
} from 'kysely';
import type { Engine, Tables } from './tables.ts';

/**
 * Queries are written once with Kysely, compiled once per engine, and run with cached prepared statements: building
 * per call costs a quarter of the write path's throughput (docs/decisions/0006-one-writer-shares-its-commit.md).
 */
export interface Compiled {
  sql: string;
  /** A `Param` where a named value goes, else the literal. */
  slots: readonly unknown[];
}

class Param {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** A named hole in a statement; typed as the column it is compared with or written to. */
export function param<T = never>(name: string): T {
  return new Param(name) as T;
}

/**
 * A named text to compare with that SQLite's planner does not look at. Its build has STAT4: where a bound value could
 * change the plan, as in any join, each call prepares the statement anew (10 to 80 µs instead of 2).
 */
export function opaqueText(name: string): RawBuilder<string> {
  return sql<string>`cast(${param(name)} as text)`;
}

const builders: Record<Engine, Kysely<Tables>> = {
  sqlite: new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  }),
  postgres: new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  }),
};

export type Build<R> = (db: Kysely<Tables>) => Compilable<R>;

export interface Statement<P, R> {
  compiled(engine: Engine): Compiled;
  /** Carries the types only. */
  readonly shape?: (params: P) => R;
}

/** `statement<{ id: string }>()((db) => db.selectFrom('people').selectAll().where('id', '=', param('id')))` */
export function statement<P = Record<never, never>>(): <R>(build: Build<R>) => Statement<P, R> {
  return (build) => {
    const cache: Partial<Record<Engine, Compiled>> = {};
    return { compiled: (engine) => (cache[engine] ??= compile(engine, build)) };
  };
}

/** For queries whose shape depends on the call (optional filters): compiled each time. */
export function compile<R>(engine: Engine, build: Build<R>): Compiled {
  const { sql, parameters } = build(builders[engine]).compile();
  return { sql, slots: parameters };
}

/** Values in the order of the compiled query. A missing name is a bug, so it throws. */
export function bind(compiled: Compiled, params: Record<string, unknown>): unknown[] {
  return compiled.slots.map((slot) => {
    if (!(slot instanceof Param)) return slot;
    if (!(slot.name in params)) throw new TypeError(`statement parameter ${slot.name} is missing`);
    return params[slot.name];
  });
}
