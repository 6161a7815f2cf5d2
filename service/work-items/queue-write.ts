import { dirname } from 'node:path';
import { FactoryError } from '../errors.ts';
import { lookFile, PROMPTS } from './queue-files.ts';
import type { QueueRoot } from './queue-files.ts';
import {
  asideOf,
  full,
  place,
  putBack,
  readText,
  replace,
  sweep,
  syncFolder,
  targetExists,
} from './queue-place.ts';
import { blobId, isItemId, MAX_FILE_BYTES } from './record-text.ts';
import { renderPrompt, renderRecord, rewriteStatus } from './record-write.ts';
import { parseRecord } from './record.ts';
import { LANES } from './types.ts';
import type { Collection, Lane, RecordFields } from './types.ts';

/** A file as it stands now; `path` is relative to the work-items folder. */
export interface WrittenFile {
  path: string;
  revision: string;
}

const MOVE = 'move queue record';
const WRITE = 'write queue record';

/**
 * Moves `<id>.md` into the lane's collection with its `status` rewritten; the rest of the file stays byte for byte.
 *
 * Order: write beside, fsync, link into place (refuses a taken name), fsync folder; set the old file aside under a
 * hidden name, compare it with what was read, remove it, fsync folder. The record has a visible name at every moment,
 * and an edit that a person saves meanwhile is carried over or left in place with an error. The same call after a crash
 * at any step, or once more after it was done, ends in the same state.
 *
 * Errors: `record-path-invalid`, `record-missing`, `record-unreadable`, `queue-file-unreadable`, `queue-target-exists`
 * (both places hold different texts, a person must choose), `queue-file-changed` and `queue-write-failed` (retryable).
 */
export async function moveRecord(
  root: QueueRoot,
  id: string,
  fromPath: string,
  toLane: Lane,
): Promise<WrittenFile> {
  const target = `${toLane}/${id}.md`;
  if (!isItemId(id) || !LANES.some((lane) => fromPath === `${lane}/${id}.md`))
    throw notAQueuePath(id, fromPath);
  const others = LANES.filter((lane) => lane !== toLane).map((lane) => `${lane}/${id}.md`);
  return guarded(MOVE, target, async () => {
    for (const path of others) await takeUpAside(root, path, toLane, target, null);
    if (fromPath !== target) await carryOver(root, fromPath, toLane, target);
    const written = await settle(root, id, toLane);
    for (const path of others) await dropTwin(root, path, toLane, target);
    return written;
  });
}

async function carryOver(root: QueueRoot, fromPath: string, lane: Lane, target: string): Promise<void> {
  const source = readText(root, fromPath, MOVE);
  if (source === null) return;
  const moved = rewriteStatus(source, lane, fromPath);
  const present = readText(root, target, MOVE);
  if (present === null) await place(root, target, moved, MOVE);
  else if (present !== moved) throw targetExists(MOVE, target);
  root.fs.renameSync(full(root, fromPath), full(root, asideOf(fromPath)));
  await takeUpAside(root, fromPath, lane, target, moved);
}

/** A crash between the two names leaves the old one: equal but for the status, it goes, wherever it lies. */
async function dropTwin(root: QueueRoot, path: string, lane: Lane, target: string): Promise<void> {
  const look = lookFile(root, path);
  if (look.kind !== 'found') return;
  const twin = readText(root, path, MOVE);
  if (twin === null || rewritten(twin, lane) !== readText(root, target, MOVE)) return;
  root.fs.renameSync(full(root, path), full(root, asideOf(path)));
  await takeUpAside(root, path, lane, target, null);
}

/**
 * Judges the old file, set aside, against the new one. Equal but for the status: it goes. Edited since it was read: its
 * text replaces the new file if that is still what was `placed`. Else it returns under its name.
 */
async function takeUpAside(
  root: QueueRoot,
  fromPath: string,
  lane: Lane,
  target: string,
  placed: string | null,
) {
  const aside = asideOf(fromPath);
  const kept = readText(root, aside, MOVE);
  if (kept === null) return;
  const present = readText(root, target, MOVE);
  const wanted = rewritten(kept, lane);
  if (present === null || wanted === null || (present !== wanted && present !== placed)) {
    putBack(root, aside, fromPath, MOVE);
    if (present === null) return;
    throw targetExists(MOVE, target);
  }
  if (present !== wanted) await replace(root, target, present, wanted, MOVE);
  root.fs.unlinkSync(full(root, aside));
  await syncFolder(root, dirname(fromPath));
}

/** Null where the text, perhaps saved half-way through an edit, has no status to rewrite. */
function rewritten(text: string, lane: Lane): string | null {
  try {
    return rewriteStatus(text, lane);
  } catch (error) {
    if (error instanceof FactoryError) return null;
    throw error;
  }
}

