/** The injected clock: milliseconds since the epoch, and ISO-8601 UTC text. Tests move it both ways. */
export interface Clock {
  now(): number;
  iso(): string;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  iso: isoNow,
};

let writtenAt = Number.NaN;
let written = '';

/** One action asks some ten times within a millisecond; writing the date out is what costs. */
function isoNow(): string {
  const now = Date.now();
  if (now !== writtenAt) [writtenAt, written] = [now, new Date(now).toISOString()];
  return written;
}

/** A clock that stands still until it is moved. */
export function manualClock(start: string): Clock & { advance(ms: number): void; set(iso: string): void } {
  let at = Date.parse(start);
  return {
    now: () => at,
    iso: () => new Date(at).toISOString(),
    advance: (ms) => {
      at += ms;
    },
    set: (iso) => {
      at = Date.parse(iso);
    },
  };
}
