import { describe, expect, it } from 'vitest';
import { itemPage } from '../../../service/http/web/views/item.ts';
import { formInput } from '../../../service/http/web/views/action-inputs.ts';
import type { ItemPage } from '../../../service/http/web/views/item-page.ts';
import type { ActionIdentity, ActionReport } from '../../../service/work-items/types.ts';
import {
  decision,
  DONE_ACTIONS,
  gate,
  history,
  item,
  minutesAgo,
  principal,
  referenceItem,
  report,
  view,
} from './fixtures.ts';
import { firstMissing, referenceLines, textOf } from './text.ts';

function page(fields: Partial<ItemPage> = {}): ItemPage {
  return {
    item: item(),
    actions: { version: 4, actions: [] },
    all: false,
    sessions: [],
    history: history(),
    viewer: principal('Ada', 'owner'),
    focus: null,
    panel: null,
    applied: null,
    ...fields,
  };
}

const render = (fields: Partial<ItemPage>) => itemPage(view(), page(fields)).text;

describe('the reference pages', () => {
  it.each(['wi-BF-106', 'wi-BF-276'] as const)(
    'has every line of %s in order, each as a line of its own',
    (id) => {
      const actions = {
        version: 1,
        actions: DONE_ACTIONS.actions,
      };
      const lines = textOf(render({ item: referenceItem(id), actions }));
      expect(firstMissing(lines, referenceLines(id))).toBeNull();
    },
  );

  it('finds a line that is missing or out of order', () => {
    const lines = textOf(render({ item: referenceItem('wi-BF-106'), actions: DONE_ACTIONS }));
    const wanted = referenceLines('wi-BF-106');
    const swapped = lines.toSpliced(lines.indexOf('Drift: none.'), 1).concat('Drift: none.');
    expect(firstMissing(swapped, wanted)).not.toBeNull();
  });
});

