import { setTimeout as sleep } from 'node:timers/promises';
import { parseCheckpoint } from '../../../service/audit/checkpoint.ts';
import { leafHash, nodeHash, rootOf } from '../../../service/audit/merkle.ts';
import { rowsOf } from '../backup/format.ts';
import type { Manifest } from '../backup/format.ts';
import { plural } from '../size.ts';
import type { Ask } from './http.ts';

/**
 * What a service that runs on a restored database has to answer: each read is judged by what it says, held against the
 * backup's manifest, not by its status.
 */

export interface Expected {
  installation: string;
  manifest: Manifest;
  /** The contents of events can be verified. */
  hasCommitment: boolean;
  /** Conversations can be read. */
  hasChatKeys: boolean;
}

/** What was found; throws what is wrong. */
type Read = (ask: Ask, expected: Expected) => Promise<string>;

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

async function get(ask: Ask, path: string, status = 200, method: 'GET' | 'POST' = 'GET'): Promise<string> {
  const said = await ask(path, method);
  must(said.status === status, `${method} ${path} answered ${said.status}: ${said.body.slice(0, 300)}`);
  return said.body;
}

const json = async <T>(ask: Ask, path: string, status = 200, method: 'GET' | 'POST' = 'GET'): Promise<T> =>
  JSON.parse(await get(ask, path, status, method)) as T;

interface Item {
  id: string;
  title: string;
}

/** So many pages are read; beyond them a count would only take time. */
const MOST_PAGES = 25;
const ITEMS = '/api/control-plane/items';

const newestItem = async (ask: Ask): Promise<Item | null> =>
  (await json<{ items: Item[] }>(ask, `${ITEMS}?limit=1`)).items[0] ?? null;

/** Of an item; where there is none, that this is said. */
async function ofItem(
  ask: Ask,
  path: (id: string) => string,
  judge: (item: Item, body: string) => string,
): Promise<string> {
  const item = await newestItem(ask);
  if (item !== null) return judge(item, await get(ask, path(encodeURIComponent(item.id))));
  await get(ask, path('wi-NONE-1'), 404);
  return 'There is no item, and an unknown one is answered with 404.';
}

const health: Read = async (ask, { installation }) => {
  interface Health {
    status: string;
    installation: string;
    checks: { database: { status: string; detail: string } };
  }
  const found = await json<Health>(ask, '/api/health');
  must(found.installation === installation, `It says to be the installation ${found.installation}.`);
  const { database } = found.checks;
  must(found.status !== 'failing' && database.status === 'ok', `It is ${found.status}: ${database.detail}`);
  return `The installation ${installation} can write its database.`;
};

const contract: Read = async (ask) => {
  const { openapi, paths } = await json<{ openapi: string; paths: object }>(ask, '/api/openapi.json');
  must(openapi.startsWith('3.1') && Object.hasOwn(paths, ITEMS), 'The API does not describe itself.');
  return `${Object.keys(paths).length} paths.`;
};

const board: Read = async (ask) => {
  const page = await get(ask, '/');
  const item = await newestItem(ask);
  must(page.includes('</html>') && /<h1|<title/.test(page), 'The board is no whole page.');
  return `The page of the board, ${plural(page.length, 'character')}${item ? `; last changed is ${item.id}` : ''}.`;
};

const items: Read = async (ask, expected) => {
  const wanted = rowsOf(expected.manifest, 'work_items');
  const ids = new Set<string>();
  let cursor: string | null = null;
  for (let page = 0; page === 0 || (cursor !== null && page < MOST_PAGES); page += 1) {
    const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const found: { items: Item[]; nextCursor: string | null } = await json(ask, `${ITEMS}?limit=200${query}`);
    for (const { id } of found.items) ids.add(id);
    cursor = found.nextCursor;
  }
  must(cursor === null ? ids.size === wanted : ids.size <= wanted, `${ids.size} items, not ${wanted}.`);
  return `${ids.size} of ${plural(wanted, 'item')}.`;
};

const item: Read = (ask) =>
  ofItem(
    ask,
    (id) => `${ITEMS}/${id}`,
    ({ id, title }, body) => {
      const found = JSON.parse(body) as Item;
      must(found.id === id && found.title === title, `${id} is answered as ${found.id}, "${found.title}".`);
      return `${id} as the list has it.`;
    },
  );

const itemPage: Read = (ask) =>
  ofItem(
    ask,
    (id) => `/items/${id}`,
    ({ id }, body) => {
      must(body.includes(id) && body.includes('</html>'), `The page of ${id} does not show it.`);
      return `The page of ${id}.`;
    },
  );

const history: Read = (ask) =>
  ofItem(
    ask,
    (id) => `${ITEMS}/${id}/history`,
    ({ id }, body) => {
      const { itemId, events } = JSON.parse(body) as { itemId: string; events: unknown[] };
      must(itemId === id && events.length > 0, `The history of ${id} is empty.`);
      return `${plural(events.length, 'event')} of ${id}.`;
    },
  );

