import { FactoryError } from '../../errors.ts';
import { openParts } from '../messages/content.ts';
import type { ChatDependencies } from '../dependencies.ts';
import { messages, sessions, type MessageRow } from '../store.ts';
import type { Doc } from './index-file.ts';
import type { SessionFacts } from './scope.ts';
import { tokensOfParts } from './text.ts';

export type DocDependencies = Pick<ChatDependencies, 'storage' | 'keys' | 'projectId'>;

/** Reads messages as they go into the index; null: there is nothing to find. */
export function createDocs({ storage, keys, projectId }: DocDependencies) {
  const known = new Map<string, SessionFacts>();

  function docOf(session: SessionFacts, row: MessageRow): Doc | null {
    if (row.deleted_at !== null || row.binned_at !== null) return null;
    try {
      const tokens = tokensOfParts(openParts(keys, session.id, row));
      return { number: row.number, session, at: row.created_at, tokens };
    } catch (error) {
      // Its key is gone, or will be; what is damaged is told of by whoever reads it.
      if (error instanceof FactoryError) return null;
      throw error;
    }
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

  async function message(session: SessionFacts, seq: number): Promise<Doc | null> {
    const row = await storage.read.get(messages.bySeq, { session: session.number, seq });
    return row ? docOf(session, row) : null;
  }

  return {
    docOf,
    message,
    async at({ session, seq }: { session: string; seq: number }): Promise<Doc | null> {
      const facts = await factsOf(session);
      return facts ? message(facts, seq) : null;
    },
    forget: () => known.clear(),
  };
}
