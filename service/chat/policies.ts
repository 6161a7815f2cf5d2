import type { Insertable } from 'kysely';
import { recordChange } from '../audit/events.ts';
import { canonicalJson } from '../canonical-json.ts';
import { FactoryError } from '../errors.ts';
import { param, statement } from '../storage/statement.ts';
import type { Tables } from '../storage/tables.ts';
import type { Reader } from '../storage/transaction.ts';
import { PENDING, settled, stepOf, wished, type Pending, type Switch } from './break-glass-off.ts';
import { actorOf, type Caller, type ChatDependencies } from './dependencies.ts';
import type { PeopleFacts } from './grants/new-grant.ts';
import { createHistory, inForce, switchOf } from './policy-history.ts';
import {
  ALL,
  CLASS_POLICY,
  DEFAULT_CLASS,
  DEFAULT_GENERAL,
  GENERAL,
  GENERAL_POLICY,
  WAITS,
} from './policy.ts';
import type { ClassPolicy, GeneralPolicy } from './policy.ts';

/** Reading and changing policies; who may is asked by the faces. */

export interface PolicyParts {
  general: GeneralPolicy;
  /** Of every class that has one; `general` stands for all others. */
  classes: Record<string, ClassPolicy>;
}

/** What is in force, and what comes into force by itself. */
export interface PolicyDocument extends PolicyParts {
  /** Break-glass goes off then; null: it stays as it is. */
  pending: Pending | null;
  /** Grows with each change. */
  version: number;
}

/** A version as it was put. */
export interface PolicyVersion extends PolicyDocument {
  at: string;
  /** Who put it. */
  by: string;
  /** What was in force before: of the first version, the policies of a new installation. */
  before: Omit<PolicyDocument, 'version'>;
}

export interface Policies {
  general(): Promise<GeneralPolicy>;
  ofClass(name: string): Promise<ClassPolicy>;
  all(): Promise<PolicyDocument>;
  /** Replaces all of them; break-glass goes off as `break-glass-off.ts` says. Errors: `version-mismatch`. */
  put(caller: Caller, document: PolicyParts, expected: number | null): Promise<PolicyDocument>;
  /** What `put` would make of break-glass. */
  planSwitch(caller: Caller, document: PolicyParts): Promise<Switch>;
  /** Takes back that break-glass goes off. Errors: `version-mismatch`. */
  takeBack(caller: Caller, expected: number | null): Promise<PolicyDocument>;
  /** Every version that was put, the newest first. Errors: `cursor-unknown`. */
  history(query: { cursor?: string | undefined; limit?: number | undefined }): Promise<{
    versions: PolicyVersion[];
    nextCursor: string | null;
  }>;
}

type Scoped<T> = T & { project_id: string };

const find = statement<Scoped<{ class: string }>>()((db) =>
  db
    .selectFrom('chat_policies')
    .select(['document', 'version'])
    .where('project_id', '=', param('project_id'))
    .where('class', '=', param('class')),
);
const listed = statement<Scoped<object>>()((db) =>
  db
    .selectFrom('chat_policies')
    .select(['class', 'document', 'version'])
    .where('project_id', '=', param('project_id'))
    .orderBy('class'),
);
const clear = statement<Scoped<object>>()((db) =>
  db.deleteFrom('chat_policies').where('project_id', '=', param('project_id')),
);
const insert = statement<Insertable<Tables['chat_policies']>>()((db) =>
  db.insertInto('chat_policies').values({
    project_id: param('project_id'),
    class: param('class'),
    document: param('document'),
    version: param('version'),
    created_at: param('created_at'),
    updated_at: param('updated_at'),
  }),
);

/** For so long a change by another process may go unseen. */
const KEPT_MS = 1000;

type Dependencies = ChatDependencies & { people: Pick<PeopleFacts, 'secondPerson'> };

