import { describe, expect, it } from 'vitest';
import { GATES } from '../../service/work-items/gates/evaluate.ts';
import type { ActionIdentity, Facts, GateIdentity, GateResult, Policy, Principal, WorkItem } from '../../service/work-items/types.ts';
import {
  actor,
  AGENT,
  ANN,
  BEN,
  criterionEvidence,
  CY,
  EARLIER,
  evidenceOf,
  factsOf,
  forgeOf,
  handoffOf,
  HEAD,
  itemOf,
  NOW,
  PIPELINE,
  policyOf,
  PR,
  queueOf,
  recordOf,
} from './gates.fixtures.ts';

interface Setting {
  policy?: Policy;
  principal?: Principal;
  now?: string;
}

function gate(name: GateIdentity, action: ActionIdentity, facts: Facts, setting: Setting = {}): GateResult {
  const { policy = policyOf('strict'), principal = BEN, now = NOW } = setting;
  return GATES[name](facts, action, policy, principal, now);
}

/** Verdict, code and the four texts: what people and machines go by. */
function told({ verdict, code, recovery }: GateResult) {
  if (!recovery) return [verdict, code];
  const { cause, policyContext, nextStep, safeRetry } = recovery;
  return [verdict, code, cause, policyContext, nextStep, safeRetry.text, safeRetry.mode];
}

const merged = { number: 122, state: 'merged', mergeable: false, headBranch: 'bf/BF-1', headCommit: HEAD } as const;
const open = { ...merged, state: 'open', mergeable: true } as const;

describe('lane-transition', () => {
  it.each<[string, ActionIdentity, WorkItem, unknown[]]>([
    ['passes where the table allows it', 'start-execution', itemOf('ready'), ['pass', 'ok']],
    [
      'keeps done items closed',
      'request-review',
      itemOf('done'),
      [
        'blocked',
        'terminal-lane',
        'Done items stay closed; Request review cannot move them backward.',
        'Lane transition policy blocks Request review when the item is already Done.',
        'Create a net-new work item if more delivery is needed instead of reopening this one.',
        'Do not retry Request review on a done item.',
        'never',
      ],
    ],
    [
      'keeps cancelled items closed',
      'cancel',
      itemOf('cancelled'),
      [
        'blocked',
        'terminal-lane',
        'Cancelled items stay closed; Cancel cannot move them backward.',
        'Lane transition policy blocks Cancel when the item is already Cancelled.',
        'Create a net-new work item if more delivery is needed instead of reopening this one.',
        'Do not retry Cancel on a cancelled item.',
        'never',
      ],
    ],
    [
      'names the way through several lanes',
      'request-review',
      itemOf('backlog'),
      [
        'blocked',
        'lane-not-allowed',
        'Request review is not allowed from backlog.',
        'Lane transition policy allows Request review only from executing.',
        'Move the item to executing with Mark ready, then Start execution, then Claim.',
        'Retry Request review after the lane is executing.',
        'after-change',
      ],
    ],
    [
      'names the way back',
      'start-execution',
      itemOf('executing', { handoff: handoffOf('claimed') }),
      [
        'blocked',
        'lane-not-allowed',
        'Start execution is not allowed from executing.',
        'Lane transition policy allows Start execution only from ready.',
        'Move the item to ready with Release handoff.',
        'Retry Start execution after the lane is ready.',
        'after-change',
      ],
    ],
    [
      'says so where no way leads back',
      'mark-ready',
      itemOf('executing', { handoff: handoffOf('claimed') }),
      [
        'blocked',
        'lane-passed',
        'Mark ready is not allowed from executing.',
        'Lane transition policy allows Mark ready only from backlog.',
        'No action moves an item back to backlog; go on with Release handoff, Request review or Cancel.',
        'Do not retry Mark ready on an executing item.',
        'never',
      ],
    ],
    [
      'needs a queued handoff for a claim',
      'claim',
      itemOf('ready'),
      [
        'blocked',
        'no-queued-handoff',
        'Claim is not allowed from ready without a queued handoff.',
        'Lane transition policy allows Claim only on a queued handoff.',
        'Queue a handoff with Start execution.',
        'Retry Claim once a handoff of this ready item is queued.',
        'after-change',
      ],
    ],
    ['takes a queued handoff', 'claim', itemOf('ready', { handoff: handoffOf('queued') }), ['pass', 'ok']],
    ['adopts an imported executing item', 'claim', itemOf('executing'), ['pass', 'ok']],
    ['adopts an imported item in review', 'claim', itemOf('review'), ['pass', 'ok']],
    ['sends an imported review back', 'release-handoff', itemOf('review'), ['pass', 'ok']],
    [
      'does not take a handoff twice',
      'claim',
      itemOf('executing', { handoff: handoffOf('claimed') }),
      [
        'blocked',
        'no-queued-handoff',
        'Claim is not allowed from executing without a queued handoff: handoff h-1 is claimed.',
        'Lane transition policy allows Claim only on a queued handoff.',
        'Queue a handoff with Release handoff, then Start execution.',
        'Retry Claim once a handoff of this executing item is queued.',
        'after-change',
      ],
    ],
  ])('%s', (_name, action, item, expected) => {
    expect(told(gate('lane-transition', action, factsOf(item)))).toEqual(expected);
  });

  it('uses the article that the lane takes', () => {
    const text = gate('lane-transition', 'mark-ready', factsOf(itemOf('executing'))).recovery?.safeRetry.text;
    expect(text).toBe('Do not retry Mark ready on an executing item.');
  });

  it('leads out of a terminal lane by a new item', () => {
    const { unblock } = gate('lane-transition', 'complete', factsOf(itemOf('done')));
    expect(unblock).toEqual([{ url: '/items/new?supersedes=wi-BF-1', permission: 'factory.work-item.create' }]);
  });
});

