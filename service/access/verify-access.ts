import { storedObject } from '../audit/stored-json.ts';
import { param, statement } from '../storage/statement.ts';
import type { Reader } from '../storage/transaction.ts';
import { people, tokens } from './store.ts';

export interface AccessProblem {
  code: 'person-differs' | 'token-differs';
  message: string;
  hint: string;
}

const HINT =
  'Somebody changed the table by hand. Remove the person or revoke the token, and look who had access to the database.';

const eventsOf = statement<{ project_id: string; stream: string }>()((db) =>
  db
    .selectFrom('events')
    .select(['stream_id', 'type', 'payload', 'at', 'version'])
    .where('project_id', '=', param('project_id'))
    .where('stream', '=', param('stream'))
    .orderBy('seq'),
);

type Row = Record<string, unknown>;

/** People and tokens as their events tell them, compared with the tables: an inserted token is found here. */
export async function verifyAccess(reader: Reader, projectId: string): Promise<AccessProblem[]> {
  const project_id = projectId;
  const persons = fold(
    await reader.all(eventsOf, { project_id, stream: 'person' }),
    (row, { type, payload, at }) => {
      if (type === 'role-changed') return { ...row, roles: rolesText(payload['roles']) };
      const status = payload['status'];
      if (type !== 'added' && type !== 'invited') return { ...row, status };
      return { name: payload['name'], roles: rolesText(payload['roles']), created_at: at, status };
    },
  );
  const issued = fold(
    await reader.all(eventsOf, { project_id, stream: 'token' }),
    (row, { type, payload, at }) =>
      type === 'created'
        ? {
            name: payload['name'],
            roles: rolesText(payload['roles']),
            person_id: payload['personId'],
            hash: payload['hash'],
            expires_at: payload['expiresAt'],
            revoked_at: null,
            created_at: at,
          }
        : { ...row, revoked_at: at },
  );
  return [
    ...differences('person', persons, await reader.all(people.all, { project_id })),
    ...differences('token', issued, await reader.all(tokens.all, { project_id })),
  ];
}

interface AccessEvent {
  type: string;
  payload: Row;
  at: string;
}

function fold(
  rows: { stream_id: string; type: string; payload: string; at: string; version: number }[],
  step: (row: Row, event: AccessEvent) => Row,
): Map<string, Row> {
  const folded = new Map<string, Row>();
  for (const { stream_id, type, payload, at, version } of rows) {
    // A payload that tells nothing then differs from the row, which is what has to be said of it.
    const next = step(folded.get(stream_id) ?? {}, { type, payload: storedObject(payload) ?? {}, at });
    folded.set(stream_id, { ...next, version, updated_at: at });
  }
  return folded;
}

/** As the tables hold roles; null where the event names none. */
function rolesText(roles: unknown): string | null {
  return Array.isArray(roles) && roles.every((role) => typeof role === 'string') ? roles.join(' ') : null;
}

function differences(
  kind: 'person' | 'token',
  expected: Map<string, Row>,
  stored: ({ id: string } & object)[],
): AccessProblem[] {
  const problem = (message: string): AccessProblem => ({ code: `${kind}-differs`, message, hint: HINT });
  const ids = new Set(stored.map((row) => row.id));
  const lost = [...expected.keys()]
    .filter((id) => !ids.has(id))
    .map((id) => problem(`The ${kind} ${id} has events but no row.`));
  const changed = stored.flatMap((row) => {
    const want = expected.get(row.id);
    if (!want) return [problem(`The ${kind} ${row.id} is in the table, but no event made it.`)];
    const fields = Object.keys(want).filter((name) => want[name] !== (row as Row)[name]);
    return fields.length > 0
      ? [problem(`The ${kind} ${row.id} differs from its events in ${fields.join(', ')}.`)]
      : [];
  });
  return [...lost, ...changed];
}
