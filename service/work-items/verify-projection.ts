import { storedObject } from '../audit/stored-json.ts';
import { param, statement } from '../storage/statement.ts';
import type { Reader } from '../storage/transaction.ts';
import { digestOf } from './evaluation.ts';
import { replay } from './projection.ts';
import { snapshots } from './store-actions.ts';
import { itemRow, recordedEvent } from './store.ts';

export interface ProjectionProblem {
  code:
    | 'snapshot-differs'
    | 'projection-differs'
    | 'projection-missing'
    | 'projection-unfounded'
    | 'events-unfoldable';
  message: string;
  hint: string;
}

const PAGE = 500;
const HINT =
  'The events are the record; compare the item with its history, and restore the table from a backup.';

const itemsAfter = statement<{ project_id: string; after: string; limit: number }>()((db) =>
  db
    .selectFrom('work_items')
    .selectAll()
    .where('project_id', '=', param('project_id'))
    .where('id', '>', param('after'))
    .orderBy('id')
    .limit(param('limit')),
);

const eventsOf = statement<{ project_id: string; stream_id: string }>()((db) =>
  db
    .selectFrom('events')
    .selectAll()
    .where('project_id', '=', param('project_id'))
    .where('stream', '=', 'item')
    .where('stream_id', '=', param('stream_id'))
    .orderBy('seq'),
);

const streams = statement<{ project_id: string }>()((db) =>
  db
    .selectFrom('events')
    .select('stream_id')
    .distinct()
    .where('project_id', '=', param('project_id'))
    .where('stream', '=', 'item'),
);

/** Replays every item's events and compares the stored projection and its columns with the fold, byte for byte. */
export async function verifyProjection(reader: Reader, projectId: string): Promise<ProjectionProblem[]> {
  const problems: ProjectionProblem[] = [];
  const unseen = new Set((await reader.all(streams, { project_id: projectId })).map((row) => row.stream_id));
  for (let after = ''; ;) {
    const rows = await reader.all(itemsAfter, { project_id: projectId, after, limit: PAGE });
    for (const row of rows) {
      unseen.delete(row.id);
      const recorded = await reader.all(eventsOf, { project_id: projectId, stream_id: row.id });
      const problem = compare(row, recorded);
      if (problem) problems.push(problem);
    }
    const last = rows.at(-1);
    if (!last) break;
    after = last.id;
    await new Promise((resolve) => setImmediate(resolve));
  }
  problems.push(...(await snapshotProblems(reader, projectId)));
  for (const id of unseen) {
    problems.push({
      code: 'projection-missing',
      message: `${id} has events but no row in work_items.`,
      hint: HINT,
    });
  }
  return problems;
}

/** Snapshots had a time of their own once, taken a moment after that of their event. */
const STAMPED_WITHIN_MS = 5_000;

/** A snapshot is what its digest says, of the item, at the time and with the digest of its event; none is lost or added. */
async function snapshotProblems(reader: Reader, projectId: string): Promise<ProjectionProblem[]> {
  const problems: ProjectionProblem[] = [];
  const report = (message: string) => problems.push({ code: 'snapshot-differs', message, hint: HINT });
  for (let after = 0; ;) {
    const rows = await reader.all(snapshots.recorded, { project_id: projectId, after, limit: PAGE });
    for (const row of rows) {
      const wrong = wrongInSnapshot(row);
      if (wrong === null) continue;
      report(
        `The history snapshot of ${row.stream_id} at event ${row.seq} is not the one recorded: ${wrong}.`,
      );
    }
    const last = rows.at(-1);
    if (!last) break;
    after = last.seq;
  }
  for (const { seq, item_id } of await reader.all(snapshots.unrecorded, { limit: PAGE }))
    report(`No event recorded the history snapshot ${seq} of ${item_id}.`);
  return problems;
}

type RecordedSnapshot = NonNullable<ReturnType<NonNullable<typeof snapshots.recorded.shape>>>;

function wrongInSnapshot(row: RecordedSnapshot): string | null {
  const { digest, content, created_at } = row;
  if (content === null || created_at === null) return 'it is gone';
  if (digest !== storedObject(row.payload)?.['snapshot'] || digestOf(content) !== digest)
    return 'its content or digest is another';
  if (row.project_id !== row.event_project_id || row.item_id !== row.stream_id)
    return 'it is given to another';
  const late = Math.abs(Date.parse(created_at) - Date.parse(row.at));
  return isIsoTime(created_at) && late <= STAMPED_WITHIN_MS ? null : 'its time is another';
}

/** As the clock writes it; other spellings mean one moment here and another elsewhere. */
function isIsoTime(text: string): boolean {
  const time = new Date(text);
  return !Number.isNaN(time.getTime()) && time.toISOString() === text;
}

type ItemRow = ReturnType<typeof itemRow>;

/** What they say depends on the queue's files, too; `verify.ts` names them as not checked. */
const OUTSIDE_THE_EVENTS = new Set<keyof ItemRow>(['attention', 'attention_rank']);

function compare(row: ItemRow, recorded: Parameters<typeof recordedEvent>[0][]): ProjectionProblem | null {
  if (recorded.length === 0) {
    return {
      code: 'projection-unfounded',
      message: `${row.id} is in work_items, but no event made it.`,
      hint: HINT,
    };
  }
  let expected: ItemRow;
  try {
    const item = replay(recorded.map(recordedEvent));
    if (!item) return null;
    expected = itemRow(item, recorded.at(-1)?.seq ?? 0, null);
  } catch (error) {
    return {
      code: 'events-unfoldable',
      message: `The events of ${row.id} cannot be replayed: ${(error as Error).message}`,
      hint: HINT,
    };
  }
  const fields = (Object.keys(expected) as (keyof ItemRow)[]).filter(
    (name) => !OUTSIDE_THE_EVENTS.has(name) && row[name] !== expected[name],
  );
  if (fields.length === 0) return null;
  return {
    code: 'projection-differs',
    message: `${row.id} differs from the replay of its events in ${fields.join(', ')}.`,
    hint: HINT,
  };
}
