/**
 * Verification of the whole log: everything is read again, inside one consistent snapshot that the caller opens
 * after it has read the checkpoints, so that live writers cause no false alarm.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { asFactoryError } from '../errors.ts';
import type { Reader, Storage } from '../storage/transaction.ts';
import { readCheckpoints } from './checkpoint-files.ts';
import type { CheckpointFile } from './checkpoint-files.ts';
import { decodeLeaf } from './leaf.ts';
import type { AuditLeaf } from './leaf.ts';
import { Problems } from './problems.ts';
import type { AuditProblem } from './problems.ts';
import { GivenUp, readGivenUp, restoredIn } from './restored.ts';
import { DecisionCheck, EventCheck } from './verify-rows.ts';
import { leafPages, TreeCheck } from './verify-tree.ts';

export type { AuditProblem } from './problems.ts';

/** A further check of what the log vouches for, e.g. that the events give the projection. */
export type AuditCheck = (reader: Reader) => Promise<AuditProblem[]>;

/** Is given the entries, page by page in their order, and adds what it finds to the problems. */
export interface EntryCheck {
  page(entries: { seq: number; leaf: AuditLeaf }[]): Promise<void>;
  /** After the last entry. */
  finish(): Promise<void>;
}

export interface VerifyInput {
  /** Of a snapshot. */
  reader: Reader;
  /** The public key of the log, best from outside the installation. */
  vkey: string;
  /** Read before the snapshot was opened. */
  checkpoints: CheckpointFile[];
  /** Null: commitments are not recomputed. */
  commitmentKey: Buffer | null;
  checks?: AuditCheck[];
  entryChecks?: ((reader: Reader, problems: Problems) => EntryCheck)[];
}

export interface VerifyResult {
  ok: boolean;
  size: number;
  /** Hex. */
  root: string;
  problems: AuditProblem[];
  /** Entries up to here are covered by a checkpoint that was given; those after are only checked among themselves. */
  signedSize: number;
  /** What could not be checked, and why. */
  notChecked: string[];
}

export interface VerifyStorageOptions extends Omit<VerifyInput, 'reader' | 'checkpoints'> {
  /** Folders that the service writes checkpoints to. */
  checkpointDirs: string[];
  /** Further ones, from outside. */
  checkpoints?: CheckpointFile[];
}

/** Verifies the log of an open database. Errors: `vkey-malformed`, `checkpoints-unreadable`. */
export async function verifyStorage(
  storage: Pick<Storage, 'snapshot'>,
  options: VerifyStorageOptions,
): Promise<VerifyResult> {
  const checkpoints = [...(options.checkpoints ?? [])];
  // Before the snapshot: every entry that they cover is then in it.
  for (const dir of options.checkpointDirs) checkpoints.push(...(await readCheckpoints(dir, Infinity)));
  return storage.snapshot((reader) => verifyAudit({ ...options, reader, checkpoints }));
}

/** Errors: `vkey-malformed`. Everything else that is wrong is a problem in the answer. */
export async function verifyAudit(input: VerifyInput): Promise<VerifyResult> {
  const { reader, commitmentKey } = input;
  const givenUp = new GivenUp();
  const { newKey } = await readGivenUp(reader, input.vkey);
  const problems = new Problems();
  const tree = new TreeCheck(reader, input.checkpoints, input.vkey, problems);
  const events = new EventCheck(reader, commitmentKey, problems, newKey);
  const decisions = new DecisionCheck(reader, commitmentKey, problems, newKey);
  const entryChecks = [events, ...(input.entryChecks ?? []).map((make) => make(reader, problems))];

  for await (const page of leafPages(reader)) {
    const leaves: { seq: number; leaf: AuditLeaf }[] = [];
    for (const { seq, leaf: text } of page) {
      await tree.leaf(seq, text);
      const leaf = readLeaf(seq, text, problems);
      if (leaf === null) continue;
      leaves.push({ seq, leaf });
      const stated = leaf.restored && restoredIn(seq, leaf, input.vkey);
      if (stated) givenUp.add(stated, leaf.at);
      await decisions.leaf(seq, leaf);
    }
    for (const check of entryChecks) await check.page(leaves);
    await nextTurn();
  }
  await tree.finish(givenUp);
  for (const check of entryChecks) await check.finish();
  await decisions.finish();
  for (const check of input.checks ?? []) (await check(reader)).forEach((problem) => problems.add(problem));

  const found = problems.list();
  return {
    ok: found.length === 0,
    size: tree.size,
    root: tree.root().toString('hex'),
    problems: found,
    signedSize: tree.signedSize,
    notChecked: notChecked(input, givenUp),
  };
}

function readLeaf(seq: number, text: string, problems: Problems): AuditLeaf | null {
  try {
    return decodeLeaf(text);
  } catch (error) {
    const { code, message, hint } = asFactoryError(error, 'verify audit log');
    problems.add({ code, message: `Entry ${seq}: ${message}`, seq, hint });
    return null;
  }
}

/** Their content is sealed, and each value opens in its own place only; of messages alone it is looked at that rows are there. */
const CHAT_TABLES = [
  ...['chat_authors', 'chat_subjects', 'chat_sessions', 'chat_attachments', 'chat_grants'],
  ...['chat_holds', 'chat_policies', 'chat_plans', 'chat_erasures', 'chat_quarantine', 'chat_usage'],
  'chat_journal',
];

/**
 * Tables that no entry commits to: what expires, what was seen of files and tokens, how far the service has come, and its
 * jobs. Evidence of drills is signed, and named by its digest in the log.
 */
export const OUTSIDE_THE_LOG = [
  'login_links',
  'sessions',
  'token_uses',
  'idempotency_keys',
  'observations',
  'outbox',
  'meta',
  'jobs',
  'job_runs',
  'backup_facts',
  'drills',
  ...CHAT_TABLES,
];

/** Columns that are derived from what lies outside the log, too; the service writes them anew at each look. */
export const COLUMNS_OUTSIDE_THE_LOG = ['work_items.attention', 'work_items.attention_rank'];

function notChecked({ checkpoints, commitmentKey }: VerifyInput, givenUp: GivenUp): string[] {
  const reasons = [
    `Tables that the log does not vouch for: ${OUTSIDE_THE_LOG.filter((name) => !CHAT_TABLES.includes(name)).join(', ')}, and those of conversations but for content, role and place of messages.`,
    `Columns that follow the queue's files: ${COLUMNS_OUTSIDE_THE_LOG.join(', ')}.`,
  ];
  if (checkpoints.length === 0) reasons.push('Signatures: no checkpoint was given.');
  if (commitmentKey === null)
    reasons.push('Contents of events and decisions: the commitment key was not given.');
  if (givenUp.size > 0)
    reasons.push(
      `What ${givenUp.size} older checkpoints covered: restores gave it up, as signed entries say.`,
    );
  if (givenUp.newKey !== null)
    reasons.push(
      `Contents recorded before entry ${givenUp.newKey.entry}: the key of their commitments was lost.`,
    );
  return reasons;
}
