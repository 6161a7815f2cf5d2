import type { Surroundings } from './verb.ts';

/** A line is drawn at most this often. */
const EVERY_MS = 100;

/** Draws one line over and over where stderr is a terminal; does nothing elsewhere. An empty text clears it. */
export function createProgress(
  stderr: Surroundings['stderr'],
  now: () => number = () => performance.now(),
): (text: string) => void {
  let drawn = false;
  let last = Number.NEGATIVE_INFINITY;
  return (text) => {
    if (stderr.isTTY !== true) return;
    if (text === '') {
      if (drawn) stderr.write('\r\u001b[K');
      drawn = false;
    } else if (now() - last >= EVERY_MS) {
      last = now();
      drawn = true;
      stderr.write(`\r\u001b[K${text}`);
    }
  };
}