describe('lane-eligibility', () => {
  it.each<[string, ActionIdentity, WorkItem, unknown[]]>([
    ['passes in review', 'prepare-release', itemOf('review'), ['pass', 'ok']],
    ['passes in done', 'prepare-release', itemOf('done'), ['pass', 'ok']],
    [
      'has nothing to release in ready',
      'prepare-release',
      itemOf('ready'),
      [
        'blocked',
        'lane-not-eligible',
        'Ready items have nothing to release.',
        'Release preparation needs a reviewed or done item.',
        'Finish review first. Move the item to review with Start execution, then Claim, then Request review.',
        'Retry Prepare release after the lane is review or done.',
        'after-change',
      ],
    ],
    [
      'has nothing to release in cancelled',
      'prepare-release',
      itemOf('cancelled'),
      [
        'blocked',
        'terminal-lane',
        'Cancelled items have nothing to release.',
        'Release preparation needs a reviewed or done item.',
        'Create a net-new work item if more delivery is needed instead of reopening this one.',
        'Do not retry Prepare release on a cancelled item.',
        'never',
      ],
    ],
    [
      'takes no evidence in backlog',
      'submit-evidence',
      itemOf('backlog'),
      [
        'blocked',
        'lane-not-eligible',
        'Backlog items take no evidence.',
        'Submit evidence needs an executing or reviewed item.',
        'Begin execution first. Move the item to executing with Mark ready, then Start execution, then Claim.',
        'Retry Submit evidence after the lane is executing or review.',
        'after-change',
      ],
    ],
    [
      'has nothing to approve while executing',
      'approve',
      itemOf('executing', { handoff: handoffOf('claimed') }),
      [
        'blocked',
        'lane-not-eligible',
        'Executing items have nothing to approve.',
        'Approve needs an item in review.',
        'Request a review first. Move the item to review with Request review.',
        'Retry Approve after the lane is review.',
        'after-change',
      ],
    ],
    ['does not speak of other actions', 'refresh-truth', itemOf('done'), ['not-applicable', 'not-applicable']],
    ['lets done items have overrides', 'override-gate', itemOf('done'), ['pass', 'ok']],
  ])('%s', (_name, action, item, expected) => {
    expect(told(gate('lane-eligibility', action, factsOf(item)))).toEqual(expected);
  });
});

describe('pull-request', () => {
  const inReview = (fields: Partial<WorkItem> = {}, pr: string | null = null) => itemOf('review', fields, { pr });
  const policyContext = 'Release and completion need a pull request whose state is known.';

  it.each<[string, ActionIdentity, Facts, string, string, string]>([
    ['linked', 'prepare-release', factsOf(inReview({}, PR)), 'pass', 'ok', 'PR #122 is linked.'],
    ['not linked', 'prepare-release', factsOf(inReview()), 'blocked', 'no-pull-request', 'No pull request is linked.'],
    [
      'not attested',
      'complete',
      factsOf(inReview()),
      'blocked',
      'not-attested',
      'No pull request is linked; no forge is connected and no reviewer has attested a commit.',
    ],
    [
      'linked, not attested',
      'complete',
      factsOf(inReview({ evidence: [evidenceOf('validation')] }, PR)),
      'blocked',
      'not-attested',
      'PR #122 is unverified; no forge is connected and no reviewer has attested aaaaaaaaaaaa.',
    ],
    [
      'attested',
      'complete',
      factsOf(inReview({ evidence: [evidenceOf('attestation')] })),
      'pass',
      'attested',
      'Attestation by Ben for aaaaaaaaaaaa; no forge has verified it.',
    ],
    [
      'attestation withdrawn',
      'complete',
      factsOf(inReview({ evidence: [evidenceOf('attestation'), evidenceOf('attestation', { result: 'failed' })] })),
      'blocked',
      'attestation-failed',
      "No pull request is linked; no forge is connected and a reviewer's attestation says that aaaaaaaaaaaa failed.",
    ],
    [
      'attested by an agent',
      'complete',
      factsOf(inReview({ evidence: [evidenceOf('attestation', { producer: actor(AGENT), trust: 'agent' })] })),
      'blocked',
      'not-attested',
      'No pull request is linked; no forge is connected and no reviewer has attested aaaaaaaaaaaa.',
    ],
    [
      'attested before new commits',
      'complete',
      factsOf(inReview({ evidence: [evidenceOf('attestation'), evidenceOf('validation', { commit: 'b'.repeat(40) })] })),
      'blocked',
      'not-attested',
      'No pull request is linked; no forge is connected and no reviewer has attested bbbbbbbbbbbb.',
    ],
    [
      'attested in an earlier round',
      'complete',
      factsOf(inReview({ evidence: [evidenceOf('attestation')], handoff: handoffOf('submitted', { evidenceFrom: 1 }) })),
      'blocked',
      'not-attested',
      'No pull request is linked; no forge is connected and no reviewer has attested a commit.',
    ],
    [
      'merged',
      'complete',
      factsOf(inReview(), { forge: forgeOf({ pullRequest: merged, branchHead: null }) }),
      'pass',
      'merged',
      'PR #122 is merged.',
    ],
    [
      'open at the head',
      'complete',
      factsOf(inReview(), { forge: forgeOf() }),
      'pass',
      'mergeable',
      'PR #122 is open and mergeable at the branch head.',
    ],
    [
      'closed',
      'complete',
      factsOf(inReview(), { forge: forgeOf({ pullRequest: { ...open, state: 'closed' } }) }),
      'blocked',
      'closed',
      'PR #122 is closed.',
    ],
    [
      'in conflict',
      'complete',
      factsOf(inReview(), { forge: forgeOf({ pullRequest: { ...open, mergeable: false } }) }),
      'blocked',
      'not-mergeable',
      'PR #122 is open but not mergeable.',
    ],
    [
      'behind',
      'complete',
      factsOf(inReview(), { forge: forgeOf({ branchHead: 'b'.repeat(40) }) }),
      'blocked',
      'behind-branch-head',
      'PR #122 is behind its branch head.',
    ],
    [
      'unknown to the forge',
      'complete',
      factsOf(inReview({}, PR), { forge: forgeOf({ pullRequest: null }) }),
      'unknown',
      'state-unknown',
      'PR #122 has no known state: the forge did not answer in time or does not know it.',
    ],
    [
      'a forge that did not answer',
      'complete',
      factsOf(inReview({ evidence: [evidenceOf('attestation')] }, PR), { forge: forgeOf({ observedAt: EARLIER }) }),
      'unknown',
      'state-unknown',
      'PR #122 has no known state: the forge did not answer in time or does not know it.',
    ],
  ])('%s', (_name, action, facts, verdict, code, reason) => {
    const result = gate('pull-request', action, facts);
    expect(result).toMatchObject({ verdict, code, reason });
    if (result.recovery) expect(result.recovery).toMatchObject({ cause: reason, policyContext });
    if (code === 'not-attested' && reason.endsWith('aaaa.')) expect(result.recovery?.nextStep).toContain(` attest ${HEAD} with `);
  });
});

