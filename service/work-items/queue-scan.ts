import { setImmediate as nextTurn } from 'node:timers/promises';
import { join } from 'node:path';
import { fileProblem, FOLDERS, lookFolder, lookListedFile, PROMPTS } from './queue-files.ts';
import type { Folder, QueueRoot } from './queue-files.ts';
import type { FileStamp, ItemReader } from './queue-items.ts';
import { isItemId } from './record-text.ts';
import type { Collection, QueueObservation, QueueProblem } from './types.ts';

export type ScanItem =
  | { id: string; unchanged: true }
  | { id: string; unchanged: false; observation: QueueObservation; stamps: FileStamp[] };

/** The stamps that were kept of an item's files. */
export type KnownStamps = (id: string) => readonly FileStamp[];

/** A slice of a scan. An id comes again where a later file turns out to claim it; the later look counts. */
export interface ScanBatch {
  items: ScanItem[];
  /** Problems that belong to no item. */
  problems: QueueProblem[];
  /** Folders whose items may exist although they were not seen; only in the first batch. */
  unreadable: Folder[];
  /** How many records there are in all; only in the first batch. */
  records?: number;
}

/** Names found in the folders. */
export interface Listing {
  /** Id -> collections that hold `<id>.md`, in lane order. */
  records: Map<string, Collection[]>;
  prompts: Set<string>;
  problems: QueueProblem[];
  unreadable: Folder[];
}

/** Most records of one queue; what is beyond them is not read. */
const MAX_RECORDS = 200_000;
/** How long a slice of a scan may hold the event loop, in ms. */
const SLICE_MS = 8;

/** Lists the seven folders. A folder that does not exist is an empty one. */
export function listQueue(root: QueueRoot): Listing {
  const listing: Listing = { records: new Map(), prompts: new Set(), problems: [], unreadable: [] };
  const top = readNames(root, '.', listing);
  if (top === null) {
    const message = 'The work-items folder does not exist.';
    listing.problems.push(fileProblem('.', 'queue-missing', message, 'Run `npx factory init` to make one.'));
    return listing;
  }
  for (const folder of FOLDERS) {
    for (const name of readNames(root, folder, listing) ?? []) noteName(listing, folder, name);
  }
  listing.problems.push(...strangers(root, top));
  return listing;
}

/** Names in a folder; null: it does not exist. What stands in the way is noted. */
function readNames(root: QueueRoot, folder: Folder | '.', listing: Listing): string[] | null {
  const look = folder === '.' ? null : lookFolder(root, folder);
  if (look?.kind === 'absent') return null;
  let problem = look?.kind === 'problem' ? look.problem : null;
  if (!problem) {
    try {
      return root.fs.readdirSync(join(root.dir, folder)).sort();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      if (code === 'ENOENT') return null;
      const message = `\`${folder}\` cannot be listed (${code}).`;
      problem = fileProblem(folder, 'folder-unreadable', message, 'Give the service the right to read it.');
    }
  }
  listing.problems.push(problem);
  listing.unreadable.push(...(folder === '.' ? FOLDERS : [folder]));
  return [];
}

function noteName(listing: Listing, folder: Folder, name: string): void {
  if (name.startsWith('.') || !name.endsWith('.md') || name === 'README.md') return;
  const id = name.slice(0, folder === PROMPTS ? -'.prompt.md'.length : -'.md'.length);
  if (!isItemId(id) || (folder === PROMPTS && !name.endsWith('.prompt.md'))) {
    const path = `${folder}/${printable(name)}`;
    const form = folder === PROMPTS ? 'wi-<KEY>.prompt.md' : 'wi-<KEY>.md';
    const hint = `Rename it to \`${form}\`; a key has letters, digits, dots, dashes and underscores.`;
    listing.problems.push({
      ...fileProblem(path, 'name-invalid', `\`${path}\` is not read.`, hint),
      itemId: null,
    });
  } else if (folder === PROMPTS) {
    listing.prompts.add(id);
  } else {
    const collections = listing.records.get(id);
    if (collections) collections.push(folder);
    else if (listing.records.size < MAX_RECORDS) listing.records.set(id, [folder]);
    else if (!listing.problems.some((problem) => problem.code === 'too-many-records')) {
      const message = `There are more than ${MAX_RECORDS} records; the rest is not read.`;
      const problem = fileProblem(
        folder,
        'too-many-records',
        message,
        'Archive finished items in another folder.',
      );
      listing.problems.push(problem);
    }
  }
}

