import { describe, expect, it } from 'vitest';
import { exitOf, failureJson, failureText } from '../../scripts/lib/failure.ts';
import { FactoryError } from '../../service/errors.ts';

const error = (code: string, details = {}): FactoryError =>
  new FactoryError({ code, op: 'complete', message: 'It is so.', hint: 'Do this.', details });

it.each([
  ['usage', 2],
  ['config-invalid', 2],
  ['bad-input', 2],
  ['input-refused', 2],
  ['token-missing', 2],
  ['action-blocked', 4],
  ['permission-missing', 4],
  ['version-mismatch', 4],
  ['decision-outdated', 4],
  ['last-owner', 4],
  ['restore-target-exists', 4],
  ['key-exists', 4],
  ['keyring-exists', 4],
  ['export-exists', 4],
  ['database-in-use', 4],
  ['locked', 4],
  ['job-running', 4],
  ['restore-space', 4],
  ['restore-older', 4],
  ['restore-unconfirmed', 4],
  ['restore-foreign', 4],
  ['log-key-missing', 4],
  ['signer-unknown', 4],
  ['plan-outdated', 4],
  ['backup-none', 1],
  ['backup-unknown', 1],
  ['backup-damaged', 1],
  ['identity-missing', 1],
  ['destination-failed', 1],
  ['unreachable', 1],
  ['not-found', 1],
  ['port-in-use', 1],
  ['internal', 1],
])('%s ends with %i', (code, exit) => {
  expect(exitOf(error(code))).toBe(exit);
});

it('lets no message steer the terminal', () => {
  const text = failureText('x', new FactoryError({ code: 'y', op: 'o', message: 'a\u001b[2Jb', hint: 'c' }));
  expect(text).toBe('factory x: a\ufffd[2Jb\n  c');
});

describe('blockers', () => {
  const gate = (name: string) => ({
    ...{ gate: name, verdict: 'blocked', reason: 'r', params: {}, facts: [], unblock: [] },
    recovery: {
      cause: `C ${name}`,
      policyContext: 'P',
      nextStep: 'N',
      safeRetry: { text: 'S', mode: 'never' },
    },
  });
  const blocked = error('action-blocked', { blockers: [gate('window'), gate('capacity')] });

  it('have their four texts each', () => {
    const text = failureText('items act', blocked);
    expect(text).toContain('factory items act: It is so.');
    for (const label of ['Cause', 'Policy context', 'Next step', 'Safe retry']) {
      expect(text.match(new RegExp(`^ +${label} `, 'gm')), label).toHaveLength(2);
    }
    expect(text).toMatch(/- window: blocked\n +Cause +C window\n/);
  });

  it('stand in the JSON form beside what every error has', () => {
    expect(failureJson(blocked)).toEqual({
      error: {
        ...{ code: 'action-blocked', op: 'complete', target: null, message: 'It is so.', hint: 'Do this.' },
        retryable: false,
        blockers: [gate('window'), gate('capacity')],
      },
    });
  });

  it('cannot replace what every error has', () => {
    expect(failureJson(error('x', { code: 'y', message: 'z' }))).toMatchObject({
      error: { code: 'x', message: 'It is so.' },
    });
  });
});
