import { describe, expect, it } from 'vitest';
import {
  authorityFor,
  computeDrift,
  detectDrift,
  DRIFT_RULES,
  type DriftFacts,
  type LeaseFacts,
} from '../../service/work-items/drift.ts';
import {
  DRIFT_CODES,
  type Drift,
  type DriftCode,
  type ForgeFacts,
  type ReadRecord,
} from '../../service/work-items/types.ts';
import {
  evidenceOf,
  forgeOf,
  handoffOf,
  HEAD,
  itemOf,
  NOW,
  policyOf,
  queueOf,
  recordOf,
} from './gates.fixtures.ts';

const ready = itemOf('ready');
const executing = itemOf('executing', { handoff: handoffOf('claimed') });
const inReview = itemOf('review', { handoff: handoffOf('submitted') });
const done = itemOf('done');

const facts = (fields: Partial<DriftFacts>): DriftFacts => {
  const item = fields.item === undefined ? ready : fields.item;
  return { item, queue: item && queueOf(item), forge: null, leases: null, ...fields };
};
const readAs = (fields: Partial<ReadRecord>, status = 'ready'): ReadRecord => ({
  fields: recordOf({ status }),
  collection: 'ready',
  path: 'ready/wi-BF-1.md',
  revision: 'r',
  ...fields,
});
const request = (fields: Partial<NonNullable<ForgeFacts['pullRequest']>>): ForgeFacts => {
  const forge = forgeOf();
  return { ...forge, pullRequest: forge.pullRequest && { ...forge.pullRequest, ...fields } };
};
const lease = (live: LeaseFacts['live']): LeaseFacts => ({ observedAt: NOW, live });
const held = lease({ handoffId: 'h-1', holder: 't-agent' });

/** One fixture per code where it is open, with the texts of both sides, and one where it is not. */
const FIXTURES: Record<
  DriftCode,
  { open: DriftFacts; says: [field: string, left: string, right: string]; closed: DriftFacts[] }
> = {
  'queue-status-vs-lane': {
    open: facts({ queue: queueOf(ready, { record: readAs({}, 'In progress') }) }),
    says: ['status', 'In progress', 'ready'],
    closed: [facts({})],
  },
  'queue-file-missing': {
    open: facts({ queue: queueOf(ready, { record: null }) }),
    says: ['record', 'no record', 'ready'],
    closed: [facts({}), facts({ item: null, queue: queueOf(ready, { record: null }) })],
  },
  'queue-file-unknown-item': {
    open: facts({ item: null, queue: queueOf(ready) }),
    says: ['id', 'wi-BF-1', 'no such item'],
    closed: [facts({}), facts({ item: null, queue: null })],
  },
  'duplicate-id': {
    open: facts({ queue: queueOf(ready, { duplicates: ['done/copy.md', 'done/other.md'] }) }),
    says: ['id', 'ready/wi-BF-1.md', 'done/copy.md, done/other.md'],
    closed: [facts({})],
  },
  'prompt-missing': {
    open: facts({ queue: queueOf(ready, { prompt: null }) }),
    says: ['prompt', 'no prompt', 'prompts/wi-BF-1.prompt.md'],
    closed: [facts({})],
  },
  'prompt-changed-in-flight': {
    open: facts({
      item: itemOf('executing', { handoff: handoffOf('claimed', { promptRevision: 'prompt-0' }) }),
    }),
    says: ['prompt', 'prompt-1', 'prompt-0'],
    closed: [
      facts({ item: executing }),
      facts({ item: itemOf('executing', { handoff: handoffOf('claimed', { promptRevision: null }) }) }),
    ],
  },
  'branch-missing': {
    open: facts({ item: executing, forge: forgeOf({ branchHead: null, pullRequest: null }) }),
    says: ['branch', 'bf/BF-1', 'no such branch'],
    closed: [
      facts({ item: executing, forge: forgeOf() }),
      facts({ item: ready, forge: forgeOf({ branchHead: null, pullRequest: null }) }),
      facts({ item: done, forge: forgeOf({ branchHead: null }) }),
    ],
  },
  'branch-mismatch': {
    open: facts({ item: inReview, forge: request({ headBranch: 'other' }) }),
    says: ['branch', 'bf/BF-1', 'other'],
    closed: [
      facts({ item: inReview, forge: forgeOf() }),
      facts({ item: inReview, forge: forgeOf({ pullRequest: null }) }),
    ],
  },
  'pr-merged-lane-open': {
    open: facts({ item: inReview, forge: request({ state: 'merged' }) }),
    says: ['pr', '#122 merged', 'review'],
    closed: [
      facts({ item: done, forge: request({ state: 'merged' }) }),
      facts({ item: inReview, forge: forgeOf() }),
    ],
  },
  'pr-closed-unmerged': {
    open: facts({ item: inReview, forge: request({ state: 'closed' }) }),
    says: ['pr', '#122 closed', 'review'],
    closed: [
      facts({ item: inReview, forge: forgeOf() }),
      facts({ item: itemOf('cancelled'), forge: request({ state: 'closed' }) }),
    ],
  },
  'lane-done-pr-open': {
    open: facts({ item: done, forge: forgeOf() }),
    says: ['pr', '#122 open', 'done'],
    closed: [
      facts({ item: done, forge: request({ state: 'merged' }) }),
      facts({ item: inReview, forge: forgeOf() }),
    ],
  },
  'pr-head-unvalidated': {
    open: facts({ item: inReview, forge: forgeOf() }),
    says: ['checks', 'no passing validation', HEAD],
    closed: [
      facts({ item: inReview, forge: forgeOf({ checks: [{ name: 'ci', commit: HEAD, state: 'success' }] }) }),
      facts({ item: { ...inReview, evidence: [evidenceOf('validation')] }, forge: forgeOf() }),
      facts({ item: executing, forge: forgeOf() }),
    ],
  },
  'executing-without-lease': {
    open: facts({ item: executing, leases: lease(null) }),
    says: ['lease', 'none', 'executing'],
    closed: [
      facts({ item: executing, leases: held }),
      facts({ item: itemOf('executing', { handoff: handoffOf('queued') }), leases: lease(null) }),
      facts({ item: ready, leases: lease(null) }),
    ],
  },
  'lease-without-executing': {
    open: facts({ item: inReview, leases: held }),
    says: ['lease', 't-agent', 'review'],
    closed: [facts({ item: executing, leases: held }), facts({ item: inReview, leases: lease(null) })],
  },
  'check-never-reported': {
    open: facts({
      item: inReview,
      forge: forgeOf({ checks: [{ name: 'ci', commit: HEAD, state: 'never-reported' }] }),
    }),
    says: ['checks', 'never reported', 'requires ci'],
    closed: [
      facts({ item: inReview, forge: forgeOf({ checks: [{ name: 'ci', commit: HEAD, state: 'pending' }] }) }),
    ],
  },
  'handoff-dropped': {
    open: facts({ item: itemOf('executing', { pastHandoffs: [handoffOf('expired', { endedAt: NOW })] }) }),
    says: ['handoff', 'h-1 expired', 'executing'],
    closed: [
      facts({ item: executing }),
      facts({ item: itemOf('executing') }),
      facts({ item: itemOf('ready', { pastHandoffs: [handoffOf('expired')] }) }),
    ],
  },
};

