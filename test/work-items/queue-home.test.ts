import { describe, expect, it } from 'vitest';
import { foreignHint, judgeHome, type HomeFacts } from '../../service/work-items/queue-home.ts';

const A = { path: '/a/work-items', real: '/a/work-items' };
const B = { path: '/b/work-items', real: '/b/work-items' };
const FILLED: HomeFacts = { known: A, here: A, isThere: true, hasItems: true, mayBeSame: true };

describe('the folder that a database was filled from', () => {
  it.each<[string, Partial<HomeFacts>, string]>([
    ['the one that is known', {}, 'same'],
    ['a link to it', { here: { path: '/link', real: A.real } }, 'same'],
    ['a link that leads elsewhere after a deploy', { here: { path: A.path, real: '/releases/2' } }, 'same'],
    ['another one', { here: B }, 'foreign'],
    ['another one, for the one that is gone', { here: B, isThere: false }, 'moved'],
    [
      'another one with other items, for the one that is gone',
      { here: B, isThere: false, mayBeSame: false },
      'foreign',
    ],
    ['another one, before anything was read', { here: B, hasItems: false }, 'first'],
    ['one of a database that remembers none', { known: null, isThere: false }, 'first'],
  ])('%s', (_, facts, verdict) => {
    expect(judgeHome({ ...FILLED, ...facts })).toBe(verdict);
  });
});

describe('the way on from a folder that is not the database’s', () => {
  const hint = (description: string, engine: 'sqlite' | 'postgres' = 'sqlite') =>
    foreignHint({ here: B }, { engine, description });

  it('names a data folder that is not the one of the database', () => {
    expect(hint('SQLite 3.50 at /a/data/factory.db')).toContain('e.g. FACTORY_DATA_DIR=/b/data.');
    expect(hint('SQLite 3.50 at /b/data/factory.db')).toContain('e.g. FACTORY_DATA_DIR=/b/work-items-data.');
  });

  it.each([
    ['Postgres 17 at db:5432/factory', 'postgres'],
    ['SQLite 3.50 at /b/other.db', 'sqlite'],
  ] as const)('names database and keyring where they are set apart: %s', (description, engine) => {
    expect(hint(description, engine)).toMatch(
      /FACTORY_DATABASE_URL.* keyring .*FACTORY_DATA_DIR=\/b\/data\. /,
    );
  });
});
