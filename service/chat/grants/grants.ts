import { READ_ALL, type GrantInForce } from '../access.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import { grantRows } from './store-grants.ts';

/** Who was let into sessions that are not theirs. */

export const TEAM = 'team';
export const BREAK_GLASS = 'break-glass';
/** A grant to the team is for these: who does work, no one who only looks on. */
const TEAM_ROLES: ReadonlySet<string> = new Set(['owner', 'planner', 'reviewer']);

export interface Grants {
  /** What is in force now for a person; tokens of agents have none. */
  inForce(caller: Caller): Promise<readonly GrantInForce[]>;
}

export function createGrants({ storage, clock, projectId }: ChatDependencies): Grants {
  return {
    async inForce({ personId, roles, permissions }) {
      if (!roles.some((role) => TEAM_ROLES.has(role))) return [];
      const now = clock.iso();
      const of = { project_id: projectId, person: personId, team: TEAM, now };
      const rows = await storage.read.all(grantRows.inForce, of);
      // Break-glass stands in for a permission, and ends with it.
      return rows.filter(({ kind }) => kind !== BREAK_GLASS || permissions.has(READ_ALL));
    },
  };
}
