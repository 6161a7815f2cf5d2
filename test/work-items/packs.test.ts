import { describe, expect, it } from 'vitest';
import { BASELINE, gatesOf, isHard, packOf, STRICT } from '../../service/work-items/packs.ts';
import { ACTION_IDENTITIES, GATE_IDENTITIES, type ActionIdentity } from '../../service/work-items/types.ts';
import { policyOf } from './gates.fixtures.ts';

const names = (action: ActionIdentity, pack: string) =>
  gatesOf(action, policyOf(pack)).map(({ gate }) => gate);

describe('gate packs', () => {
  it('baseline has only the gates of the reference pages', () => {
    const used = new Set(ACTION_IDENTITIES.flatMap((action) => names(action, 'baseline')));
    expect([...used].sort()).toEqual([
      'context-visibility',
      'lane-eligibility',
      'lane-transition',
      'pull-request',
    ]);
    expect(names('complete', 'baseline')).toEqual(['lane-transition', 'pull-request']);
    expect(names('prepare-release', 'baseline')).toEqual(['lane-eligibility', 'pull-request']);
  });

  it('strict has every gate and all of baseline', () => {
    const used = new Set(ACTION_IDENTITIES.flatMap((action) => names(action, 'strict')));
    expect(GATE_IDENTITIES.filter((gate) => !used.has(gate))).toEqual([]);
    for (const action of ACTION_IDENTITIES) {
      expect(names(action, 'strict')).toEqual(expect.arrayContaining(names(action, 'baseline')));
    }
  });

  it('warns where the table says so', () => {
    const warnings = ACTION_IDENTITIES.flatMap((action) =>
      gatesOf(action, policyOf('strict'))
        .filter(({ mode }) => mode === 'warn')
        .map(({ gate }) => `${action} ${gate}`),
    );
    expect(warnings).toEqual([
      'start-execution dependencies',
      'start-execution capacity',
      'request-review validation-script-unchanged',
    ]);
  });

  it('keeps the order of the table', () => {
    for (const action of ACTION_IDENTITIES) {
      const order = names(action, 'strict').map((gate) => GATE_IDENTITIES.indexOf(gate));
      expect(order).toEqual([...order].sort((a, b) => a - b));
    }
  });

  it("keeps the lane's gate whatever a pack of the project says", () => {
    const policy = policyOf('own', {
      packs: { own: { name: 'own', actions: { complete: [{ gate: 'lane-transition', mode: 'warn' }] } } },
    });
    expect(gatesOf('complete', policy)).toEqual([{ gate: 'lane-transition', mode: 'block' }]);
    expect(gatesOf('approve', policy)).toEqual([{ gate: 'lane-eligibility', mode: 'block' }]);
    expect(gatesOf('refresh-truth', policy)).toEqual([]);
    expect(isHard('lane-transition', policy)).toBe(true);
    expect(isHard('window', policy)).toBe(false);
    expect(isHard('window', policyOf('own', { hard: ['window'] }))).toBe(true);
  });

  it.each(['nope', 'constructor', 'toString'])('refuses the unknown pack %s with the known ones', (name) => {
    expect(() => packOf(policyOf(name))).toThrow(`names gate pack ${name}, which does not exist`);
  });

  it('finds the built-in packs', () => {
    expect(packOf(policyOf('baseline'))).toBe(BASELINE);
    expect(packOf(policyOf('strict'))).toBe(STRICT);
  });
});
