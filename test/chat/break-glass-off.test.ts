import { describe, expect, it } from 'vitest';
import { settled, stepOf, WAIT_MS, wished, type Switch } from '../../service/chat/break-glass-off.ts';

const NOW = Date.parse('2026-03-01T08:00:00.000Z');
const ON: Switch = { breakGlass: true, pending: null };
const OFF: Switch = { breakGlass: false, pending: null };
const wish = (present: Switch, breakGlass: boolean, by: string, more = {}) =>
  wished(present, { breakGlass, by, preset: 'team', waitSeconds: 900, now: NOW, ...more });

describe('break-glass', () => {
  it('goes on at once, and off a day after it was asked for', () => {
    expect(wish(OFF, true, 'a')).toEqual(ON);
    const asked = wish(ON, false, 'a');
    expect(asked).toMatchObject({
      breakGlass: true,
      pending: { askedBy: 'a', effectiveAt: '2026-03-02T08:00:00.000Z' },
    });
    expect(settled(asked, NOW + WAIT_MS - 1)).toEqual(asked);
    expect(settled(asked, NOW + WAIT_MS)).toEqual(OFF);
    expect(settled(asked, NOW - WAIT_MS)).toEqual(asked);
  });
  it('goes off at once by another person, in a team alone', () => {
    const asked = wish(ON, false, 'a');
    expect(wish(asked, false, 'b')).toEqual(OFF);
    expect(wish(asked, false, 'a', { now: NOW + 1000 })).toEqual(asked);
    expect(wish(asked, false, 'b', { preset: 'solo' })).toEqual(asked);
  });
  it('waits no less than break-glass does for somebody who is alone', () => {
    const at = (waitSeconds: number) => wish(ON, false, 'a', { preset: 'solo', waitSeconds }).pending;
    expect(at(900)?.effectiveAt).toBe('2026-03-02T08:00:00.000Z');
    expect(at(30 * 3600)?.effectiveAt).toBe('2026-03-02T14:00:00.000Z');
  });
  it('is not kept by a change that leaves it as it reads', () => {
    const asked = wish(ON, false, 'a');
    expect(wish(asked, true, 'b')).toEqual(asked);
    expect(wish(OFF, false, 'b')).toEqual(OFF);
  });
  it('names each step', () => {
    const asked = wish(ON, false, 'a');
    expect(stepOf(ON, asked)).toBe('break-glass-off-asked');
    expect(stepOf(asked, OFF)).toBe('break-glass-off-confirmed');
    expect(stepOf(asked, ON)).toBe('break-glass-off-taken-back');
    for (const [before, after] of [
      [ON, ON],
      [OFF, ON],
      [asked, asked],
      [OFF, OFF],
    ] as const)
      expect(stepOf(before, after)).toBeNull();
  });
});
