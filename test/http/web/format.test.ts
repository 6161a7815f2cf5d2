import { describe, expect, it } from 'vitest';
import { duration, relative } from '../../../service/http/web/format.ts';

const NOW = Date.parse('2026-05-01T12:00:00.000Z');
const DAY = 86_400;
const at = (seconds: number) => relative(new Date(NOW + seconds * 1000).toISOString(), NOW);

describe('a time beside now', () => {
  it.each([
    [7 * DAY, 'in 7 d'],
    [7 * DAY - 5, 'in 7 d'],
    [6.4 * DAY, 'in 6 d'],
    [2 * DAY - 1, 'in 2 d'],
    [DAY - 1, 'in 24 h'],
    [3600 - 1, 'in 1 h'],
    [60 * 29.6, 'in 30 min'],
    [59.7, 'in 1 min'],
    [42, 'in 42 s'],
    [9, 'just now'],
    [-9, 'just now'],
    [-59.9, '59 s ago'],
    [-119, '1 min ago'],
    [-2 * DAY + 1, '47 h ago'],
    [-6.9 * DAY, '6 d ago'],
  ])('%d seconds from now is %s', (seconds, text) => {
    expect(at(seconds)).toBe(text);
  });
});

it.each([
  [-1, '0 s'],
  [59.9, '59 s'],
  [3599, '59 min'],
  [172_799, '47 h'],
  [172_800, '2 d'],
])('a duration of %d is %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});
