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
/** Of a known person or token that may no longer sign requests: a page that is still open asks every few seconds. */
const CREDENTIAL_A_MINUTE = 10;

/** Refusals are audit entries too; the answer does not wait for them unless it must. */
export function createRefusals(
  storage: Storage,
  audit: AuditLog,
  clock: Clock,
  logger: Logger,
  projectId: string,
) {
  let minute = 0;
  const asked = new Map<string, number>();

  /** Whether this minute has room for one more entry of its kind. What a signed request is refused always has. */
  function hasRoom({ action, actor }: Refusal): boolean {
    if (actor && action !== 'authenticate') return true;
    const now = Math.floor(clock.now() / 60_000);
    if (now !== minute) asked.clear();
    minute = now;
    const who = actor ? `${actor.kind} ${actor.id}` : 'anonymous';
    const count = (asked.get(who) ?? 0) + 1;
    asked.set(who, count);
    return count <= (actor ? CREDENTIAL_A_MINUTE : ANONYMOUS_A_MINUTE);
  }

  return function record(refusal: Refusal): Promise<void> {
    if (!hasRoom(refusal)) return Promise.resolve();
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
