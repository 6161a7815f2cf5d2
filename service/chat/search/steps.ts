import { leavesFrom } from '../../audit/store.ts';
import { messages, sessions } from '../store.ts';
import { BEGINNING, changeOf, markOf, TITLE, type IndexChange } from './changes.ts';
import { CHARACTERS, createBuildStep, sizeOf } from './build.ts';
import { createDocs, TOGETHER, type At, type DocDependencies } from './docs.ts';
import type { Doc, IndexFile, Known } from './index-file.ts';
import { kindOf, numberOf, placeOfMessage, placeOfTitle } from './places.ts';
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
  /** Lets questions come between. */
  breathe(): Promise<void>;
  stopped(): boolean;
}

const LEAVES = 500;
/** More than a shard has documents. */
const REMOVED = 300_000;

type Leaf = { seq: number; leaf: string };

export function createSteps(deps: DocDependencies, file: IndexFile, pace: Pace): Steps {
  const { storage } = deps;
  const reading = createDocs(deps);
  const buildStep = createBuildStep(storage, reading, file);

  /** `put` is told how many of the messages are in the file with it. */
  async function takeIn(
    places: readonly At[],
    put: (docs: readonly Doc[], taken: number) => void,
  ): Promise<void> {
    let docs: Doc[] = [];
    let size = 0;
    for (let at = 0; at < places.length && !pace.stopped();) {
      const some = await reading.at(places.slice(at, at + TOGETHER));
      at += TOGETHER;
      docs.push(...some);
      size += sizeOf(some);
      if (size < CHARACTERS && at < places.length) continue;
      put(docs, Math.min(at, places.length));
      [docs, size] = [[], 0];
      await pace.breathe();
    }
  }

  /** Lowest place first. */
  async function takeOut(places: readonly number[]): Promise<void> {
    for (let at = 0; at < places.length && !pace.stopped(); await pace.breathe())
      at += file.remove(places.slice(at, at + REMOVED));
  }

  async function reconcile(id: string, anew: boolean): Promise<void> {
    const row = await storage.read.get(sessions.byId, { project_id: deps.projectId, id });
    if (!row) return;
    const session = row.number;
    const isLive = row.deleted_at === null && row.binned_at === null;
    const live = isLive ? await storage.read.all(searched.live, { session }) : [];
    const files = new Set(isLive ? (await storage.read.all(searched.files, { session })).map(numberIn) : []);
    const numbers = new Set(live.map(numberIn));
    const title = isLive && row.title !== null ? row.row_version : null;
    const isThere = ({ place, file: of, version }: Known): boolean => {
      if (of !== null) return files.has(of);
      return kindOf(place) === 'title' ? version === title : numbers.has(numberOf(place));
    };
    const known = file.ofSession(session);
    const staying = new Set(known.filter((one) => !anew && isThere(one)).map(placeIn));
    await takeOut(known.map(placeIn).filter((place) => !staying.has(place)));
    const missing = live.filter(({ number }) => !staying.has(placeOfMessage(number)));
    const places = missing.map(({ seq }) => ({ session: id, seq }));
    if (title !== null && !staying.has(placeOfTitle(session))) places.unshift({ session: id, seq: TITLE });
    await takeIn(places, (docs) => file.put(docs));
  }

  /** What was let in stands where its placeholder stood. */
  async function takeReleased(event: number): Promise<void> {
    const row = await storage.read.get(searched.event, { seq: event });
    if (!row) return;
    const { session: id, seq: of, message: holder } = JSON.parse(row.payload) as Released;
    if (of === TITLE) return reconcile(id, false);
    // A file is taken in with the message that names it, which may be still to come.
    const seq = holder === undefined ? of : holder;
    if (seq === null) return;
    const session = await storage.read.get(sessions.byId, { project_id: deps.projectId, id });
    const message = session && (await storage.read.get(messages.bySeq, { session: session.number, seq }));
    if (!message) return;
    await takeOut(file.ofMessage(message.number).map(placeIn));
    await takeIn([{ session: id, seq }], (docs) => file.put(docs));
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
        if (isAlone(change)) {
          if (change.kind === 'released') await takeReleased(change.event);
          else await reconcile(change.session, change.anew);
          if (pace.stopped()) return;
          file.put([], { mark: markOf(leaves[at++]!) });
          continue;
        }
        const next = changes.findIndex((one, index) => index > at && isAlone(one));
        const end = next < 0 ? leaves.length : next;
        await append(leaves.slice(at, end), changes.slice(at, end));
        at = end;
      }
    }
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

interface Released extends At {
  /** Of a file: where it is named; null: nowhere yet. */
  message?: number | null;
}

const numberIn = ({ number }: { number: number }): number => number;
const placeIn = ({ place }: Known): number => place;

/** It is looked into by itself; messages that were written are taken in together. */
const isAlone = (
  change: IndexChange | null | undefined,
): change is Exclude<IndexChange, { kind: 'message' }> =>
  change !== null && change !== undefined && change.kind !== 'message';
