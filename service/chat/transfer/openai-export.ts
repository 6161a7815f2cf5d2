import { openParts } from '../messages/content.ts';
import type { Export } from './export.ts';
import type { ChatKeys } from '../keys/keys.ts';
import { openaiOf } from './openai.ts';
import type { MessageRow, SessionRow } from '../store.ts';
import type { MessageRole } from '../types.ts';

/** A session as one line `{"messages":[…]}`, piece by piece. */
export async function* openaiText(
  exporting: Pick<Export, 'pages'>,
  keys: ChatKeys,
  session: SessionRow,
): AsyncGenerator<string> {
  let before = '{"messages":[';
  for await (const { rows } of exporting.pages(session)) {
    let text = '';
    for (const row of rows.filter(isThere)) {
      const parts = openParts(keys, session.id, row);
      for (const message of openaiOf({ role: row.role as MessageRole, parts })) {
        text += `${before}${JSON.stringify(message)}`;
        before = ',';
      }
    }
    if (text !== '') yield text;
  }
  yield before === ',' ? ']}\n' : `${before}]}\n`;
}

const isThere = ({ deleted_at, binned_at }: MessageRow): boolean => deleted_at === null && binned_at === null;
