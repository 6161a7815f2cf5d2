import type { AttentionUpkeep } from './attention-upkeep.ts';
import { needing } from './store-attention.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import type { BoardDocument, ItemSummary } from './documents.ts';
import { freshness, unreadFreshness } from './truth.ts';
import type { QueueSync } from './queue-sync.ts';
import { items } from './store.ts';
import { LANES, type Freshness, type Lane, type Principal } from './types.ts';
import type { Tables } from '../storage/tables.ts';

/** Cards of a lane on the board, and lines of the strip; the rest is behind one click. */
const CARDS = 20;
const ATTENTION = 8;
const PAGE = 50;
const MAX_PAGE = 200;

export interface ListFilter {
  lane?: Lane | undefined;
  q?: string | undefined;
  workType?: string | undefined;
  mine?: boolean | undefined;
  attention?: boolean | undefined;
}

export interface ListQuery extends ListFilter {
  cursor?: string | undefined;
  limit?: number | undefined;
}

type Summaries = (rows: Tables['work_items'][]) => Promise<ItemSummary[]>;

/** Lists and the board: from indexed columns and the shown rows' documents only. */
export function createBoard(
  deps: WorkItemDependencies,
  sync: QueueSync,
  upkeep: AttentionUpkeep,
  summaries: Summaries,
) {
  const project_id = deps.projectId;
  const read = deps.storage.read;

  function filtered(principal: Principal, filter: ListFilter, before: number | null, limit: number) {
    return read.query((db) => {
      let query = db.selectFrom('work_items').selectAll().where('project_id', '=', project_id);
      if (filter.lane) query = query.where('lane', '=', filter.lane);
      if (filter.workType) query = query.where('work_type', '=', filter.workType);
      if (filter.mine) query = query.where('holder_id', '=', principal.personId);
      if (filter.attention) query = query.where('attention_rank', 'is not', null);
      if (filter.q) query = query.where('search', 'like', like(filter.q));
      if (before !== null) query = query.where('changed_seq', '<', before);
      return query.orderBy('changed_seq', 'desc').limit(limit);
    });
  }

  /** Lanes are indexed one by one, so that a change touches few pages; a list of all of them merges six. */
  async function newest(principal: Principal, query: ListQuery, before: number | null, limit: number) {
    const lanes = query.lane ? [query.lane] : LANES;
    const found = await Promise.all(
      lanes.map((lane) => filtered(principal, { ...query, lane }, before, limit)),
    );
    return found
      .flat()
      .sort((a, b) => b.changed_seq - a.changed_seq)
      .slice(0, limit);
  }

  async function list(
    principal: Principal,
    query: ListQuery,
  ): Promise<{ items: ItemSummary[]; nextCursor: string | null }> {
    await upkeep.run();
    const limit = Math.min(query.limit ?? PAGE, MAX_PAGE);
    const kind = `items ${JSON.stringify([query.lane ?? null, query.q ?? null, query.workType ?? null, query.mine ?? null, query.attention ?? null])}`;
    const before = query.cursor ? (deps.cursors.decode(kind, query.cursor) as number) : null;
    const rows = await newest(principal, query, before, limit + 1);
    const shown = rows.slice(0, limit);
    const nextCursor = rows.length > limit ? deps.cursors.encode(kind, shown.at(-1)?.changed_seq) : null;
    return { items: await summaries(shown), nextCursor };
  }

  async function lanesOf(
    principal: Principal,
    filter: ListFilter,
  ): Promise<{ lane: Lane; count: number; rows: Tables['work_items'][] }[]> {
    const narrowed = Boolean(filter.q || filter.workType || filter.mine || filter.attention);
    const counts = new Map(
      narrowed
        ? await countFiltered(principal, filter)
        : (await read.all(items.laneCounts, { project_id })).map(
            (row) => [row.lane, Number(row.count)] as const,
          ),
    );
    return Promise.all(
      LANES.map(async (lane) => ({
        lane,
        count: counts.get(lane) ?? 0,
        rows: narrowed
          ? await filtered(principal, { ...filter, lane }, null, CARDS)
          : await read.all(items.newestOfLane, { project_id, lane, limit: CARDS }),
      })),
    );
  }

  async function countFiltered(
    principal: Principal,
    filter: ListFilter,
  ): Promise<(readonly [string, number])[]> {
    const rows = await read.query((db) => {
      let query = db
        .selectFrom('work_items')
        .select((e) => ['lane', e.fn.countAll<number>().as('count')])
        .where('project_id', '=', project_id);
      if (filter.workType) query = query.where('work_type', '=', filter.workType);
      if (filter.mine) query = query.where('holder_id', '=', principal.personId);
      if (filter.attention) query = query.where('attention_rank', 'is not', null);
      if (filter.q) query = query.where('search', 'like', like(filter.q));
      return query.groupBy('lane');
    });
    return rows.map((row) => [row.lane, Number(row.count)] as const);
  }

  async function board(principal: Principal, filter: ListFilter = {}): Promise<BoardDocument> {
    await upkeep.run();
    const [lanes, attention, attentionCount, running, workTypes] = await Promise.all([
      lanesOf(principal, filter),
      read.all(needing.first, { project_id, limit: ATTENTION }),
      read.get(needing.count, { project_id }),
      read.get(items.running, { project_id }),
      read.all(items.workTypes, { project_id }),
    ]);
    const policy = deps.policy();
    return {
      total: lanes.reduce((sum, { count }) => sum + count, 0),
      lanes: await Promise.all(
        lanes.map(async ({ lane, count, rows }) => ({
          lane,
          count,
          limit: lane === 'executing' ? policy.limits.handoffs : null,
          running: lane === 'executing' ? Number(running?.count ?? 0) : null,
          items: await summaries(rows),
        })),
      ),
      attention: await summaries(attention),
      attentionTotal: Number(attentionCount?.count ?? 0),
      workTypes: workTypes.map((row) => row.work_type),
      problems: sync.problems(),
      freshness: folderFreshness(policy.freshness.queue),
    };
  }

  function folderFreshness(budgetSeconds: number): Freshness {
    const [fresh, now] = [sync.freshAsOf(), deps.clock.iso()];
    const unread = deps.queue.absence() !== null || sync.unreadable().length > 0;
    return unread ? unreadFreshness(fresh, now) : freshness(fresh, budgetSeconds, now);
  }

  return { list, board };
}

/** Both engines: `\` escapes in LIKE on Postgres by default, and SQLite has no default, so the wildcards are dropped. */
function like(text: string): string {
  return `%${text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[%_\\]/g, '')}%`;
}
