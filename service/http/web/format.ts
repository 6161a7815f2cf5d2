import type { Lane } from '../../work-items/types.ts';

export { valueText } from '../../work-items/change-words.ts';

/** Words of times, lanes and ids on pages. Pure. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A lane as people read it, e.g. `Done`. */
export function laneLabel(lane: Lane): string {
  return lane.charAt(0).toUpperCase() + lane.slice(1);
}

/** Whole seconds in the largest fitting unit: `0 s`, `59 s`, `3 min`, `2 h`, `5 d`. */
export function duration(seconds: number): string {
  return inUnits(Math.max(0, seconds), Math.floor);
}

function inUnits(seconds: number, round: (value: number) => number): string {
  if (round(seconds) < MINUTE) return `${round(seconds)} s`;
  if (round(seconds / MINUTE) < 60) return `${round(seconds / MINUTE)} min`;
  if (round(seconds / HOUR) < 48) return `${round(seconds / HOUR)} h`;
  return `${round(seconds / DAY)} d`;
}

/**
 * `3 min ago`, `in 2 h`, `just now` (under ten seconds); `now` in milliseconds. What is past is counted in whole units;
 * what is to come is rounded, or a week would be six days from its first second on.
 */
export function relative(iso: string, now: number): string {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (Math.abs(seconds) < 10) return 'just now';
  return seconds > 0 ? `${duration(seconds)} ago` : `in ${inUnits(-seconds, Math.round)}`;
}

/** `2026-11-23 01:39:07 UTC`. */
export function absolute(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

/** `22:46 UTC`; with the day where it is another one than that of `now`, in milliseconds. */
export function clockTime(iso: string, now: number): string {
  const clock = `${iso.slice(11, 16)} UTC`;
  return iso.slice(0, 10) === new Date(now).toISOString().slice(0, 10)
    ? clock
    : `${iso.slice(0, 10)} ${clock}`;
}

/** First characters of a digest or id, enough to tell apart by eye. */
export function short(id: string, length = 12): string {
  return id.length > length + 1 ? `${id.slice(0, length)}…` : id;
}

/** At most the first `max` characters of a text of people; the page of the thing itself shows all of it. */
export function clip(text: string, max = 200): string {
  const characters = text.length > max ? [...text] : [];
  return characters.length > max ? `${characters.slice(0, max).join('').trimEnd()}…` : text;
}

/** The tail of a uuid v7, whose head is a time that neighbours share. */
export function shortId(id: string): string {
  return id.length === 36 && id[8] === '-' ? id.slice(-12) : short(id, 20);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** Measured seconds: `0.4 s`, `41 s`, `6 min`. */
export function measured(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  return seconds < 99.5 ? `${Math.round(seconds)} s` : duration(seconds);
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** Bytes in powers of a thousand: `831 B`, `12.3 kB`, `871 MB`. */
export function size(bytes: number): string {
  let unit = 0;
  let value = bytes;
  // From 999.5 on, rounding would show four digits.
  for (; value >= 999.5 && unit < UNITS.length - 1; unit += 1) value /= 1000;
  return `${value.toFixed(unit === 0 || value >= 99.95 ? 0 : 1)} ${UNITS[unit]}`;
}

/** A link that may be followed: only http and https; other text is shown as text. */
export function isWebUrl(text: string): boolean {
  return /^https?:\/\/[^\s]+$/i.test(text);
}

/** `#123` of a pull request's URL, or null where the URL has no number. */
export function pullRequestNumber(url: string): string | null {
  const number = /\/(?:pull|pulls|merge_requests|pull-requests)\/(\d+)\/?$/.exec(url)?.[1];
  return number ? `#${number}` : null;
}
