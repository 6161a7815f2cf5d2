import type { KeyObject } from 'node:crypto';
import { FactoryError } from '../../errors.ts';
import type { Reader } from '../../storage/transaction.ts';
import { openParts } from '../messages/content.ts';
import { sessions, type MessageRow } from '../store.ts';
import type { Doc } from './index-file.ts';
import type { SessionFacts } from './scope.ts';
import { searched } from './store.ts';
import { tokensOfParts } from './text.ts';

/** Keys of content by their numbers; those that are gone are not among them. */
export type KeysOf = (numbers: readonly number[]) => Promise<ReadonlyMap<number, KeyObject>>;

export interface DocDependencies {
  storage: { read: Reader };
  projectId: string;
  keysOf: KeysOf;
}

/** Where a message is. */
export interface At {
  session: string;
  seq: number;
}

export interface ReadMessage {
  session: SessionFacts;
  row: MessageRow;
}

/** Rows that are opened together: one has at most some megabytes. */
export const TOGETHER = 16;

/** Reads messages as they go into the index. What is gone, or cannot be read, is not in the answers. */
export function createDocs({ storage, projectId, keysOf }: DocDependencies) {
  const known = new Map<string, SessionFacts>();

  /** Keys are asked for each time and kept by nobody here, so that one that is taken away is away. */
  async function docsOf(read: readonly ReadMessage[]): Promise<Doc[]> {
    const live = read.filter(({ row }) => row.deleted_at === null && row.binned_at === null);
    if (live.length === 0) return [];
    const keys = await keysOf([...new Set(live.map(({ row }) => row.key_id))]);
    const byId = (id: number): KeyObject => keys.get(id)!;
    return live.flatMap(({ session, row }) => {
      // Gone, or about to: what it sealed goes from the index too.
      if (!keys.has(row.key_id)) return [];
      try {
        const tokens = tokensOfParts(openParts({ byId }, session.id, row));
        return [{ number: row.number, session, at: row.created_at, tokens }];
      } catch (error) {
        // What is damaged is told of by whoever reads it.
        if (error instanceof FactoryError) return [];
        throw error;
      }
    });
  }

  async function factsOf(id: string): Promise<SessionFacts | undefined> {
    const there = known.get(id) ?? (await storage.read.get(sessions.byId, { project_id: projectId, id }));
    if (!there) return undefined;
    const { number, person_id, author, class: kind } = there;
    if (known.size >= 10_000) known.clear();
    const facts = { id, number, person_id, author, class: kind };
    known.set(id, facts);
    return facts;
  }

  /** Of one session, at some of its places. */
  async function rowsOf(session: SessionFacts, places: readonly number[]): Promise<ReadMessage[]> {
    const rows = await storage.read.all(searched.at, {
      ...{ session: session.number, from: Math.min(...places), to: Math.max(...places) },
      ...{ limit: places.length },
    });
    return rows.map((row) => ({ session, row }));
  }

  return {
    docsOf,
    /** At most `TOGETHER` of them. */
    async at(places: readonly At[]): Promise<Doc[]> {
      const read: ReadMessage[] = [];
      for (const run of runsOf(places)) {
        const facts = await factsOf(run[0]!.session);
        if (facts)
          read.push(
            ...(await rowsOf(
              facts,
              run.map(({ seq }) => seq),
            )),
          );
      }
      return docsOf(read);
    },
    forget: () => known.clear(),
  };
}

/** What follows each other in the same session can be read at once. */
function runsOf(places: readonly At[]): At[][] {
  const runs: At[][] = [];
  for (const at of places) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (last?.session === at.session && last.seq + 1 === at.seq) run!.push(at);
    else runs.push([at]);
  }
  return runs;
}
