import type { Surroundings } from './verb.ts';

/** A line is drawn at most this often. */
const EVERY_MS = 100;

/**
 * Draws one line over and over where stderr is a terminal; does nothing elsewhere. An empty text clears it. What begins
 * with other words than the line before is drawn at once: it may be the last for long.
 */
export function createProgress(
  stderr: Surroundings['stderr'],
  now: () => number = () => performance.now(),
): (text: string) => void {
  let drawn = false;
  let last = Number.NEGATIVE_INFINITY;
  let shown = '';
  return (text) => {
    const [words = ''] = text.split(':');
    if (stderr.isTTY !== true) return;
    if (text === '') {
      if (drawn) stderr.write('\r\u001b[K');
      drawn = false;
    } else if (words !== shown || now() - last >= EVERY_MS) {
      last = now();
      shown = words;
      drawn = true;
      stderr.write(`\r\u001b[K${text}`);
    }
  };
}

/** Says of work that tells nothing itself that it runs, and for how long by now. */
export async function ticking<T>(
  progress: (text: string) => void,
  what: string,
  work: Promise<T>,
): Promise<T> {
  const started = performance.now();
  const draw = (): void => progress(`${what}: ${Math.floor((performance.now() - started) / 1000)} s`);
  const timer = setInterval(draw, 1000);
  draw();
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
