import { settled, type Pending, type Switch } from './break-glass-off.ts';
import type { ChatDependencies } from './dependencies.ts';
import type { Policies, PolicyDocument, PolicyParts } from './policies.ts';
import { DEFAULT_CLASS, DEFAULT_GENERAL, GENERAL } from './policy.ts';

/** Policies at a time, and every version that was put. */

type Unnumbered = Omit<PolicyDocument, 'version'>;

const LIST = 'policy-versions';
const PAGE = 20;

const AS_INSTALLED = { general: DEFAULT_GENERAL, classes: { [GENERAL]: DEFAULT_CLASS }, pending: null };

export const switchOf = ({ general, pending }: Unnumbered): Switch => ({
  ...{ breakGlass: general.breakGlass, pending },
});

/** A document as it counts at a time: what waited came into force by then. */
export function inForce(document: Unnumbered, now: number): Unnumbered {
  const { breakGlass, pending } = settled(switchOf(document), now);
  return { general: { ...document.general, breakGlass }, classes: document.classes, pending };
}

export function createHistory({ storage, cursors, projectId }: ChatDependencies): Policies['history'] {
  return async ({ cursor, limit = PAGE }) => {
    const before = cursor === undefined ? null : Number(cursors.decode(LIST, cursor));
    const rows = await storage.read.query((db) => {
      let query = db
        .selectFrom('events')
        .select(['version', 'payload', 'actor', 'at'])
        .where('project_id', '=', projectId)
        .where('stream', '=', 'governance')
        .where('stream_id', '=', 'policies');
      if (before !== null) query = query.where('version', '<', before);
      return query.orderBy('version', 'desc').limit(limit + 1);
    });
    const puts = rows.map(({ version, payload, actor, at }) => ({
      ...{ pending: null, ...(JSON.parse(payload) as PolicyParts & { pending?: Pending }) },
      ...{ version, at, by: (JSON.parse(actor) as { id: string }).id },
    }));
    const page = puts.slice(0, limit);
    return {
      versions: page.map((one, n) => ({
        ...one,
        before: inForce(puts[n + 1] ?? AS_INSTALLED, Date.parse(one.at)),
      })),
      nextCursor: puts.length > limit ? cursors.encode(LIST, page.at(-1)?.version) : null,
    };
  };
}
