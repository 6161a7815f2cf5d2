import type { Stats } from 'node:fs';
import type { Clock } from '../clock.ts';
import { createClaims } from './queue-claims.ts';
import { createCleanLooks } from './queue-clean.ts';
import { sameFile, type FileStamp, type ItemLook } from './queue-look.ts';
import { fileProblem, lookFile, lookFolder, lookListedFile, PROMPTS, readFoundFile } from './queue-files.ts';
import type { QueueRoot, Read } from './queue-files.ts';
import { blobId, lineAt } from './record-text.ts';
import { parseRecord } from './record.ts';
import { LANES } from './types.ts';
import type { Collection, QueueObservation, QueueProblem, ReadPrompt, ReadRecord } from './types.ts';

interface FileLook<T> {
  value: T | null;
  problems: QueueProblem[];
  revision: string | null;
  claimedId: string | null;
}

const EXCERPT_CHARACTERS = 2000;
const CACHED_FILES = 1024;
/** A file changed this lately may change again within the same time stamp: it is read anew. */
const SETTLED_MS = 2000;

/**
 * Reads single items. Parsed files are kept for the most recently read paths and used while size, inode and both times
 * are unchanged.
 *
 * Which file counts: `<id>.md`. Where two collections hold it, the one at the item's `home` counts, so that a file that
 * comes from elsewhere takes nothing over. Of an item without one, it is the one in the earliest lane (`LANES` order,
 * `cancelled` last), because from there every other lane can still be reached. The others are duplicates. So is a file of
 * another name whose front matter claims the id.
 */
export function createItemReader(root: QueueRoot, clock: Clock) {
  const cache = new Map<string, { stats: Stats; look: FileLook<ReadRecord | ReadPrompt> }>();
  const claims = createClaims();

  const settled = (stats: Stats): boolean =>
    clock.now() - Math.max(stats.mtimeMs, stats.ctimeMs) > SETTLED_MS;
  const again = createCleanLooks(root, clock, settled, claims.has);

  function cached<T extends ReadRecord | ReadPrompt>(
    path: string,
    stats: Stats,
    read: () => FileLook<T>,
  ): FileLook<T> {
    const hit = cache.get(path);
    cache.delete(path);
    if (hit && sameFile(hit.stats, stats)) {
      cache.set(path, hit);
      return hit.look as FileLook<T>;
    }
    const look = read();
    if (settled(stats)) {
      cache.set(path, { stats, look });
      if (cache.size > CACHED_FILES) cache.delete(cache.keys().next().value as string);
    }
    return look;
  }

  function readRecord(path: string, collection: Collection, stats: Stats): FileLook<ReadRecord> {
    return cached(path, stats, () => {
      const look = recordLook(readFoundFile(root, path, stats), path, collection);
      claims.note(path, look.claimedId);
      return look;
    });
  }

  /** Files of another name that claim this id now; what was noted is read again. */
  function claimants(id: string): string[] {
    for (const path of claims.of(id)) {
      const look = lookFile(root, path);
      if (look.kind !== 'found') claims.note(path, null);
      else readRecord(path, path.split('/')[0] as Collection, look.stats);
    }
    return claims.of(id).sort();
  }

  function readPrompt(id: string): FileLook<ReadPrompt> & { stats: Stats | null } {
    const path = promptPath(id);
    const look = lookFile(root, path);
    if (look.kind !== 'found')
      return { ...emptyLook(look.kind === 'problem' ? [look.problem] : []), stats: null };
    const { stats } = look;
    return { ...cached(path, stats, () => promptLook(readFoundFile(root, path, stats), path)), stats };
  }

  /** A file whose name differs from the id in it: of an id that has its own file it is a duplicate. */
  function nameTheMismatch(problem: QueueProblem, claimedId: string | null): QueueProblem {
    if (problem.code !== 'id-mismatch' || claimedId === null) return problem;
    const owner = findRecords(root, claimedId, LANES, null).found[0];
    if (!owner) return problem;
    const message = `The record says \`${claimedId}\`, which is \`${owner.path}\`; that one counts.`;
    return { ...problem, code: 'duplicate-id', message };
  }

  /**
   * Looks at one item's record and prompt now. `last` is its record as last readable: it stays in the observation while
   * the file has problems. `home`: see above. `collections` narrows where to look to what a listing has shown.
   */
  function look(
    id: string,
    last: ReadRecord | null,
    home: Collection | null = null,
    collections: readonly Collection[] = LANES,
  ): ItemLook {
    const mark = collections === LANES ? again.foldersMark() : null;
    const unchanged = mark === null ? null : again.look(id);
    if (unchanged) return unchanged;
    const { found, problems, doubtful } = findRecords(root, id, collections, home);
    const [first, ...others] = found;
    const record = first ? readRecord(first.path, first.collection, first.stats) : emptyLook<ReadRecord>([]);
    const prompt = readPrompt(id);
    const duplicates = [...others.map((other) => other.path), ...(first ? claimants(id) : [])];
    const all = [
      ...problems,
      ...record.problems.map((problem) => nameTheMismatch(problem, record.claimedId)),
      ...prompt.problems,
      ...duplicates.map((path) => duplicateProblem(path, id, first?.path ?? path)),
    ].filter((problem) => problem.severity !== 'warn');
    const unreadable = first ? record.value === null : problems.length > 0;
    const observation: QueueObservation = {
      observedAt: clock.iso(),
      record: unreadable ? last : record.value,
      prompt: prompt.value,
      problems: all,
      duplicates,
    };
    const files = [
      first && { stats: first.stats, look: record },
      prompt.stats && { stats: prompt.stats, look: prompt },
    ];
    const seen: ItemLook = { observation, stamps: all.length > 0 ? [] : stampsOf(files, settled) };
    if (doubtful) return { ...seen, stamps: [], doubtful };
    const kept = [
      first && { path: first.path, stats: first.stats },
      prompt.stats && { path: promptPath(id), stats: prompt.stats },
    ];
    again.remember(
      id,
      mark,
      seen,
      kept.filter((file) => file !== undefined && file !== null),
    );
    return seen;
  }

  return {
    look,
    claimed: claims.ids,
    isClaimed: claims.has,
  };
}

