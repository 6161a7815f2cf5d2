import { createHmac, type KeyObject } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { FactoryError } from '../../errors.ts';
import { createOnce, prepareKeyring } from '../../keyring.ts';
import { syncFolder } from '../../replace-file.ts';
import { CAUSES } from '../types.ts';

/**
 * The erasure journal: what was deleted, erased, held and released, outside of the database and of its backups. It is
 * written before the database's commit; a database that was put back from a backup is brought up to it before anything is
 * served. It holds ids and numbers, no content and no name.
 *
 *   <keyring>/erasure-journal.jsonl    a head line, then one entry a line, chained by HMAC under a key of the keyring
 */

export const JOURNAL_FILE = 'erasure-journal.jsonl';
const FORMAT = 'build-factory/erasure-journal/1';

/**
 * Messages by their places, and when the first and the last of them were written: after a restore the same place can be that
 * of another message.
 */
const range = z.tuple([z.int().min(1), z.int().min(1), z.string(), z.string()]);
export type Range = z.output<typeof range>;
const ranges = z.array(range).min(1);
const cause = z.enum(CAUSES);
const id = z.string().min(1).max(200);

export const ENTRY = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('delete-session'), session: id, subject: id, lookup: z.string(), cause }),
  z.strictObject({ kind: z.literal('delete-messages'), session: id, ranges, cause }),
  /** Outputs of tools alone, by retention. */
  z.strictObject({ kind: z.literal('strip-tool-output'), session: id, ranges }),
  z.strictObject({
    kind: z.literal('delete-attachments'),
    session: id,
    attachments: z.array(id).min(1),
    cause,
  }),
  /** Originals that were held back, and the keys that were theirs alone. */
  z.strictObject({
    kind: z.literal('delete-quarantined'),
    session: id,
    originals: z.array(z.strictObject({ id, key: z.int().min(1) })).min(1),
    cause,
  }),
  z.strictObject({
    kind: z.literal('erasure-requested'),
    erasure: id,
    subject: id,
    lookup: z.string(),
    reason: z.string(),
    by: id,
  }),
  /** After all that could go is gone: its name and its keys go. */
  z.strictObject({ kind: z.literal('erase-subject'), subject: id, lookup: z.string(), erasure: id }),
  z.strictObject({
    ...{ kind: z.literal('hold'), hold: id, session: id.nullable() },
    subject: z.strictObject({ id, lookup: z.string() }).nullable(),
    ...{ class: z.string().nullable(), from: z.string().nullable(), to: z.string().nullable() },
    ...{ reason: z.string(), placedBy: id },
  }),
  z.strictObject({ kind: z.literal('release-hold'), hold: id, releasedBy: id }),
]);
export type JournalEntry = z.output<typeof ENTRY>;

const LINE = z.strictObject({ seq: z.int().min(1), at: z.string(), entry: ENTRY, chain: z.string() });

export interface Journaled {
  seq: number;
  at: string;
  entry: JournalEntry;
}

export interface Journal {
  /** Number of its last entry; 0: none. */
  head(): number;
  /** On disk when this returns. Synchronous, because it runs between a transaction's checks and its commit. */
  append(at: string, entry: JournalEntry): Journaled;
  /** Entries after a number, in order. */
  after(seq: number): Journaled[];
  close(): void;
}

/**
 * Opens the journal; a last line that was cut off by a crash never came to a commit and goes.
 * Errors: `journal-missing`, `journal-cut`, `journal-damaged`, `journal-foreign`.
 */
export function openJournal(options: {
  keyringDir: string;
  installation: string;
  key: KeyObject;
  /** So many entries were carried out and finished here: they have to be there. */
  finished: number;
}): Journal {
  const path = join(options.keyringDir, JOURNAL_FILE);
  if (!existsSync(path)) {
    if (options.finished > 0)
      throw journalError(
        'missing',
        path,
        `${path} is missing, and ${options.finished} entries were made in it.`,
      );
    begin(path, options.installation);
  }
  const journal = journalAt(path, options);
  if (journal.head() >= options.finished) return journal;
  journal.close();
  throw journalError(
    'cut',
    path,
    `${path} has ${journal.head()} entries; the keys know of ${options.finished}.`,
  );
}

