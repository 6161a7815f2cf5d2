import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUILT_IN_PACKS } from '../../service/work-items/packs.ts';
import { defaultPolicy, parsePolicy } from '../../service/work-items/policy.ts';
import type { Policy } from '../../service/work-items/types.ts';

const DEFAULT = defaultPolicy(BUILT_IN_PACKS);

function parse(text: string | null): { policy: Policy; problems: [number, string][]; hints: string[] } {
  const { policy, problems } = parsePolicy(text, BUILT_IN_PACKS);
  return {
    policy,
    problems: problems.map(({ line, code }) => [line, code]),
    hints: problems.map(({ hint }) => hint),
  };
}

it.each([
  ['no file', null],
  ['an empty file', ''],
  ['comments alone', '# nothing\n'],
  ['names without values', 'limits:\nfreshness:\nauthorities:\nfreezes:\nhard:\npacks:\n'],
])('%s is the default', (_name, text) => {
  expect(parse(text)).toEqual({ policy: DEFAULT, problems: [], hints: [] });
});

it('the defaults are those of the control plane', () => {
  expect(DEFAULT).toMatchObject({
    gatePack: 'baseline',
    preset: null,
    limits: { handoffs: 3 },
    freshness: { queue: 60, 'pull request': 120, checks: 120, lease: 5 },
  });
});

it('a full policy is read, in both line ends and with a BOM', () => {
  const text = [
    'gatePack: careful',
    'preset: team',
    'limits: { handoffs: 5, attempts: 2 }',
    'freshness: { queue: 90s, prompt: 1m, pull request: 2h, checks: 1d, lease: 10s }',
    'authorities: { branch: queue }',
    'soloWait: 10m',
    'hard: [pull-request, window, window]',
    'freezes:',
    '  - { name: Winter, from: 2026-12-24, until: "2027-01-02T08:00:00+01:00" }',
    'packs:',
    '  careful:',
    '    extends: baseline',
    '    validationTrust: [forge, ci]',
    '    actions:',
    '      complete: { block: [criteria-met], warn: [independent-review, criteria-met] }',
    '  bare: {}',
  ].join('\n');
  for (const written of [text, `\uFEFF${text.replaceAll('\n', '\r\n')}`]) {
    expect(parse(written)).toEqual({
      problems: [],
      hints: [],
      policy: {
        gatePack: 'careful',
        preset: 'team',
        limits: { handoffs: 5, attempts: 2 },
        freshness: { queue: 90, prompt: 60, 'pull request': 7200, checks: 86_400, lease: 10 },
        authorities: { branch: 'queue' },
        soloWaitSeconds: 600,
        hard: ['pull-request', 'window'],
        freezes: [{ name: 'Winter', from: '2026-12-24T00:00:00.000Z', until: '2027-01-02T07:00:00.000Z' }],
        packs: {
          ...BUILT_IN_PACKS,
          careful: {
            name: 'careful',
            validationTrust: ['forge', 'ci'],
            actions: {
              ...BUILT_IN_PACKS['baseline']?.actions,
              complete: [
                { gate: 'criteria-met', mode: 'block' },
                { gate: 'independent-review', mode: 'warn' },
              ],
            },
          },
          bare: { name: 'bare', actions: {} },
        },
      },
    });
  }
});

