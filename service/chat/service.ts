import { setTimeout as sleep } from 'node:timers/promises';
import { createAppend } from './messages/append.ts';
import { createAttachmentFiles } from './attachments/attachment-files.ts';
import { createAttachments } from './attachments/attachments.ts';
import type { Blobs } from './attachments/blobs.ts';
import { createCarryOut } from './erasure/carry-out.ts';
import { createDeletion, type Gone, type How } from './deletion/deletion.ts';
import { actorOf, type Caller, type ChatDependencies } from './dependencies.ts';
import { createEraser } from './erasure/erase.ts';
import { createExport } from './transfer/export.ts';
import { createFinding } from './messages/finding.ts';
import { createGovernance, type GovernanceFacts } from './governance.ts';
import { createGrants } from './grants/grants.ts';
import { createImport } from './transfer/import.ts';
import { createStages } from './transfer/import-stage.ts';
import type { Journal } from './erasure/journal.ts';
import { openaiText } from './transfer/openai-export.ts';
import { createPolicies } from './policies.ts';
import { createGoneOf } from './retention/in-bin.ts';
import { createReading } from './messages/reading.ts';
import { seqOf } from './messages/content.ts';
import { noMessage, gone } from './refusals.ts';
import { createReplay } from './erasure/replay.ts';
import type { SearchIndex } from './search/apart.ts';
import { createSearch } from './search/search.ts';
import { createSessions } from './messages/sessions.ts';
import { messages } from './store.ts';
import { createSweep } from './erasure/sweep.ts';

/** A large session takes longer to leave the index than its deleter waits. */
const ANSWER_MS = 2000;

/**
 * Conversations: sessions and messages, who may read them, how long they are kept. Faces (JSON API, pages, command line)
 * call nothing else of this domain.
 */
export function createChat(
  given: ChatDependencies & GovernanceFacts & { journal: Journal; blobs: Blobs; index: SearchIndex },
) {
  const { index } = given;
  const deps = {
    ...given,
    changed: (session: string) => {
      given.changed(session);
      index.wake();
    },
  };
  const policies = createPolicies(deps);
  const grants = createGrants(deps);
  const finding = createFinding(deps, {
    grantsOf: grants.inForce,
    breakGlass: async () => (await policies.general()).breakGlass,
    gone: createGoneOf(deps, policies),
  });
  /** Whoever keeps something that is derived from content. */
  const listeners: ((what: Gone) => void)[] = [];
  const deletion = createDeletion({ ...deps, gone: (what) => listeners.forEach((tell) => tell(what)) });
  const eraser = createEraser(deletion, deps.projectId);
  const files = createAttachmentFiles(deps);
  const filesGone = async (): Promise<void> => {
    await files.settled();
    await index.settled();
  };
  /** What is deleted is found no more from the commit on; its words leave the index before the answer, or soon after. */
  const soonGone = async (): Promise<void> => {
    await files.settled();
    const settled = index.settled().catch((error: unknown) => {
      deps.logger.warn({ err: error }, 'Words of what was deleted leave the search index later.');
    });
    await Promise.race([settled, sleep(ANSWER_MS, undefined, { ref: false })]);
  };
  const governance = createGovernance({ ...deps, deletion, eraser, finding, policies, filesGone, files });
  const replay = createReplay(deps, deletion, createCarryOut(deps, deletion, eraser));

  const reading = createReading(deps, finding);
  const attachments = createAttachments(deps, files, finding, policies, reading);
  listeners.push(
    ({ blobs }) => files.removeSoon(blobs),
    ({ session }) => index.lost(session.id),
  );
  const sweep = createSweep(deps, deletion, files);

  const exporting = createExport(deps, files, finding);
  const stages = createStages(deps, files);
  const importing = createImport(deps, {
    ...{ stages, exporting, find: finding, policies },
  });

  const byPerson = (caller: Caller): How => ({
    ...{ cause: 'person', at: deps.clock.iso(), actor: actorOf(caller), held: 'refuse', journal: true },
  });

  return {
    sessions: createSessions(deps, finding, policies),
    append: createAppend(deps, finding, attachments, policies),
    reading,
    search: createSearch(deps, { find: finding, reading, index, files }),
    attachments,
    sweep,
    import: importing,
    /** Pieces of text, with the media type that they are of. Errors: `not-found`, `gone`. */
    async export(caller: Caller, id: string, format: 'jsonl' | 'openai') {
      const row = await exporting.open(caller, id);
      return format === 'jsonl' ? exporting.jsonl(row) : openaiText(exporting, deps.keys, row);
    },
    policies,
    governance,
    /** Errors: `not-found`, `gone`, `on-hold`. */
    async deleteSession(caller: Caller, id: string): Promise<void> {
      await deps.storage.write(async (tx) => {
        const row = await finding.session(tx, caller, id, 'delete');
        await deletion.session(tx, row, byPerson(caller));
      });
      await soonGone();
    },
    /** Errors: `not-found`, `gone`, `on-hold`. */
    async deleteMessage(caller: Caller, id: string, message: string): Promise<void> {
      await deps.storage.write(async (tx) => {
        const row = await finding.session(tx, caller, id, 'delete');
        const seq = seqOf(id, message);
        const found = seq && (await tx.get(messages.bySeq, { session: row.number, seq }));
        if (!found) throw noMessage(message);
        if (found.deleted_at !== null) throw gone('message', message);
        await deletion.messages(tx, row, (one) => one.seq === seq, byPerson(caller));
      });
      await soonGone();
    },
    /** Before anything is served. */
    async replay() {
      await stages.clear();
      return replay.run();
    },
    /** Goes on with what a stop interrupted. */
    start(): Promise<void> {
      sweep.start();
      index.start();
      return governance.start();
    },
    /** What is under way ends with its step; before the database closes. */
    async stop(): Promise<void> {
      await Promise.all([governance.stop(), sweep.stop()]);
      await files.settled();
      await index.stop();
    },
    close(): void {
      deps.journal.close();
      deps.keys.close();
    },
  };
}

export type Chat = ReturnType<typeof createChat>;
