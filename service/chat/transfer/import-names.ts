import type { Transaction } from '../../storage/transaction.ts';
import { subjectErased, type Directory, type Subject } from '../messages/directory.ts';
import { subjects } from '../store.ts';
import type { AttachmentLine, MessageLine, TombstoneLine } from './transfer.ts';

type Named = MessageLine | TombstoneLine | AttachmentLine;

/** Subjects and authors of one import by the names that its lines have for them. */
export interface ImportNames {
  isNew(one: Named): boolean;
  /** Errors: `subject-erased`. */
  resolve(tx: Transaction, one: Named): Promise<void>;
  authorOf(one: Pick<MessageLine, 'author'>): number;
  subjectOf(name: string): Subject;
  /** Some may have been erased meanwhile. Errors: `subject-erased`. */
  assertActive(tx: Transaction): Promise<void>;
}

/** `own`: what stands for those who are not told apart: the caller, the subject of the session. */
export function importNames(
  directory: Directory,
  foreign: boolean,
  own: { author: number; subject: Subject; subjectName: string },
): ImportNames {
  const known = new Map<string, Subject>([[own.subjectName, own.subject]]);
  const authors = new Map<string, number>();
  const keyOf = ({ author: { kind, id } }: Pick<MessageLine, 'author'>): string => `${kind} ${id}`;
  const isStrange = (one: Named): boolean => foreign && !authors.has(keyOf(one));
  const isAbout = (one: Named): one is MessageLine | AttachmentLine =>
    one.type !== 'tombstone' && !known.has(one.subjectId);

  return {
    isNew: (one) => isStrange(one) || isAbout(one),
    async resolve(tx, one) {
      if (isStrange(one)) authors.set(keyOf(one), await directory.foreignAuthor(tx, one.author));
      if (isAbout(one)) known.set(one.subjectId, await directory.subject(tx, one.subjectId));
    },
    authorOf: (one) => authors.get(keyOf(one)) ?? own.author,
    subjectOf: (name) => known.get(name) ?? own.subject,
    async assertActive(tx) {
      for (const { number } of known.values())
        if ((await tx.get(subjects.byNumber, { number }))?.state !== 'active') throw subjectErased();
    },
  };
}
