import type { Lock } from '../types.ts';

/** Whose turn it is to deploy. Takes facts and the time; fetches nothing. */

/** A holder that gave no sign for so long has lost the lock. */
export const LEASE_MS = 30_000;
export const HEARTBEAT_MS = 5_000;

export const FREE: Lock = {
  ...{
    owner: null,
    token: 0,
    release: null,
    since: null,
    heartbeat: null,
    expires: null,
    host: null,
    pid: null,
  },
};

export interface Claim {
  owner: string;
  release: string;
  host: string;
  pid: number;
  /** Why it is taken from whoever holds it; null: it is not. */
  steal: string | null;
}

/** The lock as the claim makes it, or who holds it. `alive`: whether the holder's process is known to live or to be gone. */
export function claimed(
  lock: Lock,
  claim: Claim,
  { now, alive }: { now: number; alive: boolean | null },
): { lock: Lock } | { holder: string } {
  if (lock.owner !== null && claim.steal === null && !isOver(lock, now, alive))
    return { holder: holderText(lock) };
  const { owner, release, host, pid, steal } = claim;
  const taken: Lock = {
    ...renewed({ ...FREE, token: lock.token + 1 }, now),
    owner,
    release,
    host,
    pid,
    since: iso(now),
  };
  return {
    lock:
      steal === null || lock.owner === null ? taken : { ...taken, stolen: `from ${lock.owner}: ${steal}` },
  };
}

/** Whether nobody can come back to it. */
function isOver({ expires }: Lock, now: number, alive: boolean | null): boolean {
  if (alive === false) return true;
  return expires === null || Date.parse(expires) <= now;
}

export const renewed = (lock: Lock, now: number): Lock => ({
  ...lock,
  heartbeat: iso(now),
  expires: iso(now + LEASE_MS),
});

/** Free again; the number stays, so that the next one is greater. */
export const freed = ({ token }: Lock): Lock => ({ ...FREE, token });

export const holds = (lock: Lock, token: number): boolean => lock.owner !== null && lock.token === token;

export function holderText({ owner, release, since, heartbeat }: Lock): string {
  return `${owner ?? 'nobody'} deploys ${release ?? 'a release'} since ${since ?? 'some time'}, last sign ${heartbeat ?? 'none'}`;
}

const iso = (ms: number): string => new Date(ms).toISOString();
