/**
 * RFC 6962 Merkle tree over SHA-256: hashes, roots, proofs and their checks.
 * Pure: proofs name the perfect subtrees they need, and a reader supplies those. Sizes are exact up to 2^53.
 */
import { hash } from 'node:crypto';

/** 32 bytes. */
export type Hash = Buffer;

export const HASH_BYTES = 32;

/** Leaves `from` (included) to `to` (excluded), counted from 0. */
export interface Range {
  from: number;
  to: number;
}

/** The hash of the perfect subtree over leaves `index * 2^level` to `(index + 1) * 2^level`. */
export type SubtreeReader = (level: number, index: number) => Promise<Hash>;

/** Root of the tree without leaves: SHA-256 of nothing (RFC 6962, 2.1). */
export const EMPTY_ROOT: Hash = hash('sha256', '', 'buffer');

/** SHA-256(0x00 || leaf); a text is hashed as UTF-8. */
export function leafHash(leaf: string | Uint8Array): Hash {
  if (typeof leaf === 'string') return hash('sha256', `\0${leaf}`, 'buffer');
  const input = Buffer.allocUnsafe(leaf.length + 1);
  input[0] = 0;
  input.set(leaf, 1);
  return hash('sha256', input, 'buffer');
}

const pair = Buffer.alloc(1 + 2 * HASH_BYTES, 1);

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Hash, right: Hash): Hash {
  pair.set(left, 1);
  pair.set(right, 1 + HASH_BYTES);
  return hash('sha256', pair, 'buffer');
}

/** Root of a perfect subtree from its `2^n` lower hashes. */
export function perfectRoot(hashes: Hash[]): Hash {
  let row = hashes;
  while (row.length > 1) {
    const above: Hash[] = [];
    for (let i = 0; i < row.length; i += 2) above.push(nodeHash(row[i]!, row[i + 1]!));
    row = above;
  }
  return row[0]!;
}

/** Root of a tree from the roots of its perfect subtrees, largest (leftmost) first. */
export function rootOf(subtrees: Hash[]): Hash {
  if (subtrees.length === 0) return EMPTY_ROOT;
  return subtrees.reduceRight((right, left) => nodeHash(left, right));
}

/** The perfect subtrees, left to right, that make up the first `size` leaves. */
export function perfectSubtrees(size: number): Range[] {
  const ranges: Range[] = [];
  for (let from = 0; from < size;) {
    const width = powerOfTwoUpTo(size - from);
    ranges.push({ from, to: from + width });
    from += width;
  }
  return ranges;
}

/** PATH(index, D[size]) of RFC 6962, 2.1.1, as the ranges whose hashes make up the proof, lowest first. */
export function inclusionRanges(index: number, size: number): Range[] {
  assertWithin(index, 0, size - 1, 'leaf index');
  const path: Range[] = [];
  let { from, to }: Range = { from: 0, to: size };
  while (to - from > 1) {
    const middle = from + splitPoint(to - from);
    if (index < middle) {
      path.push({ from: middle, to });
      to = middle;
    } else {
      path.push({ from, to: middle });
      from = middle;
    }
  }
  return path.reverse();
}

/** PROOF(oldSize, D[newSize]) of RFC 6962, 2.1.2, as the ranges whose hashes make up the proof. */
export function consistencyRanges(oldSize: number, newSize: number): Range[] {
  assertWithin(oldSize, 0, newSize, 'old size');
  if (oldSize === 0 || oldSize === newSize) return [];
  const path: Range[] = [];
  let { from, to }: Range = { from: 0, to: newSize };
  while (to !== oldSize) {
    const middle = from + splitPoint(to - from);
    if (oldSize <= middle) {
      path.push({ from: middle, to });
      to = middle;
    } else {
      path.push({ from, to: middle });
      from = middle;
    }
  }
  if (from > 0) path.push({ from, to });
  return path.reverse();
}

/** MTH of the leaves of `range`, which must be a node of some RFC 6962 tree. */
export async function rangeHash(read: SubtreeReader, range: Range): Promise<Hash> {
  const width = range.to - range.from;
  if (width === 0) return EMPTY_ROOT;
  const left = powerOfTwoUpTo(width);
  const first = await read(Math.log2(left), range.from / left);
  if (left === width) return first;
  return nodeHash(first, await rangeHash(read, { from: range.from + left, to: range.to }));
}

/** The hashes of a proof's ranges, in the order given. */
export async function readProof(read: SubtreeReader, ranges: Range[]): Promise<Hash[]> {
  const hashes: Hash[] = [];
  for (const range of ranges) hashes.push(await rangeHash(read, range));
  return hashes;
}

/** RFC 9162, 2.1.3.2: does `proof` place `leaf` at `index` in the tree of `size` leaves with `root`? */
export function verifyInclusion(leaf: Hash, index: number, size: number, proof: Hash[], root: Hash): boolean {
  if (!(Number.isSafeInteger(index) && index >= 0 && index < size)) return false;
  let node = index;
  let last = size - 1;
  let running = leaf;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      running = nodeHash(sibling, running);
      [node, last] = skipLeftEdge(node, last);
    } else {
      running = nodeHash(running, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && running.equals(root);
}

/** RFC 9162, 2.1.4.2: is the tree (`oldSize`, `oldRoot`) a prefix of the tree (`newSize`, `newRoot`)? */
export function verifyConsistency(
  oldSize: number,
  newSize: number,
  oldRoot: Hash,
  newRoot: Hash,
  proof: Hash[],
): boolean {
  if (oldSize > newSize || oldSize < 0) return false;
  if (oldSize === newSize) return proof.length === 0 && oldRoot.equals(newRoot);
  if (oldSize === 0) return proof.length === 0 && oldRoot.equals(EMPTY_ROOT);
  const path = powerOfTwoUpTo(oldSize) === oldSize ? [oldRoot, ...proof] : proof;
  const [seed, ...siblings] = path;
  if (seed === undefined) return false;
  let node = oldSize - 1;
  let last = newSize - 1;
  while (node % 2 === 1) {
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  let old = seed;
  let grown = seed;
  for (const sibling of siblings) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      old = nodeHash(sibling, old);
      grown = nodeHash(sibling, grown);
      [node, last] = skipLeftEdge(node, last);
    } else {
      grown = nodeHash(grown, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && old.equals(oldRoot) && grown.equals(newRoot);
}

/** Climb past the levels where the right edge has no sibling. */
function skipLeftEdge(node: number, last: number): [node: number, last: number] {
  while (node % 2 === 0 && node !== 0) {
    node /= 2;
    last = Math.floor(last / 2);
  }
  return [node, last];
}

/** The largest power of two that is smaller than `width` (RFC 6962's k); `width` is at least 2. */
function splitPoint(width: number): number {
  const power = powerOfTwoUpTo(width);
  return power === width ? width / 2 : power;
}

/** The largest power of two that is at most `width`, by doubling: shifts end at 2^31. */
function powerOfTwoUpTo(width: number): number {
  let power = 1;
  while (power * 2 <= width) power *= 2;
  return power;
}

function assertWithin(value: number, low: number, high: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < low || value > high) {
    throw new RangeError(`${what} ${value} is not within ${low} to ${high}`);
  }
}
