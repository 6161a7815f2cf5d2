import { shownBytes, standInFor } from '../attachments/attachment-files.ts';
import { conflict } from './import-refusals.ts';
import type { Stage } from './import-stage.ts';
import { attachmentLine, authorText, endLine, messageLine, tombstoneLine } from './transfer.ts';
import type { MessageLine } from './transfer.ts';

function lineOf(one: MessageLine): string {
  const texts = { parts: JSON.stringify(one.parts), subject: JSON.stringify(one.subjectId) };
  return messageLine({ ...one, ...texts, author: authorText(one.author), findings: one.findings ?? [] });
}

/** Line by line beside what is there; the content of files is compared by its digest. */
export function compared(
  id: string,
  existing: AsyncGenerator<string>,
): Stage & { expect(lines: readonly string[]): Promise<void> } {
  let known: string[] = [];
  /** Any of these. */
  async function expect(lines: readonly string[]): Promise<void> {
    while (known.length === 0) {
      const next = await existing.next();
      if (next.done) throw conflict(id);
      known = next.value.split('\n').slice(0, -1).reverse();
    }
    if (!lines.includes(known.pop() ?? '')) throw conflict(id);
  }
  const counts = { messages: 0, attachments: 0, lastSeq: 0 };
  return {
    expect,
    async add(one) {
      counts.lastSeq = one.seq;
      if (one.type === 'tombstone') return expect([tombstoneLine(one)]);
      counts.messages += 1;
      // What was let in here comes back as it is.
      return expect([lineOf(one), lineOf(one.sent)]);
    },
    async attach(line, { name = null, content, heldBy }) {
      counts.attachments += 1;
      for await (const _ of content);
      const findings = heldBy();
      const sent = attachmentLine({ ...line, name });
      if (findings === null) return expect([sent]);
      const standIn = standInFor(findings);
      const { name: shown, mediaType, sha256 } = standIn;
      const bytes = shownBytes(standIn, line.bytes);
      // What was let in here comes back as it is.
      return expect([attachmentLine({ ...line, name: shown, mediaType, sha256, bytes }), sent]);
    },
    finish: () => expect([endLine(counts)]),
    async abandon() {
      await existing.return(undefined);
    },
  };
}
