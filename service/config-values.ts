import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { validate } from 'node-cron';
import { parseCron } from './jobs/schedule.ts';
import { isPublicKey } from './ed25519.ts';

/** One thing wrong with the environment: the variable, what is wrong, and what to write instead. */
export interface ConfigProblem {
  name: string;
  message: string;
  hint: string;
}

/** A value that was understood, or why it was not. */
export type Parsed<T> = { value: T } | { message: string; hint: string };
export type Parser<T> = (text: string) => Parsed<T>;

/** A place for backups. `credentialsFile` belongs to S3 alone; null: the AWS variables. */
export type Destination =
  | {
      kind: 'folder';
      url: string;
      path: string;
      /** It is given up where a call to it gives no answer for so long, in ms. */
      giveUpMs: number;
    }
  | {
      kind: 's3';
      url: string;
      bucket: string;
      /** Without slashes at its ends; empty: the whole bucket. */
      prefix: string;
      endpoint: string | null;
      region: string | null;
      forcePathStyle: boolean;
      credentialsFile: string | null;
      /** It is given up where it gives no good answer for so long, in ms. */
      giveUpMs: number;
    };

/** A whole number from `min` to `max`, decimal digits only; `example` is one that makes sense. */
export function integer(min: number, max: number, example: number): Parser<number> {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,9}$/.test(text) && value >= min && value <= max) return { value };
    const message = `"${text}" is not a whole number from ${min} to ${max}.`;
    return { message, hint: `For example ${example}.` };
  };
}

export function oneOf<T extends string>(...values: T[]): Parser<T> {
  return (text) => {
    const value = values.find((candidate) => candidate === text);
    if (value !== undefined) return { value };
    return { message: `"${text}" is not known.`, hint: `One of ${values.join(', ')}.` };
  };
}

export function matching(pattern: RegExp, what: string, example: string): Parser<string> {
  return (text) =>
    pattern.test(text)
      ? { value: text }
      : { message: `"${text}" is not ${what}.`, hint: `For example ${example}.` };
}

/** Raw Ed25519 public keys in base64, apart by spaces. */
export const publicKeys: Parser<string[]> = (text) => {
  const keys = text.split(/\s+/).filter((key) => key !== '');
  const wrong = keys.find((key) => !isPublicKey(key));
  if (wrong === undefined) return { value: keys };
  return {
    message: `"${wrong}" is no raw Ed25519 public key in base64.`,
    hint: 'Give it as `npx factory drill` printed it, 44 characters.',
  };
};

/** An API token. A secret, so no message repeats it. */
export const token: Parser<string> = (text) =>
  /^\S+$/.test(text)
    ? { value: text }
    : {
        message: 'This holds spaces or line breaks.',
        hint: 'Give the token alone, as npx factory token create prints it.',
      };

/** An origin such as `https://factory.example.org`: no path, since pages and cookies live at the root. */
export const origin: Parser<string> = (text) => {
  const url = URL.parse(text);
  const bare =
    url !== null && url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
  if (bare && (url.protocol === 'http:' || url.protocol === 'https:')) return { value: url.origin };
  return {
    message: 'This is not an http or https address without path, query and user.',
    hint: 'For example https://factory.example.org.',
  };
};

/** `sqlite:PATH` or `postgres://…/name`. The value may hold a password, so no message repeats it. */
export const databaseUrl: Parser<string> = (text) => {
  if (/^sqlite:(?!:memory:).+/.test(text)) return { value: text };
  const url = URL.parse(text);
  const known = url?.protocol === 'postgres:' || url?.protocol === 'postgresql:';
  if (known && url !== null && url.pathname.length > 1) return { value: text };
  return {
    message: known ? 'The address names no database.' : 'This is neither sqlite:PATH nor postgres://….',
    hint: 'For example sqlite:data/factory.db or postgres://user@host:5432/factory.',
  };
};

