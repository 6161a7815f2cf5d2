import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { assertSqliteVersion } from '../../service/storage/sqlite-version.ts';

describe('the version of SQLite', () => {
  const db = new Database(':memory:');

  it.each(['3.51.2', '3.9.9', '2.99.99'])('%s is refused', (version) => {
    expect(() => assertSqliteVersion(db, version)).toThrow(
      expect.objectContaining({ code: 'sqlite-too-old' }),
    );
  });

  it.each(['3.51.3', '3.52.0', '4.0.0'])('%s is taken', (version) => {
    assertSqliteVersion(db, version);
  });

  it('that is bundled is taken', () => assertSqliteVersion(db));
});
