import { leavesFrom } from '../../audit/store.ts';
import { sessions } from '../store.ts';
import { BEGINNING, changeOf, markOf, type IndexChange } from './changes.ts';
import { createDocs, TOGETHER, type At, type DocDependencies, type ReadMessage } from './docs.ts';
import type { Doc, IndexFile } from './index-file.ts';
import { searched, type SearchedRow } from './store.ts';

/** The steps that bring the index to where the database is. Doing one twice changes nothing; one runs at a time. */

export interface Steps {
  /** Whether it is an index of this database, on the same line of its history. */
  isOfThisDatabase(): Promise<boolean>;
  /** An empty one, which follows from now on and still has to be filled. */
  reset(): Promise<void>;
  /** Takes in what was there when it was emptied, a piece at a time. */
  buildStep(): Promise<void>;
  /** Takes in what the audit log has recorded since. */
  follow(): Promise<void>;
  /** Takes in what is in the database of a session, and takes out what is not. `anew`: all of it again. */
  reconcile(session: string, anew: boolean): Promise<void>;
}

export interface Pace {
  /** Lets questions come between. */
  breathe(): Promise<void>;
  stopped(): boolean;
}

const LEAVES = 500;
/** Of one transaction: each costs FTS5 as much as some messages, and questions wait for its end. */
const TOKENS = 20_000;
/** More than a shard has places. */
const REMOVED = 10_000;

type Leaf = { seq: number; leaf: string };

export function createSteps(deps: DocDependencies, file: IndexFile, pace: Pace): Steps {
  const { storage } = deps;
  const reading = createDocs(deps);

  /** `put` is told how many of the messages are in the file with it. */
  async function takeIn(
    places: readonly At[],
    put: (docs: readonly Doc[], taken: number) => void,
  ): Promise<void> {
    let docs: Doc[] = [];
    let tokens = 0;
    for (let at = 0; at < places.length && !pace.stopped();) {
      const some = await reading.at(places.slice(at, at + TOGETHER));
      at += TOGETHER;
      docs.push(...some);
      tokens += sizeOf(some);
      if (tokens < TOKENS && at < places.length) continue;
      put(docs, Math.min(at, places.length));
      [docs, tokens] = [[], 0];
      await pace.breathe();
    }
  }

  async function reconcile(id: string, anew: boolean): Promise<void> {
    const row = await storage.read.get(sessions.byId, { project_id: deps.projectId, id });
    if (!row) return;
    const isLive = row.deleted_at === null && row.binned_at === null;
    const live = isLive ? await storage.read.all(searched.live, { session: row.number }) : [];
    const there = new Set(file.ofSession(row.number));
    const numbers = new Set(live.map(({ number }) => number));
    const going = [...there].filter((number) => anew || !numbers.has(number));
    for (let at = 0; at < going.length && !pace.stopped(); await pace.breathe())
      at += file.remove(going.slice(at, at + REMOVED));
    const missing = live.filter(({ number }) => anew || !there.has(number));
    await takeIn(
      missing.map(({ seq }) => ({ session: id, seq })),
      (docs) => file.put(docs),
    );
  }

  /** Messages of entries of the log that follow each other. */
  async function append(leaves: readonly Leaf[], changes: readonly (IndexChange | null)[]): Promise<void> {
    const written: { session: string; seq: number; leaf: Leaf }[] = [];
    changes.forEach((change, index) => {
      if (change?.kind === 'message') written.push({ ...change, leaf: leaves[index]! });
    });
    await takeIn(written, (docs, taken) => {
      if (taken < written.length) file.put(docs, { mark: markOf(written[taken - 1]!.leaf) });
      else file.put(docs, { mark: markOf(leaves.at(-1)!) });
    });
    if (written.length === 0) file.put([], { mark: markOf(leaves.at(-1)!) });
  }

  async function follow(): Promise<void> {
    for (;;) {
      const from = (file.mark() ?? BEGINNING).seq + 1;
      const leaves = await storage.read.all(leavesFrom, { from, limit: LEAVES });
      if (leaves.length === 0) return;
      const changes = leaves.map(({ leaf }) => changeOf(leaf));
      for (let at = 0; at < leaves.length;) {
        if (pace.stopped()) return;
        const change = changes[at];
        if (change?.kind === 'session') {
          await reconcile(change.session, change.anew);
          if (pace.stopped()) return;
          file.put([], { mark: markOf(leaves[at++]!) });
          continue;
        }
        const next = changes.findIndex((one, index) => index > at && one?.kind === 'session');
        const end = next < 0 ? leaves.length : next;
        await append(leaves.slice(at, end), changes.slice(at, end));
        at = end;
      }
    }
  }

  async function buildStep(): Promise<void> {
    let after = file.built();
    let tokens = 0;
    const docs: Doc[] = [];
    while (after !== null && tokens < TOKENS) {
      const rows: SearchedRow[] = await storage.read.all(searched.after, { after, limit: TOGETHER });
      const some = await reading.docsOf(rows.map(readOf));
      docs.push(...some);
      tokens += sizeOf(some);
      after = rows.at(-1)?.number ?? null;
    }
    file.put(docs, { built: after });
  }

  async function reset(): Promise<void> {
    const head = await storage.read.get(searched.head, {});
    file.reset(head ? markOf(head) : BEGINNING);
    reading.forget();
  }

  async function isOfThisDatabase(): Promise<boolean> {
    const mark = file.mark();
    if (mark === null) return false;
    if (mark.seq === 0) return true;
    const [leaf] = await storage.read.all(leavesFrom, { from: mark.seq, limit: 1 });
    return leaf !== undefined && markOf(leaf).seq === mark.seq && markOf(leaf).leaf === mark.leaf;
  }

  return { isOfThisDatabase, reset, buildStep, follow, reconcile };
}

const sizeOf = (docs: readonly Doc[]): number => docs.reduce((sum, { tokens }) => sum + tokens.length, 0);

function readOf(row: SearchedRow): ReadMessage {
  const { session_id: id, session: number, session_author: author, person_id, class: kind } = row;
  return { session: { id, number, author, person_id, class: kind }, row };
}
