import type { Reader } from '../../storage/transaction.ts';
import type { ChatDependencies } from '../dependencies.ts';
import type { LiveFile, LiveMessage, Original } from '../deletion/deletion-steps.ts';
import { attachments, holds, quarantine, removal } from '../deletion/store-deletion.ts';
import { isHeld, type HoldRow } from '../holds/holds.ts';
import { subjectErased } from '../messages/directory.ts';
import type { SessionRow } from '../store.ts';
import { sessionsOf } from './erase.ts';
import { noSubject } from './erasures.ts';
import { countLostSubjects } from './lost-subjects.ts';
import { NO_PROGRESS, NOT_HELD, plus, totalOf, type ByClass, type Counts, type Held } from './erasure.ts';
import { erasures } from './store-erasures.ts';

/** What an erasure would take away and what holds would keep, counted as its certificate counts it; changes nothing. */

export interface ErasurePlan {
  /** Id of the subject. */
  subject: string;
  /** The erasure that there is already: asking again answers with it. */
  erasure: string | null;
  /** Subjects that have lost their keys and names: content of before may be about this one as well. */
  lostSubjects: number;
  erased: { total: Counts; byClass: ByClass };
  held: Held;
  /** Sessions that stay, as they are others' too or something in them is held. */
  staying: number;
  /** The first sessions with anything of the subject. */
  sample: PlannedSession[];
}

export interface PlannedSession {
  id: string;
  class: string;
  /** It goes as a whole. */
  goes: boolean;
  /** Of the subject. */
  messages: number;
  attachments: number;
  quarantined: number;
  title: boolean;
  /** Of the subject's content in it, so much is held. */
  held: number;
}

const SAMPLE = 20;

interface Parts {
  messages: readonly LiveMessage[];
  files: readonly LiveFile[];
  originals: readonly Original[];
}

interface Content extends Parts {
  row: SessionRow;
}

/** What of a session goes and what of the subject stays, by the rules of `erase.ts` and `deletion.ts`. Pure. */
export function partedBy(content: Content, subject: number, inForce: readonly HoldRow[]) {
  const { row, messages, files, originals } = content;
  const kept = (one: { subject: number | null; created_at: string }): boolean =>
    isHeld(inForce, {
      ...{ subject: one.subject, session: row.number, class: row.class, createdAt: one.created_at },
    });
  const mine = (one: { subject: number | null }): boolean => one.subject === subject;
  const withHeldFile = new Set(files.filter(kept).map(({ message }) => message));
  const goes = (one: LiveMessage | Original): boolean =>
    mine(one) && !kept(one) && !withHeldFile.has(one.seq);
  // What belongs to a message goes with it.
  const gone = new Set(messages.filter(goes).map(({ seq }) => seq));
  const left: Parts = {
    messages: messages.filter(({ seq }) => !gone.has(seq)),
    files: files.filter((file) => !gone.has(file.message ?? 0) && !(mine(file) && !kept(file))),
    originals: originals.filter((one) => !gone.has(one.seq) && !goes(one)),
  };
  const isEmpty = left.messages.length + left.files.length + left.originals.length === 0;
  const own = row.subject === subject;
  const closes = isEmpty && !kept(row);
  const titled = own && row.title !== null;
  return {
    ...{ left, closes, title: titled && (closes || !kept(row)) },
    mine: of({ messages, files, originals }, mine),
    staying: of(left, mine),
    rowStays: own && !closes && ((titled && kept(row)) || isEmpty),
  };
}

const of = ({ messages, files, originals }: Parts, wanted: (one: { subject: number | null }) => boolean) => ({
  messages: messages.filter(wanted),
  files: files.filter(wanted),
  originals: originals.filter(wanted),
});

export function createErasurePlan({
  storage,
  projectId,
  directory,
  keys,
}: Pick<ChatDependencies, 'storage' | 'projectId' | 'directory' | 'keys'>) {
  const reader: Reader = storage.read;

  async function contentOf(row: SessionRow): Promise<Content> {
    const in_ = { session: row.number };
    return {
      row,
      messages: await reader.all(removal.live, in_),
      files: await reader.all(attachments.ofSession, in_),
      originals: await reader.all(quarantine.ofSession, in_),
    };
  }

  /** Errors: `not-found`, `subject-erased`. */
  return async function plan(name: string): Promise<ErasurePlan> {
    const subject = await directory.findSubject(reader, name);
    const lostSubjects = await countLostSubjects(reader, { projectId, keys });
    if (!subject) throw noSubject(lostSubjects);
    if (subject.state === 'erased') throw subjectErased();
    const { id, number, state } = subject;
    const before = await reader.get(erasures.ofSubject, { project_id: projectId, subject: number });
    const inForce = await reader.all(holds.inForce, { project_id: projectId });
    const sums = newSums(number, inForce);
    for await (const row of sessionsOf(reader, number)) sums.add(await contentOf(row));
    return {
      subject: id,
      erasure: state === 'active' ? null : (before?.id ?? null),
      lostSubjects,
      ...sums.now(),
    };
  };
}

function newSums(subject: number, inForce: readonly HoldRow[]) {
  let [progress, staying] = [NO_PROGRESS, 0];
  const sample: PlannedSession[] = [];
  const held: Held = { ...NOT_HELD };
  const ids = new Set<string>();

  function keep({ row }: Content, { staying: parts, rowStays }: ReturnType<typeof partedBy>): number {
    const { messages, files, originals } = parts;
    held.messages += messages.length;
    held.attachments += files.length;
    held.quarantined += originals.length;
    held.sessions += rowStays ? 1 : 0;
    for (const one of [...messages, ...files, ...originals, ...(rowStays ? [row] : [])])
      for (const hold of inForce)
        if (isHeld([hold], { ...one, session: row.number, class: row.class, createdAt: one.created_at }))
          ids.add(hold.id);
    return messages.length + files.length + originals.length + (rowStays ? 1 : 0);
  }

  return {
    add(content: Content): void {
      const { row } = content;
      const parted = partedBy(content, subject, inForce);
      const { mine, staying: stays, closes, title } = parted;
      const bytes = (all: readonly { bytes: number }[]) => all.reduce((sum, one) => sum + one.bytes, 0);
      progress = plus(progress, row.class, {
        messages: mine.messages.length - stays.messages.length,
        bytes: bytes(mine.messages) - bytes(stays.messages),
        attachments: mine.files.length - stays.files.length,
        quarantined: mine.originals.length - stays.originals.length,
        ...{ sessions: closes ? 1 : 0, titles: title ? 1 : 0 },
      });
      staying += closes ? 0 : 1;
      const kept = keep(content, parted);
      if (sample.length === SAMPLE) return;
      const { messages, files, originals } = mine;
      sample.push({
        ...{ id: row.id, class: row.class, goes: closes, held: kept },
        ...{ messages: messages.length, attachments: files.length, quarantined: originals.length },
        title: row.subject === subject && row.title !== null,
      });
    },
    now: () => ({
      erased: { total: totalOf(progress.erased), byClass: progress.erased },
      ...{ held: { ...held, holds: [...ids].sort() }, staying, sample },
    }),
  };
}
