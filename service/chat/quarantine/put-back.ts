import type { Transaction } from '../../storage/transaction.ts';
import type { AttachmentFiles } from '../attachments/attachment-files.ts';
import { attachments } from '../attachments/store-attachments.ts';
import { commitmentOf } from '../messages/put.ts';
import { encodeParts, sealParts, sealTitle } from '../messages/content.ts';
import type { ChatDependencies } from '../dependencies.ts';
import { decideFindings } from '../messages/findings.ts';
import { quarantine, removal } from '../deletion/store-deletion.ts';
import type { WaitingRow } from './store-quarantine.ts';
import { messages, sessions, type SessionRow } from '../store.ts';
import type { MessageRole } from '../types.ts';
import { originalOf } from './withheld.ts';

/**
 * Puts an original in the place of what stood for it, sealed as everything else of its session. Answers the commitment to
 * the message as it is now; null: it was the title, or a file.
 */
export async function putBack(
  deps: Pick<ChatDependencies, 'keys' | 'directory' | 'clock'> & {
    files: Pick<AttachmentFiles, 'sealAgain'>;
  },
  tx: Transaction,
  session: SessionRow,
  row: WaitingRow,
): Promise<string | null> {
  const { keys, directory, clock } = deps;
  const subject = await directory.subjectAt(tx, row.subject);
  const { id: key_id, key } = keys.current(session.id, subject.id);
  const original = originalOf(deps, row);
  let commitment: string | null = null;
  if ('title' in original) {
    const row_version = session.row_version + 1;
    const title = sealTitle(key, session.id, row_version, original.title);
    await tx.run(sessions.retitle, { number: session.number, key_id, row_version, title });
  } else if ('file' in original) {
    const file = (await tx.get(attachments.byId, { session: session.number, id: row.id }))!;
    const sealed = deps.files.sealAgain(session.id, file, { id: key_id, key }, original.file);
    await tx.run(attachments.replace, { number: file.number, ...sealed });
  } else {
    const { seq } = row;
    const place = { session: session.number, seq };
    const version = (await tx.get(messages.bySeq, place))!.row_version + 1;
    const plain = encodeParts(original.parts);
    const sealed = sealParts(key, { session: session.id, seq, version }, plain);
    await tx.run(messages.replace, { ...place, key_id, row_version: version, ...sealed });
    await decideFindings(tx, session.number, seq, 'allow');
    const input = { role: row.role as MessageRole, parts: original.parts };
    commitment = commitmentOf(keys.digestKey(subject.id), session.id, seq, { plain, input });
  }
  await tx.run(quarantine.remove, { id: row.id });
  await tx.run(removal.touch, { number: session.number, updated_at: clock.iso() });
  return commitment;
}
