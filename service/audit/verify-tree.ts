/** The first half of verification: leaves against stored tiles and signed checkpoints. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Reader } from '../storage/transaction.ts';
import { parseCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { CheckpointFile } from './checkpoint-files.ts';
import type { GivenUp } from './restored.ts';
import { asFactoryError } from '../errors.ts';
import { HASH_BYTES, leafHash } from './merkle.ts';
import type { Hash } from './merkle.ts';
import type { AuditProblem, Problems } from './problems.ts';
import { countTiles, leavesFrom, readTile } from './store.ts';
import { TILE_WIDTH, TreeEdge } from './tiles.ts';
import type { Tile } from './tiles.ts';

/** Leaves per turn of the event loop. */
const PAGE = 256;
/** Stands in for an entry that is not there, so that the later ones keep their places. */
const ABSENT: Hash = Buffer.alloc(HASH_BYTES);
/** Further missing entries than these end the comparison: a forged `seq` could name any number. */
const MOST_ABSENT = 100_000;

interface Signed extends Checkpoint {
  path: string;
}

export class TreeCheck {
  readonly #reader: Reader;
  readonly #problems: Problems;
  readonly #edge = new TreeEdge();
  /** Valid checkpoints that are still ahead, smallest first. */
  readonly #ahead: Signed[];
  readonly #newestSize: number;
  #agreedSize = 0;
  /** Checkpoints whose root is another one, each with the size up to which the log agreed until then. */
  readonly #disagreeing: { checkpoint: Signed; agreedSize: number }[] = [];
  /** Not signed with the log's key, each with what is wrong. */
  readonly #unsigned: Unsigned[] = [];
  /** Too much is missing to go on comparing. */
  #lost = false;

  constructor(reader: Reader, checkpoints: CheckpointFile[], vkey: string, problems: Problems) {
    this.#reader = reader;
    this.#problems = problems;
    this.#ahead = validCheckpoints(checkpoints, vkey, this.#unsigned);
    this.#newestSize = this.#ahead.at(-1)?.size ?? 0;
  }

  get size(): number {
    return this.#edge.size;
  }

  /** Size of the largest checkpoint whose root agrees. */
  get signedSize(): number {
    return this.#agreedSize;
  }

  root(): Hash {
    return this.#edge.root();
  }

