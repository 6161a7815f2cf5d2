import type { Reader, Storage, Transaction } from '../storage/transaction.ts';
import { people } from './store.ts';

/** Every action asks who is there; the table hardly ever changes. */
const CACHE_MS = 1000;

export interface ActivePerson {
  id: string;
  name: string;
  roles: string[];
}

/** Active people as rules see them; what another process changed counts within a second. */
export function createActivePeople(storage: Storage, projectId: string) {
  let known: { active: ActivePerson[]; readAt: number } | null = null;
  return {
    async read(reader: Reader = storage.read): Promise<ActivePerson[]> {
      if (known && performance.now() - known.readAt < CACHE_MS) return known.active;
      const rows = await reader.all(people.all, { project_id: projectId });
      const active = rows
        .filter((row) => row.status === 'active')
        .map(({ id, name, roles }) => ({ id, name, roles: roles.split(' ') }));
      known = { active, readAt: performance.now() };
      return active;
    },
    /** Before the commit for what follows in the same batch, after it for what was read meanwhile. */
    forget(tx: Transaction): void {
      known = null;
      tx.afterCommit(() => (known = null));
    },
  };
}
