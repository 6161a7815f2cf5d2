import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import type { Storage } from '../storage/transaction.ts';

/** What the services of this folder are made of. */
export interface AccessDependencies {
  storage: Storage;
  audit: AuditLog;
  clock: Clock;
  projectId: string;
  /** Known once the server listens, so it is asked for late. */
  baseUrl: () => string;
}
