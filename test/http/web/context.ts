import express from 'express';
import type { AddressInfo } from 'node:net';
import type { JobName } from '../../../service/jobs/types.ts';
import type { PersonDocument } from '../../../service/access/people.ts';
import { FactoryError } from '../../../service/errors.ts';
import { createWeb } from '../../../service/http/web/index.ts';
import type { ActCall, AuditQuery, WebContext } from '../../../service/http/web/ports.ts';
import { problemOf } from '../../../service/http/problem.ts';
import type {
  ActionsDocument,
  BoardDocument,
  DecisionDocument,
  ItemDocument,
} from '../../../service/work-items/documents.ts';
import type { ActionIdentity, Principal, QueueProblem } from '../../../service/work-items/types.ts';
import { fakeOperations, type FakeOperations, type OperationsState } from '../../helpers/operations.ts';
import {
  ADA,
  board,
  decision,
  DONE_ACTIONS,
  FRAME,
  gate,
  history,
  item,
  minutesAgo,
  NOW,
  report,
  summary,
} from './fixtures.ts';

export interface Call {
  identity: ActionIdentity;
  call: ActCall;
}

/** What a test may say about the documents behind the pages; the rest is one executing item. */
export interface World {
  items?: ItemDocument[];
  actions?: ActionsDocument;
  board?: BoardDocument;
  decisions?: DecisionDocument[];
  principal?: Principal;
  /** The board of a filter for what needs attention; else that of any filter. */
  attention?: BoardDocument;
  people?: PersonDocument[];
  /** Files of the queue that no item is made of. */
  problems?: QueueProblem[];
  /** What is known of backups, drills and jobs. */
  operations?: OperationsState;
  /** Thrown by the action of that step instead of an answer. */
  refuse?: (call: ActCall) => FactoryError | null;
}

function lastOwner(): FactoryError {
  return new FactoryError({
    code: 'last-owner',
    op: 'remove person',
    message: 'This is the only owner.',
    hint: 'Invite another owner first: `npx factory people invite`.',
  });
}

function missing(what: string): FactoryError {
  return new FactoryError({
    code: 'not-found',
    op: 'read',
    message: `There is no such ${what}.`,
    hint: 'Look at the board.',
  });
}

/** No session at all: pages of sessions are tested on the real service. */
function noChat(): WebContext['chat'] {
  const none = async (): Promise<never> => Promise.reject(missing('session'));
  const list = async () => ({ sessions: [], nextCursor: null });
  return {
    sessions: { list, create: none, createOnce: none, show: none, may: none },
    append: { message: none, batch: none },
    reading: { open: none, lastSeq: none, page: none, newest: none, message: none, shown: none },
    search: { find: none, state: none, trouble: () => null, rebuild: none },
    attachments: { ofMessages: none },
    deleteSession: none,
    deleteMessage: none,
    governance: {
      quarantine: {
        list: async () => ({ quarantined: [], nextCursor: null }),
        ...{ show: none, original: none, content: none, release: none, reject: none },
      },
    },
  };
}

function noGovernance(): WebContext['governance'] {
  const none = async (): Promise<never> => Promise.reject(missing('hold'));
  const refuse = (): never => {
    throw missing('hold');
  };
  return {
    ...{ readHold: refuse, readErasure: refuse, readGrant: refuse, readPolicies: refuse },
    policies: { all: none, put: none, history: none, planSwitch: none, takeBack: none },
    retention: {
      ...{ plan: none, preview: none, show: none, list: none, begin: none, apply: none, undo: none },
      ...{ inBin: none, inBinOf: none, resume: none, idle: none, stop: none },
    },
    holds: { place: none, release: none, show: none, list: none, covered: none },
    erasurePlan: none,
    erasures: { request: none, show: none, list: none, resume: none, idle: none, stop: none },
    grants: { make: none, plan: none, terms: none, decide: none, revoke: none, show: none, list: none },
  };
}