describe('context-visibility and prompt-context', () => {
  const item = itemOf('ready', { handoff: handoffOf('queued') });
  const path = 'prompts/wi-BF-1.prompt.md';
  const noPrompt = factsOf(item, { queue: queueOf(item, { prompt: null }) });
  const changed = { path, revision: 'prompt-2', excerpt: 'Other.', empty: false };

  it('passes for those who may read both', () => {
    expect(told(gate('context-visibility', 'record-history', factsOf(item)))).toEqual(['pass', 'ok']);
  });

  it.each<[string, Facts, Principal]>([
    ['a missing prompt', noPrompt, BEN],
    ['a hidden one', factsOf(item), { ...BEN, permissions: new Set() }],
    ['both', noPrompt, { ...BEN, permissions: new Set() }],
  ])('blocks on %s', (_name, facts, principal) => {
    const missing = facts === noPrompt;
    expect(told(gate('context-visibility', 'record-history', facts, { principal }))).toEqual([
      'blocked',
      missing ? 'prompt-missing' : 'prompt-hidden',
      `Prompt ${path} is missing or hidden from you.`,
      'History keeps only context that the recorder may see.',
      `Restore ${path}, or ask an owner for access to it.`,
      `Retry Record history on this ready item once ${path} exists and you may read it.`,
      'after-change',
    ]);
  });

  it.each<[string, Facts, ActionIdentity, string, string, string]>([
    ['present', factsOf(item), 'claim', 'pass', 'ok', `Prompt ${path} is present at prompt-1.`],
    ['missing', noPrompt, 'claim', 'blocked', 'prompt-missing', `Prompt ${path} is missing.`],
    ['never read', factsOf(item, { queue: null }), 'claim', 'unknown', 'prompt-unread', `Prompt ${path} was never read.`],
    [
      'empty',
      factsOf(item, { queue: queueOf(item, { prompt: { ...changed, empty: true } }) }),
      'start-execution',
      'blocked',
      'prompt-empty',
      `Prompt ${path} is empty.`,
    ],
    [
      'changed since it was pinned',
      factsOf(item, { queue: queueOf(item, { prompt: changed }) }),
      'claim',
      'blocked',
      'prompt-changed',
      `Prompt ${path} changed since prompt-1.`,
    ],
    [
      'changed before a new start',
      factsOf(item, { queue: queueOf(item, { prompt: changed }) }),
      'start-execution',
      'pass',
      'ok',
      `Prompt ${path} is present at prompt-2.`,
    ],
  ])('prompt %s', (_name, facts, action, verdict, code, reason) => {
    const result = gate('prompt-context', action, facts);
    expect(result).toMatchObject({ verdict, code, reason });
    if (result.recovery) expect(result.recovery.policyContext).toBe('Executors get a pinned prompt.');
  });

  it('plans again by a new start in ready, by a release while executing', () => {
    const queue = queueOf(item, { prompt: changed });
    const executing = itemOf('executing', { handoff: handoffOf('queued') });
    expect(gate('prompt-context', 'claim', factsOf(item, { queue })).unblock[0]?.action).toBe('start-execution');
    expect(gate('prompt-context', 'claim', factsOf(executing, { queue })).unblock[0]?.action).toBe('release-handoff');
  });
});

