import { isAgent } from '../access/roles.ts';
import { recordChange, type ChangeActor } from '../audit/events.ts';
import { canonicalJson } from '../canonical-json.ts';
import { FactoryError } from '../errors.ts';
import { sql } from 'kysely';
import type { Transaction } from '../storage/transaction.ts';
import { actorOf } from './act.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import type { ItemDocument } from './documents.ts';
import { digestOf } from './evaluation.ts';
import { observe, readSurroundings } from './facts.ts';
import { attentionOf } from './importer.ts';
import { createInFlight } from './in-flight.ts';
import { NEW_ITEM, type NewItem } from './new-item.ts';
import { oweQueueWrite, type Outbox } from './outbox.ts';
import { evolve } from './projection.ts';
import { makeRoom } from './queue-room.ts';
import { documentOf } from './reading.ts';
import { parseRecord } from './record.ts';
import { renderRecord } from './record-write.ts';
import { badInput, keyMissing, keyReused, permissionRefusal, problemsIn } from './refusals.ts';
import { idempotency } from './store-actions.ts';
import { findItem, itemRow, parseItem, saveItem } from './store.ts';
import type { ItemEvent, Principal, RecordFields } from './types.ts';

const PERMISSION = 'factory.work-item.create';
/** How long the answer waits for the record and the prompt to lie in the queue folder. */
const FILES_MS = 2000;

export interface CreateAnswer {
  item: ItemDocument;
  /** True where an earlier request with the same key made the item. */
  replayed: boolean;
}

/** One request on its way: who asks, and what its key stands for. */
interface Creation {
  principal: Principal;
  input: NewItem;
  key: string | undefined;
  scope: string;
  digest: string;
}

/** What is stored for a key: the item at once, the answer as soon as its files lie there. */
interface StoredAnswer {
  id: string;
  item: ItemDocument | null;
}

/** Creates net-new items in the backlog, once for each key; the outbox writes their record and prompt. */
export function createCreating(deps: WorkItemDependencies, outbox: Outbox) {
  const { once } = createInFlight();

  return async function create(
    principal: Principal,
    input: NewItem,
    { idempotencyKey: key }: { idempotencyKey?: string | undefined } = {},
  ): Promise<CreateAnswer> {
    if (!principal.permissions.has(PERMISSION)) {
      await deps.storage.write((tx) =>
        deps.audit.append(tx, {
          project: deps.projectId,
          actor: { kind: principal.kind, id: principal.id },
          action: 'work-item.create',
          object: null,
          outcome: 'refused',
          code: 'permission-missing',
        }),
      );
      throw permissionRefusal('Creating a work item', PERMISSION);
    }
    const parsed = NEW_ITEM.safeParse(input);
    if (!parsed.success) throw badInput(problemsIn(parsed.error));
    if (key === undefined && principal.kind === 'token' && isAgent(principal.roles))
      throw keyMissing('create work item', false);
    const scope = `${principal.kind}:${principal.id} create`;
    const digest = digestOf(canonicalJson(parsed.data));
    return once(key, scope, () => createOnce({ principal, input: parsed.data, key, scope, digest }));
  };

  async function createOnce(creation: Creation): Promise<CreateAnswer> {
    const { stored, replayed } = await deps.storage.write(async (tx) => {
      const earlier = await storedFor(deps, tx, creation);
      if (earlier) return { stored: earlier, replayed: true };
      if (!deps.queueWrites) throw readOnlyQueue();
      makeRoom(deps);
      const fresh: StoredAnswer = {
        id: await insert(tx, actorOf(creation.principal), creation.input),
        item: null,
      };
      await store(deps, tx, creation, fresh);
      return { stored: fresh, replayed: false };
    });
    if (stored.item) return { item: stored.item, replayed };
    const item = await documentWithFiles(stored.id);
    if (creation.key !== undefined)
      await deps.storage.write((tx) => answer(deps, tx, creation, { id: stored.id, item }));
    return { item, replayed };
  }

  async function documentWithFiles(id: string): Promise<ItemDocument> {
    await Promise.race([outbox.settle(), new Promise((resolve) => setTimeout(resolve, FILES_MS).unref())]);
    const row = await findItem(deps.storage.read, deps.projectId, id);
    if (!row) throw new Error(`created item ${id} is gone`);
    const item = parseItem(row);
    const observed = await observe(deps, item);
    return documentOf(deps, item, observed, await readSurroundings(deps.storage.read, deps, item, observed));
  }

  async function insert(tx: Transaction, actor: ChangeActor, input: NewItem): Promise<string> {
    for (const [path, ids] of [
      ['blockedBy', input.blockedBy ?? []] as const,
      ['supersedes', input.supersedes ? [input.supersedes] : []] as const,
    ]) {
      for (const id of ids) if (!(await findItem(tx, deps.projectId, id))) throw unknownItem(path, id);
    }
    const id = await nextId(tx);
    const record = {
      ...fieldsOf(id, input),
      collection: 'backlog' as const,
      path: `backlog/${id}.md`,
      revision: '',
    };
    const event: ItemEvent = { type: 'created', record };
    const at = deps.clock.iso();
    const seq = await recordChange(tx, deps.audit, {
      projectId: deps.projectId,
      stream: 'item',
      streamId: id,
      version: 1,
      type: 'created',
      payload: { record },
      actor,
      at,
      action: 'work-item.create',
    });
    const item = evolve(null, { seq, projectId: deps.projectId, version: 1, at, actor, event });
    await oweQueueWrite(tx, deps, id, seq, { kind: 'create', prompt: input.prompt });
    await saveItem(tx, itemRow(item, seq, await attentionOf(tx, deps, item, null, true)), true);
    tx.afterCommit(() => {
      deps.changed();
      outbox.kick();
    });
    return id;
  }

  /** The next number of the key prefix that most items have; files that are on disk count too. */
  async function nextId(tx: Transaction): Promise<string> {
    const rows = await tx.query((db) =>
      db
        .selectFrom('work_items')
        .select('id')
        .where('project_id', '=', deps.projectId)
        .where(sql<boolean>`id like 'wi-%'`),
    );
    const keys = rows.flatMap(({ id }) => {
      const match = /^wi-([A-Za-z][A-Za-z0-9]*)-(\d{1,9})$/.exec(id);
      return match ? [{ prefix: match[1] ?? '', number: Number(match[2]) }] : [];
    });
    const sizes = Map.groupBy(keys, ({ prefix }) => prefix);
    const [prefix, ofPrefix] = [...sizes].sort((a, b) => b[1].length - a[1].length)[0] ?? ['BF', []];
    for (let number = Math.max(0, ...ofPrefix.map((key) => key.number)) + 1; ; number += 1) {
      const id = `wi-${prefix}-${number}`;
      const { observation } = deps.queue.look(id, null);
      if (observation.record === null && observation.problems.length === 0 && observation.prompt === null)
        return id;
    }
  }
}

