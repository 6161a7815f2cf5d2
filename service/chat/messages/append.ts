import { createHmac, hash, type KeyObject } from 'node:crypto';
import { FactoryError } from '../../errors.ts';
import type { Transaction } from '../../storage/transaction.ts';
import type { Attachments } from '../attachments/attachments.ts';
import { encodeParts, messageId, sealParts, sizeOf } from './content.ts';
import { actorOf, type Caller, type ChatDependencies } from '../dependencies.ts';
import type { Subject } from './directory.ts';
import type { Finding as Finder } from './finding.ts';
import { findingsOf, findingsText } from './findings.ts';
import type { Policies } from '../policies.ts';
import type { ClassPolicy } from '../policy.ts';
import { isLimited, takeQuota } from '../quotas.ts';
import type { Quotas } from '../quotas.ts';
import { gone, keyReused } from '../refusals.ts';
import { isWithheld, screenMessage, type Screened } from '../sensitive/screen.ts';
import { originals } from '../quarantine/store-quarantine.ts';
import { messages, sessions, type SessionRow } from '../store.ts';
import type { AppendAnswer, Finding, MessageInput } from '../types.ts';
import { withhold } from '../quarantine/withheld.ts';

/** Writing messages: once for each idempotency key, in order, whole. */

export interface Append {
  /**
   * Errors: `not-found`, `gone`, `idempotency-key-reused`, `subject-erased`, `input-refused`, and those of sensitive data and quotas.
   */
  message(
    caller: Caller,
    session: string,
    input: MessageInput,
    key: string | undefined,
  ): Promise<AppendAnswer>;
  /** Several messages of one session, all or none; keys as above, one each. */
  batch(
    caller: Caller,
    session: string,
    inputs: readonly { message: MessageInput; key: string | undefined }[],
  ): Promise<AppendAnswer[]>;
}

/** A message on its way: what does not hang on its place is done before the transaction. */
interface Ready {
  input: MessageInput;
  plain: ReturnType<typeof encodeParts>;
  /** As it was sent: a key goes with that, whatever was taken out of it. */
  sent: ReturnType<typeof encodeParts>;
  key: string | undefined;
  screened: Pick<Screened, 'findings' | 'digests' | 'original'>;
}