/** Folders that look like a collection and are none: what lies in them is not read. */
function strangers(root: QueueRoot, names: string[]): QueueProblem[] {
  return names.flatMap((name) => {
    if (name.startsWith('.') || (FOLDERS as readonly string[]).includes(name)) return [];
    const look = lookFolder(root, name);
    if (look.kind !== 'found') return [];
    const message = `\`${printable(name)}\` is no collection; its files are not read.`;
    const hint = `Collections are ${FOLDERS.slice(0, -1).join(', ')}.`;
    return [
      { ...fileProblem(printable(name), 'collection-unknown', message, hint), severity: 'warn' as const },
    ];
  });
}

/** Control characters written out, so that a name cannot steer a terminal. */
function printable(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
}

/**
 * Looks at every item. A file whose stamp is among the item's `known` ones is not read. Between slices of 8 ms the event loop
 * turns, so a service answers while 10,000 items are read.
 */
export async function* scanQueue(
  root: QueueRoot,
  reader: ItemReader,
  known: KnownStamps,
): AsyncGenerator<ScanBatch, void, undefined> {
  const listing = listQueue(root);
  const problems = listing.problems.filter((problem) => problem.severity !== 'warn');
  yield { items: [], problems, unreadable: listing.unreadable, records: listing.records.size };
  const changed = (id: string): ScanItem => ({
    id,
    unchanged: false,
    ...reader.look(id, null, null, listing.records.get(id)),
  });
  const isUnchanged = unchangedBy(root, reader, listing, known);
  yield* inSlices([...listing.records.keys()].sort(), (id) =>
    isUnchanged(id) ? { id, unchanged: true } : changed(id),
  );
  // A file read late may claim the id of an item that was looked at before.
  yield* inSlices(
    reader.claimed().filter((id) => listing.records.has(id)),
    changed,
  );
}

async function* inSlices(
  ids: string[],
  look: (id: string) => ScanItem,
): AsyncGenerator<ScanBatch, void, undefined> {
  let items: ScanItem[] = [];
  let until = performance.now() + SLICE_MS;
  for (const id of ids) {
    items.push(look(id));
    if (performance.now() < until) continue;
    yield { items, problems: [], unreadable: [] };
    items = [];
    await nextTurn();
    until = performance.now() + SLICE_MS;
  }
  if (items.length > 0) yield { items, problems: [], unreadable: [] };
}

function unchangedBy(root: QueueRoot, reader: ItemReader, listing: Listing, known: KnownStamps) {
  const same = (path: string, stamps: readonly FileStamp[]): boolean => {
    const stamp = stamps.find((one) => one.path === path);
    const look = stamp ? lookListedFile(root, path) : null;
    if (!stamp || look?.kind !== 'found') return false;
    const { size, mtimeMs, ctimeMs } = look.stats;
    return size === stamp.size && mtimeMs === stamp.mtimeMs && ctimeMs === stamp.ctimeMs;
  };
  return (id: string): boolean => {
    const [collection, ...others] = listing.records.get(id) ?? [];
    if (others.length > 0 || reader.isClaimed(id)) return false;
    const stamps = known(id);
    if (!same(`${collection}/${id}.md`, stamps)) return false;
    const prompt = `${PROMPTS}/${id}.prompt.md`;
    return listing.prompts.has(id) ? same(prompt, stamps) : !stamps.some(({ path }) => path === prompt);
  };
}