describe('dependencies, capacity, single-handoff, window', () => {
  const item = itemOf('ready');

  it('waits for items that are not done, unknown ones too', () => {
    const dependencies: Facts['dependencies'] = [
      { id: 'wi-BF-2', lane: 'done' },
      { id: 'wi-BF-3', lane: 'review' },
      { id: 'wi-BF-4', lane: null },
    ];
    expect(told(gate('dependencies', 'claim', factsOf(item, { dependencies })))).toEqual([
      'blocked',
      'waiting-for-items',
      'Waiting for wi-BF-3 and wi-BF-4.',
      'Blocked items may be queued, not claimed.',
      'Finish wi-BF-3, or unlink what is not needed from `blockedBy` in the record ready/wi-BF-1.md. ' +
        'Correct or unlink wi-BF-4 in the record ready/wi-BF-1.md; no such item is known.',
      'Retry Claim on this ready item once wi-BF-3 is done and wi-BF-4 is unlinked.',
      'after-change',
    ]);
    const done = factsOf(item, { dependencies: dependencies.slice(0, 1) });
    expect(told(gate('dependencies', 'claim', done))).toEqual(['pass', 'ok']);
    expect(told(gate('dependencies', 'claim', factsOf(item)))).toEqual(['pass', 'ok']);
  });

  it('asks to unlink what can never be done, and leads to no page that is not there', () => {
    const waits = (...dependencies: Facts['dependencies']) => {
      const { recovery, unblock } = gate('dependencies', 'claim', factsOf(item, { dependencies }));
      return [recovery?.nextStep, recovery?.safeRetry.text, unblock.map(({ action, url }) => action ?? url)];
    };
    expect(waits({ id: 'wi-BF-1', lane: 'ready' })).toEqual([
      'Unlink wi-BF-1 in the record ready/wi-BF-1.md; it can never be done.',
      'Retry Claim on this ready item once wi-BF-1 is unlinked.',
      ['refresh-truth'],
    ]);
    expect(waits({ id: 'wi-BF-2', lane: 'cancelled' }, { id: 'wi-BF-3', lane: 'cancelled' })).toEqual([
      'Unlink wi-BF-2 and wi-BF-3 in the record ready/wi-BF-1.md; they can never be done.',
      'Retry Claim on this ready item once wi-BF-2 and wi-BF-3 are unlinked.',
      ['refresh-truth'],
    ]);
    expect(waits({ id: 'wi-NOPE', lane: null })[2]).toEqual(['refresh-truth']);
    expect(waits({ id: 'wi-BF-4', lane: 'review' }, { id: 'wi-NOPE', lane: null })[2]).toEqual(['/items/wi-BF-4', 'refresh-truth']);
  });

  it('counts running handoffs and failed attempts', () => {
    expect(told(gate('capacity', 'claim', factsOf(item, { runningHandoffs: 2 })))).toEqual(['pass', 'ok']);
    const full = gate('capacity', 'claim', factsOf(item, { runningHandoffs: 3 }));
    expect(told(full)).toEqual([
      'blocked',
      'handoff-limit',
      '3 of 3 handoffs are running.',
      'WIP limit of the project.',
      'Wait until a running handoff ends, or raise `limits.handoffs` in policy.yaml.',
      'Retry Claim on this ready item in a minute.',
      'after-time',
    ]);
    expect(full.recovery?.safeRetry.afterSeconds).toBe(60);
    const pastHandoffs = [handoffOf('failed'), handoffOf('cancelled'), handoffOf('expired')];
    const spent = gate('capacity', 'claim', factsOf(itemOf('ready', { pastHandoffs })));
    expect(told(spent).slice(0, 3)).toEqual(['blocked', 'attempt-limit', '2 of 2 attempts have failed.']);
    const both = gate('capacity', 'claim', factsOf(itemOf('ready', { pastHandoffs }), { runningHandoffs: 3 }));
    expect(both.recovery?.safeRetry.whenFact).toEqual({
      source: 'policy',
      path: 'limits.attempts',
      becomes: [3],
      also: [{ source: 'handoffs', path: 'running', becomes: [2] }],
    });
  });

  it('lets one handoff be open', () => {
    expect(told(gate('single-handoff', 'start-execution', factsOf(item)))).toEqual(['pass', 'ok']);
    const queued = gate('single-handoff', 'start-execution', factsOf(itemOf('ready', { handoff: handoffOf('queued') })));
    expect(told(queued)).toEqual([
      'blocked',
      'handoff-open',
      `Handoff h-1 is queued, held by nobody since ${EARLIER}.`,
      'One executor at a time.',
      'Take it with Claim, or end it with Cancel.',
      'Retry Start execution on this ready item once handoff h-1 has ended.',
      'after-change',
    ]);
    const held = gate('single-handoff', 'start-execution', factsOf(itemOf('ready', { handoff: handoffOf('running') })));
    expect(held.reason).toBe('Handoff h-1 is running, held by Cy until it ends.');
  });

  it('lets a queued handoff with an outdated prompt be replaced', () => {
    const queued = itemOf('ready', { handoff: handoffOf('queued', { promptRevision: 'prompt-0' }) });
    expect(told(gate('single-handoff', 'start-execution', factsOf(queued)))).toEqual(['pass', 'ok']);
  });

  it('keeps freezes, with both ends', () => {
    const freezes = [{ name: 'Holidays', from: '2026-03-01T00:00:00Z', until: '2026-03-02T00:00:00Z' }];
    const policy = policyOf('strict', { freezes });
    const at = (now: string) => gate('window', 'complete', factsOf(item), { policy, now });
    expect(told(at(NOW))).toEqual([
      'blocked',
      'freeze',
      'Freeze Holidays until 2026-03-02T00:00:00Z.',
      'Change window policy.',
      'Wait until 2026-03-02T00:00:00Z, or ask for an override with Override gate (two owners; invite one on the People page).',
      'Retry Complete on this ready item after 2026-03-02T00:00:00Z.',
      'after-time',
    ]);
    expect(at(NOW).recovery?.safeRetry.afterSeconds).toBe(12 * 3600);
    expect(at('2026-03-01T00:00:00Z').verdict).toBe('blocked');
    expect(at('2026-02-28T23:59:59Z').verdict).toBe('pass');
    expect(at('2026-03-02T00:00:00Z').verdict).toBe('pass');
  });

  it.each<[string, 'solo' | 'team', number, boolean]>([
    ['no owner', 'team', 0, true],
    ['one owner in a team', 'team', 1, true],
    ['two owners', 'team', 2, false],
    ['one owner alone', 'solo', 1, false],
  ])('asks %s for another owner where an override takes two', (_name, preset, owners, asked) => {
    const policy = policyOf('strict', { freezes: [{ name: 'Holidays', from: EARLIER, until: '2026-03-02T00:00:00Z' }] });
    const people = ['p-1', 'p-2', 'p-3'].map((id, index) => ({ id, name: id, roles: [index < owners ? 'owner' : 'planner'] }));
    const { recovery, unblock } = gate('window', 'complete', factsOf(item, { people, preset }), { policy });
    const invite = { url: '/people', permission: 'factory.people.manage' };
    expect(recovery?.nextStep.includes('two owners; invite one on the People page')).toBe(asked);
    expect(unblock).toEqual([{ action: 'override-gate', permission: 'factory.work-item.override' }, ...(asked ? [invite] : [])]);
  });
});

