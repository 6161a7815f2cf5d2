import type { Reader } from '../../storage/transaction.ts';
import { READ_ALL, reachOf, USE, type GrantInForce, type Reach, type SessionAct } from '../access.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import type { GoneOf } from '../retention/in-bin.ts';
import { contentWithheld, noSession } from '../refusals.ts';
import { sessions, type SessionRow } from '../store.ts';

/** Finding a session for somebody: what they may not see is not there. */

export interface Finding {
  reach(caller: Caller): Promise<Reach>;
  /** Errors: `not-found`; `gone` and `permission-missing` for those who could see it. */
  session(reader: Reader, caller: Caller, id: string, act: SessionAct): Promise<SessionRow>;
  /** The refusal of what was deleted or lies in the bin. */
  gone: GoneOf;
}

export function createFinding(
  { storage, projectId, directory }: Pick<ChatDependencies, 'storage' | 'projectId' | 'directory'>,
  access: {
    grantsOf(caller: Caller): Promise<readonly GrantInForce[]>;
    breakGlass(): Promise<boolean>;
    gone: GoneOf;
  },
): Finding {
  /** Without what somebody was granted, which most sessions do not need. */
  async function own(caller: Caller): Promise<Reach> {
    const author = await directory.findAuthor(storage.read, caller);
    return reachOf({ principal: caller, author, grants: [], breakGlass: await access.breakGlass() });
  }

  async function reach(caller: Caller): Promise<Reach> {
    const author = await directory.findAuthor(storage.read, caller);
    const [grants, breakGlass] = await Promise.all([access.grantsOf(caller), access.breakGlass()]);
    return reachOf({ principal: caller, author, grants, breakGlass });
  }

  /** Whether content of any session can be for them. */
  const reads = ({ permissions }: Caller): boolean => permissions.has(USE) || permissions.has(READ_ALL);

  return {
    reach,
    async session(reader, caller, id, act) {
      const row = await reader.get(sessions.byId, { project_id: projectId, id });
      if (!row) throw noSession(id);
      if (!(await own(caller)).can(act, row)) {
        const all = await reach(caller);
        if (!all.can(act, row))
          throw all.can('see', row) && !reads(caller) ? contentWithheld('read session') : noSession(id);
      }
      if (row.deleted_at !== null || row.binned_at !== null) throw await access.gone('session', id, row);
      return row;
    },
    gone: access.gone,
  };
}
