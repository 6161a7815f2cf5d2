import { createAppend } from './append.ts';
import type { ChatDependencies } from './dependencies.ts';
import { createFinding } from './finding.ts';
import { createGrants } from './grants.ts';
import { createPolicies } from './policies.ts';
import { createReading } from './reading.ts';
import { createSessions } from './sessions.ts';

/**
 * Conversations: sessions and messages, who may read them, how long they are kept. Faces (JSON API, pages, command line)
 * call nothing else of this domain.
 */
export function createChat(deps: ChatDependencies) {
  const policies = createPolicies(deps);
  const grants = createGrants(deps);
  const finding = createFinding(deps, {
    grantsOf: grants.inForce,
    breakGlass: async () => (await policies.general()).breakGlass,
  });
  return {
    sessions: createSessions(deps, finding),
    append: createAppend(deps, finding),
    reading: createReading(deps, finding),
    policies,
    close: () => deps.keys.close(),
  };
}

export type Chat = ReturnType<typeof createChat>;
