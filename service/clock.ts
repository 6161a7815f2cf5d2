/** The injected clock: milliseconds since the epoch, and ISO-8601 UTC text. Tests move it both ways. */
export interface Clock {
  now(): number;
  iso(): string;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  iso: () => new Date().toISOString(),
};

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
