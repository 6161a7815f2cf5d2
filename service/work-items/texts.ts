import { z } from 'zod';

/** Texts that both databases, the queue's files and every page can hold. Each check takes linear time. */

const VISIBLE = '[^\\s\\u0000-\\u001f\\u007f-\\u009f\\ufeff]';
const NO_NUL = '[^\\u0000]';
const NO_CONTROL = '[^\\u0000-\\u001f\\u007f]';

/** Text of several lines, trimmed; `max` in UTF-16 units. */
export function text(max: number) {
  return visible(max, NO_NUL, 'Must hold something visible, and no NUL.');
}

/** Text of one line, trimmed; `max` in UTF-16 units. */
export function line(max: number) {
  return visible(max, NO_CONTROL, 'Must hold something visible, on one line without control characters.');
}

/** Checked part by part, told to JSON Schema as one pattern that means the same. */
function visible(max: number, allowed: string, message: string) {
  const [some, all] = [new RegExp(VISIBLE), new RegExp(`^${allowed}*$`)];
  return z
    .string()
    .refine((value) => some.test(value) && all.test(value), message)
    .refine((value) => value.isWellFormed(), 'Must not hold half of a surrogate pair.')
    .trim()
    .min(1)
    .max(max)
    .meta({ pattern: `^${allowed}*${VISIBLE}${allowed}*$` });
}
