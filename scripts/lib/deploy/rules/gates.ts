import type { Reply } from '../types.ts';

/** What a slot has to answer before requests come to it. Takes replies; fetches nothing. */

export interface GateLimits {
  /** A slot that does not answer at all for so long has failed. */
  startMs: number;
  /** One question may take so long. */
  replyMs: number;
  /** Of all questions that are asked, 95 of 100 are answered within so long. */
  p95Ms: number;
  /** How often all of them are asked. */
  rounds: number;
}

export const GATES: GateLimits = { startMs: 60_000, replyMs: 5_000, p95Ms: 500, rounds: 3 };

export interface Read {
  path: string;
  /** What a good answer has. */
  status: readonly number[];
  holds: string;
}

/**
 * Ten reads that anybody may make, through every layer: pages and their files, the API and its description, the database,
 * what is refused without a token. Backups and drills may be late (503) without that being a fault of the release.
 */
export const READS: readonly Read[] = [
  { path: '/api/health', status: [200], holds: '"release"' },
  { path: '/api/openapi.json', status: [200], holds: '"openapi"' },
  { path: '/api/docs', status: [200], holds: '</html>' },
  { path: '/login', status: [200], holds: '</html>' },
  { path: '/', status: [303], holds: '' },
  { path: '/operations', status: [303], holds: '' },
  { path: '/api/control-plane/items', status: [401], holds: '"code"' },
  { path: '/api/health/backups', status: [200, 503], holds: '"status"' },
  { path: '/api/health/drills', status: [200, 503], holds: '"status"' },
  { path: '/api/badge/restore.svg', status: [200], holds: '<svg' },
];

/** What is wrong with an answer; null: nothing. */
export function replyProblem({ path, status, holds }: Read, reply: Reply): string | null {
  if (reply.status === 0) return `GET ${path}: ${reply.error ?? 'no answer'}`;
  if (!status.includes(reply.status))
    return `GET ${path} answered ${reply.status}, not ${status.join(' or ')}`;
  return reply.body.includes(holds) ? null : `GET ${path} answered without ${holds}`;
}

/** What is wrong with the answer to `/api/health`; null: this release is there and can write its database. */
export function healthProblem(reply: Reply, release: string): string | null {
  if (reply.status === 0) return `GET /api/health: ${reply.error ?? 'no answer'}`;
  const health = parsed(reply.body);
  if (health === null) return `GET /api/health answered ${reply.status} and no health`;
  if (health.release !== release)
    return `the release ${health.release ?? 'without a name'} answers on the socket of ${release}`;
  if (reply.status !== 200) return `GET /api/health answered ${reply.status}: ${health.status}`;
  return health.status === 'ok' || health.status === 'degraded' ? null : `its health is ${health.status}`;
}

function parsed(body: string): { status: string; release: string | null } | null {
  try {
    const found = JSON.parse(body) as { status?: unknown; release?: unknown } | null;
    if (typeof found?.status !== 'string') return null;
    return { status: found.status, release: typeof found.release === 'string' ? found.release : null };
  } catch {
    return null;
  }
}

/** The time within which 95 of 100 were answered: the nearest rank. 0 of nothing. */
export function p95(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * 0.95) - 1)] ?? 0;
}

/** Null: as quick as it has to be, so far. Of `all` answers, more than 5 of 100 over the limit are too many: nobody waits for the rest. */
export function paceProblem(times: readonly number[], all: number, limitMs: number): string | null {
  const slow = times.filter((ms) => ms > limitMs);
  if (slow.length <= Math.floor(all * 0.05)) return null;
  return `${slow.length} of ${times.length} answers took more than ${limitMs} ms, up to ${Math.round(Math.max(...slow))} ms`;
}
