import { describe, expect, it } from 'vitest';
import { implausible } from '../../../scripts/lib/epoch/implausible.ts';

const HIGHEST = Number.MAX_SAFE_INTEGER;
const backup = (sequence: number, epoch = 0, publicKey = 'own') => ({
  sequence,
  epoch,
  signature: { publicKey },
});

describe('manifests with numbers that no host comes to', () => {
  it.each<[what: string, all: ReturnType<typeof backup>[], found: number[]]>([
    ['are none among real ones', [backup(1), backup(2), backup(3, 1), backup(4, 2)], []],
    ['are none where the first ones were deleted', [backup(3_000_000), backup(3_000_400)], []],
    ['have an epoch far above all others', [backup(1), backup(2, HIGHEST)], [1]],
    ['also where there is nothing else', [backup(1, HIGHEST)], [0]],
    ['have a sequence far above all others', [backup(999_999_999_999_999), backup(1)], [0]],
    ['do not vouch for each other', [backup(1), backup(5e11, HIGHEST), backup(5e11)], [1, 2]],
    [
      'are told of each signer: nobody can push out what another one signed',
      [backup(3_000_000), backup(1, 0, 'other'), backup(2, HIGHEST, 'other')],
      [2],
    ],
  ])('%s', (_what, all, found) => {
    const why = implausible(all);
    expect(all.flatMap((one, index) => (why.has(one) ? [index] : []))).toEqual(found);
  });
});
