import { basename } from 'node:path';
import type { z } from 'zod';
import type { People } from '../access/people.ts';
import type { Tokens } from '../access/tokens.ts';
import type { EntryFilters } from '../audit/entries.ts';
import { eventTypes } from '../audit/event-types.ts';
import type { AuditLog } from '../audit/log.ts';
import type { VerifyResult } from '../audit/verify.ts';
import type { Chat } from '../chat/service.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { OperationsPort } from '../jobs/types.ts';
import type { Health } from '../ops/probes.ts';
import type { Cursors } from '../storage/cursor.ts';
import type { Storage } from '../storage/transaction.ts';
import type { WorkItems } from '../work-items/service.ts';
import { operations as apiOperations } from './api/index.ts';
import { newErasure, newHold, newPolicies } from './api/schemas/governance.ts';
import { newGrant } from './api/schemas/grants.ts';
import { newSession } from './api/schemas/sessions.ts';
import { badInput } from './operation.ts';
import { problemsIn } from '../work-items/refusals.ts';
import { findItem } from '../work-items/store.ts';
import { openapiDocument } from './openapi.ts';
import { createRestoreAccept, type StartJob } from './job-starts.ts';
import type { RecordRefusal } from './refusals.ts';
import type { AuditLeaf } from '../audit/leaf.ts';
import type { Policy, QueueProblem } from '../work-items/types.ts';
import { unusable } from './web/queue-words.ts';
import type { FrameFacts, WebContext } from './web/ports.ts';

interface Parts {
  config: Config;
  clock: Clock;
  items: WorkItems;
  people: People;
  tokens: Tokens;
  audit: AuditLog;
  operations: OperationsPort;
  startJob: StartJob;
  health: Health;
  refuse: RecordRefusal;
  cursors: Cursors;
  verifyAudit: () => Promise<VerifyResult>;
  chat: Chat;
  projectId: string;
  storage: Pick<Storage, 'read'>;
  policy: { current: () => Policy };
}

/** What the pages ask for, from the parts of the service. */
export function webContext(parts: Parts): WebContext {
  const {
    config,
    clock,
    items,
    people,
    tokens,
    audit,
    operations,
    startJob,
    health,
    refuse,
    cursors,
    verifyAudit,
    policy,
    storage,
    chat,
    projectId,
  } = parts;
  return {
    clock,
    items: {
      ...items,
      act: async (principal, id, identity, call) => (await items.act(principal, id, identity, call)).result,
      create: async (principal, input, call) => (await items.create(principal, input, call)).item,
    },
    people,
    tokens,
    refuse,
    startJob,
    operations,
    acceptRestore: createRestoreAccept({ operations, refuse }),
    chat,
    async beginSession(principal, input) {
      const made = parsedForm(newSession, input);
      const { itemId } = made;
      if (itemId !== undefined && !(await findItem(storage.read, projectId, itemId)))
        throw items.notThere(itemId);
      return chat.sessions.create(principal, made);
    },
    governance: {
      ...chat.governance,
      policies: chat.policies,
      readHold: (input) => parsedForm(newHold, input),
      readGrant: (input) => parsedForm(newGrant, input),
      readErasure: (input) => parsedForm(newErasure, input),
      readPolicies: (document) => parsedForm(newPolicies, document),
    },
    auditLog: {
      async entries({ cursor, limit = 50, ...filters }) {
        const after = cursor ? (cursors.decode('audit', cursor) as number) : null;
        const page = await audit.entries({ after, limit, filters: filters as EntryFilters });
        const entries = page.entries.map(({ seq, leaf }) => ({ seq, leaf: leafOf(leaf) }));
        const seqs = entries.flatMap(({ leaf }) => leaf?.event?.seq ?? []);
        const types = await eventTypes(storage.read, seqs);
        return {
          entries: entries.map(({ seq, leaf }) => ({
            ...{ seq, leaf },
            event: (leaf?.event && types.get(leaf.event.seq)) ?? null,
          })),
          nextCursor: page.next === null ? null : cursors.encode('audit', page.next),
        };
      },
      async status() {
        const { status, problem } = audit.health();
        const signed = audit.checkpoint();
        return {
          size: signed?.size ?? 0,
          root: signed?.root ?? '',
          checkpointAt: signed?.at ?? null,
          ok: status === 'ok',
          problem: problem?.message ?? null,
        };
      },
      verify: verifyAudit,
    },
    frame: () => ({
      project: 'Build Factory',
      environment: config.environment,
      release: config.release ?? 'development',
      health: healthText(health.summary(), items.problems()),
      queueFolder: basename(config.workItemsDir),
      gatePack: policy.current().gatePack,
      hardGates: policy.current().hard,
    }),
    openapi: () => openapiDocument(apiOperations, { release: config.release }) as never,
  };
}

function parsedForm<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = schema.safeParse(input);
  if (!parsed.success) throw badInput('form', problemsIn(parsed.error));
  return parsed.data;
}

/** Everything can be well but for files of the queue; then it does not say that all is. */
function healthText(summary: FrameFacts['health'], problems: QueueProblem[]): FrameFacts['health'] {
  if (summary.status !== 'ok' || problems.length === 0) return summary;
  const text = unusable(problems);
  return { status: 'degraded', text: `${text.charAt(0).toUpperCase()}${text.slice(1)}` };
}

/** Null where somebody damaged the row: the page shows that, and verification says what is wrong. */
function leafOf(text: string): AuditLeaf | null {
  try {
    return JSON.parse(text) as AuditLeaf;
  } catch {
    return null;
  }
}