/** Entries, the root that the backup's checkpoint names, a signed checkpoint, and the service's own verification. */
const audit: Read = async (ask, expected) => {
  const size = rowsOf(expected.manifest, 'audit_entries');
  const { entries } = await json<{ entries: { seq: number }[] }>(ask, '/api/audit/entries?limit=1');
  const newest = entries[0]?.seq ?? 0;
  must(newest >= size, `The newest entry is ${newest}; the backup has ${size}.`);
  const leaves = (await get(ask, '/api/audit/export')).split('\n').slice(0, -1);
  must(leaves.length >= size, `${leaves.length} entries are exported, not ${size}.`);
  const { auditCheckpoint } = expected.manifest.source;
  if (auditCheckpoint !== null) {
    const checkpoint = parseCheckpoint(auditCheckpoint);
    must(checkpoint.size <= size, `The checkpoint is of ${checkpoint.size} entries; there are ${size}.`);
    const root = treeRoot(leaves.slice(0, checkpoint.size));
    must(
      root.equals(checkpoint.root),
      `The first ${checkpoint.size} entries are not those that were signed.`,
    );
  }
  must((await signedSize(ask, size)) >= size, 'No checkpoint of all entries was signed.');
  const found = await json<{ ok: boolean; problems: { code: string; message: string }[] }>(
    ...([ask, '/api/audit/verifications', 200, 'POST'] as const),
  );
  const problems = expected.hasCommitment ? found.problems : [];
  must(problems.length === 0, `Verification finds ${problems[0]?.code}: ${problems[0]?.message}`);
  const against = auditCheckpoint === null ? 'no checkpoint came with the backup' : 'as its checkpoint says';
  return `${plural(size, 'entry', 'entries')}, ${against}${expected.hasCommitment ? ', and their contents verify' : ''}.`;
};

const SIGNED_WITHIN_MS = 15_000;

/** It follows within a second, on a machine that has time. */
async function signedSize(ask: Ask, wanted: number): Promise<number> {
  for (const until = performance.now() + SIGNED_WITHIN_MS; ; await sleep(100)) {
    const { status, body } = await ask('/api/audit/checkpoint');
    const size = status === 200 ? parseCheckpoint(body).size : 0;
    if (size >= wanted || performance.now() > until) return size;
  }
}

/** Root of a log (RFC 6962), from its leaves. */
export function treeRoot(leaves: readonly string[]): Buffer {
  const subtrees: { hash: Buffer; size: number }[] = [];
  for (const leaf of leaves) {
    let [hash, size] = [leafHash(leaf), 1];
    for (let last = subtrees.at(-1); last?.size === size; last = subtrees.at(-1)) {
      [hash, size] = [nodeHash(last.hash, hash), size * 2];
      subtrees.pop();
    }
    subtrees.push({ hash, size });
  }
  return rootOf(subtrees.map(({ hash }) => hash));
}

const people: Read = async (ask, expected) => {
  const wanted = rowsOf(expected.manifest, 'people');
  const found = await json<{ people: unknown[] }>(ask, '/api/people');
  must(found.people.length === wanted, `${found.people.length} people, not ${wanted}.`);
  return `${plural(wanted, 'person', 'people')}.`;
};

const metrics: Read = async (ask, expected) => {
  const found = /^factory_audit_entries (\d+)$/m.exec(await get(ask, '/metrics'))?.[1];
  const wanted = rowsOf(expected.manifest, 'audit_entries');
  must(Number(found) >= wanted, `Metrics count ${found ?? 'no'} audit entries; the backup has ${wanted}.`);
  return `${found} audit entries are counted.`;
};

/** The newest conversation opens: its title, and its first message. Without keys, that it is there and stays sealed. */
const sessions: Read = async (ask, expected) => {
  const wanted = rowsOf(expected.manifest, 'chat_sessions');
  if (!expected.hasChatKeys)
    return `${plural(wanted, 'session')}, sealed; their keys are not on this machine.`;
  interface Page {
    sessions: { id: string; messages: number }[];
  }
  const [newest] = (await json<Page>(ask, '/api/sessions?limit=1')).sessions;
  if (newest === undefined) return `None is left of ${wanted} that were begun.`;
  const path = `/api/sessions/${newest.id}/messages?limit=1`;
  const { messages } = await json<{ messages: unknown[] }>(ask, path);
  must(
    messages.length === Math.min(1, newest.messages),
    `${newest.id} has ${plural(newest.messages, 'message')}, and shows none.`,
  );
  return `The newest of ${wanted}, ${plural(newest.messages, 'message')}.`;
};

/** Name -> read, in the order in which they are made. */
export const READS: Readonly<Record<string, Read>> = {
  ...{ health, contract, board, items, item },
  ...{ 'item page': itemPage, history, audit, people, metrics, sessions },
};
