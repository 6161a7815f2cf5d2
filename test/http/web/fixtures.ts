import { permissionsOf } from '../../../service/access/roles.ts';
import type { FrameFacts } from '../../../service/http/web/ports.ts';
import type { FrameView } from '../../../service/http/web/views/frame.ts';
import { ACTIONS } from '../../../service/work-items/actions.ts';
import type {
  ActionsDocument,
  BoardDocument,
  DecisionDocument,
  HistoryDocument,
  ItemDocument,
  ItemSummary,
} from '../../../service/work-items/documents.ts';
import type {
  ActionIdentity,
  ActionReport,
  GateIdentity,
  GateResult,
  Lane,
  Principal,
} from '../../../service/work-items/types.ts';

/** Documents as the services make them, for views and handlers. */

export const NOW = Date.parse('2026-11-23T12:00:00.000Z');

export function minutesAgo(minutes: number): string {
  return new Date(NOW - minutes * 60_000).toISOString();
}

export function principal(name: string, ...roles: string[]): Principal {
  const id = `person-${name.toLowerCase()}`;
  return { kind: 'person', id, name, personId: id, roles, permissions: permissionsOf(roles) };
}

export const ADA = principal('Ada', 'owner');

export const FRAME: FrameFacts = {
  project: 'main',
  environment: 'production',
  release: '2026.11.3',
  health: { status: 'ok', text: 'Healthy' },
  queueFolder: 'work-items',
  gatePack: 'baseline',
  hardGates: [],
};

export function view(who: Principal | null = ADA): FrameView {
  return {
    asset: (name) => `/assets/test/${name}`,
    now: NOW,
    csrf: 'csrf-of-the-session',
    facts: FRAME,
    principal: who,
  };
}

export function item(fields: Partial<ItemDocument> = {}): ItemDocument {
  const lane = fields.lane ?? 'executing';
  const id = fields.id ?? 'wi-BF-281';
  return {
    id,
    key: id.slice(3),
    title: 'Rotate the Spaces keys',
    summary:
      'Rotate the keys of production and staging without a failed backup, prove the old key is refused, and record the evidence.',
    lane,
    workType: 'operations',
    source: lane,
    status: lane,
    state: lane,
    stateBasis: 'record',
    branch: 'bf/BF-281-rotate-spaces-keys',
    validation: './scripts/validate-local.ps1',
    pr: null,
    criteria: [],
    queueTruth: {
      freshness: { verdict: 'Fresh', ageSeconds: 0 },
      sources: [{ source: 'queue', verdict: 'Fresh', ageSeconds: 0, budgetSeconds: 60 }],
      drift: [],
      notConnected: ['pull request', 'checks'],
      notComputed: [{ code: 'pr-closed-unmerged', reason: 'pull request is not connected' }],
    },
    guidance: ['No reconciliation required; item truth signals are consistent.'],
    problems: [],
    prompt: {
      path: `./work-items/prompts/${id}.prompt.md`,
      excerpt: 'Rotate the keys one host at a time.',
      missing: false,
    },
    blockedBy: [],
    supersedes: null,
    supersededBy: [],
    handoff: null,
    pastHandoffs: [],
    evidence: [],
    approvals: [],
    overrides: [],
    release: null,
    history: { count: 0, latest: null, at: null },
    origin: 'import',
    createdAt: minutesAgo(90),
    updatedAt: minutesAgo(9),
    version: 4,
    ...fields,
  };
}

export function gate(
  name: GateIdentity,
  verdict: GateResult['verdict'],
  fields: Partial<GateResult> = {},
): GateResult {
  const stands = verdict === 'blocked' || verdict === 'unknown';
  const reason = stands ? `${name} stands in the way.` : '';
  return {
    gate: name,
    code: name,
    verdict,
    reason,
    params: {},
    facts: [
      { source: 'record', path: 'lane', value: 'executing', observedAt: minutesAgo(2), revision: null },
    ],
    recovery: stands
      ? {
          cause: fields.reason ?? reason,
          policyContext: `Policy of ${name}.`,
          nextStep: `Next step of ${name}.`,
          safeRetry: { text: `Retry of ${name}.`, mode: 'after-change' },
        }
      : null,
    unblock: [],
    ...fields,
  };
}

export function report(identity: ActionIdentity, gates: GateResult[], granted = true): ActionReport {
  const { label, description, permission } = ACTIONS[identity];
  const enabled = !gates.some(({ verdict }) => verdict === 'blocked' || verdict === 'unknown');
  return { identity, label, description, enabled, permission: { name: permission, granted }, gates };
}

function terminal(identity: ActionIdentity): ActionReport {
  const { label } = ACTIONS[identity];
  const cause = `Done items stay closed; ${label} cannot move them backward.`;
  const blocked = gate('lane-transition', 'blocked', {
    code: 'terminal-lane',
    reason: cause,
    recovery: {
      cause,
      policyContext: `Lane transition policy blocks ${label} when the item is already Done.`,
      nextStep: 'Create a net-new work item if more delivery is needed instead of reopening this one.',
      safeRetry: { text: `Do not retry ${label} on a done item.`, mode: 'never' },
    },
    unblock: [{ url: '/items/new?supersedes=wi-BF-106', permission: 'factory.work-item.create' }],
  });
  return report(identity, [
    blocked,
    gate('truth-fresh', 'not-applicable', { reason: 'the lane is terminal' }),
  ]);
}

