import { isWide } from './firewall.ts';

/** One value of the configuration: what it is, or what is wrong with it. */
export type Taken<T> = { value: T } | { problem: string };
/** Reads a key that may be absent. */
export type Read<T, F> = (raw: unknown, facts: F) => Taken<T>;
/** Checks a value that is there. */
type Check<T> = (raw: unknown) => Taken<T>;

const ok = <T>(value: T): Taken<T> => ({ value });
const no = (problem: string): { problem: string } => ({ problem });
const shown = (raw: unknown): string => (typeof raw === 'string' ? `\`${raw}\`` : JSON.stringify(raw));

export const required =
  <T>(check: Check<T>): Read<T, unknown> =>
  (raw) =>
    raw === undefined ? no('is missing.') : check(raw);

export const optional =
  <T, const D, F>(check: Check<T>, otherwise: (facts: F) => D): Read<T | D, F> =>
  (raw, facts) =>
    raw === undefined ? ok(otherwise(facts)) : check(raw);

const matching =
  (pattern: RegExp, what: string): Check<string> =>
  (raw) =>
    typeof raw === 'string' && pattern.test(raw) ? ok(raw) : no(`${shown(raw)} is not ${what}.`);

export const domain = matching(
  /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/,
  'a domain in small letters, such as example.org',
);
export const label = matching(
  /^(@|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$/,
  '`@` or one label, such as staging',
);
export const slug = matching(/^[a-z]{2,}[a-z0-9-]*$/, 'a region');
export const bucket = matching(
  /^[a-z0-9]([a-z0-9-]{4,48}[a-z0-9])$/,
  'a bucket name that every provider takes: 6 to 50 small letters, digits and `-`',
);
export const user = matching(/^[a-z][a-z0-9-]{0,30}$/, 'a user name');
export const publicKey = matching(
  /^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com) [A-Za-z0-9+/]{60,}={0,2}( [^\n]*)?$/,
  'the line of a public SSH key (ed25519 or ecdsa)',
);
export const fingerprint = matching(/^([0-9a-f]{2}:){15}[0-9a-f]{2}$/, 'an MD5 fingerprint, aa:bb:…');
export const address = matching(/^(\d{1,3}\.){3}\d{1,3}$/, 'an IPv4 address');
export const url = matching(/^https?:\/\/[^\s/]+$/, 'the beginning of a URL, without a path');
export const privateNet = matching(
  /^(10\.\d{1,3}|172\.(1[6-9]|2\d|3[01])|192\.168)(\.\d{1,3}){1,2}\.\d{1,3}\/(1[6-9]|2[0-8])$/,
  'a private network from /16 to /28',
);

const CIDR = /^((\d{1,3}\.){3}\d{1,3}(\/(\d|[12]\d|3[0-2]))?|[0-9a-f:]*:[0-9a-f:]*(\/\d{1,3})?)$/i;

/** An address or a network that is not half the world. */
export const narrowNet: Check<string> = (raw) => {
  if (typeof raw !== 'string' || !CIDR.test(raw)) return no(`${shown(raw)} is not an address or a network.`);
  return isWide(raw) ? no(`${raw} lets anybody try; name the addresses that operators come from.`) : ok(raw);
};

export const oneOf =
  <const T extends string>(...words: T[]): Check<T> =>
  (raw) => {
    const found = words.find((word) => word === raw);
    return found === undefined ? no(`${shown(raw)} is none of: ${words.join(', ')}.`) : ok(found);
  };

/** One value is taken so far; any other is refused with the reason. */
export const only =
  <const T extends string | number>(value: T, why: string): Check<T> =>
  (raw) =>
    String(raw) === String(value) ? ok(value) : no(`${shown(raw)} is not taken. ${why}`);

export const flag: Check<boolean> = (raw) =>
  raw === true || raw === 'true'
    ? ok(true)
    : raw === false || raw === 'false'
      ? ok(false)
      : no(`${shown(raw)} is neither true nor false.`);

/** Pulumi gives plain values as text. */
export const whole =
  (from: number, to: number): Check<number> =>
  (raw) => {
    const value = typeof raw === 'string' && /^\d+$/.test(raw) ? Number(raw) : raw;
    return typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to
      ? ok(value)
      : no(`${shown(raw)} is not a whole number from ${from} to ${to}.`);
  };

/** At least one. */
export const list =
  <T>(check: Check<T>): Check<T[]> =>
  (raw) => {
    if (!Array.isArray(raw) || raw.length === 0) return no('is not a list with at least one entry.');
    const taken = raw.map((one) => check(one));
    const problems = taken.flatMap((one, at) =>
      'problem' in one ? [`entry ${at + 1}: ${one.problem}`] : [],
    );
    if (problems.length > 0) return no(problems.join(' '));
    return ok(taken.flatMap((one) => ('value' in one ? [one.value] : [])));
  };

export const shape =
  <T extends object>(checks: { [K in keyof T]: Check<T[K]> }): Check<T> =>
  (raw) => {
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
      return no(`${shown(raw)} has no keys.`);
    const given = raw as Record<string, unknown>;
    const names = Object.keys(checks);
    const problems = Object.keys(given)
      .filter((name) => !names.includes(name))
      .map((name) => `${name}: no such key.`);
    const value: Record<string, unknown> = {};
    for (const name of names) {
      const taken = checks[name as keyof T](given[name]);
      if ('problem' in taken) problems.push(`${name}: ${taken.problem}`);
      else value[name] = taken.value;
    }
    return problems.length > 0 ? no(problems.join(' ')) : ok(value as T);
  };

/** ` (did you mean X?)`, or nothing where no name is near. */
export function nearest(word: string, names: readonly string[]): string {
  const near = names
    .map((name) => ({ name, distance: distance(word.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  return near !== undefined && near.distance <= 3 ? ` (did you mean ${near.name}?)` : '';
}

/** Letters to add, take away or change (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + same));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
