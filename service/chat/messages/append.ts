import { createHmac } from 'node:crypto';
import { FactoryError } from '../../errors.ts';
import type { Transaction } from '../../storage/transaction.ts';
import type { Attachments } from '../attachments/attachments.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import type { Policies } from '../policies.ts';
import type { ClassPolicy } from '../policy.ts';
import { originals } from '../quarantine/store-quarantine.ts';
import type { Quotas } from '../quotas.ts';
import { gone, keyReused } from '../refusals.ts';
import { isWithheld, screenMessages } from '../sensitive/screen.ts';
import { messages, sessions, type SessionRow } from '../store.ts';
import type { AppendAnswer, MessageInput } from '../types.ts';
import { encodeParts, messageId, sizeOf } from './content.ts';
import type { Subject } from './directory.ts';
import type { Finding as Finder } from './finding.ts';
import { findingsOf } from './findings.ts';
import { answer, createPut, type Fresh, type Ready } from './put.ts';

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
  batch(caller: Caller, session: string, inputs: readonly Sent[]): Promise<AppendAnswer[]>;
}

interface Sent {
  message: MessageInput;
  key: string | undefined;
}

/** What is held back is kept as well, and counts. */
const bytesOf = ({ screened, plain }: Ready): number =>
  sizeOf(screened.original ? encodeParts(screened.original) : plain);

function added(byKey: Map<string, Fresh>, fresh: Fresh): Fresh {
  if (fresh.one.key !== undefined) byKey.set(fresh.one.key, fresh);
  return fresh;
}

export function createAppend(
  deps: ChatDependencies,
  find: Finder,
  files: Pick<Attachments, 'bind'>,
  policies: Pick<Policies, 'ofClass' | 'general'>,
): Append {
  const { storage, clock, directory, keys, changed, appended } = deps;
  const put = createPut(deps, files);

  function ready({ sensitive }: ClassPolicy, sent: readonly Sent[]): Ready[] {
    const messages = sent.map(({ message }) => message);
    return screenMessages(sensitive, messages).map(({ message: input, ...screened }, n) => {
      const { message, key } = sent[n]!;
      const plain = encodeParts(input.parts);
      return { input, plain, sent: input === message ? plain : encodeParts(message.parts), key, screened };
    });
  }

  /** All of them, or none: the session's row is written once, however many they are. */
  async function write(
    tx: Transaction,
    caller: Caller,
    session: SessionRow,
    made: readonly Ready[],
    quotas: Quotas,
  ): Promise<AppendAnswer[]> {
    // Idempotency keys are kept under the owner's key: without it, a retry could not be told from a new message.
    const owner = await directory.writable(tx, session.subject);
    const at = clock.iso();
    const answers = new Map<Ready, AppendAnswer>();
    const fresh: Fresh[] = [];
    const byKey = new Map<string, Fresh>();
    /** Of a message of this batch that another one repeats. */
    const repeats = new Map<Ready, Ready>();
    for (const one of made) {
      const { subjectId } = one.input;
      const subject = subjectId === undefined ? owner : await directory.subject(tx, subjectId);
      const marks = marksOf(keys, session.id, { owner, subject }, one);
      const before = marks.idempotency === null ? null : await replayOf(tx, session, marks);
      const first = one.key === undefined ? undefined : byKey.get(one.key);
      if (first && first.marks.digest !== marks.digest) throw keyReused(session.id);
      if (before) answers.set(one, before);
      else if (first) repeats.set(one, first.one);
      else fresh.push(added(byKey, { one, subject, marks, bytes: bytesOf(one) }));
    }
    if (fresh.length > 0) {
      const author = await directory.author(tx, caller);
      const bytes = fresh.reduce((sum, one) => sum + one.bytes, 0);
      const grow = { number: session.number, count: fresh.length, bytes, updated_at: at };
      const grown = await tx.get(sessions.grow, grow);
      if (!grown) throw gone('session', session.id);
      const place = {
        seq: grown.last_seq - fresh.length,
        messages: grown.messages - fresh.length,
        bytes: grown.bytes - bytes,
      };
      for (const one of fresh) {
        place.seq += 1;
        place.messages += 1;
        place.bytes += one.bytes;
        answers.set(one.one, await put(tx, { caller, author, session, quotas, at }, place, one));
      }
      tx.afterCommit(() => changed(session.id));
    }
    return made.map((one) => {
      const first = repeats.get(one);
      return first ? { ...answers.get(first)!, replayed: true, headroom: [] } : answers.get(one)!;
    });
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

  async function all(caller: Caller, session: string, inputs: readonly Sent[]): Promise<AppendAnswer[]> {
    const row = await find.session(storage.read, caller, session, 'write');
    const policy = await policies.ofClass(row.class);
    const { quotas } = await policies.general();
    const made = ready(policy, inputs);
    return storage.write((tx) => write(tx, caller, row, made, quotas));
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
