import type { People } from '../../access/people.ts';
import type { Tokens } from '../../access/tokens.ts';
import type { ChangeActor } from '../../audit/events.ts';
import type { AuditLog } from '../../audit/log.ts';
import type { VerifyResult } from '../../audit/verify.ts';
import type { Drills } from '../../jobs/drills.ts';
import type { Chat } from '../../chat/service.ts';
import type { Clock } from '../../clock.ts';
import type { OperationsPort } from '../../jobs/types.ts';
import type { Metrics } from '../../ops/metrics.ts';
import type { Health } from '../../ops/probes.ts';
import type { Cursors } from '../../storage/cursor.ts';
import type { Storage } from '../../storage/transaction.ts';
import type { Principal } from '../../work-items/types.ts';
import type { WorkItems } from '../../work-items/service.ts';
import type { Feed } from '../feed.ts';
import type { StartJob } from '../job-starts.ts';
import { operationsOf } from '../operation.ts';

/** What the API asks of the rest of the service; the context provides it. */
export interface ApiContext {
  projectId: string;
  release: string | null;
  clock: Pick<Clock, 'now'>;
  storage: Storage;
  cursors: Cursors;
  items: Pick<
    WorkItems,
    | 'list'
    | 'show'
    | 'actions'
    | 'act'
    | 'create'
    | 'notThere'
    | 'history'
    | 'decision'
    | 'reevaluate'
    | 'snapshot'
  >;
  chat: Chat;
  people: Pick<People, 'list' | 'invite' | 'link' | 'setRole' | 'remove'>;
  tokens: Pick<Tokens, 'list' | 'create' | 'revoke'>;
  audit: Pick<AuditLog, 'entries' | 'checkpoint' | 'inclusionProof' | 'consistencyProof'>;
  verifyAudit(): Promise<VerifyResult>;
  drills: Pick<Drills, 'accept'>;
  feed: Pick<Feed, 'serve'>;
  operations: OperationsPort;
  startJob: StartJob;
  health: Pick<Health, 'check'>;
  metrics: Pick<Metrics, 'contentType' | 'text'>;
}

/** Declares one operation of the API. */
export const operation = operationsOf<ApiContext>();

export function changeActor({ kind, id, personId, roles }: Principal): ChangeActor {
  return { kind, id, personId, roles };
}
