import type { ChangeActor } from '../audit/events.ts';
import { param, statement } from '../storage/statement.ts';
import type { Reader } from '../storage/transaction.ts';
import { people, tokens } from './store.ts';

const newest = statement()((db) => db.selectFrom('events').select((e) => e.fn.max('seq').as('seq')));

const streamsSince = statement<{ after: number }>()((db) =>
  db
    .selectFrom('events')
    .select((e) => ['stream', e.fn.max('seq').as('seq')])
    .where('seq', '>', param('after'))
    .groupBy('stream'),
);

/** Events and documents keep ids; this finds the names to show. They are read anew when an event could change one. */
export function createNames(reader: Reader, projectId: string) {
  let known: { names: Map<string, string>; seq: number } | null = null;

  async function load(): Promise<Map<string, string>> {
    const since = known ? await reader.all(streamsSince, { after: known.seq }) : await reader.all(newest, {});
    const seq = Math.max(known?.seq ?? 0, ...since.map((row) => Number(row.seq ?? 0)));
    const isNewer = since.some((row) => !('stream' in row) || row.stream !== 'item');
    // Read after the events, so that it holds all that they tell.
    const names = known && !isNewer ? known.names : await read();
    known = { names, seq: Math.max(known?.seq ?? 0, seq) };
    return names;
  }

  async function read(): Promise<Map<string, string>> {
    const [persons, tokenRows] = await Promise.all([
      reader.all(people.all, { project_id: projectId }),
      reader.all(tokens.all, { project_id: projectId }),
    ]);
    return new Map([...persons, ...tokenRows].map((row) => [row.id, row.name]));
  }

  return {
    /** A function that names actors as of now. */
    async namer(): Promise<(actor: ChangeActor | null) => string> {
      const names = await load();
      return (actor) => nameOf(actor, names);
    },
  };
}

export type Names = ReturnType<typeof createNames>;

function nameOf(actor: ChangeActor | null, names: Map<string, string>): string {
  if (!actor || actor.kind === 'system') return 'system';
  const name = names.get(actor.id) ?? `unknown ${actor.kind}`;
  if (actor.kind === 'person' || !actor.personId) return name;
  const owner = names.get(actor.personId);
  return owner ? `${name} (token of ${owner})` : name;
}
