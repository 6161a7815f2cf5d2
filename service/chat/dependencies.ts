import type { Principal } from '../access/principal.ts';
import type { ChangeActor } from '../audit/events.ts';
import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Cursors } from '../storage/cursor.ts';
import type { Storage } from '../storage/transaction.ts';
import type { Directory } from './messages/directory.ts';
import type { ChatKeys } from './keys/keys.ts';

/** What the parts of this domain share. */
export interface ChatDependencies {
  storage: Storage;
  audit: AuditLog;
  clock: Clock;
  logger: Logger;
  cursors: Cursors;
  projectId: string;
  keys: ChatKeys;
  directory: Directory;
  /** Tells that a commit changed a session, by its id. */
  changed(session: string): void;
  /** Counts: messages as they end (`appended`, `replayed`, or the code of the refusal), and what was done with findings. */
  appended(outcome: string, actions: readonly string[]): void;
}

export type Caller = Pick<Principal, 'kind' | 'id' | 'personId' | 'roles' | 'permissions'>;

export function actorOf({ kind, id, personId, roles }: Caller): ChangeActor {
  return { kind, id, personId, roles };
}
