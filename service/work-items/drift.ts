import { isTerminal } from './lanes.ts';
import {
  DRIFT_CODES,
  type Drift,
  type DriftCode,
  type ForgeFacts,
  type Policy,
  type QueueObservation,
  type Signal,
  type WorkItem,
} from './types.ts';

/** What the lease table says about one item; null where leases are not connected. */
export interface LeaseFacts {
  observedAt: string;
  /** A lease of this item that has not ended; null: none. */
  live: { handoffId: string; holder: string } | null;
}

/** Two kinds of signals: those of the item's own record, and what was seen outside. Item null: the database has none. */
export interface DriftFacts {
  item: WorkItem | null;
  queue: QueueObservation | null;
  forge: ForgeFacts | null;
  leases: LeaseFacts | null;
}

export type DriftSource = 'queue' | 'prompt' | 'pull request' | 'checks' | 'lease';

export interface DriftRule {
  severity: Drift['severity'];
  /** Fields that it can be found on; told where the severity is error, which gates go by. */
  fields?: readonly string[];
  /** Sources that must be fresh enough to compare. */
  needs: readonly DriftSource[];
  /** The disagreement, or null where the signals agree. Called only with the needed facts present. */
  detect: (facts: DriftFacts) => Pick<Drift, 'field' | 'left' | 'right'> | null;
}

export const CONTROL_PLANE = 'control plane';

/** One authority per field; a policy may name others, but not for what shows the lane. */
export const DEFAULT_AUTHORITIES: Readonly<Record<string, string>> = {
  id: 'queue',
  status: CONTROL_PLANE,
  collection: CONTROL_PLANE,
  record: CONTROL_PLANE,
  handoff: CONTROL_PLANE,
  lease: 'lease',
  prompt: 'queue',
  branch: 'pull request',
  pr: 'pull request',
  checks: 'checks',
};

export function authorityFor(field: string, policy: Pick<Policy, 'authorities'>): string {
  const authorities = { ...DEFAULT_AUTHORITIES, ...policy.authorities };
  return (Object.hasOwn(authorities, field) ? authorities[field] : undefined) ?? CONTROL_PLANE;
}

export const DRIFT_RULES: Readonly<Record<DriftCode, DriftRule>> = {
  'queue-status-vs-lane': {
    severity: 'error',
    fields: ['status', 'collection'],
    needs: ['queue'],
    detect: statusVersusLane,
  },
  'queue-file-missing': {
    severity: 'warn',
    needs: ['queue'],
    detect: ({ item, queue }) =>
      item && queue?.record === null
        ? differs('record', ['queue', 'no record'], [CONTROL_PLANE, item.lane])
        : null,
  },
  'queue-file-unknown-item': {
    severity: 'warn',
    needs: ['queue'],
    detect: ({ item, queue }) => {
      const id = queue && (mismatchedId(queue) ?? queue.record?.fields.id);
      const known = item?.id ?? 'no such item';
      return id === null || id === undefined || id === known
        ? null
        : differs('id', ['queue', id], [CONTROL_PLANE, known]);
    },
  },
  'duplicate-id': {
    severity: 'error',
    fields: ['id'],
    needs: ['queue'],
    detect: ({ queue }) => {
      if (!queue || queue.duplicates.length === 0) return null;
      return differs(
        'id',
        ['queue', queue.record?.path ?? 'no record'],
        ['queue', queue.duplicates.join(', ')],
      );
    },
  },
  'prompt-missing': {
    severity: 'warn',
    needs: ['prompt'],
    detect: ({ item, queue }) =>
      item && queue?.prompt === null
        ? differs('prompt', ['queue', 'no prompt'], [CONTROL_PLANE, `prompts/${item.id}.prompt.md`])
        : null,
  },
  'prompt-changed-in-flight': {
    severity: 'warn',
    needs: ['prompt'],
    detect: ({ item, queue }) => {
      const pinned = item?.handoff?.promptRevision;
      const current = queue?.prompt?.revision;
      if (!pinned || !current || pinned === current) return null;
      return differs('prompt', ['queue', current], ['handoff', pinned]);
    },
  },
  'branch-missing': {
    severity: 'warn',
    needs: ['pull request'],
    detect: ({ item, forge }) => {
      const expected = item && ['executing', 'review'].includes(item.lane) ? item.record.branch : null;
      if (!expected || !forge || forge.branchHead !== null) return null;
      return differs('branch', ['queue', expected], ['pull request', 'no such branch']);
    },
  },
  'branch-mismatch': {
    severity: 'warn',
    needs: ['pull request'],
    detect: ({ item, forge }) => {
      const expected = item?.record.branch;
      const actual = forge?.pullRequest?.headBranch;
      if (!expected || !actual || expected === actual) return null;
      return differs('branch', ['queue', expected], ['pull request', actual]);
    },
  },
  'pr-merged-lane-open': {
    severity: 'error',
    fields: ['pr'],
    needs: ['pull request'],
    detect: (facts) => requestVersusLane(facts, 'merged', (item) => !isTerminal(item.lane)),
  },
  'pr-closed-unmerged': {
    severity: 'warn',
    needs: ['pull request'],
    detect: (facts) => requestVersusLane(facts, 'closed', (item) => item.lane !== 'cancelled'),
  },
  'lane-done-pr-open': {
    severity: 'error',
    fields: ['pr'],
    needs: ['pull request'],
    detect: (facts) => requestVersusLane(facts, 'open', (item) => item.lane === 'done'),
  },
  'pr-head-unvalidated': { severity: 'warn', needs: ['pull request', 'checks'], detect: headUnvalidated },
  'executing-without-lease': {
    severity: 'error',
    fields: ['lease'],
    needs: ['lease'],
    detect: ({ item, leases }) => {
      const held = item?.lane === 'executing' && item.handoff?.state !== 'queued';
      return held && leases?.live === null
        ? differs('lease', ['lease', 'none'], [CONTROL_PLANE, 'executing'])
        : null;
    },
  },
  'lease-without-executing': {
    severity: 'warn',
    needs: ['lease'],
    detect: ({ item, leases }) =>
      item && leases?.live && item.lane !== 'executing'
        ? differs('lease', ['lease', leases.live.holder], [CONTROL_PLANE, item.lane])
        : null,
  },
  'check-never-reported': {
    severity: 'warn',
    needs: ['checks'],
    detect: ({ forge }) => {
      const silent = forge?.checks.find((check) => check.state === 'never-reported');
      return silent
        ? differs('checks', ['checks', 'never reported'], ['pull request', `requires ${silent.name}`])
        : null;
    },
  },
  'handoff-dropped': {
    severity: 'error',
    fields: ['handoff'],
    needs: [],
    detect: ({ item }) => {
      const last = item?.pastHandoffs.at(-1);
      if (item?.lane !== 'executing' || item.handoff !== null || !last) return null;
      return differs('handoff', ['handoff', `${last.id} ${last.state}`], [CONTROL_PLANE, 'executing']);
    },
  },
};

