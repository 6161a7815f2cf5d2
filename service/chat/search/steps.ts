import { leavesFrom } from '../../audit/store.ts';
import { sessions } from '../store.ts';
import { BEGINNING, changeOf, markOf } from './changes.ts';
import { createDocs, type DocDependencies } from './docs.ts';
import type { Doc, IndexFile } from './index-file.ts';
import { searched } from './store.ts';

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
  /** Lets others run. */
  breathe(): Promise<void>;
  stopped(): boolean;
}

const LEAVES = 500;
const ROWS = 200;
/** Bytes of text in one transaction. */
const BYTES = 1024 * 1024;
/** The file is written on the thread that answers requests: so long at a time, and then others come first. */
const SLICE_MS = 10;

export function createSteps(deps: DocDependencies, file: IndexFile, pace: Pace): Steps {
  const { storage } = deps;
  const reading = createDocs(deps);

  async function inSlices<T>(all: readonly T[], step: (one: T) => void): Promise<void> {
    for (let at = 0; at < all.length && !pace.stopped(); await pace.breathe()) {
      const started = performance.now();
      while (at < all.length && performance.now() - started < SLICE_MS) step(all[at++]!);
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
    await inSlices(chunksOf(going), (some) => file.remove(some));
    const missing = live.filter(({ number }) => anew || !there.has(number));
    for (const { seq } of missing) {
      if (pace.stopped()) return;
      const doc = await reading.message(row, seq);
      if (!doc) continue;
      file.put([doc]);
      await pace.breathe();
    }
  }

  async function follow(): Promise<void> {
    for (;;) {
      const from = (file.mark() ?? BEGINNING).seq + 1;
      const leaves = await storage.read.all(leavesFrom, { from, limit: LEAVES });
      if (leaves.length === 0 || pace.stopped()) return;
      let docs: Doc[] = [];
      let started = performance.now();
      for (const leaf of leaves) {
        const change = changeOf(leaf.leaf);
        if (change?.kind === 'session') await reconcile(change.session, change.anew);
        if (pace.stopped()) return;
        if (change?.kind === 'message') {
          const doc = await reading.at(change);
          if (doc) docs.push(doc);
        }
        if (leaf !== leaves.at(-1) && performance.now() - started < SLICE_MS) continue;
        file.put(docs, { mark: markOf(leaf) });
        docs = [];
        await pace.breathe();
        started = performance.now();
      }
    }
  }

  async function buildStep(): Promise<void> {
    const built = file.built();
    if (built === null) return;
    const rows = await storage.read.all(searched.after, { after: built, limit: ROWS });
    let bytes = 0;
    let taken = 0;
    const docs: Doc[] = [];
    const started = performance.now();
    for (const row of rows) {
      if (taken > 0 && (bytes > BYTES || performance.now() - started > SLICE_MS)) break;
      taken += 1;
      bytes += row.bytes;
      const { session_id: id, session: number, session_author: author, person_id, class: kind } = row;
      const doc = reading.docOf({ id, number, author, person_id, class: kind }, row);
      if (doc) docs.push(doc);
    }
    file.put(docs, { built: rows.length === 0 ? null : rows[taken - 1]!.number });
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

/** Taking out a message costs some 3 ms in a large index, a transaction as much again. */
const AT_ONCE = 8;

function chunksOf<T>(all: readonly T[]): T[][] {
  const chunks: T[][] = [];
  for (let at = 0; at < all.length; at += AT_ONCE) chunks.push(all.slice(at, at + AT_ONCE));
  return chunks;
}
