import { expressionBuilder } from 'kysely';
import type { Tables } from '../../storage/tables.ts';
import type { Reach } from '../access.ts';
import type { AttachmentRow } from '../attachments/store-attachments.ts';
import type { ChatDependencies } from '../dependencies.ts';
import type { MessageRow, SessionRow } from '../store.ts';

/** What the index names, as it is in the database: what went, lies in the bin, or is not theirs is not there. */

export type Candidate = MessageRow & { session_id: string };
export type FileCandidate = AttachmentRow & { session_id: string } & {
  of: number;
  seq: number;
  role: string;
  at: string;
};

export function createLive({ storage, projectId }: Pick<ChatDependencies, 'storage' | 'projectId'>) {
  /** Of a session: it is there, and theirs to read. */
  function isOpen(reach: Reach) {
    const e = expressionBuilder<Tables, 'chat_sessions'>();
    return e.and([
      e('chat_sessions.project_id', '=', projectId),
      e('chat_sessions.deleted_at', 'is', null),
      e('chat_sessions.binned_at', 'is', null),
      reach.filter('read'),
    ]);
  }

  /** The same of a message, with its session. */
  function isThere(reach: Reach) {
    const e = expressionBuilder<Tables, 'chat_messages'>();
    return e.and([
      e('chat_messages.deleted_at', 'is', null),
      e('chat_messages.binned_at', 'is', null),
      isOpen(reach),
    ]);
  }

  function messages(numbers: readonly number[], reach: Reach): Promise<Candidate[]> {
    return storage.read.query((db) =>
      db
        .selectFrom('chat_messages')
        .innerJoin('chat_sessions', 'chat_sessions.number', 'chat_messages.session')
        .selectAll('chat_messages')
        .select('chat_sessions.id as session_id')
        .where('chat_messages.number', 'in', [...numbers])
        .where(isThere(reach)),
    );
  }

  /** The same of files: they go with their message, and alone. */
  function files(numbers: readonly number[], reach: Reach): Promise<FileCandidate[]> {
    return storage.read.query((db) =>
      db
        .selectFrom('chat_attachments')
        .innerJoin('chat_messages', (on) =>
          on
            .onRef('chat_messages.session', '=', 'chat_attachments.session')
            .onRef('chat_messages.seq', '=', 'chat_attachments.message'),
        )
        .innerJoin('chat_sessions', 'chat_sessions.number', 'chat_messages.session')
        .selectAll('chat_attachments')
        .select(['chat_sessions.id as session_id', 'chat_messages.number as of', 'chat_messages.seq'])
        .select(['chat_messages.role', 'chat_messages.created_at as at'])
        .where('chat_attachments.number', 'in', [...numbers])
        .where('chat_attachments.deleted_at', 'is', null)
        .where('chat_attachments.binned_at', 'is', null)
        .where(isThere(reach)),
    );
  }

  function titles(numbers: readonly number[], reach: Reach): Promise<SessionRow[]> {
    return storage.read.query((db) =>
      db
        .selectFrom('chat_sessions')
        .selectAll()
        .where('number', 'in', [...numbers])
        .where('title', 'is not', null)
        .where(isOpen(reach)),
    );
  }

  return { messages, files, titles };
}
