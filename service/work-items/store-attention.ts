import { param, statement } from '../storage/statement.ts';

/** The items that need somebody, the most urgent first. */

interface Scope {
  project_id: string;
}

export const needing = {
  first: statement<Scope & { limit: number }>()((db) =>
    db
      .selectFrom('work_items')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      // Sorted without their documents, which are large.
      .where('id', 'in', (inner) =>
        inner
          .selectFrom('work_items as w')
          .select('w.id')
          .where('w.project_id', '=', param('project_id'))
          .where('w.attention_rank', 'is not', null)
          .orderBy('w.attention_rank')
          .orderBy('w.changed_seq', 'desc')
          .limit(param('limit')),
      )
      .orderBy('attention_rank')
      .orderBy('changed_seq', 'desc'),
  ),
  count: statement<Scope>()((db) =>
    db
      .selectFrom('work_items')
      .select((e) => e.fn.countAll<number>().as('count'))
      .where('project_id', '=', param('project_id'))
      .where('attention_rank', 'is not', null),
  ),
};
