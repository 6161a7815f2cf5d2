import { param, statement } from '../storage/statement.ts';
import type { Reader } from '../storage/transaction.ts';

/** Events read at once; some 20 KB of text. */
const PAGE = 200;

export interface EventPage {
  /** Server-sent events, ready to be written; empty where none is for readers of items. */
  text: string;
  /** `seq` of the last event that was looked at. */
  last: number;
  more: boolean;
}

const newest = statement()((db) => db.selectFrom('events').select((row) => row.fn.max('seq').as('seq')));

const following = statement<{ project_id: string; after: number; limit: number }>()((db) =>
  db
    .selectFrom('events')
    .select(['seq', 'stream', 'stream_id', 'version', 'type', 'payload', 'at'])
    .where('project_id', '=', param('project_id'))
    .where('seq', '>', param('after'))
    .orderBy('seq')
    .limit(param<number>('limit')),
);

interface EventRow {
  seq: number;
  stream: string;
  stream_id: string;
  version: number;
  type: string;
  payload: string;
  at: string;
}

/** `seq` of the newest event; 0 before the first. */
export async function newestSeq(reader: Reader): Promise<number> {
  return Number((await reader.get(newest, {}))?.seq ?? 0);
}

/** Pages of events; streams that stand at the same place share one read. */
export function createEventPages(reader: Reader, projectId: string) {
  const reading = new Map<number, Promise<EventPage>>();

  async function read(after: number): Promise<EventPage> {
    const rows = await reader.all(following, { project_id: projectId, after, limit: PAGE });
    const text = rows.map((row) => (row.stream === 'item' ? itemEvent(row) : '')).join('');
    return { text, last: rows.at(-1)?.seq ?? after, more: rows.length === PAGE };
  }

  return {
    after(seq: number): Promise<EventPage> {
      const running = reading.get(seq);
      if (running) return running;
      const page = read(seq).finally(() => {
        if (reading.get(seq) === page) reading.delete(seq);
      });
      reading.set(seq, page);
      return page;
    },
    /** Reads under way may be older than what was just told; nobody joins them any more. */
    outdate(): void {
      reading.clear();
    },
  };
}

function itemEvent({ seq, stream_id: id, version, type, payload, at }: EventRow): string {
  const lane = laneAfter(type, payload);
  const data = { id, version, ...(lane === null ? {} : { lane }), type, at };
  return `id: ${seq}\nevent: item\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The lane that an event puts its item into; null where it moves nothing. */
function laneAfter(type: string, payload: string): string | null {
  if (type === 'created') return 'backlog';
  if (type !== 'lane-moved' && type !== 'imported') return null;
  const { to, lane } = JSON.parse(payload) as { to?: string; lane?: string };
  return to ?? lane ?? null;
}
