import { FactoryError } from '../../errors.ts';
import type { Transaction } from '../../storage/transaction.ts';
import type { AttachmentFiles } from '../attachments/attachment-files.ts';
import { openTitle, resealParts, sealTitle } from '../messages/content.ts';
import type { ChatDependencies } from '../dependencies.ts';
import type { ContentKey } from './keys.ts';
import { sealedAgain, sealedBefore } from './store-rotation.ts';

/** Steps of a rotation: rows that were sealed with keys up to `upTo`, from `after` on, are sealed with those of now. */

export interface Step {
  /** Number of the last row. */
  last: number;
  sealed: number;
  unreadable: number;
}

/** Rows of one transaction: others wait for it. */
const STEP = 100;
const UNREADABLE = new Set(['content-unreadable', 'content-not-sealed']);

export function createSealing(
  { keys, logger }: Pick<ChatDependencies, 'keys' | 'logger'>,
  files: Pick<AttachmentFiles, 'sealAgain'>,
) {
  /** The rows of a step. Null: there are none left. */
  async function each<R extends { number: number; key_id: number }>(
    rows: readonly R[],
    seal: (row: R, next: ContentKey) => Promise<void>,
  ): Promise<Step | null> {
    const step: Step = { last: rows.at(-1)?.number ?? 0, sealed: 0, unreadable: 0 };
    for (const row of rows) {
      const owner = keys.ownerOf(row.key_id);
      if (owner !== null && (await opens(row, () => seal(row, keys.current(owner.session, owner.subject)))))
        step.sealed += 1;
      else step.unreadable += 1;
    }
    return rows.length === 0 ? null : step;
  }

  /** One row that was altered by hand does not hold up all others. */
  async function opens({ number }: { number: number }, seal: () => Promise<void>): Promise<boolean> {
    try {
      await seal();
      return true;
    } catch (error) {
      if (!(error instanceof FactoryError) || !UNREADABLE.has(error.code)) throw error;
      logger.error({ err: error }, `Row ${number} keeps its key: what is in it cannot be read.`);
      return false;
    }
  }

  return {
    async messages(tx: Transaction, page: { upTo: number; after: number }) {
      const rows = await tx.all(sealedBefore.messages, { ...page, limit: STEP });
      return each(rows, async (row, next) => {
        const version = { key_id: next.id, row_version: row.row_version + 1 };
        const parts = resealParts(keys, row.session, row, next.key);
        await tx.run(sealedAgain.message, { number: row.number, ...version, ...parts });
      });
    },
    async titles(tx: Transaction, page: { upTo: number; after: number }) {
      const rows = await tx.all(sealedBefore.titles, { ...page, limit: STEP });
      return each(rows, async ({ number, session, key_id, row_version, title }, next) => {
        const text = openTitle(keys.byId(key_id), session, row_version, title!);
        const sealed = sealTitle(next.key, session, row_version + 1, text);
        const version = { key_id: next.id, row_version: row_version + 1 };
        await tx.run(sealedAgain.title, { number, ...version, title: sealed });
      });
    },
    async attachments(tx: Transaction, page: { upTo: number; after: number }) {
      const rows = await tx.all(sealedBefore.attachments, { ...page, limit: STEP });
      return each(rows, async (row, next) => {
        await tx.run(sealedAgain.attachment, {
          number: row.number,
          ...files.sealAgain(row.session, row, next),
        });
      });
    },
  };
}