export type { FileStamp, ItemLook } from './queue-look.ts';
export type ItemReader = ReturnType<typeof createItemReader>;

/** The files that are called after the item, the one at its `home` first, and what keeps others from being seen. */
function findRecords(
  root: QueueRoot,
  id: string,
  collections: readonly Collection[],
  home: Collection | null,
) {
  const found: { path: string; collection: Collection; stats: Stats }[] = [];
  const folders: QueueProblem[] = [];
  const problems: QueueProblem[] = [];
  for (const collection of collections) {
    const path = `${collection}/${id}.md`;
    const folder = lookFolder(root, collection);
    const look = folder.kind === 'found' ? lookListedFile(root, path) : folder;
    if (look.kind === 'found') found.push({ path, collection, stats: look.stats });
    // Even a look at a file fails only by the rights of its folder.
    const isFolders = look === folder || (look.kind === 'problem' && look.problem.code === 'file-unreadable');
    if (look.kind === 'problem') (isFolders ? folders : problems).push(look.problem);
    // Whether it lies at home cannot be told; what lies elsewhere does not take its place.
    if (look.kind === 'problem' && isFolders && collection === home)
      return { found: [], problems: [look.problem], doubtful: false };
  }
  found.sort((a, b) => Number(b.collection === home) - Number(a.collection === home));
  // A folder that cannot be read matters only to an item that may lie in it.
  const doubtful = found.length > 0 && folders.length > 0;
  return { found, problems: found.length > 0 || problems.length > 0 ? problems : folders, doubtful };
}

/** None while a file may still change unseen within the time stamp that it has. */
function stampsOf(
  files: (false | null | undefined | { stats: Stats; look: FileLook<ReadRecord | ReadPrompt> })[],
  settled: (stats: Stats) => boolean,
): FileStamp[] {
  const known = files.filter((file) => file !== undefined && file !== null && file !== false);
  if (!known.every((file) => settled(file.stats))) return [];
  return known.flatMap(({ stats, look: { value, revision } }) => {
    const { size, mtimeMs, ctimeMs } = stats;
    return value && revision ? [{ path: value.path, size, mtimeMs, ctimeMs, revision }] : [];
  });
}

function promptPath(id: string): string {
  return `${PROMPTS}/${id}.prompt.md`;
}

function emptyLook<T>(problems: QueueProblem[]): FileLook<T> {
  return { value: null, problems, revision: null, claimedId: null };
}

function recordLook(read: Read, path: string, collection: Collection): FileLook<ReadRecord> {
  if (read.kind !== 'read') return emptyLook(read.kind === 'problem' ? [read.problem] : []);
  const { fields, problems, claimedId } = parseRecord(read.text, { path, collection });
  const revision = blobId(read.bytes);
  return { value: fields && { fields, collection, path, revision }, problems, revision, claimedId };
}

function promptLook(read: Read, path: string): FileLook<ReadPrompt> {
  if (read.kind !== 'read') return emptyLook(read.kind === 'problem' ? [read.problem] : []);
  const nul = read.text.indexOf('\0');
  if (nul >= 0) {
    const problem = fileProblem(
      path,
      'nul-byte',
      'The prompt holds a NUL byte.',
      'Remove it; a prompt is plain text.',
    );
    return emptyLook([{ ...problem, line: lineAt(read.text, nul) }]);
  }
  const text = read.text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
  // A cut between the halves of a character would leave half of it.
  const excerpt = text.slice(0, EXCERPT_CHARACTERS).replace(/[\uD800-\uDBFF]$/, '');
  const revision = blobId(read.bytes);
  return {
    value: { path, revision, excerpt, empty: text.trim() === '' },
    problems: [],
    revision,
    claimedId: null,
  };
}

function duplicateProblem(path: string, id: string, counts: string): QueueProblem {
  const message = `\`${path}\` says it is \`${id}\`, as \`${counts}\` does; that one counts.`;
  const problem = fileProblem(
    path,
    'duplicate-id',
    message,
    'Keep one of the two files, or give this one its own id.',
  );
  return { ...problem, itemId: id };
}