describe('truth-fresh and drift-free', () => {
  const item = itemOf('ready');

  it.each<[string, Facts, unknown[]]>([
    ['fresh', factsOf(item), ['pass', 'ok']],
    [
      'aging',
      factsOf(item, { queue: queueOf(item, { observedAt: '2026-03-01T11:58:00.000Z' }) }),
      ['pass', 'ok'],
    ],
    [
      'stale',
      factsOf(item, { queue: queueOf(item, { observedAt: EARLIER }) }),
      [
        'blocked',
        'source-stale',
        'Queue was last read 3600s ago.',
        'Lane changes need current truth.',
        'Read the sources again with Refresh truth.',
        'Retry Mark ready on this ready item after a refresh.',
        'after-change',
      ],
    ],
    [
      'never read',
      factsOf(item, { queue: null }),
      [
        'unknown',
        'source-never-read',
        'Queue was never read.',
        'Lane changes need current truth.',
        'Read the sources again with Refresh truth.',
        'Retry Mark ready on this ready item after a refresh.',
        'after-change',
      ],
    ],
  ])('%s', (_name, facts, expected) => {
    const result = gate('truth-fresh', 'mark-ready', facts);
    expect(told(result)).toEqual(expected);
    if (result.recovery) expect(result.recovery.safeRetry.afterSeconds).toBe(1);
  });

  it('asks only the sources that the action reads', () => {
    const facts = factsOf(item, { forge: forgeOf({ observedAt: EARLIER }) });
    expect(gate('truth-fresh', 'mark-ready', facts).verdict).toBe('pass');
    expect(gate('truth-fresh', 'complete', facts).reason).toBe(
      'Pull request was last read 3600s ago. Checks was last read 3600s ago.',
    );
  });

  it('blocks on error drift of the fields used, with its authority', () => {
    const record = { fields: recordOf({ status: 'done' }), collection: 'ready', path: 'ready/wi-BF-1.md', revision: 'r' } as const;
    const facts = factsOf(item, { queue: queueOf(item, { record }) });
    expect(told(gate('drift-free', 'start-execution', facts))).toEqual([
      'blocked',
      'drift-open',
      'queue-status-vs-lane: queue says done, control plane says ready.',
      'Authority for status is control plane.',
      "Run Reconcile to move the record to the item's lane and rewrite its status.",
      'Retry Start execution on this ready item once the drift is resolved.',
      'after-change',
    ]);
    expect(gate('drift-free', 'mark-ready', facts).verdict).toBe('pass');
  });

  it('leads out of drift that Reconcile cannot repair', () => {
    const dropped = itemOf('executing', { pastHandoffs: [handoffOf('expired', { endedAt: EARLIER })] });
    const { unblock, recovery } = gate('drift-free', 'request-review', factsOf(dropped));
    expect(unblock.map((way) => way.action)).toEqual(['claim']);
    expect(recovery?.nextStep).toBe('Take the item with Claim, or send it back to ready with Release handoff.');
  });

  it('does not block on warnings, nor completing on a merged pull request', () => {
    const inReview = itemOf('review');
    const forge = forgeOf({ pullRequest: merged });
    expect(factsOf(inReview, { forge }).truth.drift.map(({ code }) => code)).toEqual(['pr-merged-lane-open']);
    expect(gate('drift-free', 'complete', factsOf(inReview, { forge })).verdict).toBe('pass');
    expect(gate('drift-free', 'prepare-release', factsOf(inReview, { forge })).verdict).toBe('blocked');
    const noPrompt = factsOf(item, { queue: queueOf(item, { prompt: null }) });
    expect(gate('drift-free', 'start-execution', noPrompt).verdict).toBe('pass');
  });
});

