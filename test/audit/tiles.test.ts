import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_ROOT, leafHash, nodeHash, rangeHash } from '../../service/audit/merkle.ts';
import type { Hash } from '../../service/audit/merkle.ts';
import { resumeEdge, splitHashes, subtreeReader, TILE_WIDTH, TreeEdge } from '../../service/audit/tiles.ts';
import type { Tile, TileSource } from '../../service/audit/tiles.ts';

const SIZE = TILE_WIDTH ** 2 + 700;
const LEAVES = Array.from({ length: SIZE + 1 }, (_, i) => leafHash(`leaf ${i}`));
const leafAt = (i: number): Hash => LEAVES[i]!;

function naiveRoot(from: number, to: number): Hash {
  if (from === to) return EMPTY_ROOT;
  if (to - from === 1) return leafAt(from);
  let k = 1;
  while (k * 2 < to - from) k *= 2;
  return nodeHash(naiveRoot(from, from + k), naiveRoot(from + k, to));
}

/** An edge of `size` leaves, and the tiles it filled. */
function grown(size: number): { edge: TreeEdge; tiles: Tile[] } {
  const edge = new TreeEdge();
  const tiles = LEAVES.slice(0, size).flatMap((leaf) => edge.append(leaf));
  return { edge, tiles };
}

const ALL_TILES = new Map(grown(SIZE).tiles.map((tile) => [`${tile.level}/${tile.index}`, tile.hashes]));

/** What is stored of a log of `size` leaves. */
const sourceOf = (size: number): TileSource => ({
  tile: async (level, index) =>
    (index + 1) * TILE_WIDTH ** (level + 1) <= size ? (ALL_TILES.get(`${level}/${index}`) ?? null) : null,
  leafHashes: async (from, to) => LEAVES.slice(from, to),
});

describe('TreeEdge', () => {
  it('has the root of the tree at every size', () => {
    const edge = new TreeEdge();
    expect(edge.root()).toEqual(EMPTY_ROOT);
    for (let size = 1; size <= 600; size++) {
      edge.append(leafAt(size - 1));
      if (size % 7 === 0 || size % 256 < 3) expect(edge.root()).toEqual(naiveRoot(0, size));
    }
  });

  it('hands out each tile once, when it is full', () => {
    const { tiles } = grown(TILE_WIDTH * 3 + 5);
    expect(tiles.map(({ level, index }) => [level, index])).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
    ]);
    expect(splitHashes(tiles[1]!.hashes)).toEqual(Array.from({ length: 256 }, (_, i) => leafAt(256 + i)));
  });

  it('fills a tile of the second level with the roots of 256 tiles', () => {
    const { edge, tiles } = grown(TILE_WIDTH ** 2 + 1);
    const second = tiles.filter(({ level }) => level === 1);
    expect(second.map(({ index }) => index)).toEqual([0]);
    expect(splitHashes(second[0]!.hashes)[7]).toEqual(naiveRoot(7 * 256, 8 * 256));
    expect(edge.root()).toEqual(naiveRoot(0, TILE_WIDTH ** 2 + 1));
  });

  it('goes on from a copy without touching the first', () => {
    const { edge } = grown(300);
    const copy = edge.copy();
    copy.append(leafAt(300));
    expect([edge.size, copy.size]).toEqual([300, 301]);
    expect(edge.root()).toEqual(naiveRoot(0, 300));
    expect(copy.root()).toEqual(naiveRoot(0, 301));
  });
});

describe('stored tiles', () => {
  const source = sourceOf(SIZE);
  const bare: TileSource = { ...source, tile: async () => null };

  it.each([0, 1, 255, 256, 257, 65_535, 65_536, 65_792, SIZE])('resume at %i leaves', async (size) => {
    const edge = await resumeEdge(sourceOf(size), size);
    expect(edge.size).toBe(size);
    expect(edge.root()).toEqual(naiveRoot(0, size));
    edge.append(leafAt(size));
    expect(edge.root()).toEqual(naiveRoot(0, size + 1));
  });

  it('give every perfect subtree, and so do the leaves alone', async () => {
    const subtree = fc
      .integer({ min: 0, max: 16 })
      .chain((level) => fc.tuple(fc.constant(level), fc.nat(Math.floor(SIZE / 2 ** level) - 1)));
    const property = fc.asyncProperty(subtree, async ([level, index]) => {
      const expected = naiveRoot(index * 2 ** level, (index + 1) * 2 ** level);
      expect(await subtreeReader(source)(level, index)).toEqual(expected);
      if (level < 10) expect(await subtreeReader(bare)(level, index)).toEqual(expected);
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it('give the root at any size', async () => {
    for (const size of [0, 1, 511, 65_537, SIZE]) {
      expect(await rangeHash(subtreeReader(source), { from: 0, to: size })).toEqual(naiveRoot(0, size));
    }
  });
});
