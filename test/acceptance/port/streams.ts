import Database from 'better-sqlite3';
import type { Place } from './places.ts';
import type { Used } from './random-use.ts';

/** Streams go on until somebody ends them: each is read from its beginning to the last event that was there. */

export interface Stream extends Place {
  /** Id of that event. */
  last: number;
}

export function streamsOf({ place }: Used, most: number): Stream[] {
  const handle = new Database(`${place.data}/factory.db`, { readonly: true });
  try {
    const last = Number(handle.prepare("select max(seq) from events where stream = 'item'").pluck().get());
    const sessions = handle
      .prepare(
        `select s.id, max(m.seq) as last from chat_messages m join chat_sessions s on s.number = m.session
         where m.deleted_at is null and m.binned_at is null and s.deleted_at is null and s.binned_at is null
         group by s.id order by s.number desc limit ?`,
      )
      .all(most) as { id: string; last: number }[];
    const from = (path: string): string => `${path}?lastEventId=0`;
    return [
      { template: '/api/events', path: from('/api/events'), last },
      ...sessions.map((one) => ({
        ...{ template: '/api/sessions/{id}/events', path: from(`/api/sessions/${one.id}/events`) },
        last: one.last,
      })),
    ];
  } finally {
    handle.close();
  }
}

/** Without what keeps the line open. */
export async function readStream(
  url: string,
  headers: Record<string, string>,
  last: number,
): Promise<string> {
  const stop = new AbortController();
  const response = await fetch(url, { headers, signal: stop.signal });
  let text = '';
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    const at = text.search(new RegExp(`^id: ${last}$`, 'm'));
    const end = at < 0 ? -1 : text.indexOf('\n\n', at);
    if (end < 0) continue;
    stop.abort();
    const events = text.slice(0, end).split('\n\n');
    return `${response.status}\n${events.filter((one) => one.startsWith('id: ')).join('\n\n')}`;
  }
  return `${response.status}\n${text}`;
}
