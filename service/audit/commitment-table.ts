/**
 * Which leaf recorded a commitment: an open-addressing table over typed arrays, 17 bytes a slot, because a log has
 * millions of them. Commitments are compared by their first 48 bits: the rows' full ones were checked with the key.
 */
const PREFIX_BYTES = 6;
const FIRST_CAPACITY = 1_024;
/** Share of slots in use at which the table doubles. */
const FULLEST = 0.6;

interface Slots {
  /** First 48 bits, plus 1 so that 0 is a free slot. */
  prefix: Float64Array;
  seq: Float64Array;
  matched: Uint8Array;
}

export class CommitmentTable {
  #slots = newSlots(FIRST_CAPACITY);
  #count = 0;

  /**
   * Of leaves that record the same commitment, the first one counts.
   * @returns `seq` of an earlier leaf whose commitment begins alike, which is the same but for a rare accident; or null
   */
  add(commitment: string, seq: number): number | null {
    const prefix = prefixOf(commitment);
    if (prefix === null) throw new RangeError('a commitment has 43 characters');
    const at = find(this.#slots, prefix);
    if (this.#slots.prefix[at] === prefix) return this.#slots.seq[at]!;
    put(this.#slots, at, prefix, seq);
    this.#count += 1;
    if (this.#count > this.#slots.prefix.length * FULLEST) this.#double();
    return null;
  }

  /** Marks a commitment as found; false if no leaf recorded it, or if it is none. */
  match(commitment: string): boolean {
    const prefix = prefixOf(commitment);
    if (prefix === null) return false;
    const at = find(this.#slots, prefix);
    if (this.#slots.prefix[at] !== prefix) return false;
    this.#slots.matched[at] = 1;
    return true;
  }

  /** `seq` of the leaves whose commitment was never matched, ascending. */
  unmatched(): number[] {
    const { prefix, seq, matched } = this.#slots;
    const found: number[] = [];
    for (let at = 0; at < prefix.length; at++)
      if (prefix[at] !== 0 && matched[at] === 0) found.push(seq[at]!);
    return found.sort((a, b) => a - b);
  }

  #double(): void {
    const old = this.#slots;
    this.#slots = newSlots(old.prefix.length * 2);
    for (let at = 0; at < old.prefix.length; at++) {
      const prefix = old.prefix[at]!;
      if (prefix !== 0) put(this.#slots, find(this.#slots, prefix), prefix, old.seq[at]!);
    }
  }
}

function newSlots(capacity: number): Slots {
  return {
    prefix: new Float64Array(capacity),
    seq: new Float64Array(capacity),
    matched: new Uint8Array(capacity),
  };
}

/** The slot of `prefix`, or the free one where it belongs. Commitments are random, so they need no hashing. */
function find({ prefix: taken }: Slots, prefix: number): number {
  let at = prefix % taken.length;
  while (taken[at] !== 0 && taken[at] !== prefix) at = (at + 1) % taken.length;
  return at;
}

function put(slots: Slots, at: number, prefix: number, seq: number): void {
  slots.prefix[at] = prefix;
  slots.seq[at] = seq;
}

/** Null where the text cannot be a commitment: the column may hold anything. */
function prefixOf(commitment: string): number | null {
  const bytes = Buffer.from(commitment.slice(0, 8), 'base64url');
  return bytes.length < PREFIX_BYTES ? null : bytes.readUIntBE(0, PREFIX_BYTES) + 1;
}
