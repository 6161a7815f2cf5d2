import type { DocDependencies, Docs, ReadMessage } from './docs.ts';
import { TOGETHER } from './docs.ts';
import type { Built, Doc, IndexFile } from './index-file.ts';
import { searched, type SearchedRow } from './store.ts';

/** Of one transaction: each costs FTS5 as much as some messages, and questions wait for its end. */
export const CHARACTERS = 120_000;
const TITLES_TOGETHER = 200;

/** A step of the making of an index: takes in some of what was there when it was begun, titles first. */
export function createBuildStep(storage: DocDependencies['storage'], reading: Docs, file: IndexFile) {
  async function after({ of, after: number }: Built): Promise<[Doc[], Built | null]> {
    if (of === 'titles') {
      const rows = await storage.read.all(searched.titled, { after: number, limit: TITLES_TOGETHER });
      const last = rows.at(-1);
      return [await reading.titles(rows), last ? { of, after: last.number } : { of: 'messages', after: 0 }];
    }
    const rows = await storage.read.all(searched.after, { after: number, limit: TOGETHER });
    const last = rows.at(-1);
    return [await reading.messages(rows.map(readOf)), last ? { of, after: last.number } : null];
  }

  return async function buildStep(): Promise<void> {
    let built = file.built();
    let size = 0;
    const docs: Doc[] = [];
    while (built !== null && size < CHARACTERS) {
      const [some, next]: [Doc[], Built | null] = await after(built);
      docs.push(...some);
      size += sizeOf(some);
      built = next;
    }
    file.put(docs, { built });
  };
}

export const sizeOf = (docs: readonly Doc[]): number =>
  docs.reduce((sum, { texts }) => sum + texts.reduce((all, { length }) => all + length, 0), 0);

function readOf(row: SearchedRow): ReadMessage {
  const { session_id: id, session: number, session_author: author, person_id, class: kind } = row;
  return { session: { id, number, author, person_id, class: kind }, row };
}