describe('actions', () => {
  it('keeps label and state adjacent, without white space between them', () => {
    const html = render({
      actions: { version: 4, actions: [report('claim', [gate('capacity', 'blocked')])] },
    });
    expect(html.replace(/<[^>]*>/g, '')).toContain('ClaimBlocked');
  });

  it('shows four texts for each of several blocking gates, the first before identity, all before the gates', () => {
    const blockers = [
      gate('lane-transition', 'blocked'),
      gate('truth-fresh', 'unknown'),
      gate('capacity', 'blocked'),
    ];
    const lines = textOf(render({ actions: { version: 4, actions: [report('start-execution', blockers)] } }));
    const texts = blockers.flatMap(({ recovery }) =>
      recovery ? [recovery.cause, recovery.policyContext, recovery.nextStep, recovery.safeRetry.text] : [],
    );
    expect(texts).toHaveLength(12);
    expect(
      firstMissing(lines, [
        ...texts,
        'identity: start-execution',
        'policy gate lane-transition: blocked (lane-transition stands in the way.)',
      ]),
    ).toBeNull();
  });

  it('hides gates that do not apply on terminal lanes only', () => {
    const actions = {
      version: 4,
      actions: [
        report('start-execution', [gate('lane-transition', 'pass'), gate('capacity', 'not-applicable')]),
      ],
    };
    expect(render({ item: item({ lane: 'done' }), actions })).not.toContain('<code>capacity</code>');
    expect(render({ item: item({ lane: 'ready' }), actions })).toContain(
      '<code>capacity</code>: not-applicable',
    );
  });

  it.each([
    { verdict: 'pass', reason: 'anything', line: 'policy gate capacity: pass' },
    { verdict: 'warn', reason: '3 of 3 run.', line: 'policy gate capacity: warn (3 of 3 run.)' },
    { verdict: 'overridden', reason: 'By Ada.', line: 'policy gate capacity: overridden (By Ada.)' },
  ] as const)('gives the reason unless the gate passes: $verdict', ({ verdict, reason, line }) => {
    const actions = { version: 4, actions: [report('claim', [gate('capacity', verdict, { reason })])] };
    expect(textOf(render({ actions }))).toContain(line);
  });

  it.each([
    { enabled: true, granted: true, button: true, word: 'granted' },
    { enabled: true, granted: false, button: false, word: 'missing' },
    { enabled: false, granted: true, button: false, word: 'granted' },
  ])(
    'has a button with the label only when enabled ($enabled) and granted ($granted)',
    ({ enabled, granted, button, word }) => {
      const gates = [gate('lane-transition', enabled ? 'pass' : 'blocked')];
      const html = render({ actions: { version: 4, actions: [report('mark-ready', gates, granted)] } });
      expect(/<form\s[^>]*action="\/items\/wi-BF-281\/actions\/mark-ready#/.test(html)).toBe(button);
      expect(/<button[^>]*>Mark ready<\/button>/.test(html)).toBe(button);
      expect(textOf(html)).toContain(word);
    },
  );

  it('says which roles could do what the viewer may not', () => {
    const actions = { version: 4, actions: [report('mark-ready', [gate('lane-transition', 'pass')], false)] };
    expect(textOf(render({ actions }))).toContain(
      'Not yours: needs an owner or planner. Ask one of the people',
    );
  });

  it('looks enabled only to whoever can take it, and counts so', () => {
    const gates = [gate('lane-transition', 'pass')];
    const actions = {
      version: 4,
      actions: [report('mark-ready', gates, false), report('cancel', gates), report('claim', gates, false)],
    };
    const html = render({ actions });
    expect(textOf(html)).toEqual(expect.arrayContaining(['Mark readyEnabled', 'CancelEnabled']));
    expect(html.match(/chip ok"\s*><svg[^>]*><use[^>]*><\/svg>Enabled/g)).toHaveLength(1);
    expect(textOf(html)).toContain('You can take 1 of 3 actions');
  });

  it('links the way out of a blocking gate: to an action, and to the net-new form', () => {
    const blocked = gate('lane-transition', 'blocked', {
      unblock: [
        { action: 'mark-ready', permission: 'factory.work-item.plan' },
        { url: '/items/new?supersedes=wi-BF-281', permission: 'factory.work-item.create' },
      ],
    });
    const html = render({ actions: { version: 4, actions: [report('start-execution', [blocked])] } });
    expect(html).toContain('href="/items/wi-BF-281?act=mark-ready#act-mark-ready"');
    expect(html).toContain('href="/items/new?supersedes=wi-BF-281"');
  });
});

describe('the next step', () => {
  const strip = (fields: Partial<ItemPage>) => {
    const html = render(fields);
    const from = html.indexOf('<div id="next"');
    return html.slice(from, html.indexOf('<div class="item">', from));
  };
  const move = gate('lane-transition', 'pass');
  const stands = gate('validation-evidence', 'blocked', {
    unblock: [{ action: 'submit-evidence', permission: 'factory.work-item.submit-evidence' }],
  });
  const waits = gate('window', 'blocked', {
    recovery: {
      ...{ cause: 'Freeze.', policyContext: 'Policy.', nextStep: 'Wait.' },
      safeRetry: { text: 'Later.', mode: 'after-time', afterSeconds: 300 },
    },
  });
  const queued = {
    ...{ id: 'h', state: 'queued', queuedBy: 'Ada', queuedAt: minutesAgo(2), holder: null },
    ...{ claimedAt: null, endedAt: null, adopted: false },
  };
  const all = (...actions: ReturnType<typeof report>[]) => ({ version: 4, actions });

  it.each([
    ['backlog', null, 'mark-ready'],
    ['ready', null, 'start-execution'],
    ['ready', queued, 'claim'],
    ['executing', null, 'request-review'],
    ['executing', queued, 'claim'],
    ['review', null, 'complete'],
  ] as const)('is the move from %s that the viewer can take, as a button', (lane, handoff, identity) => {
    const movers = [
      'start-execution',
      'request-review',
      'mark-ready',
      'claim',
      'complete',
      'cancel',
    ] as const;
    const actions = all(...movers.map((one) => report(one, [move])));
    const html = strip({ item: item({ lane, handoff }), actions });
    expect(html).toContain(`action="/items/wi-BF-281/actions/${identity}#act-${identity}"`);
    expect(html.match(/<form/g)).toHaveLength(1);
  });

  it('names whoever has to act where the viewer may not', () => {
    const actions = all(report('complete', [move], false));
    expect(textOf(strip({ item: item({ lane: 'review' }), actions }))).toContain(
      'Complete is not yours: it needs an owner or reviewer. Ask one of the people',
    );
  });

  it('gives the one step that unblocks it, before what has to be waited for', () => {
    const actions = all(report('complete', [waits, stands]));
    const html = strip({ item: item({ lane: 'review' }), actions });
    expect(textOf(html)).toContain('Complete is blocked: validation-evidence stands in the way.');
    expect(html).toMatch(/class="btn main"\s+href="[^"]*act=submit-evidence&amp;kind=validation/);
  });

  it('says when to come back where time alone unblocks it', () => {
    const actions = all(report('complete', [waits]));
    expect(textOf(strip({ item: item({ lane: 'review' }), actions }))).toContain(
      'Wait: Complete opens at 12:05 UTC, in 5 min. Nothing else is needed.',
    );
  });

  it('says nothing on a lane that nothing leads on from', () => {
    expect(textOf(strip({ item: item({ lane: 'done' }), actions: DONE_ACTIONS }))).toEqual([]);
  });
});

describe('approving alone', () => {
  const passes = gate('independent-review', 'pass', {
    facts: [
      { ...{ source: 'item', path: 'authors', observedAt: null, revision: null }, value: ['person-ada'] },
    ],
  });
  const panel = (identity: 'approve' | 'complete') => ({
    ...{ identity, input: {}, problems: [{ path: 'x', message: 'X.' }], plan: null },
    ...{ idempotencyKey: 'k', refusal: null },
  });
  const shown = (identity: 'approve' | 'complete', name: string) =>
    render({
      actions: { version: 4, actions: [report(identity, [passes])] },
      viewer: principal(name, 'owner'),
      panel: panel(identity),
    });

  it('asks its author for a note and says why', () => {
    const html = shown('approve', 'Ada');
    expect(html).toMatch(/<textarea id="approve-note"[^>]*\srequired/);
    expect(textOf(html)).toContain('Note (required)');
    expect(textOf(html).join(' ')).toContain('in place of a second person');
  });

  it.each([
    ['approve', 'Ben'],
    ['complete', 'Ada'],
  ] as const)('asks nobody else, and for nothing else: %s by %s', (identity, name) => {
    expect(textOf(shown(identity, name))).toContain('Note (optional)');
  });

  it('says from when it counts, and that the next step is to wait', () => {
    const waits = gate('independent-review', 'blocked', {
      recovery: {
        ...{ cause: 'Yours.', policyContext: 'Policy.', nextStep: 'Wait.' },
        safeRetry: { text: 'Later.', mode: 'after-time', afterSeconds: 300 },
      },
    });
    const lines = textOf(
      render({
        item: item({ lane: 'review' }),
        actions: { version: 4, actions: [report('complete', [waits])] },
        applied: decision({ identity: 'approve', label: 'Approve', effects: [] }),
      }),
    );
    expect(lines).toContain('It counts from 12:05 UTC, in 5 min.');
    expect(lines).toContain('Wait: Complete opens at 12:05 UTC, in 5 min. Nothing else is needed.');
  });
});

describe('input of an action', () => {
  const criterion = (number: number, status: 'met' | 'not-recorded') => ({
    ...{ number, text: `Text ${number}`, status, evidence: [], waiver: null },
  });
  const criteria = [criterion(1, 'met'), criterion(2, 'not-recorded'), criterion(3, 'not-recorded')];
  const shown = (identity: ActionIdentity, input: Record<string, string> = {}, more: ActionReport[] = []) =>
    render({
      item: item({ criteria }),
      actions: { version: 4, actions: [report(identity, []), ...more] },
      panel: { ...{ identity, input, problems: [], plan: null, idempotencyKey: 'k', refusal: null } },
    });
  const hold = gate('window', 'blocked');
  const lane = gate('lane-transition', 'blocked');

  it.each([
    ['submit-evidence', { kind: 'criterion' }],
    ['waive-criterion', {}],
  ] as const)('%s starts at the first criterion without evidence', (identity, input) => {
    expect(shown(identity, input)).toMatch(/<option value="2"\s+selected>/);
  });

  it('submit-evidence names no criterion where it is about none', () => {
    expect(shown('submit-evidence')).not.toMatch(/<option value="\d"\s+selected>/);
  });

  it('override-gate offers the gates that block and can be turned, each with its action', () => {
    const html = shown('override-gate', {}, [
      report('complete', [gate('lane-transition', 'pass'), hold]),
      report('prepare-release', [hold]),
      report('request-review', [lane, hold]),
    ]);
    const options = [...html.matchAll(/<option value="([^"]* [^"]*)"/g)].map(([, value]) => value);
    expect(options).toEqual(['window complete', 'window prepare-release']);
    expect(html).toContain('value="2026-11-24T12:00"');
    expect(formInput({ turns: 'window complete' })).toEqual({ gate: 'window', action: 'complete' });
  });

  it('override-gate says so where there is none', () => {
    const html = shown('override-gate', {}, [report('complete', [lane])]);
    expect(textOf(html).join(' ')).toContain('No gate that an override can turn blocks an action');
    expect(html).not.toContain('id="confirm-do-override-gate"');
  });

  it.each<[ActionIdentity, string]>([
    [
      'submit-evidence',
      `{"kind":"criterion","criterion":2,"result":"passed","commit":"'"$(git rev-parse HEAD)"'"}`,
    ],
    ['waive-criterion', '{"criterion":2,"reason":"Why this item is good without it."}'],
    [
      'override-gate',
      '{"gate":"window","action":"complete","reason":"Why it cannot wait.","until":"2026-11-24T12:00:00.000Z"}',
    ],
  ])('%s has a shell line with what it takes', (identity, input) => {
    const text = textOf(shown(identity, {}, [report('complete', [hold])])).join(' ');
    expect(text).toContain(`npx factory items act wi-BF-281 ${identity} --input '${input}'`);
    expect(text).toContain(`-d '{"input":${input}}'`);
  });
});

describe('folded actions', () => {
  const blocked = [gate('lane-transition', 'blocked')];
  const actions = {
    version: 4,
    actions: [
      report('start-execution', blocked),
      report('claim', blocked),
      report('cancel', [gate('lane-transition', 'pass')]),
    ],
  };

  it('are those that the viewer cannot take, but for the four of the reference pages', () => {
    const html = render({ actions });
    expect([...html.matchAll(/id="fold-([^"]*)"/g)].map(([, identity]) => identity)).toEqual(['claim']);
    expect(html).not.toMatch(/id="fold-claim"\s+open/);
  });

  it('stand open where the address names them', () => {
    expect(render({ actions, focus: 'claim' })).toMatch(/id="fold-claim"\s+open/);
  });
});

describe('facts', () => {
  it('names sources that are not connected and codes that were not computed, after the drift line', () => {
    const lines = textOf(render({}));
    expect(
      firstMissing(lines, ['Drift: none.', 'Not connected: pull request, checks.', 'Not computed: 1 code']),
    ).toBeNull();
  });

  it('shows both sides of a drift, a missing prompt and absent facts', () => {
    const lines = textOf(
      render({
        item: item({
          pr: null,
          branch: null,
          prompt: { path: './work-items/prompts/x.prompt.md', excerpt: null, missing: true },
          queueTruth: {
            ...item().queueTruth,
            drift: [
              {
                code: 'queue-status-vs-lane',
                severity: 'error',
                field: 'status',
                left: { source: 'record', value: 'ready' },
                right: { source: 'lane', value: 'review' },
              },
            ],
          },
        }),
      }),
    );
    expect(lines).toContain('Drift: 1 open.');
    expect(lines).toContain('error queue-status-vs-lane status: record says ready, lane says review.');
    expect(lines).toContain('The prompt file is missing or cannot be read.');
    expect(firstMissing(lines, ['Branch', 'none', 'PR', 'none'])).toBeNull();
  });

  it('keeps the lines of a summary', () => {
    const html = render({ item: item({ summary: 'First.\n\n- `one`\n- two' }) });
    expect(html).toMatch(/class="[^"]*\bprose\b[^"]*">First\.\n\n- <code>one<\/code>\n- two<\/p>/);
  });

  it('does not make a link of a pull request that is no web address', () => {
    const html = render({ item: item({ pr: 'javascript:alert(1)' }) });
    expect(html).not.toContain('href="javascript:');
    expect(html).toContain('javascript:alert(1)');
  });

  it('shows evidence with commit, producer, trust and time', () => {
    const evidence = {
      id: 'e1',
      kind: 'criterion' as const,
      criterion: 1,
      commit: '4f1c2d9aa0b1c2d3e4f5061728394a5b6c7d8e9f',
      result: 'passed' as const,
      scriptDigest: null,
      url: null,
      note: null,
      producer: 'ci',
      trust: 'ci',
      at: minutesAgo(9),
    };
    const criteria = [
      { number: 1, text: 'New keys in use', status: 'met' as const, evidence: [evidence], waiver: null },
    ];
    const lines = textOf(render({ item: item({ criteria }) }));
    expect(lines).toContain('1 New keys in use');
    expect(lines).toContain('passed at 4f1c2d9aa0b1… · ci (trust: ci) · 9 min ago');
  });

  const FROM = '2026-05-04T10:10:00.000Z';
  it.each([
    ['waiting-for-person', null, null, 'not in force yet', 'waits for a second person'],
    ['waiting-until', FROM, null, 'not in force yet', 'counts without a second person from @ on'],
    ['in-force', FROM, null, 'in force', 'counts without a second person from @ on'],
    ['in-force', FROM, 'Ben', 'in force', 'seconded by Ben'],
    ['ended', FROM, null, 'ended', 'counted without a second person from @ on'],
    ['ended', null, null, 'ended', 'nobody seconded it'],
  ] as const)('says what an override %s waits for or rests on', (state, from, secondedBy, word, text) => {
    const overrides = [
      {
        ...{ id: 'o1', gate: 'window', action: 'complete', reason: 'Now.', until: minutesAgo(-60) },
        ...{ by: 'Ada', at: minutesAgo(9), state, from, secondedBy },
      },
    ];
    const lines = textOf(render({ item: item({ overrides }) }));
    expect(lines).toContain(`${word} window for complete until in 1 h`);
    expect(lines).toContain(`Ada · 9 min ago · ${text.replace('@', '2026-05-04 10:10:00 UTC')}`);
  });
});
