import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const ID_BYTES = 16;
/** Randomness is fetched for this many ids at once: a call to the system's source costs more than an id. */
const POOLED = 256;

const pool = Buffer.alloc(ID_BYTES * POOLED);
let used = pool.length;

/** A new unique id, UUID version 7. Never order by it where `seq` exists. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.subarray(used, (used += ID_BYTES));
  return v7({ random, msecs: Date.now() });
}
