import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  consistencyRanges,
  EMPTY_ROOT,
  inclusionRanges,
  leafHash,
  rangeHash,
  readProof,
  verifyConsistency,
  verifyInclusion,
} from '../../service/audit/merkle.ts';
import type { Hash, SubtreeReader } from '../../service/audit/merkle.ts';

/** The leaves of the test vectors that the implementations of certificate transparency share. */
const LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map((hex) => Buffer.from(hex, 'hex'));

const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

/** RFC 6962, 2.1, as it is written there; shares nothing with the code under test. */
function naiveRoot(leaves: Buffer[]): Hash {
  const sha = (...parts: Buffer[]): Hash => createHash('sha256').update(Buffer.concat(parts)).digest();
  if (leaves.length === 0) return sha();
  if (leaves.length === 1) return sha(Buffer.of(0), leaves[0]!);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha(Buffer.of(1), naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}

const readerOf =
  (leaves: Buffer[]): SubtreeReader =>
  async (level, index) =>
    naiveRoot(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level));

const numbered = (size: number): Buffer[] => Array.from({ length: size }, (_, i) => Buffer.from(`leaf ${i}`));

describe('test vectors', () => {
  it.each(ROOTS.map((root, i) => [i + 1, root] as const))('root of %i leaves', async (size, root) => {
    const hash = await rangeHash(readerOf(LEAVES), { from: 0, to: size });
    expect(hash.toString('hex')).toBe(root);
  });

  it('hashes nothing and the empty leaf', () => {
    expect(EMPTY_ROOT.toString('hex')).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
    expect(leafHash('').toString('hex')).toBe(ROOTS[0]);
  });

  it('hashes a text as its UTF-8 bytes', () => {
    const text = 'Zurück \u2028 \u{1f511}';
    expect(leafHash(text)).toEqual(leafHash(Buffer.from(text)));
  });

  it.each([
    [
      5,
      8,
      [
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ],
    ],
    [0, 1, []],
  ])('inclusion proof of leaf %i in %i', async (index, size, expected) => {
    const proof = await readProof(readerOf(LEAVES), inclusionRanges(index, size));
    expect(proof.map((hash) => hash.toString('hex'))).toEqual(expected);
  });

  it('consistency proof from 6 to 8', async () => {
    const proof = await readProof(readerOf(LEAVES), consistencyRanges(6, 8));
    expect(proof.map((hash) => hash.toString('hex'))).toEqual([
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
  });
});

describe('proofs', () => {
  const sized = fc.integer({ min: 1, max: 70 });

  it('of every leaf hold, and hold for nothing else', async () => {
    const property = fc.asyncProperty(sized, fc.nat(), fc.nat(), async (size, pick, other) => {
      const leaves = numbered(size);
      const [index, wrong] = [pick % size, other % size];
      const root = naiveRoot(leaves);
      const proof = await readProof(readerOf(leaves), inclusionRanges(index, size));
      const leaf = leafHash(leaves[index]!);
      expect(verifyInclusion(leaf, index, size, proof, root)).toBe(true);
      expect(verifyInclusion(leafHash('another'), index, size, proof, root)).toBe(false);
      expect(verifyInclusion(leaf, index, size, [...proof, root], root)).toBe(false);
      expect(verifyInclusion(leaf, index, size, proof.slice(1), root)).toBe(proof.length === 0);
      if (wrong !== index) expect(verifyInclusion(leaf, wrong, size, proof, root)).toBe(false);
    });
    await fc.assert(property, { numRuns: 150 });
  });

  it('of growth hold, and do not hold for another past', async () => {
    const property = fc.asyncProperty(sized, sized, fc.nat(), async (a, b, pick) => {
      const [oldSize, newSize] = [Math.min(a, b), Math.max(a, b)];
      const leaves = numbered(newSize);
      const [oldRoot, newRoot] = [naiveRoot(leaves.slice(0, oldSize)), naiveRoot(leaves)];
      const proof = await readProof(readerOf(leaves), consistencyRanges(oldSize, newSize));
      expect(verifyConsistency(oldSize, newSize, oldRoot, newRoot, proof)).toBe(true);

      const altered = leaves.with(pick % oldSize, Buffer.from('altered'));
      const forged = await readProof(readerOf(altered), consistencyRanges(oldSize, newSize));
      expect(verifyConsistency(oldSize, newSize, oldRoot, naiveRoot(altered), forged)).toBe(false);
      expect(verifyConsistency(oldSize, newSize, oldRoot, newRoot, [...proof, newRoot])).toBe(false);
    });
    await fc.assert(property, { numRuns: 150 });
  });

  it('from nothing need nothing', () => {
    const root = naiveRoot(numbered(3));
    expect(consistencyRanges(0, 3)).toEqual([]);
    expect(verifyConsistency(0, 3, EMPTY_ROOT, root, [])).toBe(true);
    expect(verifyConsistency(0, 3, root, root, [])).toBe(false);
  });

  it.each([
    ['a leaf past the end', () => inclusionRanges(3, 3)],
    ['a leaf of nothing', () => inclusionRanges(0, 0)],
    ['a negative leaf', () => inclusionRanges(-1, 3)],
    ['a shrinking tree', () => consistencyRanges(4, 3)],
    ['half a leaf', () => consistencyRanges(1.5, 3)],
  ])('are not made for %s', (_, make) => {
    expect(make).toThrow(RangeError);
  });
});
