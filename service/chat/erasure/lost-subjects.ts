import type { Reader } from '../../storage/transaction.ts';
import type { ChatDependencies } from '../dependencies.ts';
import { namedSubjects } from '../keys/store-lost.ts';

/** How many subjects have lost their keys, and so their names: whether one of them is meant nobody can tell. */
export async function countLostSubjects(
  reader: Reader,
  { projectId, keys }: Pick<ChatDependencies, 'projectId' | 'keys'>,
): Promise<number> {
  // Nothing was ever given up as lost: no need to look at each.
  if (keys.lostAt(0) === null) return 0;
  const rows = await reader.all(namedSubjects, { project_id: projectId });
  return rows.filter(({ id }) => !keys.hasSubject(id)).length;
}
