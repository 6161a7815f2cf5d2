import { createHmac, hash, type KeyObject } from 'node:crypto';
import type { Transaction } from '../../storage/transaction.ts';
import type { Attachments } from '../attachments/attachments.ts';
import { actorOf, type Caller, type ChatDependencies } from '../dependencies.ts';
import { withhold } from '../quarantine/withheld.ts';
import { isLimited, takeQuota, type Quotas } from '../quotas.ts';
import type { Screened } from '../sensitive/screen.ts';
import { messages, type SessionRow } from '../store.ts';
import type { AppendAnswer, Finding, MessageInput } from '../types.ts';
import { messageId, sealParts, type encodeParts } from './content.ts';
import type { Subject } from './directory.ts';
import { findingsText } from './findings.ts';

/** Putting one message in its place, with its parts, its files, its share of the quotas and its leaf. */

/** A message on its way: what does not hang on its place is done before the transaction. */
export interface Ready {
  input: MessageInput;
  plain: ReturnType<typeof encodeParts>;
  /** As it was sent: a key goes with that, whatever was taken out of it. */
  sent: ReturnType<typeof encodeParts>;
  key: string | undefined;
  screened: Pick<Screened, 'findings' | 'digests' | 'original'>;
}

/** A message that has no place yet, and gets the next one. */
export interface Fresh {
  one: Ready;
  subject: Subject;
  marks: { idempotency: string | null; digest: string | null };
  bytes: number;
}

export interface Writing {
  caller: Caller;
  /** Number of the row that stands for the caller. */
  author: number;
  session: SessionRow;
  quotas: Quotas;
  /** ISO-8601 UTC, of all of them. */
  at: string;
}

/** Of a message in its session, with it. */
export interface Place {
  seq: number;
  messages: number;
  bytes: number;
}

export function createPut(deps: ChatDependencies, files: Pick<Attachments, 'bind'>) {
  const { audit, keys, projectId } = deps;

  return async (
    tx: Transaction,
    { caller, author, session, quotas, at }: Writing,
    place: Place,
    { one, subject, marks, bytes }: Fresh,
  ): Promise<AppendAnswer> => {
    const { original, findings } = one.screened;
    const { seq } = place;
    const headroom = isLimited(quotas)
      ? await takeQuota(tx, quotas, {
          ...{ projectId, subject, bytes, at },
          session: { id: session.id, messages: place.messages, bytes: place.bytes },
        })
      : [];
    await files.bind(tx, session, { seq, subject, parts: original ?? one.input.parts });
    const { id: key_id, key } = keys.current(session.id, subject.id);
    const sealed = sealParts(key, { session: session.id, seq, version: 1 }, one.plain);
    await tx.run(messages.insert, {
      ...{ session: session.number, seq, subject: subject.number, author, role: one.input.role },
      ...{ key_id, row_version: 1, bytes, created_at: at },
      ...marks,
      findings: findingsText(one.screened, keys.digestKey(subject.id)),
      ...sealed,
    });
    await audit.append(tx, {
      project: projectId,
      actor: { kind: caller.kind, id: caller.id },
      action: 'session.append',
      object: { kind: 'session', id: session.id },
      outcome: 'applied',
      message: { seq, commitment: commitmentOf(keys.digestKey(subject.id), session.id, seq, one) },
    });
    const quarantineId =
      original &&
      (await withhold(deps, tx, {
        ...{ session, seq, subject, author, original: { parts: original }, findings, at },
        by: actorOf(caller),
      }));
    return {
      ...answer(session.id, seq, at, findings, false),
      ...(quarantineId === null ? {} : { quarantineId }),
      headroom,
    };
  };
}

/** What an audit leaf says of a message: only who has the subject's key can tell which content it stands for. */
export function commitmentOf(
  digestKey: KeyObject,
  session: string,
  seq: number,
  { plain, input }: { plain: Ready['plain']; input: Pick<Ready['input'], 'role'> },
): string {
  const parts = hash('sha256', plain.body) + (plain.toolOutput ? hash('sha256', plain.toolOutput) : '');
  return createHmac('sha256', digestKey)
    .update(`message\0${session}\0${seq}\0${input.role}\0${parts}`)
    .digest('base64url');
}

export function answer(
  session: string,
  seq: number,
  createdAt: string,
  findings: Finding[],
  replayed: boolean,
): AppendAnswer {
  return {
    ...{ id: messageId(session, seq), seq, createdAt, replayed, headroom: [] },
    ...(findings.length > 0 ? { findings } : {}),
  };
}
