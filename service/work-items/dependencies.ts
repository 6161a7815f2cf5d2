import type { AuditLog } from '../audit/log.ts';
import type { Names } from '../access/names.ts';
import type { People } from '../access/people.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Cursors } from '../storage/cursor.ts';
import type { Storage } from '../storage/transaction.ts';
import type { Queue } from './source.ts';
import type { ForgeFacts, Policy, QueueProblem } from './types.ts';

/** Where branches, pull requests and checks are read from; absent where no forge is connected. */
export interface ForgeSource {
  /** Facts about one item; throws when the forge does not answer. */
  read(item: { id: string; branch: string | null; pr: string | null }): Promise<ForgeFacts>;
}

/** What the services of this domain are made of. */
export interface WorkItemDependencies {
  storage: Storage;
  audit: AuditLog;
  clock: Clock;
  logger: Logger;
  projectId: string;
  queue: Queue;
  queueDir: string;
  /** Whether actions move records on disk. */
  queueWrites: boolean;
  policy: () => Policy;
  /** What keeps `policy.yaml` from being in force. */
  policyProblems: () => QueueProblem[];
  /** Whether a queue folder was ever read into this database. */
  queueKnown: () => boolean;
  people: People;
  names: Names;
  cursors: Cursors;
  forge: ForgeSource | null;
  /** How old the stored attention of open handoffs may be, in ms; absent: two seconds. */
  attentionRefreshMs?: number;
  /** Called after each commit that wrote events. */
  changed: () => void;
}
