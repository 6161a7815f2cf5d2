import { sql } from 'kysely';
import { param, statement } from '../storage/statement.ts';
import { RANKS } from './attention.ts';
import { conditionsOf } from './conditions-read.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import { refreshAttention } from './importer.ts';
import { findItem, lastObservation, parseItem } from './store.ts';

/** Board and strip ask at each request; what changes here does so by other people's doing. */
const REFRESH_MS = 2000;

/** Items whose open handoff somebody holds, or that wait for other items; few of many, by the index of open handoffs. */
const open = statement<{ project_id: string }>()((db) =>
  db
    .selectFrom('work_items')
    .select(['id', 'document', 'attention_rank'])
    .where('project_id', '=', param('project_id'))
    .where('handoff_state', 'in', [
      sql.lit('queued'),
      sql.lit('claimed'),
      sql.lit('running'),
      sql.lit('awaiting-human'),
    ])
    .where((e) =>
      e.or([
        e('handoff_state', '!=', sql.lit('queued')),
        e('document', 'not like', sql.lit('%"blockedBy":[]%')),
      ]),
    ),
);

/**
 * Keeps the stored attention of open handoffs true while nobody touches the items: their holder may be removed, a token
 * end, an item that they wait for be done, the policy change.
 */
export function createAttentionUpkeep(deps: WorkItemDependencies) {
  const refreshMs = deps.attentionRefreshMs ?? REFRESH_MS;
  let ranAt = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | null = null;

  async function refresh(): Promise<void> {
    const { read } = deps.storage;
    const changed: string[] = [];
    for (const row of await read.all(open, { project_id: deps.projectId })) {
      const { waitsFor, lostHolder } = await conditionsOf(read, deps, parseItem(row));
      const blocked = waitsFor.length > 0 || lostHolder !== null;
      const rank = row.attention_rank ?? Number.POSITIVE_INFINITY;
      // What is more urgent stays.
      if (blocked ? rank > RANKS.blocked : rank === RANKS.blocked) changed.push(row.id);
    }
    if (changed.length === 0) return;
    await deps.storage.write(async (tx) => {
      for (const id of changed) {
        const row = await findItem(tx, deps.projectId, id);
        if (!row) continue;
        await refreshAttention(tx, deps, parseItem(row), await lastObservation(tx, deps.projectId, id));
      }
    });
  }

  return {
    /** Resolves when it is as true as the refresh time allows. */
    async run(): Promise<void> {
      if (performance.now() - ranAt < refreshMs) return;
      running ??= refresh().finally(() => {
        ranAt = performance.now();
        running = null;
      });
      await running;
    },
  };
}

export type AttentionUpkeep = ReturnType<typeof createAttentionUpkeep>;
