import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ZodError } from 'zod';
import { parseInput, type ActionInput } from '../../service/work-items/actions-input.ts';
import { decide, type Decided } from '../../service/work-items/decide.ts';
import { evaluateAction } from '../../service/work-items/gates/evaluate.ts';
import { evolve, replay } from '../../service/work-items/projection.ts';
import {
  ACTION_IDENTITIES,
  LANES,
  type ActionIdentity,
  type Facts,
  type Lane,
  type Principal,
  type RecordedEvent,
  type WorkItem,
} from '../../service/work-items/types.ts';
import {
  actor,
  AGENT,
  ANN,
  BEN,
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

function counter() {
  let last = 0;
  return { id: () => `id-${(last += 1)}` };
}

function run(action: ActionIdentity, facts: Facts, raw: unknown = {}, principal: Principal = ANN): Decided {
  const input: ActionInput = parseInput(action, raw, {
    facts,
    policy: policyOf('strict'),
    principal,
    now: NOW,
  });
  return decide(action, input, facts, principal, counter(), NOW);
}

const kinds = ({ events }: Decided) => events.map((event) => event.type);
const texts = ({ effects }: Decided) => effects.map(({ kind, text }) => `${kind}: ${text}`);

describe('decide', () => {
  it.each<[ActionIdentity, WorkItem, Lane, string[], string[]]>([
    [
      'mark-ready',
      itemOf('backlog'),
      'ready',
      ['lane-moved'],
      [
        'lane: The lane becomes ready.',
        'queue-write: The record moves from backlog/wi-BF-1.md to ready/wi-BF-1.md with status ready.',
      ],
    ],
    [
      'start-execution',
      itemOf('ready'),
      'ready',
      ['handoff-queued'],
      ['handoff: Handoff id-1 is queued: claim it here, or let an executor claim it.'],
    ],
    [
      'start-execution',
      itemOf('ready', { handoff: handoffOf('queued') }),
      'ready',
      ['handoff-ended', 'handoff-queued'],
      [
        'handoff: Handoff id-1 is queued: claim it here, or let an executor claim it.',
        'handoff: It replaces queued handoff h-1.',
      ],
    ],
    [
      'claim',
      itemOf('ready', { handoff: handoffOf('queued') }),
      'executing',
      ['handoff-claimed', 'lane-moved'],
      [
        'lane: The lane becomes executing.',
        'handoff: Handoff h-1 is claimed by Ann.',
        'queue-write: The record moves from ready/wi-BF-1.md to executing/wi-BF-1.md with status executing.',
      ],
    ],
    [
      'claim',
      itemOf('executing', { handoff: handoffOf('queued') }),
      'executing',
      ['handoff-claimed'],
      ['handoff: Handoff h-1 is claimed by Ann.'],
    ],
    [
      'claim',
      itemOf('executing'),
      'executing',
      ['handoff-claimed'],
      ['handoff: This item is in executing without a handoff; Ann adopts it as handoff id-1, claimed.'],
    ],
    [
      'claim',
      itemOf('review'),
      'review',
      ['handoff-claimed'],
      ['handoff: This item is in review without a handoff; Ann adopts it as handoff id-1, submitted.'],
    ],
    [
      'release-handoff',
      itemOf('executing', { handoff: handoffOf('claimed') }),
      'ready',
      ['handoff-ended', 'lane-moved'],
      [
        'lane: The lane becomes ready.',
        'handoff: Handoff h-1 ends as cancelled.',
        'queue-write: The record moves from executing/wi-BF-1.md to ready/wi-BF-1.md with status ready.',
      ],
    ],
    [
      'release-handoff',
      itemOf('review'),
      'ready',
      ['lane-moved'],
      [
        'lane: The lane becomes ready.',
        'handoff: This item is in review without a handoff; it goes back to ready, where a new one can be queued.',
        'queue-write: The record moves from review/wi-BF-1.md to ready/wi-BF-1.md with status ready.',
      ],
    ],
    [
      'request-review',
      itemOf('executing', { handoff: handoffOf('running') }),
      'review',
      ['handoff-submitted', 'lane-moved'],
      [
        'lane: The lane becomes review.',
        'handoff: Handoff h-1 is submitted for review.',
        'queue-write: The record moves from executing/wi-BF-1.md to review/wi-BF-1.md with status review.',
      ],
    ],
    [
      'request-changes',
      itemOf('review', { handoff: handoffOf('submitted') }),
      'executing',
      ['handoff-ended', 'handoff-queued', 'lane-moved'],
      [
        'lane: The lane becomes executing.',
        'handoff: Handoff h-1 ends as rejected.',
        'handoff: Handoff id-1 is queued for the changes: claim it to go on.',
        'queue-write: The record moves from review/wi-BF-1.md to executing/wi-BF-1.md with status executing.',
      ],
    ],
    [
      'complete',
      itemOf('review', { handoff: handoffOf('submitted') }),
      'done',
      ['handoff-ended', 'lane-moved'],
      [
        'lane: The lane becomes done.',
        'handoff: Handoff h-1 ends as accepted.',
        'queue-write: The record moves from review/wi-BF-1.md to done/wi-BF-1.md with status done.',
      ],
    ],
    [
      'cancel',
      itemOf('ready', { handoff: handoffOf('queued') }),
      'cancelled',
      ['handoff-ended', 'lane-moved'],
      [
        'lane: The lane becomes cancelled.',
        'handoff: Handoff h-1 ends as cancelled.',
        'queue-write: The record moves from ready/wi-BF-1.md to cancelled/wi-BF-1.md with status cancelled.',
      ],
    ],
    [
      'prepare-release',
      itemOf('done', {}, { pr: PR }),
      'done',
      ['release-prepared'],
      [`release: The release of ${PR} is marked as prepared.`],
    ],
    [
      'record-history',
      itemOf('done'),
      'done',
      ['history-recorded'],
      ['history: A snapshot of the record, its signals and its decisions is kept.'],
    ],
    [
      'refresh-truth',
      itemOf('done'),
      'done',
      ['truth-refreshed'],
      ['truth-read: Every connected source of this item is read again.'],
    ],
  ])('%s does what the table says', (action, item, to, events, effects) => {
    const decided = run(action, factsOf(item));
    expect(decided.lane).toEqual({ from: item.lane, to });
    expect(kinds(decided)).toEqual(events);
    expect(texts(decided)).toEqual(effects);
  });

  it('carries a note with the move', () => {
    const decided = run('cancel', factsOf(itemOf('ready')), { note: 'Superseded.' });
    expect(decided.events.at(-1)).toEqual({
      type: 'lane-moved',
      from: 'ready',
      to: 'cancelled',
      via: 'cancel',
      note: 'Superseded.',
    });
  });

  it('throws on a move that the table does not have', () => {
    expect(() => run('complete', factsOf(itemOf('ready')))).toThrow(/does not allow complete from ready/);
    expect(() => run('claim', factsOf(itemOf('ready')))).toThrow(/does not allow claim/);
  });

  it('repairs what the record has the authority to repair, and names what stays', () => {
    const item = itemOf('ready');
    const record = {
      fields: recordOf({ status: 'done' }),
      collection: 'done',
      path: 'done/wi-BF-1.md',
      revision: 'r',
    } as const;
    const moved = run('reconcile', factsOf(item, { queue: queueOf(item, { record, prompt: null }) }));
    expect(moved.events).toEqual([{ type: 'reconciled', codes: ['queue-status-vs-lane'], note: null }]);
    expect(texts(moved)).toEqual([
      'queue-write: The record moves from done/wi-BF-1.md to ready/wi-BF-1.md with status ready.',
      'drift-stays: prompt-missing stays open: Write the prompt file again; nothing else holds its text.',
    ]);
    const gone = run('reconcile', factsOf(item, { queue: queueOf(item, { record: null }) }));
    expect(texts(gone)).toEqual(['queue-write: The record is written again as ready/wi-BF-1.md.']);
    expect(texts(run('reconcile', factsOf(item)))).toEqual(['reconcile: No drift is open; nothing changes.']);
  });

  it('binds evidence to the head commit and to the trust of its producer', () => {
    const facts = factsOf(itemOf('executing', { evidence: [evidenceOf('validation')] }));
    const given = { kind: 'criterion', criterion: 2, result: 'passed' };
    const byAgent = run('submit-evidence', facts, given, AGENT).events[0];
    const evidence = {
      commit: HEAD,
      criterion: 1,
      criterionText: 'It is documented.',
      trust: 'agent',
      result: 'passed',
    };
    expect(byAgent).toMatchObject({ evidence });
    expect(run('submit-evidence', facts, given, PIPELINE).events[0]).toMatchObject({
      evidence: { trust: 'ci' },
    });
    expect(run('submit-evidence', facts, given, { ...BEN, kind: 'token' }).events[0]).toMatchObject({
      evidence: { trust: 'person' },
    });
  });

  it('says of evidence that it names no commit where none is known', () => {
    const facts = factsOf(itemOf('executing'));
    const given = { kind: 'criterion', criterion: 2, result: 'passed' };
    expect(texts(run('submit-evidence', facts, given, AGENT))).toEqual([
      'evidence: Evidence: criterion 2 passed without a commit, trusted as agent.',
    ]);
  });

  it('binds an approval to the head commit', () => {
    const facts = factsOf(itemOf('review'), { forge: forgeOf() });
    expect(run('approve', facts, {}, BEN).events).toEqual([{ type: 'approved', commit: HEAD, note: null }]);
  });

  it('lets a second person second an override, and only a second one', () => {
    const asked = {
      gate: 'criteria-met',
      action: 'complete',
      reason: 'Later.',
      until: '2026-03-02T00:00:00.000Z',
    } as const;
    const waiting = { ...asked, id: 'o-1', by: actor(ANN), at: EARLIER, secondedBy: null, secondedAt: null };
    const facts = factsOf(itemOf('review', { overrides: [waiting] }));
    const request = [{ type: 'override-requested', override: { id: 'id-1', ...asked } }];
    const seconding = { type: 'override-seconded', overrideId: 'o-1' };
    expect(run('override-gate', facts, asked, BEN).events).toEqual([
      { ...seconding, reason: asked.reason, until: asked.until },
    ]);
    const earlier = { ...asked, reason: 'Sooner.', until: '2026-03-01T18:00:00.000Z' };
    const sooner = run('override-gate', facts, earlier, BEN);
    expect(sooner.events).toEqual([{ ...seconding, reason: earlier.reason, until: earlier.until }]);
    expect(texts(sooner)).toEqual([`override: Complete passes gate criteria-met until ${earlier.until}.`]);
    const later = run('override-gate', facts, { ...asked, until: '2026-03-09T00:00:00Z' }, BEN);
    expect(texts(later)).toEqual([`override: Complete passes gate criteria-met until ${asked.until}.`]);
    expect(run('override-gate', facts, asked, ANN).events).toEqual(request);
    const expired = factsOf(itemOf('review', { overrides: [{ ...waiting, until: EARLIER }] }));
    expect(run('override-gate', expired, asked, BEN).events).toEqual(request);
  });
});

const OTHER = 'b'.repeat(40);
const KNOWN = [HEAD, 'e'.repeat(12), 'e'.repeat(40), 'abcdef0'.padEnd(40, '1'), 'abcdef0'.padEnd(40, '2')];

/** The commit of evidence for an item that knows some commits. */
function parseCommit(commit: string): string | undefined {
  const item = itemOf('review', {
    evidence: KNOWN.map((known) => evidenceOf('validation', { commit: known })),
    approvals: [{ by: actor(BEN), commit: OTHER, note: null, at: EARLIER }],
  });
  const forge = forgeOf({ checks: [{ name: 'ci', commit: 'c'.repeat(40), state: 'success' }] });
  const context = { facts: factsOf(item, { forge }), policy: policyOf('strict'), principal: BEN, now: NOW };
  return parseInput('submit-evidence', { kind: 'validation', result: 'passed', commit }, context).commit;
}

describe('input', () => {
  const facts = factsOf(itemOf('review'));
  const evidence = { kind: 'validation', result: 'passed', commit: HEAD };
  const override = {
    gate: 'criteria-met',
    action: 'complete',
    reason: 'Later.',
    until: '2026-03-02T00:00:00Z',
  };

  it.each<[string, ActionIdentity, unknown, string]>([
    ['an unknown field', 'claim', { force: true }, ''],
    ['something else than an object', 'claim', 'now', ''],
    ['NUL', 'claim', { note: 'a\0b' }, 'note'],
    ['a lone surrogate', 'claim', { note: 'a\ud800' }, 'note'],
    ['a note over the limit', 'claim', { note: 'a'.repeat(4001) }, 'note'],
    ['an unknown kind', 'submit-evidence', { ...evidence, kind: 'opinion' }, 'kind'],
    ['no result', 'submit-evidence', { kind: 'validation', commit: HEAD }, 'result'],
    ['a commit that is none', 'submit-evidence', { ...evidence, commit: 'HEAD' }, 'commit'],
    ['no commit where none is known', 'submit-evidence', { kind: 'attestation', result: 'passed' }, 'commit'],
    ['a script in a link', 'submit-evidence', { ...evidence, url: 'javascript:alert(1)' }, 'url'],
    ['no criterion', 'submit-evidence', { ...evidence, kind: 'criterion' }, 'criterion'],
    ['a criterion of another kind', 'submit-evidence', { ...evidence, criterion: 1 }, 'criterion'],
    ['criterion 0', 'waive-criterion', { criterion: 0, reason: 'Why.' }, 'criterion'],
    ['a criterion out of range', 'waive-criterion', { criterion: 3, reason: 'Why.' }, 'criterion'],
    [
      'a text that is no criterion',
      'waive-criterion',
      { criterion: 'It flies.', reason: 'Why.' },
      'criterion',
    ],
    [
      'a criterion out of range of evidence',
      'submit-evidence',
      { kind: 'criterion', criterion: 99, result: 'passed' },
      'criterion',
    ],
    ['a blank reason', 'waive-criterion', { criterion: 1, reason: '  ' }, 'reason'],
    ['an unknown gate', 'override-gate', { ...override, gate: 'garden' }, 'gate'],
    ['a gate that the action does not have', 'override-gate', { ...override, gate: 'capacity' }, 'gate'],
    ['a gate that is always hard', 'override-gate', { ...override, gate: 'lane-transition' }, 'gate'],
    ['a gate that the policy makes hard', 'override-gate', { ...override, gate: 'pull-request' }, 'gate'],
    ['an end in the past', 'override-gate', { ...override, until: EARLIER }, 'until'],
    ['an end that is no time', 'override-gate', { ...override, until: 'tomorrow' }, 'until'],
  ])('refuses %s with the path of the field', (_name, action, raw, path) => {
    const policy = policyOf('strict', { hard: ['pull-request'] });
    const issues = issuesOf(() => parseInput(action, raw, { facts, policy, principal: BEN, now: NOW }));
    expect(issues.map((issue) => issue.path.join('.'))).toContain(path);
  });

  it('says which criteria there are', () => {
    const parse = () =>
      parseInput(
        'waive-criterion',
        { criterion: 9, reason: 'Why.' },
        { facts, policy: policyOf('strict'), principal: BEN, now: NOW },
      );
    expect(issuesOf(parse)[0]?.message).toBe(
      'This item has criteria 1 to 2. Give a number or the exact text.',
    );
  });

  it('finds a criterion by number from 1 and by text', () => {
    const context = { facts, policy: policyOf('strict'), principal: BEN, now: NOW };
    for (const criterion of [2, 'It is documented.']) {
      expect(parseInput('waive-criterion', { criterion, reason: 'Why.' }, context).criterion).toEqual({
        index: 1,
        text: 'It is documented.',
      });
    }
  });

  it('takes absent input as none, and writes times in UTC', () => {
    const context = { facts, policy: policyOf('strict'), principal: BEN, now: NOW };
    expect(parseInput('complete', undefined, context)).toEqual({});
    const until = parseInput(
      'override-gate',
      { ...override, until: '2026-03-02T01:00:00+02:00' },
      context,
    ).until;
    expect(until).toBe('2026-03-01T23:00:00.000Z');
  });

  it.each<[string, string, string]>([
    ['a unique beginning of a known commit', HEAD.slice(0, 12), HEAD],
    ['one in capitals', HEAD.slice(0, 7).toUpperCase(), HEAD],
    ['a whole one', HEAD, HEAD],
    ["a beginning of an approval's commit", OTHER.slice(0, 12), OTHER],
    ['a beginning of what only the forge names', 'cccccccc', 'c'.repeat(40)],
    ['a commit that is new', 'd'.repeat(12), 'd'.repeat(12)],
    ['one that was named short and whole', 'eeeeeeee', 'e'.repeat(40)],
  ])('takes %s as the commit it means', (_name, commit, whole) => {
    expect(parseCommit(commit)).toBe(whole);
  });

  it('refuses a beginning that two known commits share', () => {
    const [issue] = issuesOf(() => parseCommit('abcdef0'));
    expect(issue?.path).toEqual(['commit']);
    expect(issue?.message).toBe(
      `It begins 2 commits of this item: ${'abcdef0'.padEnd(40, '1')} or ${'abcdef0'.padEnd(40, '2')}; give more digits.`,
    );
  });

  it('asks a note of those who approve their own work alone', () => {
    const own = itemOf('review', { handoff: handoffOf('submitted') });
    const parse = (preset: 'solo' | 'team', raw: unknown) =>
      parseInput('approve', raw, {
        facts: factsOf(own, { preset }),
        policy: policyOf('strict'),
        principal: CY,
        now: NOW,
      });
    expect(issuesOf(() => parse('solo', {}))[0]?.path).toEqual(['note']);
    expect(parse('solo', { note: 'Read twice.' })).toEqual({ note: 'Read twice.' });
    expect(parse('team', {})).toEqual({});
  });
});

describe('an override alone in the solo preset', () => {
  const people = [{ id: 'p-ann', name: 'Ann', roles: ['owner'] }];
  const asked = { gate: 'criteria-met', action: 'complete', reason: 'Now.' } as const;
  const parse = (until: string, more: Partial<Facts>, item = itemOf('review')) =>
    parseInput(
      'override-gate',
      { ...asked, until },
      {
        ...{ policy: policyOf('strict'), principal: ANN, now: NOW },
        facts: factsOf(item, { preset: 'solo', people, ...more }),
      },
    );
  const [soon, late] = ['2026-03-01T12:10:00.000Z', '2026-03-01T12:10:01.000Z'];

  it('is refused where it would end before it could count', () => {
    const [issue] = issuesOf(() => parse(soon, {}));
    expect(issue?.path).toEqual(['until']);
    expect(issue?.message).toBe(
      `Must be after ${soon}: nobody else can ask for the same, and alone it counts only after the waiting time.`,
    );
    expect(parse(late, {}).until).toBe(late);
  });

  it('may end soon where somebody can second it, or where it seconds one', () => {
    const two = [...people, { id: 'p-dee', name: 'Dee', roles: ['owner'] }];
    expect(parse(soon, { people: two }).until).toBe(soon);
    expect(parse(soon, { preset: 'team' }).until).toBe(soon);
    const waiting = { ...asked, id: 'o-1', until: late, by: actor(BEN), at: EARLIER };
    const seconding = itemOf('review', { overrides: [{ ...waiting, secondedBy: null, secondedAt: null }] });
    expect(parse(soon, {}, seconding).until).toBe(soon);
  });
});

function issuesOf(parse: () => unknown): ZodError['issues'] {
  try {
    parse();
  } catch (error) {
    if (error instanceof ZodError) return error.issues;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** Lanes that each mover may connect: the design's table once more, by lane alone. */
const MOVES: Partial<Record<ActionIdentity, string[]>> = {
  'mark-ready': ['backlog ready'],
  'start-execution': ['ready ready'],
  claim: ['ready executing', 'executing executing', 'review review'],
  'release-handoff': ['executing ready', 'review ready'],
  'request-review': ['executing review'],
  'request-changes': ['review executing'],
  complete: ['review done'],
  cancel: ['backlog cancelled', 'ready cancelled', 'executing cancelled', 'review cancelled'],
};

const INPUTS: Partial<Record<ActionIdentity, unknown[]>> = {
  'submit-evidence': [
    { kind: 'validation', result: 'passed', commit: HEAD },
    { kind: 'attestation', result: 'passed', commit: HEAD },
    { kind: 'criterion', criterion: 1, result: 'passed' },
    { kind: 'attestation', result: 'failed', commit: 'b'.repeat(40) },
  ],
  'waive-criterion': [{ criterion: 2, reason: 'Small.' }],
  'override-gate': [
    { gate: 'pull-request', action: 'complete', reason: 'Now.', until: '2026-04-01T00:00:00Z' },
  ],
};

interface Life {
  item: WorkItem;
  events: RecordedEvent[];
}

const steps = fc.array(
  fc.record({
    action: fc.constantFrom(...ACTION_IDENTITIES),
    principal: fc.constantFrom(ANN, BEN, CY, AGENT),
    variant: fc.nat(3),
  }),
  { maxLength: 40 },
);

describe('any sequence of actions', () => {
  const policy = policyOf('baseline');
  const seed = Number(process.env.FC_SEED ?? 106);

  it('keeps the table, and replaying its events gives the same item', () => {
    const reached = new Set<Lane>();
    fc.assert(
      fc.property(
        fc.constantFrom(...LANES),
        fc.constantFrom('solo', 'team' as const),
        steps,
        (lane, preset, taken) => {
          const ids = counter();
          let life = imported(lane);
          for (const { action, principal, variant } of taken) {
            life = act(life, action, principal, variant, preset, ids);
            reached.add(life.item.lane);
          }
          const stored = JSON.parse(JSON.stringify(life.events)) as RecordedEvent[];
          expect(JSON.stringify(replay(stored))).toBe(JSON.stringify(life.item));
        },
      ),
      { numRuns: 300, seed },
    );
    expect(reached).toEqual(new Set(LANES));
  });

  function imported(lane: Lane): Life {
    const { record } = itemOf(lane);
    const by = { kind: 'system', id: 'system', personId: null, roles: [] } as const;
    const envelope = { seq: 1, projectId: 'main', version: 1, at: EARLIER, actor: { ...by, roles: [] } };
    const event: RecordedEvent = { ...envelope, event: { type: 'imported', lane, record } };
    return { item: evolve(null, event), events: [event] };
  }

  function act(
    { item, events }: Life,
    action: ActionIdentity,
    principal: Principal,
    variant: number,
    preset: 'solo' | 'team',
    ids: ReturnType<typeof counter>,
  ): Life {
    const facts = factsOf(item, { preset });
    const variants = INPUTS[action] ?? [{ note: 'A note.' }];
    const raw = variants[variant % variants.length];
    const input: ActionInput = parseInput(action, raw, { facts, policy, principal, now: NOW });
    if (!evaluateAction(action, facts, policy, principal, NOW).enabled) return { item, events };
    const decided = decide(action, input, facts, principal, ids, NOW);
    const { from, to } = decided.lane;
    expect(MOVES[action] ?? [`${item.lane} ${item.lane}`]).toContain(`${from} ${to}`);
    expect(decided.effects.length).toBeGreaterThan(0);
    expect(decided.effects.some(({ kind }) => kind === 'queue-write')).toBe(from !== to);
    const envelope = { projectId: 'main', version: item.version + 1, at: NOW, actor: actor(principal) };
    const recorded = decided.events.map((event, index) => ({
      ...envelope,
      seq: events.length + index + 1,
      event,
    }));
    expect(recorded.length).toBeGreaterThan(0);
    const after = recorded.reduce<WorkItem>((folded, event) => evolve(folded, event), item);
    expectSound(item, after, to);
    return { item: after, events: [...events, ...recorded] };
  }

  function expectSound(before: WorkItem, after: WorkItem, to: Lane): void {
    expect(after.lane).toBe(to);
    expect(after.version).toBe(before.version + 1);
    const state = after.handoff?.state;
    if (state === 'queued') expect(['ready', 'executing']).toContain(to);
    if (to === 'done' || to === 'cancelled') expect(after.handoff).toBeNull();
    if (state === 'claimed') expect(to).toBe('executing');
    const fences = after.pastHandoffs.map(({ fence }) => fence);
    expect(fences).toEqual([...fences].sort((a, b) => a - b));
    for (const past of after.pastHandoffs) expect(past.endedAt).not.toBeNull();
  }
});
