/** When jobs are due. Pure: times are ms since the epoch, all rules are in UTC. */

export type Schedule = { kind: 'cron'; text: string } | { kind: 'interval'; seconds: number };

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** 29 February is up to eight years away; what does not come within them never comes. */
const FAR_DAYS = 8 * 366;
/** A due time this far ahead was claimed by a clock that was wrong. */
export const CLOCK_SLACK_MS = 10 * MINUTE;

const FIELDS: { least: number; most: number; names: string[] }[] = [
  { least: 0, most: 59, names: [] },
  { least: 0, most: 23, names: [] },
  { least: 1, most: 31, names: [] },
  { least: 1, most: 12, names: 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ') },
  { least: 0, most: 7, names: 'sun mon tue wed thu fri sat'.split(' ') },
];

interface Cron {
  minutes: number[];
  hours: number[];
  matchesDay: (day: Date) => boolean;
}

const parsed = new Map<string, Cron | null>();

/** Five fields as crontab(5) has them: lists, ranges, steps and names; null: they are none. */
export function parseCron(text: string): Cron | null {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const cron = readCron(text);
  parsed.set(text, cron);
  return cron;
}

function readCron(text: string): Cron | null {
  const words = text.trim().toLowerCase().split(/\s+/);
  if (words.length !== FIELDS.length) return null;
  const sets = words.map((word, n) => readField(word, n));
  const [minutes, hours, days, months, weekdays] = sets;
  if (!minutes || !hours || !days || !months || !weekdays) return null;
  if (weekdays.has(7)) weekdays.add(0);
  // Where both are given, either will do.
  const either = !words[2]?.startsWith('*') && !words[4]?.startsWith('*');
  return {
    minutes: sorted(minutes),
    hours: sorted(hours),
    matchesDay(day) {
      const [byDay, byWeekday] = [days.has(day.getUTCDate()), weekdays.has(day.getUTCDay())];
      return months.has(day.getUTCMonth() + 1) && (either ? byDay || byWeekday : byDay && byWeekday);
    },
  };
}

const sorted = (set: Set<number>): number[] => [...set].sort((a, b) => a - b);

function readField(word: string, n: number): Set<number> | null {
  const field = FIELDS[n];
  if (field === undefined) return null;
  const values = new Set<number>();
  for (const part of word.split(',')) {
    const [, range = '', step = '1'] = /^([^/]+)(?:\/(\d{1,2}))?$/.exec(part) ?? [];
    const bounds =
      range === '*' ? [field.least, field.most] : range.split('-').map((one) => valueOf(one, field));
    const [from, to = part.includes('/') ? field.most : from] = bounds;
    if (from === undefined || to === undefined || bounds.length > 2 || Number(step) === 0) return null;
    if (!(from >= field.least && to <= field.most && from <= to)) return null;
    for (let value = from; value <= to; value += Number(step)) values.add(value);
  }
  return values;
}

function valueOf(word: string, { least, names }: (typeof FIELDS)[number]): number {
  const named = names.indexOf(word);
  if (named !== -1) return named + least;
  return /^\d{1,2}$/.test(word) ? Number(word) : Number.NaN;
}

/** The newest due time at or before `now`; null: there is none within eight years. */
export function lastDue(schedule: Schedule, now: number): number | null {
  if (schedule.kind === 'interval') return now - (now % (schedule.seconds * 1000));
  return search(schedule.text, now, -1, (time) => time <= now);
}

/** The first due time after `now`; null: there is none within eight years. */
export function nextDue(schedule: Schedule, now: number): number | null {
  if (schedule.kind === 'interval') return now - (now % (schedule.seconds * 1000)) + schedule.seconds * 1000;
  return search(schedule.text, now, 1, (time) => time > now);
}

function search(text: string, from: number, way: 1 | -1, fits: (time: number) => boolean): number | null {
  const cron = parseCron(text);
  if (cron === null) return null;
  const first = from - (from % DAY);
  for (let n = 0; n <= FAR_DAYS; n += 1) {
    const day = first + way * n * DAY;
    if (!cron.matchesDay(new Date(day))) continue;
    const times = cron.hours
      .flatMap((hour) => cron.minutes.map((minute) => day + (hour * 60 + minute) * MINUTE))
      .filter(fits);
    const found = way === 1 ? times[0] : times.at(-1);
    if (found !== undefined) return found;
  }
  return null;
}

/** After the start of a service whose database never saw the job, in ms: nobody waits a day for the first ones. */
export const FIRST_MS = { backup: 5000, drill: 90_000 };

export interface Claimed {
  /** The newest due time that was claimed; null: none ever. */
  dueAt: number | null;
  /** From when on due times count where none was claimed. */
  since: number;
  now: number;
}

/**
 * The due time to serve now; null: none. After a downtime it is one, the newest, however many went by. A claimed time
 * that lies in the future is that of a clock which was wrong, and keeps nothing from being done.
 */
export function dueNow(schedule: Schedule, { dueAt, since, now }: Claimed): number | null {
  const last = lastDue(schedule, now);
  if (last === null || isWrong(dueAt, now)) return last;
  return last > (dueAt ?? since) ? last : null;
}

export function isWrong(dueAt: number | null, now: number): boolean {
  return dueAt !== null && dueAt > now + CLOCK_SLACK_MS;
}

const LATE_LEAST_SECONDS = 30;
const LATE_MOST_SECONDS = 600;

/**
 * How late a start may be before somebody is told: a quarter of the time between two, so that a schedule that stands
 * still is noticed within two of them (B6), but no less than a restart of the service takes.
 */
export function lateAfterSeconds(schedule: Schedule, now: number): number {
  const first = nextDue(schedule, now);
  const second = first === null ? null : nextDue(schedule, first);
  if (first === null || second === null) return LATE_MOST_SECONDS;
  return Math.min(LATE_MOST_SECONDS, Math.max(LATE_LEAST_SECONDS, (second - first) / 4000));
}

export function scheduleText(schedule: Schedule): string {
  return schedule.kind === 'cron' ? schedule.text : `every ${schedule.seconds} s`;
}