export function createPolicies(deps: Dependencies): Policies {
  const { storage, audit, clock, projectId, people } = deps;

  async function stored(reader: Reader, name: string): Promise<string | null> {
    return (await reader.get(find, { project_id: projectId, class: name }))?.document ?? null;
  }

  async function all(reader: Reader): Promise<PolicyDocument> {
    const rows = await reader.all(listed, { project_id: projectId });
    const textOf = (name: string) => rows.find((row) => row.class === name)?.document;
    const [general, waits] = [textOf(ALL), textOf(WAITS)];
    const document = {
      general: general === undefined ? DEFAULT_GENERAL : GENERAL_POLICY.parse(JSON.parse(general)),
      classes: {
        [GENERAL]: DEFAULT_CLASS,
        ...Object.fromEntries(
          rows
            .filter((row) => row.class !== ALL && row.class !== WAITS)
            .map((row) => [row.class, CLASS_POLICY.parse(JSON.parse(row.document))]),
        ),
      },
      pending: waits === undefined ? null : PENDING.parse(JSON.parse(waits)),
    };
    return { ...inForce(document, clock.now()), version: Math.max(0, ...rows.map((row) => row.version)) };
  }

  async function wish({ personId }: Caller, present: PolicyDocument, { general }: PolicyParts) {
    const [{ breakGlass }, second] = [general, await people.secondPerson()];
    return wished(switchOf(present), { ...second, breakGlass, by: personId, now: clock.now() });
  }

  async function replace(
    caller: Caller,
    expected: number | null,
    make: (present: PolicyDocument) => Promise<Omit<PolicyDocument, 'version'>>,
  ): Promise<PolicyDocument> {
    return storage.write(async (tx) => {
      const before = await all(tx);
      if (expected !== null && expected !== before.version) throw changedMeanwhile(before.version);
      const made = await make(before);
      const { general, classes, pending } = made;
      const version = before.version + 1;
      const at = clock.iso();
      await tx.run(clear, { project_id: projectId });
      const rows = { ...classes, [ALL]: general, ...(pending && { [WAITS]: pending }) };
      for (const [name, document] of Object.entries(rows))
        await tx.run(insert, {
          ...{ project_id: projectId, class: name, document: canonicalJson(document), version },
          ...{ created_at: at, updated_at: at },
        });
      const step = stepOf(switchOf(before), switchOf(made));
      await recordChange(tx, audit, {
        ...{ projectId, stream: 'governance', streamId: 'policies', version },
        type: step ?? 'policies-changed',
        payload: { general, classes, ...(pending && { pending }) },
        actor: actorOf(caller),
        ...{ at, action: `governance.${step ?? 'policies'}` },
      });
      tx.afterCommit(() => {
        keptAt = -Infinity;
      });
      return { ...made, version };
    });
  }

  /** Parsed documents by class, for a moment: another process may change them. */
  let kept = new Map<string, GeneralPolicy | ClassPolicy | { waits: Pending | null }>();
  let keptAt = 0;

  async function remembered<T extends GeneralPolicy | ClassPolicy | { waits: Pending | null }>(
    name: string,
    read: () => Promise<T>,
  ): Promise<T> {
    const now = performance.now();
    if (now - keptAt > KEPT_MS) {
      kept = new Map();
      keptAt = now;
    }
    const known = kept.get(name) as T | undefined;
    if (known) return known;
    const found = await read();
    kept.set(name, found);
    return found;
  }

  async function waiting(): Promise<{ waits: Pending | null }> {
    const text = await stored(storage.read, WAITS);
    return { waits: text === null ? null : PENDING.parse(JSON.parse(text)) };
  }

  return {
    async general() {
      const general = await remembered(ALL, async () => {
        const text = await stored(storage.read, ALL);
        return text === null ? DEFAULT_GENERAL : GENERAL_POLICY.parse(JSON.parse(text));
      });
      if (!general.breakGlass) return general;
      const { waits } = await remembered(WAITS, waiting);
      const { breakGlass } = settled({ breakGlass: true, pending: waits }, clock.now());
      return { ...general, breakGlass };
    },
    ofClass: (name) =>
      remembered(name, async () => {
        const text = (await stored(storage.read, name)) ?? (await stored(storage.read, GENERAL));
        return text === null ? DEFAULT_CLASS : CLASS_POLICY.parse(JSON.parse(text));
      }),
    all: () => all(storage.read),
    put: (caller, wanted, expected) =>
      replace(caller, expected, async (present) => {
        const { breakGlass, pending } = await wish(caller, present, wanted);
        return { general: { ...wanted.general, breakGlass }, classes: wanted.classes, pending };
      }),
    planSwitch: async (caller, wanted) => wish(caller, await all(storage.read), wanted),
    async takeBack(caller, expected) {
      const present = await all(storage.read);
      if (present.pending === null && (expected ?? present.version) === present.version) return present;
      return replace(caller, expected, ({ general, classes }) =>
        Promise.resolve({ general, classes, pending: null }),
      );
    },

    history: createHistory(deps),
  };
}

function changedMeanwhile(version: number): FactoryError {
  return new FactoryError({
    ...{ code: 'version-mismatch', op: 'change policies', target: 'policies' },
    message: 'The policies were changed since you read them.',
    hint: 'Read them again and repeat the change.',
    details: { etag: `"${version}"` },
  });
}