/** The ports of the pages over fixture documents; `calls` are the actions that reached the service. */
export function fixtureContext(world: World = {}): {
  context: WebContext;
  calls: Call[];
  refusals: string[];
  auditQueries: AuditQuery[];
} {
  const items = world.items ?? [item()];
  const calls: Call[] = [];
  const refusals: string[] = [];
  const auditQueries: AuditQuery[] = [];
  const operations = fakeOperations({ now: () => NOW }, world.operations);
  const find = (id: string) => {
    const found = items.find((one) => one.id === id);
    if (!found) throw missing('item');
    return found;
  };
  const actions = world.actions ?? {
    version: 4,
    actions: [report('request-review', [gate('lane-transition', 'pass')])],
  };
  const context: WebContext = {
    clock: { now: () => NOW },
    items: {
      board: async (_principal, { attention }) =>
        (attention ? world.attention : undefined) ??
        world.board ??
        board(items.map((one) => summary(one.key, one.title, one.lane))),
      list: async (_principal, { lane }) => ({
        items: items.filter((one) => one.lane === lane).map((one) => summary(one.key, one.title, one.lane)),
        nextCursor: null,
      }),
      show: async (_principal, id) => find(id),
      actions: async (_principal, id) => (find(id).lane === 'done' ? DONE_ACTIONS : actions),
      act: async (_principal, id, identity, call) => {
        calls.push({ identity, call });
        const refusal = world.refuse?.(call);
        if (refusal) throw refusal;
        const { label } = report(identity, []);
        return {
          decisionId: '019aa000-0000-7000-8000-00000000d001',
          dryRun: call.dryRun ?? false,
          identity,
          lane: { from: 'executing', to: 'review' },
          diff: [{ field: 'lane', before: 'executing', after: 'review' }],
          effects: [{ kind: 'lane-moved', text: `${label} moves the item to review.` }],
          gates: [gate('lane-transition', 'pass')],
          item: find(id),
        };
      },
      create: async () => find(items[0]?.id ?? ''),
      history: async () =>
        history({
          events: EVENTS,
          decisions: DECISIONS,
          snapshots: [{ digest: 'a'.repeat(64), at: minutesAgo(9) }],
        }),
      decision: async (_principal, _id, decisionId) => {
        const found = (world.decisions ?? [decision()]).find(({ id }) => id === decisionId);
        if (!found) throw missing('decision');
        return found;
      },
      reevaluate: async () => report('start-execution', [gate('lane-transition', 'blocked')]),
      snapshot: async (_principal, _id, digest) => ({
        digest,
        at: minutesAgo(9),
        content: { item: { id: 'wi-BF-281' } },
      }),
      problems: () => world.problems ?? [],
    },
    chat: noChat(),
    governance: noGovernance(),
    beginSession: async () => Promise.reject(missing('session')),
    people: {
      list: async () => world.people ?? PEOPLE,
      invite: async () => ({
        id: 'person-new',
        url: 'http://127.0.0.1:8700/login?link=one-time',
        expiresAt: minutesAgo(-600),
      }),
      link: async (_actor, id, { signOut }) => ({
        id,
        url: `http://127.0.0.1:8700/login?link=again${signOut ? '-alone' : ''}`,
        expiresAt: minutesAgo(-600),
      }),
      setRole: async (_actor, id) => {
        if (id === 'person-ada') throw lastOwner();
      },
      remove: async (_actor, id) => {
        if (id === 'person-ada') throw lastOwner();
      },
    },
    tokens: {
      create: async (_actor, input) => ({ ...input, id: 'token-new', expiresAt: null, token: 'bf_example' }),
      revoke: async () => undefined,
    },
    auditLog: {
      entries: async (query) => {
        auditQueries.push(query);
        return { entries: ENTRIES, nextCursor: null };
      },
      status: async () => ({
        size: 2,
        root: 'b'.repeat(44),
        checkpointAt: minutesAgo(1),
        ok: true,
        problem: null,
      }),
      verify: async () => ({ ok: true, size: 2, root: 'b'.repeat(44), problems: [] }),
    },
    operations,
    acceptRestore: operations.acceptRestore,
    startJob: (actor, job: JobName, digest) => operations.start(actor, job, digest),
    frame: () => FRAME,
    openapi: () => ({
      info: { title: 'Build Factory', version: '1' },
      paths: {
        '/api/control-plane/items/{id}': {
          get: {
            summary: 'One item',
            tags: ['control plane'],
            parameters: [{ name: 'id', in: 'path', required: true }],
            responses: { 200: { description: 'The item.' } },
          },
        },
      },
    }),
    refuse: async ({ code, action }) => {
      refusals.push(`${action}: ${code}`);
    },
  };
  return { context, calls, refusals, auditQueries };
}