describe('lease-held', () => {
  it('asks only agents', () => {
    const facts = factsOf(itemOf('executing', { handoff: handoffOf('claimed') }));
    for (const principal of [BEN, PIPELINE]) {
      expect(gate('lease-held', 'submit-evidence', facts, { principal }).verdict).toBe('not-applicable');
    }
    expect(gate('lease-held', 'submit-evidence', facts, { principal: AGENT }).verdict).toBe('pass');
  });

  it('refuses an agent whose handoff somebody else has claimed since', () => {
    const item = itemOf('executing', {
      pastHandoffs: [handoffOf('expired', { endedAt: EARLIER })],
      handoff: handoffOf('claimed', { id: 'h-2', holder: actor(CY), fence: 2 }),
    });
    expect(told(gate('lease-held', 'request-review', factsOf(item), { principal: AGENT }))).toEqual([
      'blocked',
      'lease-ended',
      `Your lease ended at ${EARLIER}; fence 1 < 2.`,
      'Only the current holder writes.',
      'Stop; Claim again before you write.',
      'Do not retry Request review on this executing item with this fence.',
      'never',
    ]);
  });

  it('refuses an agent that never claimed', () => {
    const result = gate('lease-held', 'submit-evidence', factsOf(itemOf('executing')), { principal: AGENT });
    expect(result).toMatchObject({ code: 'no-lease', reason: 'You hold no lease of this item; no handoff is open.' });
  });
});

describe('validation-evidence and validation-script-unchanged', () => {
  const withEvidence = (...evidence: WorkItem['evidence']) => factsOf(itemOf('executing', { evidence }));
  const byPipeline = { trust: 'ci', producer: actor(PIPELINE) } as const;

  it('says what to run where, and whose evidence counts', () => {
    expect(told(gate('validation-evidence', 'complete', withEvidence(evidenceOf('attestation'))))).toEqual([
      'blocked',
      'no-validation',
      'No passing validation for aaaaaaaaaaaa.',
      'Validation binds to the exact commit. Only evidence from forge or ci counts.',
      `Run \`./scripts/validate-local.sh\` at ${HEAD} and submit its result by Submit evidence ` +
        'with a token of role ci (`npx factory token create --name NAME --role ci`).',
      'Retry Complete on this executing item once the head commit has passing evidence that counts.',
      'after-change',
    ]);
  });

  it.each<[string, WorkItem['evidence'], string, string]>([
    ['a person', [evidenceOf('validation')], 'validation-untrusted', 'a person'],
    ['an agent', [evidenceOf('validation', { trust: 'agent', producer: actor(AGENT) })], 'validation-untrusted', 'an agent'],
    [
      'a person after a pipeline that failed',
      [evidenceOf('validation', { ...byPipeline, result: 'failed' }), evidenceOf('validation')],
      'validation-failed',
      'a person',
    ],
  ])('says that a passed result does not count from %s, and whose does', (_name, evidence, code, producer) => {
    const { recovery, unblock, ...result } = gate('validation-evidence', 'complete', withEvidence(...evidence));
    expect(result).toMatchObject({
      code,
      reason: `No passing validation for aaaaaaaaaaaa. The passed result was submitted by ${producer}; this pack counts only forge or ci.`,
    });
    expect(recovery?.nextStep).toContain('with a token of role ci (`npx factory token create --name NAME --role ci`)');
    expect(unblock).toEqual([
      { action: 'submit-evidence', permission: 'factory.work-item.submit-evidence' },
      { url: '/people', permission: 'factory.token.manage' },
    ]);
  });

  it('asks for no token where the result of a person counts, nor calls a failure passed', () => {
    const failed = withEvidence(evidenceOf('validation', { result: 'failed' }));
    const baseline = gate('validation-evidence', 'complete', failed, { policy: policyOf('baseline') });
    expect(baseline.recovery?.nextStep).toBe(`Run \`./scripts/validate-local.sh\` at ${HEAD} and submit its result by Submit evidence.`);
    expect(baseline.unblock).toHaveLength(1);
    expect(gate('validation-evidence', 'complete', failed)).toMatchObject({ code: 'no-validation', reason: 'No passing validation for aaaaaaaaaaaa.' });
  });

  it.each<[string, Facts, string, string]>([
    ['a pipeline counts', withEvidence(evidenceOf('validation', byPipeline)), 'strict', 'pass'],
    ['a person does not in strict', withEvidence(evidenceOf('validation')), 'strict', 'blocked'],
    ['a person does elsewhere', withEvidence(evidenceOf('validation')), 'baseline', 'pass'],
    [
      'the newest counts',
      withEvidence(evidenceOf('validation', byPipeline), evidenceOf('validation', { ...byPipeline, result: 'failed' })),
      'strict',
      'blocked',
    ],
    [
      'an untrusted failure does not undo a trusted pass',
      withEvidence(evidenceOf('validation', byPipeline), evidenceOf('validation', { result: 'failed' })),
      'strict',
      'pass',
    ],
    [
      'an older commit does not count',
      withEvidence(evidenceOf('validation', byPipeline), evidenceOf('criterion', { commit: 'b'.repeat(40) })),
      'strict',
      'blocked',
    ],
    [
      "the forge's checks count",
      factsOf(itemOf('review'), { forge: forgeOf({ checks: [{ name: 'ci', commit: HEAD, state: 'success' }] }) }),
      'strict',
      'pass',
    ],
    [
      'pending checks do not',
      factsOf(itemOf('review'), {
        forge: forgeOf({
          checks: [
            { name: 'ci', commit: HEAD, state: 'success' },
            { name: 'e2e', commit: HEAD, state: 'pending' },
          ],
        }),
      }),
      'strict',
      'blocked',
    ],
    [
      'evidence of another script does not',
      factsOf(itemOf('review', { evidence: [evidenceOf('validation', { ...byPipeline, scriptDigest: 'd-0' })] }), { forge: forgeOf() }),
      'strict',
      'blocked',
    ],
  ])('%s', (_name, facts, pack, verdict) => {
    expect(gate('validation-evidence', 'complete', facts, { policy: policyOf(pack) }).verdict).toBe(verdict);
  });

  it('stays gated after the handoff is released (no live lease needed)', () => {
    const released = itemOf('review', { pastHandoffs: [handoffOf('cancelled')], evidence: [evidenceOf('validation')] });
    expect(gate('validation-evidence', 'complete', factsOf(released)).verdict).toBe('blocked');
  });

  it.each<[string, Facts, string, string]>([
    ['no forge', factsOf(itemOf('review')), 'not-applicable', 'not-applicable'],
    ['the same script', factsOf(itemOf('review'), { forge: forgeOf() }), 'pass', 'ok'],
    [
      'another script',
      factsOf(itemOf('review'), { forge: forgeOf({ scriptDigest: { defaultBranch: 'd-1', branch: 'd-2' } }) }),
      'blocked',
      'script-changed',
    ],
    [
      'an approved script',
      factsOf(itemOf('review', { evidence: [evidenceOf('attestation', { scriptDigest: 'd-2' })] }), {
        forge: forgeOf({ scriptDigest: { defaultBranch: 'd-1', branch: 'd-2' } }),
      }),
      'pass',
      'script-approved',
    ],
    [
      'an unknown script',
      factsOf(itemOf('review'), { forge: forgeOf({ scriptDigest: { defaultBranch: null, branch: null } }) }),
      'unknown',
      'script-unknown',
    ],
  ])('script: %s', (_name, facts, verdict, code) => {
    const result = gate('validation-script-unchanged', 'complete', facts);
    expect(result).toMatchObject({ verdict, code });
    if (result.recovery) expect(result.recovery.policyContext).toBe('The work may not rewrite its own check.');
    if (code === 'script-changed') expect(result.reason).toBe('This branch changes ./scripts/validate-local.sh.');
  });
});

