import { people, tokens } from './store.ts';
import type { Reader } from '../storage/transaction.ts';
import type { ChangeActor } from '../audit/events.ts';

/** Names are shown for ids; a name that changed may be shown this long. */
const CACHE_MS = 2000;

/** Events and documents keep ids; this finds the names to show. */
export function createNames(reader: Reader, projectId: string, now: () => number) {
  let cached: Map<string, string> = new Map();
  let readAt = Number.NEGATIVE_INFINITY;

  async function load(): Promise<Map<string, string>> {
    if (now() - readAt < CACHE_MS && now() >= readAt) return cached;
    const [persons, tokenRows] = await Promise.all([
      reader.all(people.all, { project_id: projectId }),
      reader.all(tokens.all, { project_id: projectId }),
    ]);
    cached = new Map([
      ...persons.map((row) => [row.id, row.name] as const),
      ...tokenRows.map((row) => [row.id, row.name] as const),
    ]);
    readAt = now();
    return cached;
  }

  return {
    /** A function that names actors as of now. */
    async namer(): Promise<(actor: ChangeActor | null) => string> {
      const names = await load();
      return (actor) => nameOf(actor, names);
    },
    forget(): void {
      readAt = Number.NEGATIVE_INFINITY;
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
