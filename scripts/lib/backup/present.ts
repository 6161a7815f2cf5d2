import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import type { Catalog } from './catalog.ts';
import { MANIFEST_SUFFIX, parseManifestKey } from './format.ts';
import { DIFFERENTIAL_HOURS } from './prune.ts';
import { isTrusted } from './signers.ts';
import { replaceFile } from './state.ts';

/**
 * Which backups this machine saw in a destination. One that is gone before a prune would have taken it was taken by somebody
 * else: a lifecycle rule of the bucket that is shorter than the retention, or a person. What is left looks well by itself.
 */

const HOUR = 3_600_000;
/** A prune elsewhere goes by the destination's clock, this by ours. */
const SLACK_MS = 2 * HOUR;

/** Address -> backup -> when it was stored, by the destination's clock where that is known. */
const schema = z.record(z.string(), z.record(z.string(), z.string()));
type Present = z.output<typeof schema>;

const pathIn = (folder: string): string => join(folder, 'present.json');

function readPresent(folder: string): Present {
  try {
    return schema.parse(JSON.parse(readFileSync(pathIn(folder), 'utf8')));
  } catch {
    return {};
  }
}

function change(folder: string, url: string, to: (known: Present[string]) => Present[string]): void {
  const all = readPresent(folder);
  makeFolder(folder, 0o700);
  replaceFile(pathIn(folder), JSON.stringify({ ...all, [url]: to(all[url] ?? {}) }));
}

/** One that was stored just now. */
export function addPresent(folder: string, url: string, backupId: string, storedAt: string): void {
  change(folder, url, (known) => ({ ...known, [backupId]: storedAt }));
}

/** What is gone was taken on purpose. */
export function beginPresentAnew(folder: string, url: string): void {
  change(folder, url, () => ({}));
}

/** Of a prune, which may go by another retention than the one of later. */
export function forgetPresent(folder: string, url: string, gone: readonly string[]): void {
  const ids = new Set(gone);
  change(folder, url, (known) => Object.fromEntries(Object.entries(known).filter(([id]) => !ids.has(id))));
}

export interface Keeping {
  retentionDays: number;
  /** Whose backups count; none: anybody's. */
  trusted: readonly string[];
  now: number;
}

/** Compares a catalog with what was there before, and remembers what is there now. Null: all that should be there is. */
export function whyVanished(folder: string, catalog: Catalog, keeping: Keeping): FactoryError | null {
  const { url, manifests, problems, entries, baseless, fenced } = catalog;
  const own = [...entries, ...baseless, ...fenced].filter(
    ({ manifest }) =>
      keeping.trusted.length === 0 || isTrusted(manifest.signature.publicKey, keeping.trusted),
  );
  const there = new Set([
    ...manifests.map(({ backupId }) => backupId),
    ...problems.map(({ key }) => key.replace(MANIFEST_SUFFIX, '')),
  ]);
  const known = readPresent(folder)[url] ?? {};
  const gone = Object.entries(known)
    .filter(([id, storedAt]) => !there.has(id) && isDue(id, storedAt, keeping))
    .map(([id]) => id);
  change(folder, url, (before) => {
    // A prune goes by the destination's clock.
    const seen = own.map(({ manifest, storedAt }) => [manifest.backupId, storedAt] as const);
    const kept = { ...before, ...Object.fromEntries(seen) };
    return Object.fromEntries(Object.entries(kept).filter(([id, storedAt]) => isDue(id, storedAt, keeping)));
  });
  return gone.length === 0 ? null : vanished(url, gone.sort(bySequence));
}

/** Too young to be pruned. Pure. */
function isDue(backupId: string, storedAt: string, { now, retentionDays }: Keeping): boolean {
  const kind = parseManifestKey(backupId + MANIFEST_SUFFIX)?.kind;
  const days = kind === 'full' ? retentionDays : DIFFERENTIAL_HOURS / 24;
  return now - Date.parse(storedAt) < days * 24 * HOUR - SLACK_MS;
}

const sequenceOf = (id: string): number => parseManifestKey(id + MANIFEST_SUFFIX)?.sequence ?? 0;
const bySequence = (a: string, b: string): number => sequenceOf(a) - sequenceOf(b);

function vanished(target: string, gone: readonly string[]): FactoryError {
  const [first, last] = [gone[0], gone.at(-1)];
  const which = gone.length === 1 ? `${first} is` : `${gone.length} backups, ${first} to ${last}, are`;
  return new FactoryError({
    ...{ code: 'backup-vanished', op: 'read catalog', target },
    message: `${which} not there any more, and no prune was to take ${gone.length === 1 ? 'it' : 'them'} yet.`,
    hint: `Look who deletes there: a rule of the bucket that is shorter than the retention, or somebody. Where it was on purpose, \`npx factory backup --emptied\` with this address begins anew.`,
    details: { backups: gone },
  });
}