/** Five fields, in UTC. node-cron would also take seconds as a sixth field, and letters that plain cron does not have. */
export const cron: Parser<string> = (text) => {
  if (validate(text) && parseCron(text) !== null) return { value: text };
  return {
    message: `"${text}" is not a cron schedule of five fields.`,
    hint: 'Minute, hour, day, month, weekday in UTC; for example 15 2 * * *.',
  };
};

/** Public age keys: `age1…`, or with a plugin's name in front, `age1yubikey1…`. Bech32 has no b, i, o and 1. */
const AGE_RECIPIENT = /^age1(?:[a-z0-9-]+1)?[02-9ac-hj-np-z]{58,}$/;

export const recipients: Parser<string[]> = (text) => {
  const value = text.trim().split(/\s+/);
  const bad = value.findIndex((entry) => !AGE_RECIPIENT.test(entry));
  if (bad === -1) return { value };
  const secret = value[bad]?.startsWith('AGE-SECRET-KEY-') ?? false;
  return {
    message: secret
      ? `Entry ${bad + 1} is a secret key; only public recipients belong here.`
      : `Entry ${bad + 1} is not an age recipient.`,
    hint: 'Recipients look like age1… and stand apart by spaces; age-keygen -y shows that of an identity.',
  };
};

/** Of FACTORY_BACKUP_GIVE_UP_SECONDS. */
export const GIVE_UP_MS = 60_000;
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const S3_OPTIONS = ['endpoint', 'region', 'forcePathStyle'];

function s3Destination(url: URL): Destination | string {
  const unknown = [...url.searchParams.keys()].find((key) => !S3_OPTIONS.includes(key));
  if (unknown !== undefined) return `has the unknown option "${unknown}"; known: ${S3_OPTIONS.join(', ')}`;
  if (url.username !== '' || url.password !== '') return 'must not carry credentials';
  if (!BUCKET.test(url.hostname)) return 'names no valid bucket';
  const endpoint = url.searchParams.get('endpoint');
  if (endpoint !== null && !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? '')) {
    return 'has an endpoint that is not an http or https address';
  }
  const pathStyle = url.searchParams.get('forcePathStyle') ?? 'false';
  if (pathStyle !== 'true' && pathStyle !== 'false') return 'has a forcePathStyle other than true and false';
  return {
    kind: 's3',
    url: url.href,
    bucket: url.hostname,
    prefix: decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, ''),
    endpoint,
    region: url.searchParams.get('region'),
    forcePathStyle: pathStyle === 'true',
    credentialsFile: null,
    giveUpMs: GIVE_UP_MS,
  };
}

function destination(text: string): Destination | string {
  const url = URL.parse(text);
  if (url?.protocol === 's3:') return s3Destination(url);
  if (url?.protocol !== 'file:') return 'is neither file:///folder nor s3://bucket/prefix';
  if (url.host !== '' || url.search !== '' || url.hash !== '') return 'is not of the form file:///folder';
  // However it is written, with a slash at its end or two in it, it is one place with one name: what is known of it goes by that.
  const path = resolve(fileURLToPath(url));
  return path === '/'
    ? 'names no folder'
    : { kind: 'folder', url: pathToFileURL(path).href, path, giveUpMs: GIVE_UP_MS };
}

export const destinations: Parser<Destination[]> = (text) => {
  const hint =
    'For example file:///var/backups/factory s3://bucket/prefix?endpoint=https://s3.example.org&region=eu.';
  const value: Destination[] = [];
  for (const [index, entry] of text.trim().split(/\s+/).entries()) {
    const parsed = destination(entry);
    if (typeof parsed === 'string') return { message: `Destination ${index + 1} ${parsed}.`, hint };
    if (value.some((known) => known.url === parsed.url)) {
      return { message: `Destination ${index + 1} is there twice.`, hint: 'Name each destination once.' };
    }
    value.push(parsed);
  }
  return { value };
};
