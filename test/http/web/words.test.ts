import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actionName, actorIds, objectId } from '../../../service/http/web/pages/audit-filter.ts';
import { html } from '../../../service/http/web/html.ts';
import { unusable, unusableBecause } from '../../../service/http/web/queue-words.ts';
import { changeText } from '../../../service/work-items/change-words.ts';
import { withCode } from '../../../service/http/web/views/parts.ts';
import { minutesAgo } from './fixtures.ts';
import { textOf } from './text.ts';

describe('code within text', () => {
  it.each([
    ['Run `npx factory init` now.', 'Run <code>npx factory init</code> now.'],
    ['an odd ` stays', 'an odd &#96; stays'],
    ['`<b>` & more', '<code>&lt;b&gt;</code> &amp; more'],
  ])('%s', (text, expected) => {
    expect(html`${withCode(text)}`.text).toBe(expected);
  });

  it('changes nothing but pairs of backticks', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '<', '&', '`', '"', 'é') }), (text) => {
        const shown = textOf(html`${withCode(text)}`.text).join('');
        expect(shown.replaceAll('`', '')).toBe(text.replaceAll('`', ''));
      }),
    );
  });
});

const handoff = (state: string, holder: string | null) => ({
  ...{ id: 'h', state, queuedBy: 'Ada', queuedAt: minutesAgo(2), holder },
  ...{ claimedAt: null, endedAt: null, adopted: false },
});

describe('files of the queue', () => {
  const problems = (...files: string[]) => files.map((file) => ({ file }));
  it.each([
    [problems('a.md'), '1 queue file cannot be used', '1 queue file cannot be used: 1 problem'],
    [
      problems('a.md', 'a.md', 'b.md'),
      '2 queue files cannot be used',
      '2 queue files cannot be used: 3 problems',
    ],
    [problems('.'), 'the queue folder cannot be used', 'The queue folder cannot be used: 1 problem'],
  ])('count once, their problems each: %#', (given, short, whole) => {
    expect([unusable(given), unusableBecause(given)]).toEqual([short, whole]);
  });
});

describe('a change in words', () => {
  it.each([
    ['lane', 'ready', 'executing', 'ready → executing'],
    ['handoff', handoff('queued', null), handoff('claimed', 'bot'), 'queued by Ada → claimed by bot'],
    ['handoff', handoff('submitted', 'bot'), null, 'submitted by bot → none'],
    ['evidence', [], [{}], '+1'],
    ['overrides', [{}, {}], [{}], '−1'],
    ['criteria', [{ a: 1 }, { a: 2 }], [{ a: 1 }, { a: 3 }], '1 changed'],
    ['history', { count: 0 }, { count: 1 }, '0 snapshots → 1 snapshot'],
    ['release', null, { by: 'Ada' }, 'none → prepared by Ada'],
  ])('%s', (field, before, after, expected) => {
    expect(changeText(field, before, after)).toBe(expected);
  });
});

const person = (id: string, name: string, tokens: string[]) => ({
  ...{ id, name, roles: [], status: 'active' as const, createdAt: minutesAgo(9), lastSeenAt: null },
  tokens: tokens.map((token) => ({
    ...{ id: `t-${token}`, name: token, roles: [], createdAt: minutesAgo(9) },
    ...{ lastUsedAt: null, expiresAt: null, revokedAt: null },
  })),
});
const PEOPLE = [person('p1', 'Ada', ['bot', 'robot']), person('p2', 'Adam', [])];
const UUID = '019aa000-0000-7000-8000-00000000d001';

describe('filters of the audit log', () => {
  it.each([
    ['Ada', ['p1', 't-bot', 't-robot']],
    ['ADA', ['p1', 't-bot', 't-robot']],
    ['ad', ['p1', 't-bot', 't-robot', 'p2']],
    ['p1', ['p1', 't-bot', 't-robot']],
    ['t-robot', ['t-robot']],
    ['o', ['t-bot', 't-robot']],
    ['bot', ['t-bot']],
    ['p2', ['p2']],
    ['nobody', ['nobody']],
  ])('actor %s', (text, ids) => expect(actorIds(text, PEOPLE)).toEqual(ids));

  it.each([
    ['claim', 'work-item.claim'],
    ['Request review', 'work-item.request-review'],
    ['work-item.claim', 'work-item.claim'],
    ['person.invited', 'person.invited'],
  ])('action %s', (text, name) => expect(actionName(text)).toBe(name));

  it.each([
    ['BF-321', 'wi-BF-321'],
    ['wi-BF-321', 'wi-BF-321'],
    ['Adam', 'p2'],
    [UUID, UUID],
  ])('object %s', (text, id) => expect(objectId(text, PEOPLE)).toBe(id));
});