/** The record is in the lane's collection (or nowhere): makes its status say so. */
async function settle(root: QueueRoot, id: string, lane: Lane): Promise<WrittenFile> {
  const path = `${lane}/${id}.md`;
  const present = readText(root, path, MOVE);
  if (present === null) {
    throw new FactoryError({
      code: 'record-missing',
      op: MOVE,
      target: path,
      message: `The record of \`${id}\` is in neither place.`,
      hint: `Restore \`${id}.md\` from git, then repeat the action.`,
    });
  }
  if (parseRecord(present, { path, collection: lane }).claimedId !== id) throw targetExists(MOVE, path);
  const wanted = rewriteStatus(present, lane, path);
  if (wanted !== present) await replace(root, path, present, wanted, MOVE);
  sweep(root, path);
  return { path, revision: blobId(wanted) };
}

/**
 * Writes a net-new item: the prompt first, then the record, so that no record stands without its prompt. Refuses an id
 * that has a file anywhere in the queue (`queue-target-exists`), unless that file holds this very text: then an earlier
 * attempt wrote it. Fields that would not read back are refused (`record-invalid`, `details.problems`).
 */
export async function writeNew(
  root: QueueRoot,
  fields: RecordFields,
  promptText: string,
  collection: Collection = 'backlog',
): Promise<{ record: WrittenFile; prompt: WrittenFile }> {
  const prompt = { path: `${PROMPTS}/${fields.id}.prompt.md`, text: renderPrompt(promptText) };
  const record = recordDraft(fields, collection);
  refuseInvalid([record, prompt], collection);
  await writeDrafts(root, fields.id, collection, [prompt, record]);
  return { record: written(record), prompt: written(prompt) };
}

/** Writes a record that is gone; the rules and errors of `writeNew`, its prompt is left alone. */
export async function writeRecord(
  root: QueueRoot,
  fields: RecordFields,
  collection: Collection,
): Promise<WrittenFile> {
  const record = recordDraft(fields, collection);
  refuseInvalid([record], collection);
  await writeDrafts(root, fields.id, collection, [record]);
  return written(record);
}

interface Draft {
  path: string;
  text: string;
}

function recordDraft(fields: RecordFields, collection: Collection): Draft {
  return { path: `${collection}/${fields.id}.md`, text: renderRecord(fields) };
}

function written({ path, text }: Draft): WrittenFile {
  return { path, revision: blobId(text) };
}

function writeDrafts(root: QueueRoot, id: string, collection: Collection, drafts: Draft[]): Promise<void> {
  return guarded(WRITE, `${collection}/${id}.md`, async () => {
    for (const lane of LANES) {
      const path = `${lane}/${id}.md`;
      if (lane !== collection && lookFile(root, path).kind !== 'absent') throw targetExists(WRITE, path);
    }
    const missing = drafts.filter(({ path, text }) => {
      const present = readText(root, path, WRITE);
      if (present !== null && present !== text) throw targetExists(WRITE, path);
      return present === null;
    });
    for (const { path, text } of missing) await place(root, path, text, WRITE);
    for (const { path } of drafts) sweep(root, path);
  });
}

function refuseInvalid(drafts: [record: Draft, prompt?: Draft], collection: Collection): void {
  const [record] = drafts;
  const { fields, problems } = parseRecord(record.text, { path: record.path, collection });
  const errors = problems.filter((problem) => problem.severity !== 'warn');
  const unfit = drafts.find(
    (draft) =>
      draft &&
      (draft.text.includes('\0') ||
        !draft.text.isWellFormed() ||
        Buffer.byteLength(draft.text) > MAX_FILE_BYTES),
  );
  if (fields && !unfit) return;
  throw new FactoryError({
    code: 'record-invalid',
    op: WRITE,
    target: (unfit ?? record).path,
    message: errors[0]?.message ?? 'The text holds a NUL, half a character, or more than 1 MiB.',
    hint: errors[0]?.hint ?? 'Shorten it, or remove what is not text.',
    details: { problems: errors },
  });
}

function notAQueuePath(id: string, path: string): FactoryError {
  return new FactoryError({
    code: 'record-path-invalid',
    op: MOVE,
    target: path,
    message: `${JSON.stringify(path)} is not a queue path of ${JSON.stringify(id)}.`,
    hint: 'Refresh the item, then repeat the action.',
  });
}

/** What is not lost, whatever failed. */
const KEPT: Record<string, string> = {
  [MOVE]: 'the record still has a readable file',
  [WRITE]: 'what is to be written is kept in the database',
};

/** Errors of the file system become ours; they are worth another attempt. */
async function guarded<T>(op: string, target: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (error instanceof FactoryError || code === undefined) throw error;
    throw new FactoryError({
      code: 'queue-write-failed',
      op,
      target,
      message: `The queue could not be written (${code}); ${KEPT[op]}.`,
      hint: 'Check space and rights of the work-items folder; the write is repeated.',
      retryable: true,
      cause: error,
    });
  }
}
