/** A set of whole numbers that lie mostly without holes: a bit each, in blocks that are made when needed. */
const BLOCK_BITS = 2 ** 15;

export class SeqSet {
  readonly #blocks = new Map<number, { bits: Uint8Array; count: number }>();

  add(seq: number): void {
    const [index, bit] = place(seq);
    let block = this.#blocks.get(index);
    if (block === undefined)
      this.#blocks.set(index, (block = { bits: new Uint8Array(BLOCK_BITS / 8), count: 0 }));
    if (isSet(block.bits, bit)) return;
    block.bits[bit >> 3]! |= 1 << (bit & 7);
    block.count += 1;
  }

  has(seq: number): boolean {
    const [index, bit] = place(seq);
    const block = this.#blocks.get(index);
    return block !== undefined && isSet(block.bits, bit);
  }

  /** The smallest number from `seq` on that is not in the set. */
  nextAbsent(seq: number): number {
    let at = seq;
    for (;;) {
      const [index, bit] = place(at);
      const block = this.#blocks.get(index);
      if (block === undefined) return at;
      if (bit === 0 && block.count === BLOCK_BITS) at += BLOCK_BITS;
      else if (isSet(block.bits, bit)) at += 1;
      else return at;
    }
  }
}

function place(seq: number): [block: number, bit: number] {
  const block = Math.floor(seq / BLOCK_BITS);
  return [block, seq - block * BLOCK_BITS];
}

function isSet(bits: Uint8Array, bit: number): boolean {
  return (bits[bit >> 3]! & (1 << (bit & 7))) !== 0;
}
