import type { BinView } from '../../chat/retention/bin.ts';
import { NO_COUNTS, type Counts, type StepKind } from '../../chat/retention/retention.ts';
import { plural } from './format.ts';

/** Numbers of retention in words. Pure. */

export const THING: Record<StepKind, string> = {
  session: 'session',
  message: 'message',
  toolOutput: 'tool output',
  attachment: 'attachment',
};

/** `1 session, 12 messages`; nothing of all: `nothing`. Messages of whole sessions are among the messages. */
export function countsText(counts: Counts): string {
  const said = (Object.keys(THING) as StepKind[]).filter((kind) => counts[kind] > 0);
  return said.length === 0 ? 'nothing' : said.map((kind) => plural(counts[kind], THING[kind])).join(', ');
}

export const isNothing = (counts: Counts): boolean => Object.values(counts).every((count) => count === 0);

/** All of it, by kind: messages of whole sessions count as messages, too. */
export function countsOfBin(
  entries: readonly Pick<BinView['entries'][number], 'kind' | 'items' | 'messages'>[],
): Counts {
  const counts = { ...NO_COUNTS };
  for (const { kind, items, messages } of entries) {
    counts[kind] += items;
    if (kind === 'session') counts.message += messages;
  }
  return counts;
}
