import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Storage } from '../storage/transaction.ts';

export interface Refusal {
  code: string;
  /** What was tried, e.g. `work-item.complete` or `authenticate`. */
  action: string;
  actor?: { kind: 'person' | 'token'; id: string } | null;
  object?: { kind: string; id: string } | null;
}

/** Refusals of callers who are nobody: at most this many entries a minute, so that noise cannot fill the log. */
const ANONYMOUS_A_MINUTE = 120;

/** Refusals are audit entries too; the answer does not wait for them unless it must. */
export function createRefusals(
  storage: Storage,
  audit: AuditLog,
  clock: Clock,
  logger: Logger,
  projectId: string,
) {
  let minute = 0;
  let written = 0;

  return function record(refusal: Refusal): Promise<void> {
    const now = Math.floor(clock.now() / 60_000);
    if (now !== minute) [minute, written] = [now, 0];
    if (!refusal.actor && ++written > ANONYMOUS_A_MINUTE) return Promise.resolve();
    return storage
      .write(async (tx) => {
        await audit.append(tx, {
          project: projectId,
          actor: refusal.actor ?? { kind: 'anonymous', id: 'anonymous' },
          action: refusal.action,
          object: refusal.object ?? null,
          outcome: 'refused',
          code: refusal.code,
        });
      })
      .catch((error: unknown) =>
        logger.error({ err: error, code: refusal.code }, 'a refusal could not be recorded'),
      );
  };
}

export type RecordRefusal = ReturnType<typeof createRefusals>;
