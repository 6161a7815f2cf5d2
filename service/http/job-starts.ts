import type { AuditLog } from '../audit/log.ts';
import { FactoryError } from '../errors.ts';
import type { JobName, OperationsPort } from '../jobs/types.ts';
import type { Storage } from '../storage/transaction.ts';
import type { RecordRefusal } from './refusals.ts';

export interface JobStartParts {
  operations: Pick<OperationsPort, 'start'>;
  storage: Pick<Storage, 'write'>;
  audit: Pick<AuditLog, 'append'>;
  refuse: RecordRefusal;
  projectId: string;
}

export interface Starter {
  kind: 'person' | 'token';
  id: string;
}

const ACTION = 'job.start';

/** Starts a job for somebody; that it was started, or why not, stands in the audit log. */
export function createJobStarts({ operations, storage, audit, refuse, projectId }: JobStartParts) {
  return async function start(actor: Starter, job: JobName, digest: string): Promise<{ runId: string }> {
    const { kind, id } = actor;
    try {
      const { runId } = await operations.start({ kind, id }, job, digest);
      await storage.write(async (tx) => {
        const object = { kind: 'job-run', id: runId };
        const entry = { project: projectId, actor: { kind, id }, action: ACTION, object };
        await audit.append(tx, { ...entry, outcome: 'applied' });
      });
      return { runId };
    } catch (error) {
      if (error instanceof FactoryError && REFUSALS.has(error.code))
        await refuse({
          code: error.code,
          action: ACTION,
          actor: { kind, id },
          object: { kind: 'job', id: job },
        });
      throw error;
    }
  };
}

/** Accepts what drifted since a restore for somebody, whose name its audit entry has; a refusal has one as well. */
export function createRestoreAccept({ operations, refuse }: RestoreAcceptParts) {
  return async function accept(actor: Starter, digest: string): Promise<void> {
    try {
      await operations.acceptRestore(actor, digest);
    } catch (error) {
      if (error instanceof FactoryError && NOT_ACCEPTED.has(error.code))
        await refuse({ code: error.code, action: 'database.restore-accepted', actor });
      throw error;
    }
  };
}

interface RestoreAcceptParts {
  operations: Pick<OperationsPort, 'acceptRestore'>;
  refuse: RecordRefusal;
}

const NOT_ACCEPTED: ReadonlySet<string> = new Set(['report-outdated', 'restore-not-paused']);
const REFUSALS: ReadonlySet<string> = new Set(['plan-outdated', 'job-running', 'job-paused']);

export type StartJob = ReturnType<typeof createJobStarts>;
