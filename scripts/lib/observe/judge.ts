import type { Catalog, Entry } from '../backup/catalog.ts';
import { noBackup } from '../backup/pick.ts';
import { isTrusted } from '../backup/signers.ts';
import { newerThan } from '../backup/unusable.ts';

/**
 * What a destination says of its backups, to somebody who knows nothing else: no database, no key, nothing that the
 * backup job remembers or claims. Pure.
 */

export interface Finding {
  name: string;
  status: 'ok' | 'degraded' | 'failing' | 'not-checked';
  detail: string;
}

export interface Rules {
  now: number;
  maxAgeSeconds: number;
  /** Who may sign, by public key or fingerprint; none: nobody was named. */
  trusted: readonly string[];
}

/** Clocks that differ by less do not matter. */
const SKEW_MS = 5 * 60_000;
/** Differentials go after 48 hours; an hour less, prune has taken none of what is looked at. */
const COMPLETE_MS = 47 * 60 * 60_000;

/** The backups that count: of a signer that was named, if any was. */
export function counted({ entries }: Catalog, trusted: readonly string[]): Entry[] {
  if (trusted.length === 0) return entries;
  return entries.filter(({ manifest }) => isTrusted(manifest.signature.publicKey, trusted));
}

export function judge(catalog: Catalog, rules: Rules): Finding[] {
  const entries = counted(catalog, rules.trusted);
  return [
    judgeAge(catalog, entries, rules),
    judgeUsable(catalog, entries),
    judgeSigners(catalog, entries, rules),
    judgeSequence(entries, rules),
    judgeClock(entries, rules),
  ];
}

function judgeAge(catalog: Catalog, entries: readonly Entry[], { now, maxAgeSeconds }: Rules): Finding {
  const newest = entries.at(-1);
  if (newest === undefined) return { name: 'age', status: 'failing', detail: whyNone(catalog) };
  const { backupId, startedAt } = newest.manifest;
  const age = Math.round((now - Date.parse(startedAt)) / 1000);
  if (age * 1000 < -SKEW_MS) {
    const detail = `The newest, ${backupId}, claims a time ${-age} s from now, so its age is not known.`;
    return { name: 'age', status: 'degraded', detail };
  }
  const detail = `The newest, ${backupId}, is ${age} s old; ${maxAgeSeconds} s are allowed.`;
  return { name: 'age', status: age <= maxAgeSeconds ? 'ok' : 'failing', detail };
}

const whyNone = (catalog: Catalog): string =>
  catalog.entries.length === 0 ? noBackup(catalog).message : 'No backup is of a signer that was named.';

/** Something newer that cannot be used means that the newest backup is none; something older is a loss as well. */
function judgeUsable(catalog: Catalog, entries: readonly Entry[]): Finding {
  const { problems } = catalog;
  const newest = entries.at(-1)?.manifest.sequence ?? 0;
  const [first] = problems;
  if (first === undefined)
    return {
      name: 'usable',
      status: 'ok',
      detail: `${entries.length} backups, each with all of its objects.`,
    };
  const [newer] = newerThan(catalog, newest);
  const [what, error] = newer ? [newer.backupId, newer.error] : [first.key, first.error];
  const detail = `${problems.length} cannot be used, ${newer ? 'the newest among them' : 'e.g.'} ${what}: ${error.message}`;
  return { name: 'usable', status: newer ? 'failing' : 'degraded', detail };
}

function judgeSigners({ entries: all }: Catalog, entries: readonly Entry[], { trusted }: Rules): Finding {
  const keys = [...new Set(all.map(({ manifest }) => manifest.signature.publicKey))];
  if (trusted.length === 0) {
    const detail = `Signed by ${keys.join(', ') || 'nobody'}; nobody told whose that is (--trust).`;
    return { name: 'signatures', status: 'not-checked', detail };
  }
  const strangers = all.length - entries.length;
  return strangers === 0
    ? { name: 'signatures', status: 'ok', detail: `All ${all.length} are of the signers that were named.` }
    : {
        name: 'signatures',
        status: 'degraded',
        detail: `${strangers} are of somebody else and do not count.`,
      };
}

/** A number that never came here is a backup that was made and is missing. */
function judgeSequence(entries: readonly Entry[], { now }: Rules): Finding {
  const recent = entries.filter(({ manifest }) => now - Date.parse(manifest.startedAt) < COMPLETE_MS);
  const gaps = recent.slice(1).flatMap((entry, index) => {
    const [before, own] = [recent[index]?.manifest.sequence ?? 0, entry.manifest.sequence];
    return own === before + 1 ? [] : [`between ${before} and ${own}`];
  });
  if (gaps.length === 0)
    return { name: 'sequence', status: 'ok', detail: 'None of the last two days is missing.' };
  return {
    name: 'sequence',
    status: 'degraded',
    detail: `Backups are missing ${gaps.slice(0, 5).join(', ')}.`,
  };
}

/** The destination's own time, the host's and this machine's, as far as they can be compared. */
function judgeClock(entries: readonly Entry[], { now }: Rules): Finding {
  const name = 'clock';
  const newest = entries.at(-1);
  if (newest === undefined) return { name, status: 'not-checked', detail: 'There is no backup.' };
  const { startedAt } = newest.manifest;
  const wrong = (detail: string): Finding => ({ name, status: 'degraded', detail });
  if (Date.parse(startedAt) > now + SKEW_MS)
    return wrong(`The newest is of ${startedAt}, which is still to come.`);
  if (Date.parse(newest.storedAt) < Date.parse(startedAt) - SKEW_MS)
    return wrong(`The newest says ${startedAt}; the destination had it at ${newest.storedAt} already.`);
  const back = entries.slice(1).find((entry, index) => {
    const before = entries[index]?.manifest.startedAt ?? '';
    return Date.parse(entry.manifest.startedAt) < Date.parse(before) - SKEW_MS;
  });
  if (back !== undefined)
    return wrong(`${back.manifest.backupId} comes after a later time: a clock went back.`);
  return { name, status: 'ok', detail: 'Times go forward, and the destination agrees.' };
}
