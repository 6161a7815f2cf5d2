import { describe, expect, it } from 'vitest';
import { parseTime, pointInTime } from '../../scripts/lib/time.ts';

describe('--at', () => {
  it.each([
    ['2026-05-01T12:00:00Z', '2026-05-01T12:00:00.000Z'],
    ['2026-05-01T12:00Z', '2026-05-01T12:00:00.000Z'],
    ['2026-05-01T12:00:00.250+02:00', '2026-05-01T10:00:00.250Z'],
    ['2026-05-01', '2026-05-01T00:00:00.000Z'],
  ])('takes %s, wherever it is read', (text, time) => {
    expect(new Date(parseTime('restore', text)).toISOString()).toBe(time);
  });

  it.each(['2026-05-01T12:00:00', '2026-05-01T12:00', '2026-05-01 12:00'])(
    'refuses %s, which names no zone, and says what it is in UTC',
    (text) => {
      expect(() => parseTime('restore', text)).toThrow(`In UTC it is ${text.replace(' ', 'T')}Z.`);
    },
  );

  it.each(['yesterday', '2026', '2026-13-01', 'May 1, 2026', '12:00Z', '2026-05-01T25:00:00Z'])(
    'refuses %s, which is no time',
    (text) => {
      expect(() => parseTime('restore', text)).toThrow('is no time');
    },
  );
});

it('a point in time is a time, or so long ago, or so long from now', () => {
  const now = Date.parse('2026-05-01T12:00:00.000Z');
  const point = (text: string, span: 'ago' | 'from now') =>
    pointInTime('sessions search', text, { flag: 'from', span, now });
  expect(point('2h', 'ago')).toBe('2026-05-01T10:00:00.000Z');
  expect(point('3d', 'from now')).toBe('2026-05-04T12:00:00.000Z');
  expect(point('2026-05-01T12:00:00+02:00', 'ago')).toBe('2026-05-01T10:00:00.000Z');
  for (const wrong of ['2y', '0h', '2 h', 'yesterday', '-2h'])
    expect(() => point(wrong, 'ago')).toThrow(`--from: "${wrong}"`);
});
