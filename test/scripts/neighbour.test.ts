import { describe, expect, it } from 'vitest';
import { lockHolders } from '../../scripts/lib/neighbour.ts';

describe('who holds the database', () => {
  const locks = [
    '1: POSIX  ADVISORY  READ 4711 fe:00:82 128 128',
    '2: POSIX  ADVISORY  READ 4711 fe:00:81 1073741826 1073742335',
    '3: POSIX  ADVISORY  READ 4712 fe:00:81 1073741826 1073742335',
    '4: POSIX  ADVISORY  READ 4712 fe:00:81 1073741826 1073742335',
    '5: FLOCK  ADVISORY  WRITE 4713 fe:00:81 0 EOF',
    '6: -> POSIX  ADVISORY  WRITE 4714 08:10:83 1073741826 1073742335',
  ].join('\n');

  it.each([
    [81, [4711, 4712]],
    [82, []],
    [83, [4714]],
    [8, []],
  ])('inode %i: %j', (inode, pids) => {
    expect(lockHolders(`${locks}\n`, inode)).toEqual(pids);
  });

  it('is nobody where no list is', () => {
    expect(lockHolders('', 81)).toEqual([]);
  });
});
