import { describe, expect, it } from 'vitest';
import { judgeHome, type HomeFacts } from '../../service/work-items/queue-home.ts';

const A = { path: '/a/work-items', real: '/a/work-items' };
const B = { path: '/b/work-items', real: '/b/work-items' };
const FILLED: HomeFacts = { known: A, here: A, isThere: true, hasItems: true };

describe('the folder that a database was filled from', () => {
  it.each<[string, Partial<HomeFacts>, string]>([
    ['the one that is known', {}, 'same'],
    ['a link to it', { here: { path: '/link', real: A.real } }, 'same'],
    ['a link that leads elsewhere after a deploy', { here: { path: A.path, real: '/releases/2' } }, 'same'],
    ['another one', { here: B }, 'foreign'],
    ['another one, for the one that is gone', { here: B, isThere: false }, 'moved'],
    ['another one, before anything was read', { here: B, hasItems: false }, 'first'],
    ['one of a database that remembers none', { known: null, isThere: false }, 'first'],
  ])('%s', (_, facts, verdict) => {
    expect(judgeHome({ ...FILLED, ...facts })).toBe(verdict);
  });
});
