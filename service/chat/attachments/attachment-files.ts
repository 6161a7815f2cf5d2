import { createHash, createHmac, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { FactoryError } from '../../errors.ts';
import type { Reader, Transaction } from '../../storage/transaction.ts';
import type { Blobs, BlobWriter } from './blobs.ts';
import { KEY_BYTES, open, seal, type Place } from '../keys/crypto.ts';
import type { ChatDependencies } from '../dependencies.ts';
import type { Subject } from '../messages/directory.ts';
import type { ChatKeys, ContentKey } from '../keys/keys.ts';
import { openFile, sealStream } from './sealed-stream.ts';
import { attachments, type AttachmentRow } from './store-attachments.ts';
import { rulesOf, withheldText } from '../sensitive/screen.ts';
import type { Finding } from '../types.ts';
import { inTurn } from '../messages/turns.ts';

/**
 * Files as they lie in the blob store, and what is sealed of them in their rows. A file is sealed while it arrives, under a key
 * of its own that lies sealed in its row, and has the keyed digest of its content as its name: equal content of one subject
 * is stored once, and nobody can guess what it is.
 */

export interface NewFile {
  name?: string | undefined;
  mediaType?: string | undefined;
  /** SHA-256 that the sender computed, hex. */
  sha256?: string | undefined;
  /** Asked once its content was read: whether it is stored for itself, and not with equal content. */
  apart?: () => boolean;
}

/** What is sealed in its row. */
export interface About {
  name: string | null;
  mediaType: string;
  sha256: string;
  /** Key of the file, base64. Empty: it waits in quarantine, and its key with it. */
  key: string;
  /** What stands for its content while it waits. */
  standIn?: string;
}

/** A file that is on disk and that no row names yet. */
export interface Stored {
  blob: string;
  about: About;
  bytes: number;
  subject: Subject;
}

/** What a row says of a file when it is put down. `session.id`: as the outside knows it. */
export interface PutDown {
  id: string;
  author: number;
  at: string;
  message: number | null;
  session: { id: string; number: number };
}

type SealedAbout = Pick<AttachmentRow, 'key_id' | 'row_version' | 'about'>;

export interface AttachmentFiles {
  /** Seals and keeps content, then runs what writes its row; the file goes again if that fails. Errors: `digest-mismatch`. */
  store<T>(
    subject: Subject,
    file: NewFile,
    content: AsyncIterable<Buffer>,
    work: (stored: Stored) => Promise<T>,
  ): Promise<T>;
  /** `standIn`: what is said of it in its place, see `standInFor`. */
  putDown(tx: Transaction, stored: Stored, row: PutDown, standIn?: About | null): Promise<void>;
  aboutOf(session: string, row: SealedAbout & { id: string }): About;
  /** Seals it under another key, in the next version of its row; `about`: something else in its place. */
  sealAgain(
    session: string,
    row: SealedAbout & { id: string },
    next: ContentKey,
    about?: About,
  ): { key_id: number; row_version: number; about: Buffer };
  /** Verified chunk by chunk. Errors: `content-missing`, `content-unreadable`. */
  contentOf(blob: string, about: About): AsyncIterable<Buffer>;
  /** Takes away files that no row names any more. */
  removeUnused(blobs: readonly string[]): Promise<void>;
  /** The same, for whoever cannot wait; what is left by a failure is found by the sweep. */
  removeSoon(blobs: readonly string[]): void;
  /** After what was begun before it. */
  settled(): Promise<void>;
}

export const NO_TYPE = 'application/octet-stream';

const placeOf = (session: string, id: string, version: number): Place => ({
  ...{ column: 'chat_attachments.about', id, session, seq: 0, version },
});

/** Errors: `content-key-gone`, `content-unreadable`, `content-not-sealed`. */
export function openAbout(
  keys: Pick<ChatKeys, 'byId'>,
  session: string,
  { id, key_id, row_version, about }: SealedAbout & { id: string },
): About {
  const text = open(keys.byId(key_id), placeOf(session, id, row_version), about ?? Buffer.alloc(0));
  return JSON.parse(text.toString('utf8')) as About;
}

export function createAttachmentFiles({
  storage,
  keys,
  logger,
  blobs,
}: Pick<ChatDependencies, 'storage' | 'keys' | 'logger'> & { blobs: Blobs }): AttachmentFiles {
  /** A file that is kept and one that goes may have the same name: they take turns. */
  const turn = inTurn();

  const aboutOf: AttachmentFiles['aboutOf'] = (session, row) => openAbout(keys, session, row);

  function sealAbout(next: ContentKey, about: About, session: string, id: string, row_version: number) {
    const { id: key_id, key } = next;
    const text = Buffer.from(JSON.stringify(about));
    return { key_id, row_version, about: seal(key, placeOf(session, id, row_version), text) };
  }

  async function isUnused(reader: Reader, blob: string): Promise<boolean> {
    return (await reader.get(attachments.byBlob, { blob })) === undefined;
  }

  /** With the key of the file that is there already, else with the new one, which is then there. */
  async function keep(writer: BlobWriter, blob: string, about: About): Promise<About> {
    const same = await storage.read.get(attachments.byBlob, { blob });
    if (same && (await blobs.has(blob))) {
      const { key } = aboutOf(same.session_id, same);
      await writer.drop();
      return { ...about, key };
    }
    await writer.keep(blob);
    return about;
  }

  const removeUnused = (names: readonly string[]): Promise<void> =>
    turn(async () => {
      for (const blob of names) if (await isUnused(storage.read, blob)) await blobs.remove(blob);
    });

  return {
    async store(subject, { name, mediaType = NO_TYPE, sha256: expected, apart }, content, work) {
      const key = randomBytes(KEY_BYTES);
      const writer = await blobs.begin();
      try {
        const { bytes, sha256 } = await sealInto(writer, createSecretKey(key), content);
        if (expected !== undefined && expected !== sha256) throw digestMismatch(expected, sha256);
        const hmac = createHmac('sha256', keys.digestKey(subject.id));
        const blob = apart?.()
          ? randomBytes(KEY_BYTES).toString('hex')
          : hmac.update(`blob\0${sha256}`).digest('hex');
        const about = { name: name ?? null, mediaType, sha256, key: key.toString('base64') };
        return await turn(async () => {
          const kept = await keep(writer, blob, about);
          try {
            return await work({ blob, about: kept, bytes, subject });
          } catch (error) {
            if (await isUnused(storage.read, blob)) await blobs.remove(blob);
            throw error;
          }
        });
      } catch (error) {
        await writer.drop();
        throw error;
      }
    },

    async putDown(tx, { blob, about, bytes, subject }, row, standIn = null) {
      await tx.run(attachments.insert, {
        ...{ session: row.session.number, message: row.message, id: row.id, subject: subject.number },
        ...{ author: row.author, bytes, blob, created_at: row.at },
        ...sealAbout(keys.current(row.session.id, subject.id), standIn ?? about, row.session.id, row.id, 1),
      });
    },

    aboutOf,
    sealAgain: (session, row, next, about = aboutOf(session, row)) =>
      sealAbout(next, about, session, row.id, row.row_version + 1),

    contentOf: (blob, about) => openFile(blobs, blob, about),

    removeUnused,
    removeSoon(names) {
      removeUnused(names).catch((error: unknown) => {
        logger.warn({ err: error }, 'files of deleted attachments could not be removed; tried again later');
      });
    },
    settled: () => turn(async () => undefined),
  };
}

/** What is said of a file that is held back: a short text, with the digest of that. */
export function standInFor(findings: readonly Finding[]): About {
  const text = withheldText(rulesOf(findings));
  const sha256 = createHash('sha256').update(text).digest('hex');
  return { name: text, mediaType: 'text/plain; charset=utf-8', sha256, key: '', standIn: text };
}

/** Bytes of what is shown for it; `bytes`: of the file itself. */
export const shownBytes = ({ standIn }: About, bytes: number): number =>
  standIn === undefined ? bytes : Buffer.byteLength(standIn);

async function sealInto(
  writer: BlobWriter,
  key: KeyObject,
  content: AsyncIterable<Buffer>,
): Promise<{ bytes: number; sha256: string }> {
  const digest = createHash('sha256');
  let bytes = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of content) {
      bytes += chunk.length;
      digest.update(chunk);
      yield chunk;
    }
  }
  for await (const sealed of sealStream(key, counted())) await writer.write(sealed);
  return { bytes, sha256: digest.digest('hex') };
}

function digestMismatch(expected: string, actual: string): FactoryError {
  return new FactoryError({
    ...{ code: 'digest-mismatch', op: 'store attachment' },
    message: `The content has the SHA-256 ${actual}, not ${expected} as announced; nothing was kept.`,
    hint: 'Send the file again; if this stays, the digest was taken of something else.',
    details: { expected, actual },
  });
}