  /** Takes the next row of `audit_entries`; rows come in the order of `seq`. */
  async leaf(seq: number, leaf: string): Promise<void> {
    const expected = this.#edge.size + 1;
    if (seq < expected) return this.#outOfOrder(seq);
    if (seq > expected) await this.#absent(expected, seq - 1);
    if (!this.#lost) await this.#append(leafHash(leaf));
  }

  /** After the last row; `givenUp` is what signed entries of the log give up. */
  async finish(givenUp: GivenUp): Promise<void> {
    for (const { checkpoint, problem } of this.#unsigned)
      if (checkpoint === null || !(givenUp.newKey !== null && givenUp.has(checkpoint)))
        this.#problems.add(problem);
    // All later ones disagree, too; they add nothing.
    const first = this.#disagreeing.find(({ checkpoint }) => !givenUp.has(checkpoint));
    if (first !== undefined) this.#rootMismatch(first.checkpoint, first.agreedSize);
    for (const { size, path } of this.#ahead.filter((checkpoint) => !givenUp.has(checkpoint))) {
      this.#problems.add({
        code: 'log-shorter-than-checkpoint',
        message: `The log has ${this.size} entries; the checkpoint ${path} covers ${size}.`,
        seq: this.size + 1,
        hint: 'Entries were cut off, or the database is older than the checkpoint: restore a newer backup.',
      });
    }
    for (const { level, count } of await countTiles(this.#reader)) {
      const full = Math.floor(this.size / TILE_WIDTH ** (level + 1));
      if (count <= full) continue;
      this.#problems.add({
        code: 'tile-unexpected',
        message: `${count} tiles of level ${level} are stored; ${this.size} entries fill ${full}.`,
        hint: 'Tiles outlived entries: entries were removed, or the tiles are not of this log.',
      });
    }
  }

  #outOfOrder(seq: number): void {
    this.#problems.add({
      code: 'seq-out-of-order',
      message: `There is an entry ${seq}; entries are numbered from 1.`,
      seq,
      hint: 'It was not written by the log.',
    });
  }

  async #absent(from: number, to: number): Promise<void> {
    if (this.#lost) return;
    this.#problems.add({
      code: 'seq-gap',
      message: from === to ? `Entry ${from} is missing.` : `Entries ${from} to ${to} are missing.`,
      seq: from,
      hint: 'Entries were removed. A backup from before has them.',
    });
    this.#lost = to - from >= MOST_ABSENT;
    for (let seq = from; seq <= to && !this.#lost; seq++) await this.#append(ABSENT);
  }

  async #append(hash: Hash): Promise<void> {
    for (const tile of this.#edge.append(hash)) await this.#compareTile(tile);
    while (this.#ahead[0]?.size === this.size) {
      this.#compareRoot(this.#ahead.shift()!);
      await nextTurn();
    }
  }

  #compareRoot(checkpoint: Signed): void {
    if (this.#edge.root().equals(checkpoint.root)) this.#agreedSize = checkpoint.size;
    else this.#disagreeing.push({ checkpoint, agreedSize: this.#agreedSize });
  }

  #rootMismatch({ size, path }: Signed, agreedSize: number): void {
    this.#problems.add({
      code: 'root-mismatch',
      message: `The first ${size} entries do not have the root that the checkpoint ${path} was signed for.`,
      seq: agreedSize + 1,
      hint: `Entries ${agreedSize + 1} to ${size} are not the ones that were signed; those before are.`,
    });
  }

  async #compareTile({ level, index, hashes }: Tile): Promise<void> {
    const stored = await readTile(this.#reader, level, index);
    const width = TILE_WIDTH ** (level + 1);
    const [from, to] = [index * width + 1, (index + 1) * width];
    if (stored === null) {
      if (to <= this.#newestSize) this.#tileMissing(level, index, from, to);
      return;
    }
    if (stored.equals(hashes)) return;
    const differing = differingPositions(stored, hashes).map(
      (position) => from + (position * width) / TILE_WIDTH,
    );
    // What differs above level 0 differs below, too, unless the upper tile itself was touched.
    if (level > 0 && this.#problems.has('tile-mismatch')) return;
    this.#problems.add({
      code: 'tile-mismatch',
      message:
        level === 0
          ? `Entries ${from} to ${to} differ from their stored hashes, at ${listed(differing)}.`
          : `The stored tree above entries ${from} to ${to} differs from them, from ${listed(differing)} on.`,
      seq: differing[0] ?? from,
      hint: 'The entries were changed after they were hashed, or the stored hashes were. A checkpoint tells which.',
    });
  }

  #tileMissing(level: number, index: number, from: number, to: number): void {
    this.#problems.add({
      code: 'tile-missing',
      message: `Tile ${index} of level ${level}, over entries ${from} to ${to}, is missing.`,
      seq: from,
      hint: 'Stored hashes were removed. The entries themselves are judged by the checkpoints.',
    });
  }
}

/** All rows of `audit_entries` in the order of `seq`, those with numbers that the log never gives included. */
export async function* leafPages(reader: Reader): AsyncGenerator<{ seq: number; leaf: string }[]> {
  for (let from = Number.MIN_SAFE_INTEGER; ;) {
    const page = await reader.all(leavesFrom, { from, limit: PAGE });
    if (page.length > 0) yield page;
    const last = page.at(-1)?.seq ?? NaN;
    if (page.length < PAGE || !Number.isSafeInteger(last)) return;
    from = last + 1;
  }
}

interface Unsigned {
  checkpoint: Checkpoint | null;
  problem: AuditProblem;
}

function validCheckpoints(files: CheckpointFile[], vkey: string, unsigned: Unsigned[]): Signed[] {
  const valid = files.flatMap(({ path, text }) => {
    try {
      return [{ ...verifyCheckpoint(text, vkey), path }];
    } catch (error) {
      const { code, message, hint } = asFactoryError(error, 'verify checkpoint');
      if (code === 'vkey-malformed') throw error;
      const checkpoint = code === 'checkpoint-unsigned' ? parseCheckpoint(text) : null;
      unsigned.push({ checkpoint, problem: { code, message: `Checkpoint ${path}: ${message}`, hint } });
      return [];
    }
  });
  return valid.sort((a, b) => a.size - b.size);
}

function differingPositions(a: Buffer, b: Buffer): number[] {
  const at = (buffer: Buffer, i: number): Buffer => buffer.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES);
  return Array.from({ length: TILE_WIDTH }, (_, i) => i).filter((i) => !at(a, i).equals(at(b, i)));
}

/** `1, 2, 3 and 9 more` */
function listed(numbers: number[]): string {
  const shown = numbers.slice(0, 5).join(', ');
  return numbers.length > 5 ? `${shown} and ${numbers.length - 5} more` : shown;
}