const EVENTS = [
  {
    seq: 3,
    at: minutesAgo(9),
    actor: 'agent-2 (token of Ada)',
    type: 'evidence-submitted',
    text: 'Evidence for criterion 3: passed.',
    version: 4,
    decisionId: 'd3',
    snapshot: null,
  },
  {
    seq: 2,
    at: minutesAgo(14),
    actor: 'agent-2 (token of Ada)',
    type: 'handoff-claimed',
    text: 'Handoff claimed.',
    version: 3,
    decisionId: 'd2',
    snapshot: null,
  },
  {
    seq: 1,
    at: minutesAgo(21),
    actor: 'Ada',
    type: 'handoff-queued',
    text: 'Execution handoff queued.',
    version: 2,
    decisionId: 'd1',
    snapshot: 'a'.repeat(64),
  },
];

const DECISIONS = [
  {
    id: 'd4',
    identity: 'request-review' as const,
    label: 'Request review',
    outcome: 'blocked' as const,
    by: 'agent-2',
    at: minutesAgo(2),
    blockers: ['validation-evidence'],
  },
  {
    id: 'd3',
    identity: 'submit-evidence' as const,
    label: 'Submit evidence',
    outcome: 'applied' as const,
    by: 'agent-2',
    at: minutesAgo(9),
    blockers: [],
  },
];

const PEOPLE = [
  {
    id: 'person-ada',
    name: 'Ada',
    roles: ['owner'],
    status: 'active' as const,
    createdAt: minutesAgo(90_000),
    lastSeenAt: minutesAgo(1),
    tokens: [
      {
        id: 'token-1',
        name: 'agent-2',
        roles: ['agent'],
        createdAt: minutesAgo(4000),
        lastUsedAt: minutesAgo(3),
        expiresAt: minutesAgo(-40_000),
        revokedAt: null,
      },
      {
        id: 'token-2',
        name: 'agent-1',
        roles: ['agent'],
        createdAt: minutesAgo(9000),
        lastUsedAt: null,
        expiresAt: null,
        revokedAt: minutesAgo(500),
      },
    ],
  },
  {
    id: 'person-ben',
    name: 'Ben',
    roles: ['reviewer'],
    status: 'invited' as const,
    createdAt: minutesAgo(60),
    lastSeenAt: null,
    tokens: [],
  },
];

const leaf = (action: string, outcome: 'applied' | 'refused') => ({
  v: 1 as const,
  type: 'build-factory/audit-leaf' as const,
  at: minutesAgo(9),
  actor: { kind: 'person', id: 'person-ada' },
  action,
  object: { kind: 'item', id: 'wi-BF-281' },
  outcome,
  project: 'main',
  ...(outcome === 'refused' ? { code: 'permission-missing' } : {}),
});

const ENTRIES = [
  { seq: 3, leaf: null, event: null },
  { seq: 2, leaf: leaf('work-item.complete', 'refused'), event: null },
  { seq: 1, leaf: leaf('work-item.submit-evidence', 'applied'), event: 'evidence-submitted' },
];

export interface Running {
  url: string;
  calls: Call[];
  /** Who accepted a restore. */
  accepted: FakeOperations['accepted'];
  refusals: string[];
  auditQueries: AuditQuery[];
  close(): Promise<void>;
}

/** The pages alone behind a listening server; the given principal is signed in. */
export async function startPages(world: World = {}, port = 0): Promise<Running> {
  const { context, calls, refusals, auditQueries } = fixtureContext(world);
  const web = createWeb(context);
  const app = express();
  app.use((_request, response, next) => {
    response.locals.principal = world.principal ?? ADA;
    response.locals.csrf = 'csrf-of-the-session';
    response.set('Content-Security-Policy', "default-src 'self'");
    next();
  });
  app.use(web.assets, express.urlencoded({ extended: false }), web.pages);
  app.use(
    (error: unknown, _request: express.Request, response: express.Response, next: express.NextFunction) => {
      if (!(error instanceof FactoryError)) return next(error);
      const problem = problemOf(error, 'request-1');
      response.status(problem.status).type('html').send(web.renderError(problem, response.locals));
    },
  );
  const server = app.listen(port, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    accepted: (context.operations as FakeOperations).accepted,
    refusals,
    auditQueries,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
