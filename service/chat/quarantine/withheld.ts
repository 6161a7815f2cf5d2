import { recordChange, type ChangeActor } from '../../audit/events.ts';
import { newId } from '../../ids.ts';
import type { Transaction } from '../../storage/transaction.ts';
import { open, seal, type Place } from '../keys/crypto.ts';
import type { ChatDependencies } from '../dependencies.ts';
import { rulesOf } from '../sensitive/screen.ts';
import type { About } from '../attachments/attachment-files.ts';
import { FILE, originals } from './store-quarantine.ts';
import type { Finding, Part } from '../types.ts';

/**
 * Originals that are held back: sealed under a key of their own, apart from what stands for them in their session. Nothing
 * that reads sessions opens them.
 */

/** A title is that of its session; of a file, what is needed to open it. */
export type Original = { parts: Part[] } | { title: string } | { file: About };

export interface Withheld {
  session: { id: string; number: number };
  /** 0: the title; `FILE`: a file. */
  seq: number;
  /** Of a file: its own. */
  id?: string;
  subject: { id: string; number: number };
  /** Number of who wrote it. */
  author: number;
  original: Original;
  findings: readonly Finding[];
  /** When what stands for it was written: holds and retention go by it. */
  at: string;
  /** Null: what it comes with is recorded as a whole, once it is there. */
  by: ChangeActor | null;
}

const placeOf = (session: string, id: string, seq: number): Place => ({
  ...{ column: 'chat_quarantine.body', id, session, seq, version: 1 },
});

type Dependencies = Pick<ChatDependencies, 'audit' | 'clock' | 'keys' | 'projectId'>;

/** Puts it down in the caller's transaction, and answers its id. */
export async function withhold(
  { audit, clock, keys, projectId }: Dependencies,
  tx: Transaction,
  { session, seq, id = newId(), subject, author, original, findings, at, by }: Withheld,
): Promise<string> {
  const { id: key_id, key } = keys.apart(session.id, subject.id);
  await tx.run(originals.insert, {
    ...{ project_id: projectId, id, session: session.number, seq, subject: subject.number, author, key_id },
    ...{ row_version: 1, state: 'waiting', created_at: at, updated_at: clock.iso() },
    findings: JSON.stringify(findings),
    body: seal(key, placeOf(session.id, id, seq), Buffer.from(JSON.stringify(original))),
  });
  if (by === null) return id;
  await recordChange(tx, audit, {
    ...{ projectId, stream: 'governance', streamId: id, version: 1, type: 'quarantined' },
    payload: { session: session.id, seq, rules: rulesOf(findings) },
    ...{ actor: by, at: clock.iso(), action: 'governance.quarantine' },
  });
  return id;
}

/** Errors: `content-key-gone`, `content-unreadable`. */
export function originalOf(
  { keys }: Pick<ChatDependencies, 'keys'>,
  row: { id: string; session_id: string; seq: number; key_id: number; body: Buffer | null },
): Original {
  const place = placeOf(row.session_id, row.id, row.seq);
  const text = open(keys.byId(row.key_id), place, row.body ?? Buffer.alloc(0)).toString('utf8');
  return JSON.parse(text) as Original;
}

/** A file that waits became another subject's, with the message that names it: its original goes along, to keys of theirs. */
export async function moveOriginal(
  { keys }: Pick<ChatDependencies, 'keys'>,
  tx: Transaction,
  session: { id: string; number: number },
  id: string,
  subject: { id: string; number: number },
): Promise<void> {
  const row = await tx.get(originals.ofFile, { session: session.number, id });
  if (!row) return;
  const original = originalOf({ keys }, { ...row, session_id: session.id });
  const { id: key_id, key } = keys.apart(session.id, subject.id);
  const body = seal(key, placeOf(session.id, id, FILE), Buffer.from(JSON.stringify(original)));
  await tx.run(originals.move, { session: session.number, id, subject: subject.number, key_id, body });
  tx.afterCommit(() => keys.forgetContent(row.key_id));
}