/** The id that the item's own record gives where it is not that of its file; null: none is told. */
export function mismatchedId({ problems }: QueueObservation): string | null {
  const told = problems.find(({ code }) => code === 'id-mismatch')?.message;
  return told?.match(/^The record says `([^`]+)`/)?.[1] ?? null;
}

/** The disagreement that one rule finds, as it is shown. Null: none. */
export function detectDrift(code: DriftCode, facts: DriftFacts): Drift | null {
  const { severity, detect } = DRIFT_RULES[code];
  const found = detect(facts);
  return found ? { code, severity, ...found } : null;
}

/**
 * Every code is either computed or named with the reason why not.
 * @param unavailable the reason why a code cannot be computed now, or null
 */
export function computeDrift(
  facts: DriftFacts,
  unavailable: (code: DriftCode) => string | null,
): { drift: Drift[]; notComputed: { code: DriftCode; reason: string }[] } {
  const drift: Drift[] = [];
  const notComputed: { code: DriftCode; reason: string }[] = [];
  for (const code of DRIFT_CODES) {
    const reason = unavailable(code);
    const found = reason === null ? detectDrift(code, facts) : null;
    if (reason !== null) notComputed.push({ code, reason });
    if (found) drift.push(found);
  }
  return { drift, notComputed };
}

/** A record in another collection, or whose literal status is not the lane's name. */
function statusVersusLane({ item, queue }: DriftFacts): ReturnType<DriftRule['detect']> {
  const record = queue?.record;
  if (!item || !record) return null;
  if (record.collection !== item.lane)
    return differs('collection', ['queue', record.collection], [CONTROL_PLANE, item.lane]);
  if (record.fields.status !== item.lane)
    return differs('status', ['queue', record.fields.status], [CONTROL_PLANE, item.lane]);
  return null;
}

function requestVersusLane(
  { item, forge }: DriftFacts,
  state: 'open' | 'merged' | 'closed',
  disagrees: (item: WorkItem) => boolean,
): ReturnType<DriftRule['detect']> {
  const request = forge?.pullRequest;
  if (!item || request?.state !== state || !disagrees(item)) return null;
  return differs('pr', ['pull request', `#${request.number} ${state}`], [CONTROL_PLANE, item.lane]);
}

/** An open pull request in review whose head has neither successful checks nor passing validation evidence. */
function headUnvalidated({ item, forge }: DriftFacts): ReturnType<DriftRule['detect']> {
  const request = forge?.pullRequest;
  if (item?.lane !== 'review' || request?.state !== 'open') return null;
  const head = request.headCommit;
  const checks = forge?.checks.filter(({ commit }) => commit === head) ?? [];
  if (checks.length > 0 && checks.every(({ state }) => state === 'success')) return null;
  const newest = item.evidence.findLast(({ kind, commit }) => kind === 'validation' && commit === head);
  if (newest?.result === 'passed') return null;
  return differs('checks', ['checks', 'no passing validation'], ['pull request', head]);
}

function differs(
  field: string,
  [leftSource, left]: [source: string, value: string],
  [rightSource, right]: [source: string, value: string],
): { field: string; left: Signal; right: Signal } {
  return { field, left: { source: leftSource, value: left }, right: { source: rightSource, value: right } };
}
