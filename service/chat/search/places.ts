/**
 * Where what is searched stands in the index. Titles stand above all else, by the number of their session; a message by its
 * own number, which is the order in which both engines took the messages in, and its files right behind it. So an answer has
 * titles first and then the rest, each the newest first.
 */

export const KINDS = ['message', 'title', 'attachment'] as const;
export type Kind = (typeof KINDS)[number];

/** Places of a message: its own and those of its first files; further ones are not searched. */
export const SLOTS = 16;
export const MOST_FILES = SLOTS - 1;
/** Half of what is counted exactly. */
export const TITLES = 2 ** 52;

export const placeOfMessage = (number: number): number => number * SLOTS;
export const placeOfFile = (message: number, index: number): number => message * SLOTS + 1 + index;
export const placeOfTitle = (session: number): number => TITLES + session * SLOTS;

export function kindOf(place: number): Kind {
  if (place >= TITLES) return 'title';
  return place % SLOTS === 0 ? 'message' : 'attachment';
}

/** Of the message, also where it is one of its files; of a title, of its session. */
export const numberOf = (place: number): number =>
  Math.floor((place >= TITLES ? place - TITLES : place) / SLOTS);
