import { FactoryError } from '../../../service/errors.ts';
import type { Catalog, Entry } from './catalog.ts';
import { unusable, whyUnusable } from './unusable.ts';
import type { Unusable } from './unusable.ts';

/** Which backup is restored. Pure. */

/** What an answer is looked for in; the rest tells why there is none, where it is known. */
export type Searched = Pick<Catalog, 'entries' | 'url'> &
  Partial<Pick<Catalog, 'problems' | 'name' | 'otherNames'>>;

export type Wanted = { backupId: string } | { at: number } | 'newest';

export interface Picked {
  entry: Entry;
  /** Of a differential: the full backup that it is applied to. */
  base: Entry | null;
}

/** A backup lies in its destination soon after it was begun; clocks differ by minutes. */
const STORED_WITHIN_MS = 2 * 60 * 60_000;
const CLOCK_SLACK_MS = 15 * 60_000;

/**
 * Whether the destination's own clock agrees with the time that a backup claims. One that was written long after it
 * claims to be made was copied there, or is a fake that wants to be taken for an old one.
 */
export function confirmed({ manifest: { startedAt, finishedAt }, storedAt }: Entry): boolean {
  const stored = Date.parse(storedAt);
  return (
    stored >= Date.parse(startedAt) - CLOCK_SLACK_MS && stored <= Date.parse(finishedAt) + STORED_WITHIN_MS
  );
}

/**
 * The newest backup, the one of an id (its last part is enough), or the last one that was begun at or before a time.
 * Errors: `backup-none`, `backup-unknown`, `backup-before-first`, `backup-after-last`, `backup-incomplete`; where what
 * would have been the answer lies there and cannot be used, why that is, e.g. `manifest-newer`.
 */
export function pick(catalog: Searched, wanted: Wanted, now: number): Picked {
  return withBase(catalog, inOrder(catalog, wanted, now)[0] as Entry);
}

/**
 * All that are an answer to what is wanted, the best first: those whose time the destination confirms before the others,
 * later ones before earlier ones. Never empty. Errors: as of `pick`, but for a missing base.
 */
export function inOrder(catalog: Searched, wanted: Wanted, now: number): Entry[] {
  const { entries } = catalog;
  if (entries.length === 0 && wanted === 'newest') throw broken(catalog) ?? noBackup(catalog);
  const fitting =
    wanted === 'newest'
      ? entries
      : 'backupId' in wanted
        ? allById(catalog, wanted.backupId)
        : byTime(catalog, wanted.at, now);
  const latest = [...fitting].reverse();
  return [...latest.filter(confirmed), ...latest.filter((one) => !confirmed(one))];
}

/** An entry, and the full backup below it. Errors: `backup-incomplete`. */
export function withBase({ entries }: Pick<Catalog, 'entries'>, entry: Entry): Picked {
  const { base } = entry.manifest;
  if (base === null) return { entry, base: null };
  const below = entries.find(({ manifest }) => manifest.backupId === base.backupId);
  if (below?.manifest.source.sha256 !== base.sha256)
    throw withoutBase(entry.manifest.backupId, base.backupId);
  return { entry, base: below };
}

/** Errors: `backup-unknown`, `backup-none`; where it lies there and cannot be used, why. */
export function byId(catalog: Searched, wanted: string): Entry {
  return allById(catalog, wanted)[0] as Entry;
}

/** Several, where destinations hold different ones of the same id. */
function allById(catalog: Searched, wanted: string): Entry[] {
  const isIt = (backupId: string): boolean => backupId === wanted || backupId.endsWith(`/${wanted}`);
  const found = catalog.entries.filter(({ manifest }) => isIt(manifest.backupId));
  if (new Set(found.map(({ manifest }) => manifest.backupId)).size === 1) return found;
  const why = found.length === 0 ? broken(catalog, ({ backupId }) => isIt(backupId)) : null;
  if (why !== null) throw why;
  if (catalog.entries.length + (catalog.problems ?? []).length === 0) throw noBackup(catalog);
  throw new FactoryError({
    code: 'backup-unknown',
    op: 'find backup',
    target: wanted,
    message: `There is no backup ${wanted} in ${catalog.url}.`,
    hint: '`npx factory backups list` shows those that are there.',
  });
}

/**
 * A time for which there is no backup is an error, never "the nearest one": what was there after the last backup, none
 * holds, and whoever asks for it must not take that backup for it.
 */
function byTime(catalog: Searched, at: number, now: number): Entry[] {
  const { entries } = catalog;
  const times = entries.map(({ manifest }) => Date.parse(manifest.startedAt));
  const before = entries.filter((_, index) => (times[index] as number) <= at);
  if (before.length === 0) {
    const why = broken(catalog, (one) => one.at <= at);
    if (why !== null) throw why;
    if (entries.length === 0) throw noBackup(catalog);
    throw outside('before-first', at, `the first backup is of ${iso(Math.min(...times))}`);
  }
  if (at > now) throw outside('after-last', at, 'that is in the future');
  // What cannot be used was a backup of its time all the same; only its name tells that, and no fraction of a second.
  const others = unusable({ problems: catalog.problems ?? [] }).filter((one) => one.at <= now);
  const last = Math.max(...times, ...others.map((one) => one.at + 999));
  if (at > last) throw outside('after-last', at, `the last backup is of ${iso(Math.max(...times))}`);
  return before;
}

/** Why the newest of those that fit cannot be used; null: none of them is there. */
function broken(
  { problems = [] }: Searched,
  fits: (one: Unusable) => boolean = () => true,
): FactoryError | null {
  const first = unusable({ problems }).find(fits);
  return first === undefined ? null : whyUnusable(first);
}

/** Nothing is there of the name that was asked for, which may have been misspelt. */
export function noBackup({ url: target, name, otherNames = [] }: Omit<Searched, 'entries'>): FactoryError {
  const others = otherNames.length === 0 ? null : otherNames.join(', ');
  return new FactoryError({
    code: 'backup-none',
    op: 'find backup',
    target,
    message: others
      ? `There is no backup of ${name} in ${target}, but of: ${others}.`
      : `There is no backup in ${target}.`,
    hint: others
      ? 'Name the right one with --name; without it the product’s own database is meant, which is called factory.'
      : 'Check the address and --name; `npx factory backups list` shows what can be read, and what cannot.',
    details: { otherNames },
  });
}

const iso = (at: number): string => new Date(at).toISOString();

function outside(kind: 'before-first' | 'after-last', at: number, why: string): FactoryError {
  const time = iso(at);
  const newest = kind === 'after-last' ? 'Leave --at out for the newest, or name one with --backup ID. ' : '';
  return new FactoryError({
    code: `backup-${kind}`,
    op: 'find backup',
    target: time,
    message: `Nothing can be restored as of ${time}: ${why}.`,
    hint: `${newest}\`npx factory backups list\` shows the times that there are. Nothing was changed.`,
  });
}

function withoutBase(target: string, base: string): FactoryError {
  return new FactoryError({
    code: 'backup-incomplete',
    op: 'find backup',
    target,
    message: `${target} rests on ${base}, which is not there as it was.`,
    hint: 'Restore an earlier backup, or from another destination.',
  });
}
