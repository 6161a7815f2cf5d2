import type { Tables } from '../../storage/tables.ts';

/** Which content a hold keeps. A hold covers what matches all that it names; one that names nothing covers everything. */

export type HoldRow = Tables['chat_holds'];
export type Hold = Pick<HoldRow, 'subject' | 'session' | 'class' | 'from_at' | 'to_at'>;

/** What is about to go. `subject` null: it was erased before, and nothing is left to keep. */
export interface Held {
  subject: number | null;
  session: number;
  class: string;
  createdAt: string;
}

export function covers(hold: Hold, { subject, session, class: kind, createdAt }: Held): boolean {
  return (
    (hold.subject === null || hold.subject === subject) &&
    (hold.session === null || hold.session === session) &&
    (hold.class === null || hold.class === kind) &&
    (hold.from_at === null || createdAt >= hold.from_at) &&
    (hold.to_at === null || createdAt <= hold.to_at)
  );
}

export function isHeld(holds: readonly Hold[], content: Held): boolean {
  return holds.some((hold) => covers(hold, content));
}

/** Whether a hold can cover anything of a session at all: most sessions need no look at their messages. */
export function mayCover(hold: Hold, session: { number: number; class: string }): boolean {
  return (
    (hold.session === null || hold.session === session.number) &&
    (hold.class === null || hold.class === session.class)
  );
}