/** What an earlier request with the key made; null for none. */
async function storedFor(
  { projectId }: WorkItemDependencies,
  tx: Transaction,
  { key, scope, digest }: Creation,
): Promise<StoredAnswer | null> {
  if (key === undefined) return null;
  const row = await tx.get(idempotency.byKey, { project_id: projectId, scope, key });
  if (row && row.digest !== digest) throw keyReused(key);
  return row ? (JSON.parse(row.response) as StoredAnswer) : null;
}

async function store(
  deps: WorkItemDependencies,
  tx: Transaction,
  { key, scope, digest }: Creation,
  stored: StoredAnswer,
): Promise<void> {
  if (key === undefined) return;
  await tx.run(idempotency.insert, {
    ...{ project_id: deps.projectId, scope, key, digest },
    response: JSON.stringify(stored),
    created_at: deps.clock.iso(),
  });
}

async function answer(
  { projectId }: WorkItemDependencies,
  tx: Transaction,
  { key = '', scope }: Creation,
  stored: StoredAnswer,
): Promise<void> {
  const response = JSON.stringify(stored);
  await tx.run(idempotency.answer, { project_id: projectId, scope, key, response });
}

/** The fields as the record's file will give them: another spelling of the same would read as a change of it. */
function fieldsOf(id: string, input: NewItem): RecordFields {
  const fields: RecordFields = {
    id,
    title: input.title,
    summary: input.summary,
    status: 'backlog',
    workType: input.workType,
    branch: input.branch ?? null,
    validation: input.validation ?? null,
    pr: null,
    criteria: input.criteria,
    blockedBy: input.blockedBy ?? [],
    supersedes: input.supersedes ?? null,
  };
  const path = `backlog/${id}.md`;
  return parseRecord(renderRecord(fields), { path, collection: 'backlog' }).fields ?? fields;
}

function unknownItem(path: string, id: string): FactoryError {
  const message = `There is no work item ${id}.`;
  return new FactoryError({
    code: 'bad-input',
    op: 'create work item',
    target: path,
    message: `${path}: ${message}`,
    hint: 'Name items that exist; GET /api/control-plane/items lists them.',
    details: { problems: [{ path, message }] },
  });
}

function readOnlyQueue(): FactoryError {
  return new FactoryError({
    code: 'queue-read-only',
    op: 'create work item',
    message: 'Queue writes are off, so a new item would have no record and no prompt.',
    hint: 'Add the record and its prompt to the work-items folder by hand, or start the service with FACTORY_QUEUE_WRITES=on.',
  });
}
