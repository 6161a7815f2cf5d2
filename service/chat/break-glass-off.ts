import { z } from 'zod';

/**
 * Break-glass keeps owners out of sessions of others; one of them alone must not be able to switch it off and read on the
 * spot. So it stays in force for a day after that was asked for, unless another owner asks for the same. Rules only.
 */

export const PENDING = z.strictObject({
  breakGlass: z.literal(false),
  /** Id of the person. */
  askedBy: z.string(),
  askedAt: z.string(),
  /** From then on break-glass is off. */
  effectiveAt: z.string(),
});
export type Pending = z.output<typeof PENDING>;

/** As long as break-glass itself can last. */
export const WAIT_MS = 86_400_000;

export interface Switch {
  breakGlass: boolean;
  pending: Pending | null;
}

export interface Wish {
  breakGlass: boolean;
  /** Id of the person. */
  by: string;
  preset: 'solo' | 'team';
  /** What break-glass itself waits for somebody who is alone; to switch it off takes no less. */
  waitSeconds: number;
  now: number;
}

/** What is in force at a time. */
export function settled({ breakGlass, pending }: Switch, now: number): Switch {
  const due = pending !== null && Date.parse(pending.effectiveAt) <= now;
  return due ? { breakGlass: false, pending: null } : { breakGlass, pending };
}

/** What a wish makes of what is in force. To wish it on, as it is, takes nothing back that waits. */
export function wished(present: Switch, { breakGlass, by, preset, waitSeconds, now }: Wish): Switch {
  if (breakGlass) return { breakGlass, pending: present.breakGlass ? present.pending : null };
  if (!present.breakGlass) return present;
  const { pending } = present;
  if (pending === null) {
    const wait = preset === 'solo' ? Math.max(WAIT_MS, waitSeconds * 1000) : WAIT_MS;
    const times = { askedAt: iso(now), effectiveAt: iso(now + wait) };
    return { breakGlass: true, pending: { breakGlass: false, askedBy: by, ...times } };
  }
  return preset === 'team' && pending.askedBy !== by ? { breakGlass: false, pending: null } : present;
}

/** Which step it was, as the audit log names it; null: none. */
export function stepOf(before: Switch, after: Switch): string | null {
  if (before.pending === null && after.pending !== null) return 'break-glass-off-asked';
  if (before.pending === null || after.pending !== null) return null;
  return after.breakGlass ? 'break-glass-off-taken-back' : 'break-glass-off-confirmed';
}

const iso = (time: number): string => new Date(time).toISOString();