describe('criteria-met', () => {
  const item = itemOf('review', { handoff: handoffOf('submitted') });
  const waiver = (principal: Principal, at = EARLIER) => ({
    criterion: 1,
    criterionText: 'It is documented.',
    reason: 'Not needed.',
    by: actor(principal),
    at,
  });
  const having = (fields: Partial<WorkItem>, more: Partial<Facts> = {}) => factsOf({ ...item, ...fields }, more);

  it('names the criteria that lack evidence', () => {
    expect(told(gate('criteria-met', 'complete', having({ evidence: [criterionEvidence(item, 1)] })))).toEqual([
      'blocked',
      'criteria-lacking',
      '1 of 2 criteria lack evidence: 1.',
      'Done means shown, not said.',
      'Attach evidence for 1 with Submit evidence, or ask for a waiver with Waive criterion.',
      'Retry Complete on this review item once each criterion has evidence or a waiver.',
      'after-change',
    ]);
  });

  it.each<[string, Facts, string, string]>([
    ['both met', having({ evidence: [criterionEvidence(item, 0), criterionEvidence(item, 1)] }), 'pass', 'ok'],
    ['none required', factsOf(itemOf('review', {}, { criteria: [] })), 'pass', 'ok'],
    [
      'failed since',
      having({
        evidence: [criterionEvidence(item, 0), criterionEvidence(item, 1), criterionEvidence(item, 0, { result: 'failed' })],
      }),
      'blocked',
      'criteria-lacking',
    ],
    [
      'evidence for a text that was edited',
      having({ evidence: [criterionEvidence(item, 0, { criterionText: 'It worked.' }), criterionEvidence(item, 1)] }),
      'blocked',
      'criteria-lacking',
    ],
    ['waived by another person', having({ evidence: [criterionEvidence(item, 0)], waivers: [waiver(BEN)] }), 'pass', 'ok'],
    [
      'waived by an author',
      having({ evidence: [criterionEvidence(item, 0)], waivers: [waiver(CY)] }),
      'blocked',
      'criteria-lacking',
    ],
    [
      'waived by the only person, long ago',
      having({ evidence: [criterionEvidence(item, 0)], waivers: [waiver(CY)] }, { preset: 'solo' }),
      'pass',
      'ok',
    ],
    [
      'waived by the only person, just now',
      having({ evidence: [criterionEvidence(item, 0)], waivers: [waiver(CY, NOW)] }, { preset: 'solo' }),
      'blocked',
      'waiver-waiting',
    ],
  ])('%s', (_name, facts, verdict, code) => {
    expect(gate('criteria-met', 'complete', facts)).toMatchObject({ verdict, code });
  });

  it('gives the time after which a waiver of the only person counts', () => {
    const facts = having({ evidence: [criterionEvidence(item, 0)], waivers: [waiver(CY, NOW)] }, { preset: 'solo' });
    expect(gate('criteria-met', 'complete', facts).recovery?.safeRetry).toMatchObject({ mode: 'after-time', afterSeconds: 600 });
  });
});

