import Database from 'better-sqlite3';
import { operations } from '../../../service/http/api/index.ts';
import { IDENTITIES } from '../lanes.ts';
import type { Random } from '../random.ts';
import type { Used } from './random-use.ts';
import { searchFor } from './words.ts';

/** What can be asked of the product: each path that its router knows, with the ids that are in the database. */

const SESSION = 'select id from chat_sessions order by number';
const ITEM = 'select id from work_items order by id';

/** Where the ids of a path come from, the more exact ones first. A path that is not here is an error. */
const IDS: [path: RegExp, sql: string][] = [
  [
    /items\/\{id\}\/(actions\/\{identity\})/,
    `select id, identity from work_items, identities order by id, identity`,
  ],
  [/items\/\{id\}\/decisions\//, 'select item_id as id, id as decisionId from decisions order by id'],
  [/items\/\{id\}\/snapshots\//, 'select item_id as id, digest from history_snapshots order by seq'],
  [/items\/\{id\}/, ITEM],
  [
    /sessions\/\{id\}\/messages\/\{seq\}/,
    'select s.id, seq from chat_messages m join chat_sessions s on s.number = session order by m.number',
  ],
  [
    /sessions\/\{id\}\/messages\/\{messageId\}/,
    `select s.id, s.id || '.' || seq as messageId from chat_messages m join chat_sessions s on s.number = session order by m.number`,
  ],
  [
    /sessions\/\{id\}\/attachments\//,
    'select s.id, a.id as attachmentId from chat_attachments a join chat_sessions s on s.number = session order by a.number',
  ],
  [
    /sessions\/\{id\}\/access\/\{grant\}/,
    `select s.id, g.id as "grant", 'end' as step from chat_grants g join chat_sessions s on s.number = g.session order by g.id`,
  ],
  [/sessions\/\{id\}/, SESSION],
  [/holds\/\{id\}/, 'select id from chat_holds order by id'],
  [/erasures\/\{id\}/, 'select id from chat_erasures order by id'],
  [/retention(?:-plans)?\/\{id\}/, 'select id from chat_plans order by id'],
  [/grants\/\{id\}/, 'select id from chat_grants order by id'],
  [/quarantine\/\{id\}\/original\/content/, 'select id from chat_quarantine where seq = -1 order by id'],
  [/quarantine\/\{id\}/, 'select id from chat_quarantine order by id'],
  [/runs\/\{id\}/, 'select id from job_runs order by id'],
  [/jobs\/\{name\}/, 'select name from jobs order by name'],
  [/policies\/classes\/\{name\}/, 'select class as name from chat_policies order by class'],
  [/people\/\{id\}/, 'select id from people order by id'],
  [/tokens\/\{id\}/, 'select id from tokens order by id'],
];

/** What is asked of a path besides, with the names of values that are put in. */
const QUERIES: [path: string, queries: string[], sql: string | null][] = [
  [
    '/api/audit/proof',
    ['entry={entry}', 'from=1&to={entry}'],
    'select seq as entry from audit_entries order by seq',
  ],
  ['/api/audit/entries', ['limit=200', 'outcome=refused', 'action=session.read'], null],
  ['/api/control-plane/items', ['lane=backlog', 'attention=true', 'q=item'], null],
  ['/api/sessions', ['class=short', 'limit=7'], null],
  ['/api/sessions/{id}/messages', ['limit=200'], SESSION],
  ['/api/sessions/{id}/export', ['format=openai'], SESSION],
  ['/api/operations/runs', ['job=backup', 'limit=1'], null],
  ['/api/governance/grants', ['sessionId={id}'], SESSION],
  ['/', ['lane=backlog', 'q=item'], null],
];

/** They go on until somebody ends them. */
export const STREAMS = ['/api/events', '/api/sessions/{id}/events'];

export interface Place {
  /** The path that the router knows. */
  template: string;
  path: string;
}

/** `most`: of one path at most so many, drawn at random. */
export function placesOf(used: Used, random: Random, most: number): Place[] {
  const api = operations.filter(({ method }) => method === 'get').map(({ path }) => path);
  const pages = used.pages.map((path) => path.replaceAll(/:(\w+)/g, '{$1}'));
  const handle = new Database(`${used.place.data}/factory.db`, { readonly: true });
  handle.exec(
    `create temp table identities as select value as identity from json_each('${JSON.stringify(IDENTITIES)}')`,
  );
  const rows = (sql: string): Record<string, unknown>[] =>
    drawn(handle.prepare(sql).all() as Record<string, unknown>[], random, most);
  try {
    const paths = [...api, ...pages, '/login', '/nowhere'].flatMap((template) => {
      if (!template.includes('{')) return [{ template, path: template }];
      const found = IDS.find(([path]) => path.test(template));
      if (!found) throw new Error(`Nobody knows the ids of ${template}.`);
      return rows(found[1]).map((values) => ({ template, path: filled(template, values) }));
    });
    const asked = QUERIES.flatMap(([template, queries, sql]) =>
      queries.flatMap((query) =>
        (sql === null ? [{}] : rows(sql)).map((values) => ({
          ...{ template, path: `${filled(template, values)}?${filled(query, values)}` },
        })),
      ),
    );
    const reports = used.subjects.slice(0, most).map((name) => ({
      ...{ template: '/api/governance/subjects/report' },
      path: `/api/governance/subjects/report?subjectId=${encodeURIComponent(name)}`,
    }));
    return [...paths, ...asked, ...reports].filter(({ template }) => !STREAMS.includes(template));
  } finally {
    handle.close();
  }
}

/** Searches of both faces: everywhere, and narrowed. */
export function searchesOf(used: Used, random: Random, count: number): Place[] {
  const handle = new Database(`${used.place.data}/factory.db`, { readonly: true });
  try {
    const sessions = handle.prepare(SESSION).pluck().all() as string[];
    return Array.from({ length: count }, () => {
      const query = new URLSearchParams({ q: searchFor(random) });
      if (random.chance(0.2)) query.set('sessionId', random.pick(sessions));
      if (random.chance(0.2)) query.set('class', random.pick(['general', 'short', 'held']));
      if (random.chance(0.1)) query.set('personId', random.pick(used.members).id || 'nobody');
      if (random.chance(0.2))
        query.set('from', new Date(Date.now() - random.below(60) * 864e5).toISOString());
      if (random.chance(0.3)) query.set('limit', String(1 + random.below(200)));
      const template = random.chance(0.2) ? '/search' : '/api/search';
      if (template === '/search') for (const name of ['sessionId', 'personId', 'limit']) query.delete(name);
      return { template, path: `${template}?${query.toString()}` };
    });
  } finally {
    handle.close();
  }
}

function drawn<T>(all: readonly T[], random: Random, most: number): T[] {
  if (all.length <= most) return [...all];
  const every = all.length / most;
  return Array.from({ length: most }, (_, n) => all[Math.floor((n + random.next()) * every)] as T);
}

const filled = (text: string, values: Record<string, unknown>): string =>
  text.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name])));