/** The four actions of a done item, as the reference pages have them. */
export const DONE_ACTIONS: ActionsDocument = {
  version: 1,
  actions: [
    terminal('start-execution'),
    terminal('request-review'),
    report('prepare-release', [gate('lane-eligibility', 'pass'), gate('pull-request', 'pass')]),
    report('record-history', [gate('context-visibility', 'pass')]),
  ],
};

export function history(fields: Partial<HistoryDocument> = {}): HistoryDocument {
  return {
    itemId: 'wi-BF-281',
    title: 'Rotate the Spaces keys',
    lane: 'executing',
    events: [],
    decisions: [],
    snapshots: [],
    nextCursor: null,
    ...fields,
  };
}

export function decision(fields: Partial<DecisionDocument> = {}): DecisionDocument {
  return {
    id: '019aa000-0000-7000-8000-00000000d001',
    itemId: 'wi-BF-281',
    identity: 'start-execution',
    label: 'Start execution',
    outcome: 'applied',
    by: 'Ada',
    actor: { kind: 'person', id: 'person-ada', personId: 'person-ada', roles: ['owner'] },
    at: minutesAgo(21),
    ruleVersion: '1',
    ids: [],
    plan: null,
    decided: null,
    gatePack: 'baseline',
    policyDigest: 'sha256:policy',
    factsDigest: 'sha256:facts',
    itemVersion: 3,
    permission: { name: 'factory.work-item.execute', granted: true },
    input: {},
    gates: [gate('lane-transition', 'pass')],
    lane: { from: 'ready', to: 'ready' },
    effects: [
      { kind: 'handoff-queued', text: 'A handoff is queued; claim it here, or let an executor claim it.' },
    ],
    ...fields,
  };
}

export function summary(
  key: string,
  title: string,
  lane: Lane,
  fields: Partial<ItemSummary> = {},
): ItemSummary {
  return {
    id: `wi-${key}`,
    key,
    title,
    summary: title,
    lane,
    workType: 'operations',
    source: lane,
    status: lane,
    state: lane,
    pr: null,
    criteria: { total: 5, met: 3 },
    holder: null,
    handoff: null,
    freshness: { verdict: 'Fresh', ageSeconds: 1 },
    drift: [],
    attention: null,
    version: 1,
    updatedAt: minutesAgo(3),
    ...fields,
  };
}

export function board(items: ItemSummary[], fields: Partial<BoardDocument> = {}): BoardDocument {
  const lanes = (['backlog', 'ready', 'executing', 'review', 'done', 'cancelled'] as const).map((lane) => {
    const own = items.filter((one) => one.lane === lane);
    return {
      lane,
      count: own.length,
      limit: lane === 'executing' ? 3 : null,
      running: lane === 'executing' ? own.length : null,
      items: own,
    };
  });
  const attention = items.filter((one) => one.attention);
  return {
    total: items.length,
    lanes,
    attention,
    attentionTotal: attention.length,
    workTypes: ['operations', 'research'],
    problems: [],
    freshness: { verdict: 'Fresh', ageSeconds: 1 },
    ...fields,
  };
}

/** The reference page's item, from the values that stand on it. */
export function referenceItem(id: 'wi-BF-106' | 'wi-BF-276'): ItemDocument {
  const given = REFERENCE[id];
  return item({
    id,
    lane: 'done',
    version: 1,
    title: given.title,
    summary: given.summary,
    workType: given.workType,
    branch: given.branch,
    pr: given.pr,
    prompt: { path: `./work-items/prompts/${id}.prompt.md`, excerpt: given.summary, missing: false },
    criteria: Array.from({ length: given.criteria }, (_, index) => ({
      number: index + 1,
      text: `Criterion ${index + 1} of the summary is shown by a test.`,
      status: 'not-recorded' as const,
      evidence: [],
      waiver: null,
    })),
  });
}

const REFERENCE = {
  'wi-BF-106': {
    title: 'Implement DB-backed chat persistence and governance model',
    summary:
      'Define and implement structured chat/session persistence with SQLite-first storage and an upgrade path to Postgres, including retention, deletion, access control, auditability, and sensitive-data handling policies.',
    workType: 'implementation',
    branch: 'bf/BF-106-Implement-DB-backed-chat-persistence-and-governance-model',
    pr: 'https://github.com/SingletonTheory/build-factory-bootstrap/pull/122',
    criteria: 2,
  },
  'wi-BF-276': {
    title: 'Staging environment topology + branch-based deploy pipeline and backup/recovery strategy',
    summary:
      'Establish the staging environment and production backup/recovery strategy to complete the production operations lifecycle. Staging: configure a staging subdomain (staging.domain.com) on the same or a separate VPS, configure the GitHub Actions staging deploy pipeline (triggers on PR merge to a staging branch, deploys to staging VPS, runs health check). Backup: implement SQLite backup strategy — nightly cron job copies SQLite file to a remote storage bucket (S3-compatible: Backblaze B2 or DigitalOcean Spaces), backup retention policy (30 days), restore procedure tested and documented. Monitoring: configure Uptime Robot (free tier) to check /api/health every 5 minutes and alert on downtime. All setup documented in production-runbook.md.',
    workType: 'operations',
    branch: 'bf/BF-276-staging-environment-backup-recovery',
    pr: 'https://github.com/SingletonTheory/build-factory-bootstrap/pull/323',
    criteria: 32,
  },
};
