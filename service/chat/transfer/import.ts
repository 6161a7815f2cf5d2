import type { Caller, ChatDependencies } from '../dependencies.ts';
import type { Export } from './export.ts';
import type { Finding as Finder } from '../messages/finding.ts';
import { compared } from './import-compare.ts';
import { each, type Imported } from './import-each.ts';
import { createOpenaiImport, type OpenaiImport } from './import-openai.ts';
import { readerOf, type LineReader } from './import-reader.ts';
import { conflict } from './import-refusals.ts';
import type { ScreenedLine, Stage, Stages } from './import-stage.ts';
import { linesOf, malformed } from './lines.ts';
import type { Policies } from '../policies.ts';
import { screenFile } from '../sensitive/screen-file.ts';
import { assertNoSecretIn, screenMessage, screenText } from '../sensitive/screen.ts';
import { sessions } from '../store.ts';
import { sessionLine, type LineOf, type MessageLine, type SessionLine } from './transfer.ts';
import type { MessageInput } from '../types.ts';

/** Sessions from text: each whole or not at all, in memory that does not grow with them. */

export interface Import {
  /**
   * Lines of `transfer.ts`. Errors: `import-malformed`, `import-cut`, `import-conflict`, `gone`, `in-flight`, `subject-erased`,
   * `digest-mismatch`, each with its `line` and the sessions before it in `imported`.
   */
  jsonl(
    caller: Caller,
    source: AsyncIterable<Buffer>,
    options?: Pick<OpenaiImport, 'fromLine'>,
  ): Promise<Imported[]>;
  /** Lines `{"messages":[…]}` of OpenAI's form, a new session each. Errors: `import-malformed`, `subject-erased`. */
  openai(caller: Caller, source: AsyncIterable<Buffer>, options?: OpenaiImport): Promise<Imported[]>;
}

/** Longest line: a message as the API takes it, with room for what an older release let through. */
const MOST_LINE = 32 * 1024 * 1024;

export function createImport(
  deps: ChatDependencies,
  parts: { stages: Stages; exporting: Export; find: Finder; policies: Pick<Policies, 'ofClass'> },
): Import {
  const { storage, projectId } = deps;
  const { stages, exporting, find, policies } = parts;

  async function screened(kind: string, line: MessageLine): Promise<ScreenedLine> {
    const { sensitive } = await policies.ofClass(kind);
    const { message, original, findings, digests } = screenMessage(sensitive, line as MessageInput);
    const { findings: known = [] } = line;
    const all = [...known, ...findings];
    return {
      ...{ ...line, parts: message.parts, original, sent: line },
      ...(all.length > 0 ? { findings: all } : {}),
      digests: (key) => [...known.map(() => ''), ...digests(key)],
    };
  }

  /** Where the lines of one session go: into a new one, or beside the one that is there. */
  async function sinkFor(caller: Caller, given: SessionLine): Promise<{ sink: Stage; created: boolean }> {
    const { id, title } = given;
    const { sensitive } = await policies.ofClass(given.class);
    assertNoSecretIn(given.subjectId ?? undefined, sensitive);
    const looked = title === null ? null : screenText(sensitive, title, 'title');
    const head = { ...given, title: looked && looked.text };
    const row = await storage.read.get(sessions.byId, { project_id: projectId, id });
    if (!row) return { sink: await stages.begin(caller, { ...head, foreign: true, looked }), created: true };
    if (row.deleted_at !== null || row.binned_at !== null) throw await find.gone('session', id, row);
    // Whose it is says nothing to those who may not read it.
    await find.session(storage.read, caller, id, 'read').catch(() => {
      throw conflict(id);
    });
    const sink = compared(id, exporting.jsonl(await exporting.open(caller, id), { data: false }));
    // What was let in here comes back as it is.
    await sink.expect([sessionLine(head), sessionLine(given)]);
    return { sink, created: false };
  }

  /** One session, of which the head was read. */
  async function session(caller: Caller, head: SessionLine, reader: LineReader): Promise<Imported> {
    const { sink, created } = await sinkFor(caller, head);
    const counts = { messages: 0, attachments: 0, lastSeq: 0 };
    try {
      for (;;) {
        const line = await reader.next();
        if (line.type === 'end') {
          assertCounts(line, counts, reader.number);
          await sink.finish();
          return { id: head.id, created, messages: counts.messages, attachments: counts.attachments };
        }
        if (line.type === 'session' || line.type === 'data')
          throw malformed(reader.number, `a line of the type ${line.type} has no place there`);
        if (line.seq !== counts.lastSeq + 1)
          throw malformed(reader.number, `seq ${line.seq} does not follow ${counts.lastSeq}`);
        if (line.type === 'attachment') {
          const { sensitive } = await policies.ofClass(head.class);
          assertNoSecretIn(line.subjectId, sensitive);
          const given = { name: line.name ?? undefined, mediaType: line.mediaType };
          await sink.attach(line, screenFile(sensitive, given, reader.content(line)));
          counts.attachments += 1;
          continue;
        }
        if (line.type === 'message') counts.messages += 1;
        counts.lastSeq = line.seq;
        await sink.add(line.type === 'message' ? await screened(head.class, line) : line);
      }
    } catch (error) {
      await sink.abandon();
      throw error;
    }
  }

  return {
    async jsonl(caller, source, { fromLine = 1 } = {}) {
      const lines = linesOf(source, MOST_LINE, fromLine);
      const reader = readerOf(lines, fromLine - 1);
      return each({ lines, reader, again: 'same' }, async () => {
        const head = await reader.first();
        return head && session(caller, head, reader);
      });
    },
    openai: createOpenaiImport(deps, { stages, policies, screened }),
  };
}

function assertCounts(
  { messages, attachments, lastSeq }: LineOf<'end'>,
  counts: { messages: number; attachments: number; lastSeq: number },
  number: number,
): void {
  if (messages === counts.messages && attachments === counts.attachments && lastSeq === counts.lastSeq)
    return;
  throw malformed(
    number,
    `it ends a session of ${messages} messages and ${attachments} files up to seq ${lastSeq}, and there were ` +
      `${counts.messages} and ${counts.attachments} up to ${counts.lastSeq}`,
  );
}
