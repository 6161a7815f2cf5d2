import type { IncomingMessage, ServerResponse } from 'node:http';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { AuditHealth } from '../audit/log.ts';
import type { Storage } from '../storage/transaction.ts';
import type { HealthDocument } from './health.ts';
import { observeJobs, type JobsObserved } from './job-metrics.ts';
import { newestAuditEntry, outboxPending } from './store.ts';

/** What the gauges look at when Prometheus asks. */
export interface Observed extends JobsObserved {
  storage: Storage;
  projectId: string;
  audit: { health(): AuditHealth };
  feed: { clients(): number };
  health: { check(): Promise<HealthDocument> };
}

/** Gauges that prom-client names like counters, which promtool refuses. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** Requests here take 1 ms to a few seconds. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const STATUSES = ['ok', 'degraded', 'failing'] as const;

/** The metrics of one application, in a registry of its own. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);

  const requests = new Histogram({
    name: 'factory_http_request_duration_seconds',
    help: 'Time from a request to the end of its answer, by route, method and status.',
    labelNames: ['route', 'method', 'status'],
    buckets: SECONDS,
    registers,
  });
  const actions = new Counter({
    name: 'factory_actions_total',
    help: 'Actions by identity and outcome: applied, or the code of the refusal.',
    labelNames: ['identity', 'outcome'],
    registers,
  });
  const blocks = new Counter({
    name: 'factory_gate_blocks_total',
    help: 'How often a gate blocked an action.',
    labelNames: ['gate'],
    registers,
  });

  const appends = new Counter({
    name: 'factory_chat_messages_total',
    help: 'Messages of conversations by outcome: appended, replayed, or the code of the refusal.',
    labelNames: ['outcome'],
    registers,
  });
  const findings = new Counter({
    name: 'factory_chat_findings_total',
    help: 'What was found sensitive in messages that were kept, by what was done.',
    labelNames: ['action'],
    registers,
  });
  const searchRestarts = new Counter({
    name: 'factory_search_thread_restarts_total',
    help: 'How often the thread of the search index was begun again, by what it did: ended or hung.',
    labelNames: ['why'],
    registers,
  });

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),

    /** Measures every request; the route is its pattern, so that ids make no series. */
    middleware(req: IncomingMessage, res: ServerResponse, next: () => void): void {
      const started = performance.now();
      res.once('close', () => {
        // A stream's length says nothing about the service.
        if (String(res.getHeader('Content-Type')).startsWith('text/event-stream')) return;
        const method = METHODS.has(req.method ?? '') ? (req.method ?? '') : 'OTHER';
        const seconds = (performance.now() - started) / 1000;
        requests.observe({ route: routeOf(req), method, status: res.statusCode }, seconds);
      });
      next();
    },

    actionOutcome(identity: string, outcome: string, gates: readonly string[]): void {
      actions.inc({ identity, outcome });
      for (const gate of gates) blocks.inc({ gate });
    },

    appendOutcome(outcome: string, taken: readonly string[]): void {
      appends.inc({ outcome });
      for (const action of taken) findings.inc({ action });
    },

    searchRestarts: (why: 'ended' | 'hung'): void => searchRestarts.inc({ why }),

    /** Adds the gauges of a wired service. */
    observe(observed: Observed): void {
      observeJobs(registry, observed);
      for (const { name, help, read } of gaugesOf(observed)) {
        new Gauge({
          ...{ name, help, registers },
          async collect() {
            this.set(await read());
          },
        });
      }
      new Gauge({
        name: 'factory_health_status',
        help: 'One for the status that health has, zero for the others.',
        labelNames: ['status'],
        registers,
        async collect() {
          const { status } = await observed.health.check();
          for (const one of STATUSES) this.set({ status: one }, one === status ? 1 : 0);
        },
      });
    },
  };
}

export type Metrics = ReturnType<typeof createMetrics>;

function gaugesOf({
  storage,
  projectId,
  audit,
  feed,
}: Observed): { name: string; help: string; read: () => number | Promise<number> }[] {
  const entries = async () => Number((await storage.read.get(newestAuditEntry, {}))?.seq ?? 0);
  return [
    { name: 'factory_audit_entries', help: 'Entries in the audit log.', read: entries },
    {
      name: 'factory_audit_unsigned_entries',
      help: 'Entries that no signed checkpoint covers yet.',
      read: async () => Math.max(0, (await entries()) - audit.health().signedSize),
    },
    {
      name: 'factory_outbox_pending',
      help: 'Queue writes that committed changes still owe.',
      read: async () =>
        Number((await storage.read.get(outboxPending, { project_id: projectId }))?.count ?? 0),
    },
    { name: 'factory_sse_clients', help: 'Open streams of live events.', read: () => feed.clients() },
  ];
}

/** Express leaves the matched route on the request. */
function routeOf(req: IncomingMessage): string {
  const { route, baseUrl = '' } = req as { route?: { path?: unknown }; baseUrl?: string };
  return typeof route?.path === 'string' ? `${baseUrl}${route.path}` : 'unmatched';
}
