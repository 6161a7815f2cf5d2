/**
 * The tree in tiles as in C2SP tlog-tiles, height 8: tile (level, index) holds the 256 hashes of tree level
 * `8 * level` from position `256 * index` on. Only full tiles are kept; the partial right edge is rebuilt from
 * the leaves, so nothing but leaves and full tiles ever has to be stored.
 */
import { HASH_BYTES, perfectRoot, perfectSubtrees, rootOf } from './merkle.ts';
import type { Hash, SubtreeReader } from './merkle.ts';

export const TILE_HEIGHT = 8;
export const TILE_WIDTH = 2 ** TILE_HEIGHT;

/** `hashes` is 8,192 bytes: 256 hashes one after the other. */
export interface Tile {
  level: number;
  index: number;
  hashes: Buffer;
}

/** Where tiles and leaf hashes come from. A tile that is not stored is `null`. */
export interface TileSource {
  tile(level: number, index: number): Promise<Buffer | null>;
  /** Hashes of leaves `from` to `to` (excluded), counted from 0; all must exist. */
  leafHashes(from: number, to: number): Promise<Hash[]>;
}

/** A tree that only grows: the right edge of the Merkle tree, in memory, which hands out each tile it fills. */
export class TreeEdge {
  #size = 0;
  /** Hashes of the partial tile of each tile level, lowest first. */
  readonly #partial: Hash[][];

  /** `partial[level]` holds the hashes of the partial tile of that level, fewer than 256 each. */
  constructor(partial: Hash[][] = []) {
    this.#partial = partial.map((hashes) => [...hashes]);
    partial.forEach((hashes, level) => (this.#size += hashes.length * TILE_WIDTH ** level));
  }

  get size(): number {
    return this.#size;
  }

  /** Adds one leaf hash; returns the tiles that it filled, lowest level first (nearly always none). */
  append(leaf: Hash): Tile[] {
    this.#size += 1;
    const full: Tile[] = [];
    let next = leaf;
    for (let level = 0; ; level++) {
      const hashes = (this.#partial[level] ??= []);
      hashes.push(next);
      if (hashes.length < TILE_WIDTH) return full;
      this.#partial[level] = [];
      full.push({ level, index: this.#size / TILE_WIDTH ** (level + 1) - 1, hashes: Buffer.concat(hashes) });
      next = perfectRoot(hashes);
    }
  }

  /** The root at the present size; at most 255 hashes a level. */
  root(): Hash {
    return rootOf(
      this.#partial
        .toReversed()
        .flatMap((hashes) =>
          perfectSubtrees(hashes.length).map(({ from, to }) => perfectRoot(hashes.slice(from, to))),
        ),
    );
  }

  /** A second edge at the same size. */
  copy(): TreeEdge {
    return new TreeEdge(this.#partial);
  }
}

/** The edge of the first `size` leaves, from stored tiles and, right of them, leaves. */
export async function resumeEdge(source: TileSource, size: number): Promise<TreeEdge> {
  const partial: Hash[][] = [];
  for (let level = 0; TILE_WIDTH ** level <= size; level++) {
    const count = Math.floor(size / TILE_WIDTH ** level);
    partial.push(await hashesAt(source, level, count - (count % TILE_WIDTH), count));
  }
  return new TreeEdge(partial);
}

/** Reads perfect subtrees for proofs. */
export function subtreeReader(source: TileSource): SubtreeReader {
  return async (level, index) => {
    const width = 2 ** (level % TILE_HEIGHT);
    const tileLevel = Math.floor(level / TILE_HEIGHT);
    return perfectRoot(await hashesAt(source, tileLevel, index * width, (index + 1) * width));
  };
}

/** Splits the bytes of a tile, or a part of one, into hashes. */
export function splitHashes(bytes: Buffer): Hash[] {
  const hashes: Hash[] = [];
  for (let at = 0; at < bytes.length; at += HASH_BYTES) hashes.push(bytes.subarray(at, at + HASH_BYTES));
  return hashes;
}

/** Hashes `from` to `to` (excluded) of a tile level; the positions lie within one tile. */
async function hashesAt(source: TileSource, level: number, from: number, to: number): Promise<Hash[]> {
  if (from === to) return [];
  const index = Math.floor(from / TILE_WIDTH);
  const stored = await source.tile(level, index);
  const first = index * TILE_WIDTH;
  if (stored !== null)
    return splitHashes(stored.subarray((from - first) * HASH_BYTES, (to - first) * HASH_BYTES));
  if (level === 0) return source.leafHashes(from, to);
  const hashes: Hash[] = [];
  for (let at = from; at < to; at++) {
    hashes.push(perfectRoot(await hashesAt(source, level - 1, at * TILE_WIDTH, (at + 1) * TILE_WIDTH)));
  }
  return hashes;
}
