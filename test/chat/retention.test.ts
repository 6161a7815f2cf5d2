import { describe, expect, it } from 'vitest';
import { DEFAULT_CLASS, DEFAULT_GENERAL, type ClassPolicy } from '../../service/chat/policy.ts';
import {
  actOn,
  before,
  countsOf,
  digestOf,
  keepingOf,
  planSession,
  purgeableFrom,
} from '../../service/chat/retention/retention.ts';
import type { MessageFact, SessionFacts } from '../../service/chat/retention/retention.ts';

const NOW = Date.parse('2026-03-31T15:00:00.000Z');
const ago = (days: number): string => new Date(NOW - days * 86_400_000).toISOString();
const keep = (days: number | null, binDays = 14) => ({ days, binDays });

const policy = (retention: Partial<ClassPolicy['retention']>): ClassPolicy => ({
  ...DEFAULT_CLASS,
  retention: { ...DEFAULT_CLASS.retention, ...retention },
});

const message = (seq: number, days: number, more: Partial<MessageFact> = {}): MessageFact => ({
  ...{ seq, createdAt: ago(days), bytes: 10, binnedAt: null, held: false },
  ...more,
});

const session = (more: Partial<SessionFacts>): SessionFacts => ({
  ...{ id: 's', class: 'general', createdAt: ago(100), bytes: 0, binnedAt: null, held: false },
  ...{ messages: [], outputs: [], files: [] },
  ...more,
});

const steps = (facts: SessionFacts, retention: Partial<ClassPolicy['retention']>) =>
  planSession(facts, policy(retention), DEFAULT_GENERAL, NOW);

describe('how long something is kept', () => {
  it.each([
    ['for ever by default', null, { floorDays: null, ceilingDays: null }, null],
    ['as its class says', 30, { floorDays: null, ceilingDays: null }, 30],
    ['at least the floor', 5, { floorDays: 30, ceilingDays: null }, 30],
    ['at most the ceiling', 900, { floorDays: null, ceilingDays: 365 }, 365],
    ['at most the ceiling where its class says for ever', null, { floorDays: 30, ceilingDays: 365 }, 365],
  ] as const)('%s', (_name, days, bounds, expected) => {
    const general = { ...DEFAULT_GENERAL, retention: { ...DEFAULT_GENERAL.retention, message: bounds } };
    expect(keepingOf('message', policy({ message: keep(days) }), general).days).toBe(expected);
  });

  it.each([
    ['2026-03-01T08:00:00.000Z', 14],
    ['2026-03-01T00:00:00.000Z', 1],
    ['2026-03-01T23:59:59.999Z', 0],
  ])(
    'says from when on something can be purged that is in the bin since %s, for %i days',
    (binnedAt, days) => {
      const fact = { createdAt: '2020-01-01T00:00:00.000Z', bytes: 1, held: false, binnedAt };
      const from = Date.parse(purgeableFrom(binnedAt, days));
      expect(actOn(fact, keep(1, days), from)).toBe('purge');
      expect(actOn(fact, keep(1, days), from - 1)).toBe(null);
    },
  );

  it('is counted in whole days', () => {
    expect(before(NOW, 30)).toBe('2026-03-01T00:00:00.000Z');
    expect(before(NOW, 0)).toBe('2026-03-31T00:00:00.000Z');
  });

  it.each([
    ['young', ago(3), null, keep(10), null],
    ['old', ago(12), null, keep(10), 'bin'],
    ['old, without a bin', ago(12), null, keep(10, 0), 'purge'],
    ['old, kept for ever', ago(5000), null, keep(null), null],
    ['in the bin, not for long', ago(40), ago(13), keep(10), null],
    ['in the bin for long', ago(40), ago(16), keep(10), 'purge'],
    ['in the bin for long, and kept for ever since', ago(40), ago(16), keep(null), null],
    ['from the future, as another clock says', ago(-5), null, keep(1), null],
  ] as const)('%s', (_name, createdAt, binnedAt, keeping, expected) => {
    expect(actOn({ createdAt, binnedAt, bytes: 1, held: false }, keeping, NOW)).toBe(expected);
  });
});

describe('a plan of a session', () => {
  it('takes the old part of it, and the whole when nothing of it stays', () => {
    const mixed = session({ messages: [message(1, 50), message(2, 50), message(3, 2)] });
    expect(steps(mixed, { message: keep(30) }).steps).toMatchObject([
      { act: 'bin', kind: 'message', ranges: [[1, 2, ago(50), ago(50)]], items: 2, bytes: 20 },
    ]);
    const old = session({ messages: [message(1, 50), message(2, 40)] });
    expect(steps(old, { message: keep(30) }).steps).toMatchObject([
      { act: 'bin', kind: 'session', items: 2 },
    ]);
    const binned = session({ messages: old.messages, binnedAt: ago(20) });
    expect(steps(binned, { message: keep(30) }).steps).toMatchObject([{ act: 'purge', kind: 'session' }]);
    expect(steps(session({ ...binned, binnedAt: ago(3) }), { message: keep(30) }).steps).toEqual([]);
  });

  it('names the hold of each thing that it keeps, once for each', () => {
    const [one, both] = [
      message(1, 50, { held: true, holds: ['a'] }),
      message(2, 50, { held: true, holds: ['a', 'b'] }),
    ];
    const young = message(3, 1, { held: true, holds: ['c'] });
    expect(steps(session({ messages: [one, both, young] }), { message: keep(30) })).toMatchObject({
      ...{ held: 2, heldBy: ['a', 'a', 'b'] },
    });
  });

  it('leaves what is held, and with it the session', () => {
    const one = session({ messages: [message(1, 50), message(2, 50, { held: true })] });
    expect(steps(one, { message: keep(30) })).toMatchObject({
      held: 1,
      steps: [{ kind: 'message', items: 1 }],
    });
    const title = session({ held: true, messages: [message(1, 50)] });
    expect(steps(title, { message: keep(30) }).steps).toMatchObject([{ kind: 'message', items: 1 }]);
  });

  it('takes outputs of tools and files of messages that stay', () => {
    const facts = session({
      messages: [message(1, 50), message(2, 5)],
      outputs: [message(1, 50, { bytes: 5 }), message(2, 5, { bytes: 5 })],
      files: [
        { ...message(0, 50), id: 'a', message: 1 },
        { ...message(0, 20), id: 'b', message: null },
      ],
    });
    expect(steps(facts, { toolOutput: keep(30), attachment: keep(10, 0) }).steps).toMatchObject([
      { act: 'bin', kind: 'toolOutput', items: 1, ranges: [[1, 1, ago(50), ago(50)]] },
      { act: 'purge', kind: 'attachment', files: ['a', 'b'], items: 2 },
    ]);
    const { steps: all } = steps(facts, { message: keep(30), toolOutput: keep(30), attachment: keep(30) });
    expect(all.map(({ kind }) => kind)).toEqual(['message']);
  });

  it('is named by a digest of what it does, and of nothing else', () => {
    const facts = session({ messages: [message(1, 50), message(2, 2)] });
    const one = steps(facts, { message: keep(30) }).steps;
    expect(digestOf(one)).toBe(digestOf(steps(facts, { message: keep(31) }).steps));
    expect(digestOf(one)).not.toBe(digestOf([]));
    expect(digestOf(one)).not.toBe(digestOf([{ ...one[0]!, act: 'purge' }]));
    expect(countsOf(one)).toEqual({ session: 0, message: 1, toolOutput: 0, attachment: 0 });
  });
});
