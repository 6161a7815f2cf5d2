import { describe, expect, it } from 'vitest';
import { healthProblem, p95, paceProblem, replyProblem } from '../../../scripts/lib/deploy/rules/gates.ts';
import { heldLast } from '../../../scripts/lib/deploy/rules/history.ts';
import { readHistory } from '../../../service/jobs/deploy-history.ts';
import { claimed, FREE, freed, holds, LEASE_MS, renewed } from '../../../scripts/lib/deploy/rules/lock.ts';
import { preflightRefusal } from '../../../scripts/lib/deploy/rules/preflight.ts';
import { prunable } from '../../../scripts/lib/deploy/rules/retention.ts';
import { cannotRead, closesTheWayBack } from '../../../scripts/lib/deploy/rules/schema.ts';
import { turnedBad, WATCH } from '../../../scripts/lib/deploy/rules/watch.ts';
import type { Sample } from '../../../scripts/lib/deploy/rules/watch.ts';
import type { Reply } from '../../../scripts/lib/deploy/types.ts';

const NOW = Date.parse('2026-05-01T12:00:00.000Z');
const reply = (status: number, body = '', ms = 5): Reply => ({ status, body, ms });
const health = (release: string | null, status = 'ok') => reply(200, JSON.stringify({ status, release }));

describe('gates', () => {
  it.each<[string, Reply, string | null]>([
    ['its own health', health('1.0.0-a'), null],
    ['late backups', health('1.0.0-a', 'degraded'), null],
    ['another release', health('1.0.0-b'), 'the release 1.0.0-b answers on the socket of 1.0.0-a'],
    ['no release', health(null), 'the release without a name answers on the socket of 1.0.0-a'],
    [
      'a failing one',
      { ...health('1.0.0-a', 'failing'), status: 503 },
      'GET /api/health answered 503: failing',
    ],
    ['a stranger', reply(200, 'hello'), 'GET /api/health answered 200 and no health'],
    ['JSON of a stranger', reply(200, 'null'), 'GET /api/health answered 200 and no health'],
    ['nobody', { ...reply(0), error: 'ECONNREFUSED' }, 'GET /api/health: ECONNREFUSED'],
  ])('health of %s', (_, answer, problem) => expect(healthProblem(answer, '1.0.0-a')).toBe(problem));

  const read = { path: '/login', status: [200, 303], holds: '</html>' };
  it.each<[Reply, string | null]>([
    [reply(200, '<p></html>'), null],
    [reply(303, '</html>'), null],
    [reply(500, '</html>'), 'GET /login answered 500, not 200 or 303'],
    [reply(200, '<p>'), 'GET /login answered without </html>'],
    [{ ...reply(0), error: 'no answer within 10 ms' }, 'GET /login: no answer within 10 ms'],
  ])('a read: %j', (answer, problem) => expect(replyProblem(read, answer)).toBe(problem));

  it.each<[number[], number]>([
    [[], 0],
    [[7], 7],
    [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 10],
    [Array.from({ length: 100 }, (_, n) => n + 1), 95],
  ])('p95 of %j', (times, found) => expect(p95(times)).toBe(found));

  it.each<[number, number, boolean]>([
    [20, 0, true],
    [20, 1, true],
    [20, 2, false],
    [10, 1, false],
    [100, 5, true],
    [100, 6, false],
  ])('of %i answers %i slow ones: %s', (all, slow, good) => {
    const times = Array.from({ length: all }, (_, n) => (n < slow ? 501 : 500));
    expect(paceProblem(times, all, 500) === null).toBe(good);
  });
});

describe('the watch', () => {
  const sample = (ago: number, change: Partial<Sample> = {}): Sample => ({
    at: NOW - ago,
    ms: 5,
    problem: null,
    ...change,
  });
  const many = (count: number, change: Partial<Sample> = {}) =>
    Array.from({ length: count }, (_, n) => sample(n * 10, change));
  const bad = { problem: 'GET / answered 500' };
  it.each<[string, Sample[], RegExp | null]>([
    ['nothing yet', [], null],
    ['all good', many(40), null],
    [
      'three bad ones in a row, at once',
      many(3, bad),
      /three answers one after the other were bad: GET \/ answered 500/,
    ],
    ['two bad ones of a few', many(2, bad), null],
    ['one bad one of twenty', [sample(0, bad), ...many(19)], null],
    [
      'two bad ones of twenty',
      [sample(0, bad), ...many(9), sample(0, bad), ...many(9)],
      /2 of 20 answers were bad/,
    ],
    ['two bad ones of forty', [sample(0, bad), ...many(19), sample(0, bad), ...many(19)], null],
    ['bad ones that are old', [...many(40, { ...bad, at: NOW - WATCH.windowMs - 1 }), ...many(20)], null],
    ['one slow one', [...many(19), sample(0, { ms: 5000 })], null],
    [
      'two slow ones of twenty',
      [...many(18), ...many(2, { ms: 1001 })],
      /took up to 1001 ms; the limit is 1000 ms/,
    ],
    ['slow, but too few to say', many(19, { ms: 5000 }), null],
  ])('%s', (_, samples, why) => {
    const found = turnedBad(samples, NOW, WATCH);
    if (why === null) expect(found).toBeNull();
    else expect(found).toMatch(why);
  });
});

