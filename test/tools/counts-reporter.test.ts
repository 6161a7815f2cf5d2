import { describe, expect, it } from 'vitest';
import { complaints } from './counts-reporter.ts';

const counts = (
  passed: number,
  failed = 0,
  skipped = 0,
): { passed: number; failed: number; skipped: number } => ({
  passed,
  failed,
  skipped,
});

describe('complaints', () => {
  it.each([
    ['equal engines', { sqlite: counts(3), postgres: counts(2, 1) }, true, 0],
    ['a case less on Postgres', { sqlite: counts(3), postgres: counts(2) }, false, 1],
    ['one engine alone', { sqlite: counts(3) }, false, 0],
    ['a skipped test at a desk', { unit: counts(3, 0, 1) }, false, 0],
    ['a skipped test in CI', { unit: counts(3, 0, 1) }, true, 1],
    ['a suite without a test in CI', { browser: counts(0) }, true, 1],
  ])('%s', (_, byProject, ci, expected) => {
    expect(complaints(new Map(Object.entries(byProject)), ci)).toHaveLength(expected);
  });
});