describe('independent-review', () => {
  const item = itemOf('review', { handoff: handoffOf('submitted'), evidence: [evidenceOf('validation')] });
  const approval = (principal: Principal, fields: Partial<WorkItem['approvals'][number]> = {}) => ({
    by: actor(principal),
    commit: HEAD,
    note: null,
    at: EARLIER,
    ...fields,
  });
  const having = (approvals: WorkItem['approvals'], more: Partial<Facts> = {}) => factsOf({ ...item, approvals }, more);

  it('keeps authors from approving, whoever executed for them', () => {
    const facts = factsOf(item);
    expect(gate('independent-review', 'approve', facts, { principal: BEN }).verdict).toBe('pass');
    expect(told(gate('independent-review', 'approve', facts, { principal: CY }))).toEqual([
      'blocked',
      'own-work',
      'Cy worked on this item.',
      'Separation of duties.',
      'Ask Ann or Ben to approve it with Approve.',
      'Do not retry Approve on this review item as its author; it waits for somebody else.',
      'never',
    ]);
    expect(gate('independent-review', 'approve', factsOf(item, { preset: 'solo' }), { principal: CY }).verdict).toBe('pass');
  });

  it('lets nobody approve before a commit is known, and says how to name one', () => {
    const unnamed = itemOf('review', { handoff: handoffOf('submitted') });
    const forge = forgeOf({ branchHead: null, pullRequest: null });
    expect(told(gate('independent-review', 'approve', factsOf(unnamed)))).toEqual([
      'blocked',
      'no-commit',
      'No commit of this item is known that an approval could bind to.',
      'Separation of duties. An approval binds to the commit that was reviewed.',
      'Name the reviewed commit with Submit evidence.',
      'Retry Approve on this review item once its commit is known.',
      'after-change',
    ]);
    expect(gate('independent-review', 'approve', factsOf(unnamed)).unblock.map(({ action }) => action)).toEqual(['submit-evidence']);
    expect(gate('independent-review', 'approve', factsOf(unnamed, { forge })).unblock.map(({ action }) => action)).toEqual(['refresh-truth']);
    expect(gate('independent-review', 'approve', factsOf(unnamed, { preset: 'solo' }), { principal: CY }).code).toBe('no-commit');
    expect(gate('independent-review', 'approve', factsOf(unnamed), { principal: CY }).code).toBe('own-work');
    const approved = factsOf({ ...unnamed, approvals: [approval(BEN, { commit: null })] });
    expect(gate('independent-review', 'complete', approved)).toMatchObject({
      code: 'not-approved',
      recovery: { nextStep: 'Name the reviewed commit with Submit evidence. Ask Ann or Ben to approve it with Approve.' },
    });
  });

  it('says who worked on it and who can approve', () => {
    expect(told(gate('independent-review', 'complete', factsOf(item)))).toEqual([
      'blocked',
      'not-approved',
      'Cy worked on this item. Nobody else has approved aaaaaaaaaaaa.',
      'Separation of duties.',
      'Ask Ann or Ben to approve it with Approve.',
      'Retry Complete on this review item once the head commit is approved.',
      'after-change',
    ]);
  });

  it.each<[string, Facts, string, string]>([
    ['approved', having([approval(BEN)]), 'pass', 'ok'],
    ['approved before a new commit', having([approval(BEN, { commit: 'b'.repeat(40) })]), 'blocked', 'not-approved'],
    ['approved by the author', having([approval(CY, { note: 'Fine.' })]), 'blocked', 'not-approved'],
    ['alone with a note', having([approval(CY, { note: 'Fine.' })], { preset: 'solo' }), 'pass', 'ok'],
    ['alone without a note', having([approval(CY)], { preset: 'solo' }), 'blocked', 'not-approved'],
    [
      'alone, just now',
      having([approval(CY, { note: 'Fine.', at: NOW })], { preset: 'solo' }),
      'blocked',
      'approval-waiting',
    ],
    ['another person alone needs no waiting', having([approval(ANN, { at: NOW })], { preset: 'solo' }), 'pass', 'ok'],
    [
      'a forge without a head',
      having([approval(BEN, { commit: null })], { forge: forgeOf({ branchHead: null, pullRequest: null }) }),
      'blocked',
      'not-approved',
    ],
  ])('%s', (_name, facts, verdict, code) => {
    expect(gate('independent-review', 'complete', facts)).toMatchObject({ verdict, code });
  });

  it('asks for an invitation where nobody else can review', () => {
    const facts = factsOf(item, { people: [{ id: 'p-cy', name: 'Cy', roles: ['owner'] }] });
    expect(gate('independent-review', 'complete', facts).recovery?.nextStep).toBe('Invite a reviewer who did not work on this item.');
  });
});