/** Whole or not at all: killed in the middle, the next start makes it. */
function begin(path: string, installation: string): void {
  prepareKeyring(dirname(path));
  createOnce(path, () => `${JSON.stringify({ format: FORMAT, installation })}\n`);
  syncFolder(dirname(path));
}

function journalAt(path: string, { installation, key }: { installation: string; key: KeyObject }): Journal {
  const text = readFileSync(path, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const [first = '', ...lines] = whole.split('\n').slice(0, -1);
  checkHead(path, first, installation);
  const entries: Journaled[] = [];
  let chain = '';
  for (const [index, line] of lines.entries()) {
    const parsed = LINE.safeParse(parse(line));
    const expected = parsed.success ? chainOf(key, chain, parsed.data) : '';
    if (!parsed.success || parsed.data.seq !== index + 1 || parsed.data.chain !== expected)
      throw journalError('damaged', path, `Line ${index + 2} of ${path} is not what was written there.`);
    const { seq, at, entry } = parsed.data;
    entries.push({ seq, at, entry });
    chain = expected;
  }
  const file = openSync(path, 'r+');
  ftruncateSync(file, Buffer.byteLength(whole));
  fsyncSync(file);
  let end = Buffer.byteLength(whole);
  return {
    head: () => entries.length,
    append(at, entry) {
      // As it will be read: the chain goes over text, and the order of its members counts.
      const next = { seq: entries.length + 1, at, entry: ENTRY.parse(entry) };
      const link = chainOf(key, chain, next);
      const bytes = Buffer.from(`${JSON.stringify({ ...next, chain: link })}\n`);
      try {
        writeSync(file, bytes, 0, bytes.length, end);
        fsyncSync(file);
      } catch (error) {
        ftruncateSync(file, end);
        throw unwritable(path, error);
      }
      end += bytes.length;
      chain = link;
      entries.push(next);
      return next;
    },
    after: (seq) => entries.slice(seq),
    close: () => closeSync(file),
  };
}

/** The entries of a journal's text, without a look at their chain; what is no entry ends them. */
export function journalEntries(text: string): Journaled[] {
  const entries: Journaled[] = [];
  for (const line of text.split('\n').slice(1)) {
    const parsed = LINE.safeParse(parse(line));
    if (!parsed.success) break;
    const { seq, at, entry } = parsed.data;
    entries.push({ seq, at, entry });
  }
  return entries;
}

function checkHead(path: string, first: string, installation: string): void {
  const head = z
    .strictObject({ format: z.literal(FORMAT), installation: z.string() })
    .safeParse(parse(first));
  if (!head.success)
    throw journalError('damaged', path, `${path} does not begin as an erasure journal does.`);
  if (head.data.installation !== installation)
    throw journalError('foreign', path, `${path} is of installation ${head.data.installation}.`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function chainOf(key: KeyObject, before: string, { seq, at, entry }: Journaled): string {
  return createHmac('sha256', key)
    .update(`${FORMAT}\0${before}\0${JSON.stringify([seq, at, entry])}`)
    .digest('base64url');
}

function unwritable(target: string, cause: unknown): FactoryError {
  return new FactoryError({
    ...{ code: 'journal-unwritable', op: 'write erasure journal', target, retryable: true, cause },
    message: `${target} cannot be written: ${(cause as Error).message}. Nothing was deleted.`,
    hint: 'Free space or make the keyring folder writable, then try again.',
  });
}

function journalError(
  kind: 'missing' | 'damaged' | 'foreign' | 'cut',
  target: string,
  message: string,
): FactoryError {
  return new FactoryError({
    ...{ code: `journal-${kind}`, op: 'open erasure journal', target, message },
    hint: 'The service does not start without it, because deleted content could come back. Put back the keyring that belongs to this installation: `npx factory keys restore`.',
  });
}
