import { param, statement } from '../storage/statement.ts';
import type { GrantInForce } from './access.ts';
import type { Caller, ChatDependencies } from './dependencies.ts';

/** Who was let into sessions that are not theirs. */

export const TEAM = 'team';
/** A grant to the team is for these: who does work, no one who only looks on. */
const TEAM_ROLES: ReadonlySet<string> = new Set(['owner', 'planner', 'reviewer']);

const inForce = statement<{ project_id: string; person: string; team: string; now: string }>()((db) =>
  db
    .selectFrom('chat_grants')
    .select('session')
    .where('project_id', '=', param('project_id'))
    .where((e) => e.or([e('grantee', '=', param('person')), e('grantee', '=', param('team'))]))
    .where('state', '=', 'active')
    .where('starts_at', '<=', param('now'))
    .where('expires_at', '>', param('now')),
);

export interface Grants {
  /** What is in force now for a person; tokens of agents have none. */
  inForce(caller: Caller): Promise<readonly GrantInForce[]>;
}

export function createGrants({ storage, clock, projectId }: ChatDependencies): Grants {
  return {
    async inForce({ personId, roles }) {
      if (!roles.some((role) => TEAM_ROLES.has(role))) return [];
      return storage.read.all(inForce, {
        project_id: projectId,
        person: personId,
        team: TEAM,
        now: clock.iso(),
      });
    },
  };
}
