import { sizeText } from '../size.ts';
import type { BlobPlan, Going } from './prune-blobs.ts';

/** What a prune says of attachments. */

export interface Applied {
  url: string;
  deleted: string[];
  leftovers: string[];
  attachments: { count: number; bytes: number; kept: string | null };
}

/** Lists of attachments are none, but are deleted and have a size, too. */
export function totalOf(objects: readonly Going[]): { count: number; bytes: number } {
  const count = objects.filter(({ key }) => key.endsWith('.sealed')).length;
  return { count, bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0) };
}

export function attachmentsDocument({ objects, refused }: BlobPlan) {
  return { delete: objects.map(({ key }) => key), ...totalOf(objects), refused };
}

const attachments = (count: number): string => `${count} ${count === 1 ? 'attachment' : 'attachments'}`;

function objectsText(objects: { count: number; bytes: number }): string {
  return `${attachments(objects.count)} and their lists, ${sizeText(objects.bytes)}`;
}

export function attachmentLines({ objects, refused }: BlobPlan): string[] {
  if (refused !== null) return [`  keep    all attachments: ${refused}`];
  if (objects.length === 0) return [];
  return [`  delete  ${objectsText(totalOf(objects))}: no backup that stays names them`];
}

export function appliedText({ url, deleted, leftovers, attachments: gone }: Applied): string {
  const rest = leftovers.length === 0 ? '' : `, and ${leftovers.length} objects without a manifest`;
  const blobs = gone.bytes === 0 ? '' : ` ${objectsText(gone)} deleted.`;
  const kept = gone.kept === null ? '' : ` Attachments stay: ${gone.kept}. The next prune looks again.`;
  return `${url}: ${deleted.length} backups deleted${rest}.${blobs}${kept}`;
}