describe('schemas', () => {
  it('lets a release go on with what it can read, and says what it cannot', () => {
    expect(cannotRead({ release: 'a', schema: 5 }, { minReader: 5 })).toBeNull();
    expect(cannotRead({ release: 'a', schema: 4 }, { minReader: 5 })).toContain(
      'only be read from schema 5 on',
    );
  });

  const live = { release: 'old', schema: 5 };
  it.each([
    ['an expand migration', { from: 5, to: 6, minReaderAfter: 1 }, live, false],
    ['one that takes something away', { from: 5, to: 6, minReaderAfter: 6 }, live, true],
    ['nothing to migrate', { from: 6, to: 6, minReaderAfter: 6 }, live, false],
    ['a first deploy', { from: 0, to: 6, minReaderAfter: 6 }, null, false],
  ])('%s', (_, plan, before, closes) => expect(closesTheWayBack(plan, before) !== null).toBe(closes));
});

describe('old releases', () => {
  const installed = Array.from({ length: 9 }, (_, n) => ({
    release: `r${n}`,
    schema: 5,
    minReader: 1,
    at: NOW + n,
  }));
  const none = { live: null, previous: null, deployer: null, running: [] };
  it.each([
    ['beside the newest', none, ['r0', 'r1', 'r2', 'r3']],
    ['but not what is live', { ...none, live: 'r0' }, ['r1', 'r2', 'r3']],
    [
      'nor the one before, the one that deploys, and what runs',
      { live: 'r8', previous: 'r1', deployer: 'r2', running: ['r0'] },
      ['r3'],
    ],
  ])('go, %s', (_, facts, gone) => expect(prunable({ installed, ...facts })).toEqual(gone));

  it('stay while there are few', () =>
    expect(prunable({ installed: installed.slice(0, 5), ...none })).toEqual([]));
});

describe('the lock', () => {
  const claim = { owner: 'ann', release: 'r1', host: 'h', pid: 7, steal: null };
  const taken = claimed(FREE, claim, { now: NOW, alive: null });
  if (!('lock' in taken)) throw new Error('not free');
  const { lock } = taken;

  it('gives a number that grows, and is kept when it is free again', () => {
    expect(lock).toMatchObject({ owner: 'ann', token: 1, expires: new Date(NOW + LEASE_MS).toISOString() });
    expect(freed(lock)).toEqual({ ...FREE, token: 1 });
    expect(claimed(freed(lock), claim, { now: NOW, alive: null })).toMatchObject({ lock: { token: 2 } });
    expect([holds(lock, 1), holds(lock, 2), holds(freed(lock), 1)]).toEqual([true, false, false]);
  });

  const ben = { ...claim, owner: 'ben' };
  it.each([
    ['while it is held', NOW + 1, true, ben, false],
    ['while it is held on another machine', NOW + 1, null, ben, false],
    ['after its lease', NOW + LEASE_MS, true, ben, true],
    ['of a process that is gone, at once', NOW + 1, false, ben, true],
    ['with a reason', NOW + 1, true, { ...ben, steal: 'it hangs' }, true],
    ['with a clock that went back', NOW - 60_000, true, ben, false],
  ])('%s: taken or not', (_, now, alive, who, gets) => {
    const found = claimed(lock, who, { now, alive });
    expect('lock' in found).toBe(gets);
    if ('lock' in found) expect(found.lock.token).toBe(2);
    else expect(found.holder).toContain('ann deploys r1 since 2026-05-01T12:00:00.000Z');
  });

  it('says from whom it was taken, and why', () => {
    expect(claimed(lock, { ...ben, steal: 'it hangs' }, { now: NOW, alive: true })).toMatchObject({
      lock: { stolen: 'from ann: it hangs' },
    });
    expect(renewed(lock, NOW + 1000).expires).toBe(new Date(NOW + 1000 + LEASE_MS).toISOString());
  });
});

describe('before a deploy', () => {
  const facts = { environment: 'staging', freeBytes: 1000 };
  it.each([
    ['all is well', facts, { wanted: 'staging', needed: 500, reserve: 500 }, null],
    ['no room', facts, { wanted: 'staging', needed: 501, reserve: 500 }, 'disk-full'],
    ['another environment', facts, { wanted: 'production', needed: 0, reserve: 0 }, 'environment-mixed'],
    [
      'none',
      { ...facts, environment: null },
      { wanted: 'staging', needed: 0, reserve: 0 },
      'environment-missing',
    ],
  ])('%s', (_, host, asked, code) => expect(preflightRefusal(host, asked)?.code ?? null).toBe(code));
});

describe('the history', () => {
  const line = (id: string, change: object = {}) =>
    JSON.stringify({
      ...{ id, kind: 'deploy', environment: 'staging', release: id, from: null, by: 'ann', token: 1 },
      ...{ startedAt: `2026-05-01T12:00:0${id}.000Z`, endedAt: null, outcome: null, reason: null, steps: [] },
      ...change,
    });
  it('has each run once, the newest first, and passes over what was cut off', () => {
    const text = `${line('1')}\n${line('1', { outcome: 'ok' })}\n\n{"id":"3","sta\n${line('2')}\nnull\n`;
    expect(readHistory(text).map(({ id, outcome }) => [id, outcome])).toEqual([
      ['2', null],
      ['1', 'ok'],
    ]);
    expect([heldLast(readHistory(text), '2'), heldLast([], '2')]).toEqual([false, false]);
    expect(heldLast(readHistory(line('1', { outcome: 'ok' })), '1')).toBe(true);
  });
});