const ERRORS: DriftCode[] = [
  'queue-status-vs-lane',
  'duplicate-id',
  'pr-merged-lane-open',
  'lane-done-pr-open',
  'executing-without-lease',
  'handoff-dropped',
];

describe('drift codes', () => {
  it.each(DRIFT_CODES)('%s is open, with both sides', (code) => {
    const { open, says } = FIXTURES[code];
    const found = detectDrift(code, open);
    expect(found && [found.field, found.left.value, found.right.value]).toEqual(says);
    expect(found?.severity).toBe(ERRORS.includes(code) ? 'error' : 'warn');
  });

  it.each(DRIFT_CODES)('%s is not open where the signals agree', (code) => {
    for (const closed of FIXTURES[code].closed) expect(detectDrift(code, closed)).toBeNull();
  });

  it('sees a record in another collection before its status', () => {
    const queue = queueOf(ready, { record: readAs({ collection: 'done' }, 'done') });
    const found = detectDrift('queue-status-vs-lane', facts({ queue }));
    expect(found).toMatchObject({ field: 'collection', left: { value: 'done' }, right: { value: 'ready' } });
  });

  it('sees a record that names another item', () => {
    const queue = queueOf(ready, { record: readAs({ fields: recordOf({ id: 'wi-BF-9' }) }) });
    expect(detectDrift('queue-file-unknown-item', facts({ queue }))).toMatchObject({
      left: { value: 'wi-BF-9' },
    });
  });

  it('computes or names every code, in the order of the list', () => {
    const skipped: DriftCode[] = ['duplicate-id', 'check-never-reported'];
    const open: DriftFacts = facts({ queue: queueOf(ready, { prompt: null, duplicates: ['x.md'] }) });
    const { drift, notComputed } = computeDrift(open, (code) => (skipped.includes(code) ? 'stale' : null));
    expect(drift.map(({ code }: Drift) => code)).toEqual(['prompt-missing']);
    expect(notComputed).toEqual(skipped.map((code) => ({ code, reason: 'stale' })));
  });

  it('has one authority per field, which a policy may name', () => {
    expect(authorityFor('status', policyOf('baseline'))).toBe('control plane');
    expect(authorityFor('branch', policyOf('baseline'))).toBe('pull request');
    expect(authorityFor('branch', policyOf('baseline', { authorities: { branch: 'queue' } }))).toBe('queue');
    expect(authorityFor('constructor', policyOf('baseline'))).toBe('control plane');
  });

  it('declares the sources that it reads', () => {
    for (const code of DRIFT_CODES) {
      const { needs } = DRIFT_RULES[code];
      const { open } = FIXTURES[code];
      const blind = {
        ...open,
        ...(needs.includes('queue') || needs.includes('prompt') ? { queue: null } : {}),
        ...(needs.includes('pull request') || needs.includes('checks') ? { forge: null } : {}),
        ...(needs.includes('lease') ? { leases: null } : {}),
      };
      expect([code, detectDrift(code, blind)]).toEqual([
        code,
        needs.length === 0 ? detectDrift(code, open) : null,
      ]);
    }
  });
});
