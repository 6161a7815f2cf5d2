import { usage } from './failure.ts';
import { secondsOf } from './options.ts';

const DATE = /^\d{4}-\d\d-\d\d$/;
const LOCAL = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(:\d\d(\.\d+)?)?)$/;
const ZONED = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/**
 * An option such as `--at`, as milliseconds: a time with its zone, or a date, which is its first moment in UTC. A time without a zone would
 * mean another one on each machine. Errors: `usage`.
 */
export function parseTime(verb: string, text: string, flag = '--at'): number {
  const [, date, clock] = LOCAL.exec(text) ?? [];
  if (date !== undefined)
    throw usage(verb, `${flag}: "${text}" names no time zone. In UTC it is ${date}T${clock}Z.`);
  const time = ZONED.test(text) || DATE.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(time)) return time;
  throw usage(
    verb,
    `${flag}: "${text}" is no time. For example 2026-05-01T12:00:00Z, or 2026-05-01 for 00:00 UTC.`,
  );
}

/**
 * An option that takes a time or a span such as `2h`, as ISO-8601 in UTC: `from now` for what ends, `ago` for what was.
 * Errors: `usage`.
 */
export function pointInTime(
  verb: string,
  text: string,
  { flag, span, now }: { flag: string; span: 'from now' | 'ago'; now: number },
): string {
  if (!/^\d+[a-z]$/.test(text)) return new Date(parseTime(verb, text, `--${flag}`)).toISOString();
  const length = (secondsOf(verb, flag, text) ?? 0) * 1000;
  return new Date(span === 'ago' ? now - length : now + length).toISOString();
}