export function createAppend(
  deps: ChatDependencies,
  find: Finder,
  files: Pick<Attachments, 'bind'>,
  policies: Pick<Policies, 'ofClass' | 'general'>,
): Append {
  const { storage, audit, clock, directory, keys, changed, appended, projectId } = deps;

  function ready({ sensitive }: ClassPolicy, sent: MessageInput, key: string | undefined): Ready {
    const { message: input, ...screened } = screenMessage(sensitive, sent);
    const plain = encodeParts(input.parts);
    return { input, plain, sent: input === sent ? plain : encodeParts(sent.parts), key, screened };
  }

  async function write(
    tx: Transaction,
    caller: Caller,
    session: SessionRow,
    one: Ready,
    quotas: Quotas,
  ): Promise<AppendAnswer> {
    // Idempotency keys are kept under the owner's key: without it, a retry could not be told from a new message.
    const owner = await directory.writable(tx, session.subject);
    const { subjectId } = one.input;
    const subject = subjectId === undefined ? owner : await directory.subject(tx, subjectId);
    const marks = marksOf(keys, session.id, { owner, subject }, one);
    const before = marks.idempotency === null ? null : await replayOf(tx, session, marks);
    if (before) return before;

    const created_at = clock.iso();
    const { original, findings } = one.screened;
    // What is held back is kept as well, and counts.
    const bytes = sizeOf(original ? encodeParts(original) : one.plain);
    const grown = await tx.get(sessions.grow, { number: session.number, bytes, updated_at: created_at });
    if (!grown) throw gone('session', session.id);
    const headroom = isLimited(quotas)
      ? await takeQuota(tx, quotas, {
          ...{ projectId, subject, bytes, at: created_at },
          session: { id: session.id, messages: grown.messages, bytes: grown.bytes },
        })
      : [];
    const seq = grown.last_seq;
    await files.bind(tx, session, { seq, subject, parts: original ?? one.input.parts });
    const { id: key_id, key } = keys.current(session.id, subject.id);
    const sealed = sealParts(key, { session: session.id, seq, version: 1 }, one.plain);
    const author = await directory.author(tx, caller);
    await tx.run(messages.insert, {
      ...{ session: session.number, seq, subject: subject.number, author, role: one.input.role },
      ...{ key_id, row_version: 1, bytes, created_at },
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
        ...{ session, seq, subject, author, original: { parts: original }, findings, at: created_at },
        by: actorOf(caller),
      }));
    tx.afterCommit(() => changed(session.id));
    return {
      ...answer(session.id, seq, created_at, findings, false),
      ...(quarantineId === null ? {} : { quarantineId }),
      headroom,
    };
  }

  async function replayOf(
    tx: Transaction,
    session: SessionRow,
    { idempotency, digest }: { idempotency: string | null; digest: string | null },
  ): Promise<AppendAnswer | null> {
    const found = await tx.get(messages.byKey, { session: session.number, idempotency: idempotency ?? '' });
    if (!found) return null;
    if (found.deleted_at !== null) throw gone('message', messageId(session.id, found.seq));
    if (found.digest !== digest) throw keyReused(session.id);
    const findings = findingsOf(found.findings);
    const of = { session: session.number, seq: found.seq };
    const waiting = isWithheld(findings) ? await tx.get(originals.at, of) : undefined;
    return {
      ...answer(session.id, found.seq, found.created_at, findings, true),
      ...(waiting ? { quarantineId: waiting.id } : {}),
    };
  }

  async function all(
    caller: Caller,
    session: string,
    inputs: readonly { message: MessageInput; key: string | undefined }[],
  ): Promise<AppendAnswer[]> {
    const row = await find.session(storage.read, caller, session, 'write');
    const policy = await policies.ofClass(row.class);
    const { quotas } = await policies.general();
    const made = inputs.map(({ message, key }) => ready(policy, message, key));
    return storage.write(async (tx) => {
      const answers: AppendAnswer[] = [];
      for (const one of made) answers.push(await write(tx, caller, row, one, quotas));
      return answers;
    });
  }

  const counted = countedBy(appended);
  return {
    async message(caller, session, message, key) {
      const [answer] = await counted(1, () => all(caller, session, [{ message, key }]));
      return answer!;
    },
    batch: (caller, session, inputs) => counted(inputs.length, () => all(caller, session, inputs)),
  };
}

/** Counts what comes of messages, refused ones too. */
function countedBy(appended: ChatDependencies['appended']) {
  return async (count: number, work: () => Promise<AppendAnswer[]>): Promise<AppendAnswer[]> => {
    try {
      const answers = await work();
      for (const { replayed, findings = [] } of answers)
        if (replayed) appended('replayed', []);
        else
          appended(
            'appended',
            findings.map(({ action }) => action),
          );
      return answers;
    } catch (error) {
      const outcome = error instanceof FactoryError ? error.code : 'failed';
      for (let n = 0; n < count; n += 1) appended(outcome, []);
      throw error;
    }
  };
}

/** Keyed under what an erasure takes away, so that neither can be guessed from its digest. */
function marksOf(
  keys: ChatDependencies['keys'],
  session: string,
  { owner, subject }: { owner: Subject; subject: Subject },
  { key, sent, input }: Ready,
) {
  if (key === undefined) return { idempotency: null, digest: null };
  const digest = createHmac('sha256', keys.digestKey(subject.id)).update(`body\0${session}\0${input.role}\0`);
  digest.update(`${sent.body.length}\0`).update(sent.body);
  if (sent.toolOutput) digest.update(sent.toolOutput);
  return {
    idempotency: createHmac('sha256', keys.digestKey(owner.id))
      .update(`key\0${session}\0${key}`)
      .digest('base64url'),
    digest: digest.digest('base64url'),
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

function answer(
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