describe('what is wrong is named with its line', () => {
  it.each<[string, [number, string][], string]>([
    ['gatePak: strict', [[1, 'policy-key']], 'gatePack'],
    ['gatePack: strikt', [[1, 'policy-value']], 'strict'],
    ['gatePack: [strict]', [[1, 'policy-value']], 'baseline'],
    ['preset: both', [[1, 'policy-value']], 'solo'],
    ['\nlimits: { handofs: 3 }', [[2, 'policy-key']], 'handoffs'],
    ['limits: 3', [[1, 'policy-value']], 'name: value'],
    ['limits: { handoffs: 0 }', [[1, 'policy-value']], '1'],
    ['limits: { handoffs: "3" }', [[1, 'policy-value']], '1'],
    ['freshness: { queue: 60 }', [[1, 'policy-value']], '60s'],
    ['freshness: { queue: 0s }', [[1, 'policy-value']], '60s'],
    ['freshness: { queue: 366d }', [[1, 'policy-value']], '60s'],
    ['freshness: { queue: 1.5h }', [[1, 'policy-value']], '60s'],
    ['freshness: { pullrequest: 1m }', [[1, 'policy-key']], 'pull request'],
    ['authorities: { branhc: queue }', [[1, 'policy-key']], 'branch'],
    ['authorities: { branch: somebody }', [[1, 'policy-value']], 'queue'],
    ['authorities: { status: queue }', [[1, 'policy-value']], 'Move the item by its actions'],
    [
      'authorities:\n  collection: queue\n  record: queue\n',
      [
        [2, 'policy-value'],
        [3, 'policy-value'],
      ],
      'Reconcile',
    ],
    ['authorities: { handoff: lease }', [[1, 'policy-value']], 'Leave it out'],
    ['hard: pull-request', [[1, 'policy-value']], 'a'],
    ['hard:\n  - windows', [[2, 'policy-value']], 'window'],
    ['freezes:\n  - { name: x, from: 2026-02-01, until: 2026-01-01 }', [[2, 'policy-value']], 'ends'],
    [
      'freezes:\n  - { name: x, from: tomorrow, until: 2026-01-01T10:00 }',
      [
        [2, 'policy-value'],
        [2, 'policy-value'],
      ],
      '2026',
    ],
    [
      'freezes:\n  - winter',
      [
        [2, 'policy-value'],
        [2, 'policy-value'],
        [2, 'policy-value'],
        [2, 'policy-value'],
      ],
      'name',
    ],
    ['packs:\n  baseline: {}', [[2, 'policy-value']], 'careful'],
    ['packs:\n  x:\n    extends: strikt', [[3, 'policy-value']], 'strict'],
    ['packs:\n  x:\n    actions:\n      merge: {}', [[4, 'policy-key']], 'Known here'],
    ['packs:\n  x:\n    actions:\n      claim: { block: [capcity] }', [[4, 'policy-value']], 'capacity'],
    ['preset: solo\npreset: team', [[2, 'duplicate-key']], 'line 1'],
    ['preset: "solo', [[1, 'yaml-malformed']], 'YAML'],
    ['- a', [[1, 'policy-value']], 'name: value'],
    ['preset: solo\0', [[1, 'policy-unreadable']], 'YAML'],
    [`# ${'x'.repeat(300_000)}`, [[1, 'policy-unreadable']], 'YAML'],
  ])('%s', (text, problems, hint) => {
    const parsed = parse(text);
    expect(parsed.problems).toEqual(problems);
    expect(parsed.hints.join(' ')).toContain(hint);
  });

  it('all at once', () => {
    const text = 'preset: x\nfreshness: { queue: 1 }\nhard: [x]\nunknown: 1\n';
    expect(parse(text).problems.map(([line]) => line)).toEqual([1, 2, 3, 4]);
  });
});

describe('a mistake opens no gate', () => {
  it.each(['gatePack: strikt', 'gatepack: strict', 'gatePack: "strict', 'gatePack:\n  a: b', 'a: [', '\0'])(
    '%j',
    (text) => {
      expect(parse(text).policy.gatePack).toBe('strict');
    },
  );

  it('beside a right choice', () => {
    expect(parse('gatePack: baseline\nhard: [window, x]')).toMatchObject({
      policy: { gatePack: 'baseline', hard: ['window'] },
      problems: [[2, 'policy-value']],
    });
  });

  it('whatever the text is, a whole policy comes out and its pack exists', () => {
    const lines = fc.constantFrom(
      'gatePack: strict',
      'packs: {a: {}}',
      'gatePack: a',
      'limits: []',
      '&a',
      '*a',
      '? x',
      '[',
      'hard: {}',
      '!!js x',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(lines, { maxLength: 4 }).map((parts) => parts.join('\n')),
    );
    fc.assert(
      fc.property(text, (written) => {
        const { policy } = parsePolicy(written, BUILT_IN_PACKS);
        expect(Object.keys(policy)).toEqual(expect.arrayContaining(Object.keys(DEFAULT)));
        expect(policy.packs[policy.gatePack]).toBeDefined();
      }),
    );
  });
});
