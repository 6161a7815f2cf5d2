import { newId } from '../../ids.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import { GENERAL } from '../messages/sessions.ts';
import type { Policies } from '../policies.ts';
import { screenText } from '../sensitive/screen.ts';
import { each, type Imported } from './import-each.ts';
import { parsed } from './import-reader.ts';
import type { ScreenedLine, Stages } from './import-stage.ts';
import { linesOf, malformed, type NumberedLine } from './lines.ts';
import { droppedOf, messagesOf, OPENAI } from './openai.ts';
import { FORMAT, type MessageLine, type SessionLine } from './transfer.ts';

/** Lines of OpenAI's form: each becomes a new session of whoever imports it. */

/** What such a line does not know of its session; as of one that is begun. */
export interface OpenaiImport {
  /** Of lines that have none of their own. */
  title?: string | undefined;
  class?: string | undefined;
  subjectId?: string | undefined;
  /** Lines before it are passed over. */
  fromLine?: number | undefined;
}

const MOST_LINE = 64 * 1024 * 1024;

export function createOpenaiImport(
  { clock }: Pick<ChatDependencies, 'clock'>,
  parts: {
    stages: Stages;
    policies: Pick<Policies, 'ofClass'>;
    screened(kind: string, line: MessageLine): Promise<ScreenedLine>;
  },
) {
  const { stages, policies, screened } = parts;

  async function session(caller: Caller, line: NumberedLine, options: OpenaiImport): Promise<Imported> {
    const given = parsed(OPENAI, line);
    const { class: kind = GENERAL, subjectId = caller.personId } = options;
    const title = given.title ?? options.title ?? null;
    const { sensitive } = await policies.ofClass(kind);
    const looked = title === null ? null : screenText(sensitive, title, 'title');
    const id = newId();
    const author = { kind: caller.kind, id: caller.id };
    const now = clock.iso();
    const head: SessionLine = {
      ...{ type: 'session', format: FORMAT, id, title: looked && looked.text, class: kind, subjectId },
      ...{ itemId: null, author, version: 1, createdAt: now, updatedAt: now },
    };
    const sink = await stages.begin(caller, { ...head, foreign: false, looked });
    let seq = 0;
    try {
      for (const message of messagesOf(given.messages, (why) => malformed(line.number, why))) {
        const own = { type: 'message' as const, seq: (seq += 1), subjectId, author, createdAt: now };
        await sink.add(await screened(kind, { ...own, ...(message as Pick<MessageLine, 'role' | 'parts'>) }));
      }
      await sink.finish();
    } catch (error) {
      await sink.abandon();
      throw error;
    }
    const dropped = droppedOf(given);
    return { id, created: true, messages: seq, attachments: 0, ...(dropped.length > 0 ? { dropped } : {}) };
  }

  return async function openai(
    caller: Caller,
    source: AsyncIterable<Buffer>,
    options: OpenaiImport = {},
  ): Promise<Imported[]> {
    const { fromLine = 1 } = options;
    const lines = linesOf(source, MOST_LINE, fromLine);
    const at = { number: fromLine - 1 };
    return each({ lines, reader: at, again: 'new' }, async () => {
      const next = await lines.next();
      if (next.done) return null;
      at.number = next.value.number;
      return session(caller, next.value, options);
    });
  };
}
