import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROLES } from '../../service/access/roles.ts';
import { createEngineDatabase } from '../helpers/postgres.ts';
import { itemFiles, startService, type TestService } from '../helpers/service.ts';
import { clientOf, type Client } from './contract.ts';

/** The JSON API from outside, on the engine of the running project. */

const ITEMS = '/api/control-plane/items';
let service: TestService;
let owner: Client;

beforeAll(async () => {
  const ids = ['order', 'plan', 'once', 'race', 'race-2', 'match', 'page-1', 'page-2', 'page-3', 'prompt'];
  service = await startService({
    databaseUrl: await createEngineDatabase(),
    workItems: {
      ...Object.assign({}, ...ids.map((id) => itemFiles(`wi-T-${id}`, 'ready', { title: `Größe ${id} 🚀` }))),
      ...itemFiles('wi-T-done', 'done'),
      ...itemFiles('wi-T-late', 'backlog'),
      ...itemFiles('wi-T-judged', 'review'),
    },
  });
  owner = clientOf(service.url, service.owner);
});
afterAll(() => service.close());

const act = (id: string, identity: string, query = '') =>
  `POST ${ITEMS}/wi-T-${id}/actions/${identity}${query}`;

describe('order of answers', () => {
  let agent: Client;
  beforeAll(async () => {
    agent = clientOf(service.url, await service.token({ role: 'agent' }));
  });

  it('asks who it is before it looks at anything', async () => {
    const nobody = clientOf(service.url, null);
    const answers = await Promise.all([
      nobody(act('order', 'start-execution'), { body: '{"broken' }),
      nobody(act('nowhere', 'start-execution')),
      clientOf(service.url, 'bf_wrong')(`GET ${ITEMS}`),
    ]);
    for (const answer of answers) {
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
    }
  });

  const MALFORMED = [
    ['JSON that is cut off', { body: '{"input": ' }, ''],
    ['an unknown field', { body: { inputs: {} } }, 'inputs'],
    ['an unknown field further in', { body: { input: { remark: 'x' } } }, 'input.remark'],
    ['a text that is a number', { body: { input: { note: 5 } } }, 'input.note'],
    ['NUL', { body: { input: { note: 'a\0b' } } }, 'input.note'],
    ['half of a surrogate pair', { body: { input: { note: '\ud800' } } }, 'input.note'],
    ['no object', { body: '[]' }, ''],
    ['a plan that is no id', { body: { decisionId: 'x' } }, 'decisionId'],
    ['a weak tag', { headers: { 'if-match': 'W/"1"' } }, 'If-Match'],
    ['a bare tag', { headers: { 'if-match': '1' } }, 'If-Match'],
    ['two tags', { headers: { 'if-match': '"1", "2"' } }, 'If-Match'],
    ['a key with a space', { headers: { 'idempotency-key': 'a b' } }, 'Idempotency-Key'],
    ['a key that is too long', { headers: { 'idempotency-key': 'k'.repeat(256) } }, 'Idempotency-Key'],
  ] as const;

  it.each(MALFORMED)(
    'tells a missing item before %s, and the field of an item that is there',
    async (_, sent, path) => {
      expect((await agent(act('nowhere', 'claim'), sent)).status).toBe(404);
      const answer = await agent(act('order', 'claim'), sent);
      expect(answer.status).toBe(400);
      expect(answer.body['problems']).toEqual([expect.objectContaining({ path })]);
    },
  );

  it('goes on with the key, the version, the permission, the current version and the gates', async () => {
    const headers = (key: string, version?: string) => ({
      headers: { 'idempotency-key': key, ...(version ? { 'if-match': version } : {}) },
    });
    const steps: [Parameters<Client>, number, string][] = [
      [[act('order', 'claim')], 400, 'idempotency-key-missing'],
      [[act('order', 'claim'), headers('a')], 428, 'version-required'],
      [[act('order', 'cancel'), headers('b', '"99"')], 403, 'permission-missing'],
      [[act('order', 'request-review'), headers('c', '"99"')], 412, 'version-mismatch'],
      [[act('order', 'request-review'), headers('d', '"1"')], 409, 'action-blocked'],
    ];
    for (const [call, status, code] of steps) {
      const answer = await agent(...call);
      expect([answer.status, answer.body['code']]).toEqual([status, code]);
    }
    expect((await agent(act('order', 'request-review'), headers('c', '"99"'))).headers.get('etag')).toBe(
      '"1"',
    );
    await agent(act('order', 'record-history'), headers('e', '"1"'));
    const replay = await agent(act('order', 'record-history'), headers('e'));
    expect([replay.status, replay.headers.get('idempotency-replayed')]).toEqual([200, 'true']);
    const reused = await agent(act('order', 'record-history'), {
      ...headers('e'),
      body: { input: { note: 'other' } },
    });
    expect([reused.status, reused.body['code']]).toEqual([422, 'idempotency-key-reused']);
  });

  it('lets a person act by a bare POST', async () => {
    const answer = await owner(act('order', 'record-history'));
    expect([answer.status, answer.body['dryRun']]).toEqual([200, false]);
  });
});

describe('plan, then apply', () => {
  it('writes nothing for a plan, and applies it while its facts hold', async () => {
    const before = await owner(`GET ${ITEMS}/wi-T-plan`);
    const plan = await owner(act('plan', 'start-execution', '?dryRun=true'));
    expect(plan.body).toMatchObject({
      dryRun: true,
      identity: 'start-execution',
      lane: { from: 'ready', to: 'ready' },
    });
    expect(plan.body['diff']).not.toEqual([]);
    const after = await owner(`GET ${ITEMS}/wi-T-plan`);
    expect(after.headers.get('etag')).toBe(before.headers.get('etag'));
    const history = await owner(`GET ${ITEMS}/wi-T-plan/history`);
    expect((history.body['events'] as unknown[]).length).toBe(1);

    const decisionId = plan.body['decisionId'] as string;
    const applied = await owner(act('plan', 'start-execution'), { body: { decisionId } });
    expect([applied.status, applied.headers.get('etag')]).toEqual([200, '"2"']);
    const stored = await owner(`GET ${ITEMS}/wi-T-plan/decisions/${decisionId}`);
    expect(stored.body).toMatchObject({ outcome: 'planned', itemVersion: 1 });
    const again = await owner(`POST ${ITEMS}/wi-T-plan/decisions/${decisionId}/evaluations`);
    expect(again.body).toMatchObject({ identity: 'start-execution' });

    const outdated = await owner(act('plan', 'start-execution'), { body: { decisionId } });
    expect([outdated.status, outdated.body['code']]).toEqual([409, 'decision-outdated']);
    expect(outdated.body['changedGates']).toEqual([expect.objectContaining({ gate: 'lane-transition' })]);
  });

  it('refuses a plan whose prompt went away in between', async () => {
    const plan = await owner(act('prompt', 'record-history', '?dryRun=true'));
    rmSync(join(service.workItemsDir, 'prompts', 'wi-T-prompt.prompt.md'));
    const body = { decisionId: plan.body['decisionId'] };
    const outdated = await owner(act('prompt', 'record-history'), { body });
    expect([outdated.status, outdated.body['code']]).toEqual([409, 'decision-outdated']);
    expect(outdated.body['changedGates']).toEqual([expect.objectContaining({ gate: 'context-visibility' })]);
  });

  it('knows no plan of somebody else', async () => {
    const plan = await owner(act('late', 'mark-ready', '?dryRun=true'));
    const planner = clientOf(service.url, await service.token({ role: 'planner' }));
    const answer = await planner(act('late', 'mark-ready'), {
      body: { decisionId: plan.body['decisionId'] },
    });
    expect(answer.status).toBe(404);
  });
});

describe('exactly once', () => {
  it('runs 100 identical concurrent requests once and answers all of them alike', async () => {
    const sent = { headers: { 'idempotency-key': 'one-key', 'if-match': '"1"' } };
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => owner(act('once', 'start-execution'), sent)),
    );
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]?.status).toBe(200);
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null).length).toBe(1);
    const { events } = (await owner(`GET ${ITEMS}/wi-T-once/history`)).body as { events: { type: string }[] };
    expect(events.map(({ type }) => type)).toEqual(['handoff-queued', 'imported']);
  });

  it.each([
    ['with the version that each saw', 'race', { 'if-match': '"1"' }, [412]],
    ['without a version', 'race-2', {}, [409]],
  ])('lets one of 50 different movers win %s', async (_, id, headers, losing) => {
    const movers = Array.from({ length: 50 }, (_unused, index) =>
      owner(act(id, 'start-execution'), { headers: { ...headers, 'idempotency-key': `mover-${index}` } }),
    );
    const statuses = (await Promise.all(movers)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200).length).toBe(1);
    expect(new Set(statuses.filter((status) => status !== 200))).toEqual(new Set(losing));
  });

  it('shows what changed since the version that was seen', async () => {
    await owner(act('match', 'start-execution'), { headers: { 'if-match': '"1"' } });
    const answer = await owner(act('match', 'claim'), { headers: { 'if-match': '"1"' } });
    expect([answer.status, answer.headers.get('etag'), answer.body['etag']]).toEqual([412, '"2"', '"2"']);
    const fields = (answer.body['diff'] as { field: string }[]).map(({ field }) => field);
    expect(fields).toEqual(expect.arrayContaining(['handoff', 'version']));
    expect((await owner(act('match', 'claim'), { headers: { 'if-match': '*' } })).status).toBe(200);
  });
});

describe('work items', () => {
  it('lists every item once, page by page, and takes no foreign cursor', async () => {
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const at: string = cursor && `&cursor=${encodeURIComponent(cursor)}`;
      const page = (await owner(`GET ${ITEMS}?q=page&limit=1${at}`)).body;
      seen.push(...(page['items'] as { id: string }[]).map(({ id }) => id));
      cursor = page['nextCursor'] as string | null;
    }
    expect(seen.sort()).toEqual(['wi-T-page-1', 'wi-T-page-2', 'wi-T-page-3']);
    const [foreign, ofOther] = [
      await owner(`GET ${ITEMS}?cursor=abc`),
      await owner(
        `GET ${ITEMS}?cursor=${(await owner('GET /api/audit/entries?limit=1')).body['nextCursor'] as string}`,
      ),
    ];
    expect([foreign.status, ofOther.status]).toEqual([400, 400]);
    expect(foreign.body['code']).toBe('cursor-unknown');
  });

  it.each([
    'limit=0',
    'limit=201',
    'limit=1.5',
    'limit=%205',
    'limit=',
    'lane=doing',
    'limit=1&limit=2',
    'color=red',
  ])('refuses the query %s and names the parameter', async (query) => {
    const answer = await owner(`GET ${ITEMS}?${query}`);
    expect(answer.status).toBe(400);
    expect(answer.body['problems']).toEqual([expect.objectContaining({ path: query.split('=')[0] })]);
  });

  it.each(['wi-T-none', 'T-1', 'wi-', `wi-${'x'.repeat(101)}`, '..%2f..', 'wi-%00'])(
    'knows no item %s',
    async (id) => {
      for (const rest of ['', '/actions', '/history'])
        expect((await owner(`GET ${ITEMS}/${id}${rest}`)).status).toBe(404);
    },
  );

  it('answers what is not declared: methods, addresses, actions', async () => {
    const method = await owner(`DELETE ${ITEMS}/wi-T-done`);
    expect([method.status, method.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect((await owner(`PATCH ${ITEMS}`)).headers.get('allow')).toBe('GET, HEAD, POST');
    expect((await owner('GET /api/nothing')).status).toBe(404);
    expect((await owner(act('done', 'fly'))).status).toBe(404);
  });

  it.each([
    [
      'override-gate',
      { gate: 'pull-request', action: 'complete', reason: 'r', until: '2020-01-01T00:00:00Z' },
      'until',
    ],
    [
      'override-gate',
      { gate: 'lane-transition', action: 'complete', reason: 'r', until: '2099-01-01T00:00:00Z' },
      'gate',
    ],
    [
      'override-gate',
      { gate: 'capacity', action: 'complete', reason: 'r', until: '2099-01-01T00:00:00Z' },
      'gate',
    ],
    ['waive-criterion', { criterion: 99, reason: 'r' }, 'criterion'],
    ['submit-evidence', { kind: 'validation', result: 'passed' }, 'commit'],
  ])(
    'refuses a well-formed input of %s by what is there, with its field: %o',
    async (identity, input, field) => {
      const answer = await owner(act('judged', identity), { body: { input } });
      expect([answer.status, answer.body['code']], answer.text).toEqual([409, 'input-refused']);
      expect(answer.body['problems']).toEqual([expect.objectContaining({ path: `input.${field}` })]);
    },
  );

  it('creates an item with its record and prompt, and refuses what cannot be one', async () => {
    const body = {
      title: 'Grüße 🚀',
      summary: 'Two lines.\nReally.',
      workType: 'feature',
      criteria: ['It greets.'],
      prompt: 'Greet: ---\n"quoted"',
      supersedes: 'wi-T-done',
    };
    const created = await owner(`POST ${ITEMS}`, { body });
    expect([created.status, created.headers.get('etag')]).toEqual([201, '"1"']);
    const location = created.headers.get('location') ?? '';
    const shown = await owner(`GET ${location}`);
    expect(shown.body).toMatchObject({
      title: body.title,
      lane: 'backlog',
      supersedes: 'wi-T-done',
      version: 1,
    });
    const id = shown.body['id'] as string;
    expect(readFileSync(join(service.workItemsDir, `prompts/${id}.prompt.md`), 'utf8')).toContain('"quoted"');

    const broken = await owner(`POST ${ITEMS}`, {
      body: { ...body, title: 'a\nb', prompt: ' ', criteria: [''], colour: 1 },
    });
    const paths = (broken.body['problems'] as { path: string }[]).map(({ path }) => path);
    expect([broken.status, [...new Set(paths)].sort()]).toEqual([
      400,
      ['colour', 'criteria.0', 'prompt', 'title'],
    ]);
    const unknown = await owner(`POST ${ITEMS}`, { body: { ...body, blockedBy: ['wi-T-none'] } });
    expect([unknown.status, unknown.body['problems']]).toEqual([
      409,
      [expect.objectContaining({ path: 'blockedBy' })],
    ]);
  });

  it('makes one item for each Idempotency-Key, and one for a form that is sent twice', async () => {
    const body = { title: 'Once', summary: 'S', workType: 'w', criteria: ['c'], prompt: 'p' };
    const headers = { 'idempotency-key': crypto.randomUUID() };
    const [first, second] = [
      await owner(`POST ${ITEMS}`, { body, headers }),
      await owner(`POST ${ITEMS}`, { body, headers }),
    ];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toEqual(first.body);
    expect([first, second].map((answer) => answer.headers.get('idempotency-replayed'))).toEqual([
      null,
      'true',
    ]);
    const other = await owner(`POST ${ITEMS}`, { body: { ...body, title: 'Twice' }, headers });
    expect([other.status, other.body['code']]).toEqual([422, 'idempotency-key-reused']);

    const cookie = await service.cookie();
    const page = await (await fetch(`${service.url}/items/new`, { headers: { cookie } })).text();
    const hidden = [...page.matchAll(/<input type="hidden" name="(\w+)" value="([^"]+)"/g)];
    const fields = { ...Object.fromEntries(hidden.map(([, name, value]) => [name!, value!])), ...body };
    const send = (title: string) =>
      fetch(`${service.url}/items/new`, {
        ...{ method: 'POST', redirect: 'manual' as const, headers: { cookie } },
        body: new URLSearchParams({ ...fields, criteria: 'c', title }),
      });
    const answers = await Promise.all([send('Form'), send('Form')]);
    const places = answers.map((answer) => answer.headers.get('location'));
    expect(places[0]).toMatch(/^\/items\/wi-/);
    expect(places[1]).toBe(places[0]);
    const changed = await send('Form with other words');
    expect([changed.status, await changed.text()]).toEqual([
      409,
      expect.stringContaining('created an item already'),
    ]);
  });

  it('shows the snapshot that recording history took', async () => {
    const recorded = await owner(act('done', 'record-history'));
    const item = recorded.body['item'] as { history: { latest: string } };
    const snapshot = await owner(`GET ${ITEMS}/wi-T-done/snapshots/${item.history.latest}`);
    expect(snapshot.body).toMatchObject({
      digest: item.history.latest,
      content: { item: { id: 'wi-T-done' } },
    });
    expect((await owner(`GET ${ITEMS}/wi-T-done/snapshots/${'0'.repeat(64)}`)).status).toBe(404);
    expect((await owner(`GET ${ITEMS}/wi-T-done/decisions/${crypto.randomUUID()}`)).status).toBe(404);
  });
});

describe('audit log', () => {
  it('proves an entry, a growth, and itself', async () => {
    const page = (await owner('GET /api/audit/entries?limit=3')).body as { entries: { seq: number }[] };
    expect(page.entries.map(({ seq }) => seq)).toEqual(
      [...page.entries.map(({ seq }) => seq)].sort((a, b) => b - a),
    );
    await service.context.audit.integrate();
    const checkpoint = await owner('GET /api/audit/checkpoint');
    expect(checkpoint.text).toBe(service.context.audit.checkpoint()?.text);
    const size = Number(checkpoint.text.split('\n')[1]);
    const proof = await owner('GET /api/audit/proof?entry=1');
    expect(proof.body).toMatchObject({ seq: 1, index: 0 });
    const growth = await owner(`GET /api/audit/proof?from=1&to=${size}`);
    expect(growth.body).toMatchObject({ from: 1, to: size });
    expect((await owner('GET /api/audit/proof?entry=1&from=1')).body).toMatchObject({
      seq: 1,
      consistency: { from: 1 },
    });
    expect((await owner('GET /api/audit/proof?entry=999999')).status).toBe(404);
    expect((await owner('GET /api/audit/proof?from=2&to=1')).status).toBe(404);
    expect((await owner('GET /api/audit/proof?to=999999')).status).toBe(409);
    const verified = await owner('POST /api/audit/verifications');
    expect(verified.body).toMatchObject({ ok: true, problems: [] });
  });

  it('exports every leaf as it was hashed', async () => {
    const { text } = await owner('GET /api/audit/export');
    const lines = text.split('\n').slice(0, -1);
    const first = (await owner('GET /api/audit/proof?entry=1')).body['leaf'];
    expect(lines[0]).toBe(first);
    expect(lines.length).toBeGreaterThanOrEqual(10);
    expect(lines.every((line) => (JSON.parse(line) as { v: number }).v === 1)).toBe(true);
  });

  it('finds refusals by their code', async () => {
    const page = await owner('GET /api/audit/entries?outcome=refused&code=action-blocked&limit=1');
    const [entry] = page.body['entries'] as { leaf: { code: string; object: { id: string } } }[];
    expect(entry?.leaf).toMatchObject({ code: 'action-blocked', outcome: 'refused' });
  });
});

describe('people and tokens', () => {
  it('invites, issues and takes away', async () => {
    const link = await owner('POST /api/people', { body: { name: 'Ada', role: 'planner' } });
    expect(link.status).toBe(201);
    const personId = link.body['id'] as string;
    const made = await owner('POST /api/tokens', {
      body: { name: 'ci', roles: ['ci'], personId, expires: '1h' },
    });
    const secret = made.body['token'] as string;
    expect(made.body['expiresAt']).not.toBeNull();
    const lastUse = async () => {
      const { tokens } = (await owner('GET /api/tokens')).body as {
        tokens: { id: string; lastUsedAt: unknown }[];
      };
      return tokens.find(({ id }) => id === made.body['id'])?.lastUsedAt;
    };
    expect(await lastUse()).toBeNull();
    const { body: me } = await clientOf(service.url, secret)('GET /api/me');
    await expect.poll(lastUse).toEqual(expect.any(String));
    expect(me).toMatchObject({
      kind: 'token',
      personId,
      roles: ['ci'],
      permissions: ['factory.operations.report', 'factory.work-item.submit-evidence'],
    });
    expect((await owner('GET /api/tokens')).text).not.toContain(secret);

    expect((await owner(`DELETE /api/tokens/${made.body['id'] as string}`)).status).toBe(204);
    expect((await clientOf(service.url, secret)('GET /api/me')).status).toBe(401);
    expect((await owner(`DELETE /api/people/${personId}`)).status).toBe(204);
    expect((await owner(`DELETE /api/people/${personId}`)).status).toBe(404);
  });

  it('lets somebody in again and gives another role', async () => {
    const { body: ada } = await owner('POST /api/people', { body: { name: 'Ada', role: 'owner' } });
    const personId = ada['id'] as string;
    const made = await owner('POST /api/tokens', { body: { name: 'x', roles: ['owner'], personId } });
    const call = clientOf(service.url, made.body['token'] as string);
    const link = await owner(`POST /api/people/${personId}/link`, { body: { signOut: true } });
    expect([link.status, link.body['id']]).toEqual([201, personId]);
    const page = await fetch(link.body['url'] as string, { redirect: 'manual' });
    expect(page.headers.get('set-cookie')).toContain('=');

    const changed = await owner(`POST /api/people/${personId}/role`, { body: { role: 'auditor' } });
    expect([changed.status, changed.body['roles']]).toEqual([200, ['auditor']]);
    expect((await call('GET /api/me')).body).toMatchObject({ roles: [], permissions: [] });
    expect((await call('GET /api/people')).status).toBe(403);
    expect((await owner(`POST /api/people/${personId}/role`, { body: { role: 'king' } })).status).toBe(400);
    const { body: me } = await owner('GET /api/me');
    const last = await owner(`POST /api/people/${me['personId'] as string}/role`, { body: { role: 'ci' } });
    expect([last.status, last.body['code']]).toEqual([409, 'last-owner']);
    expect((await owner(`DELETE /api/people/${personId}`)).status).toBe(204);
    for (const [path, body] of [
      ['link', {}],
      ['role', { role: 'planner' }],
    ] as const)
      expect((await owner(`POST /api/people/${personId}/${path}`, { body })).status).toBe(404);
  });

  it('shuts nobody out by a slip', async () => {
    const { body: me } = await owner('GET /api/me');
    const own = await owner(`DELETE /api/tokens/${me['id'] as string}`);
    expect([own.status, own.body['code']]).toEqual([409, 'own-token']);
    const last = await owner(`DELETE /api/people/${me['personId'] as string}`);
    expect([last.status, last.body['code']]).toEqual([409, 'last-owner']);
  });

  it.each([
    [{ name: '', role: 'planner' }, 'name'],
    [{ name: 'a\u0007b', role: 'planner' }, 'name'],
    [{ name: 'Ada', role: 'king' }, 'role'],
  ])('refuses the invitation %j', async (body, path) => {
    const answer = await owner('POST /api/people', { body });
    expect([answer.status, answer.body['problems']]).toEqual([
      400,
      expect.arrayContaining([expect.objectContaining({ path })]),
    ]);
  });

  it('gives no token more than its person has', async () => {
    const { body: link } = await owner('POST /api/people', { body: { name: 'Ben', role: 'planner' } });
    const answer = await owner('POST /api/tokens', {
      body: { name: 'x', roles: ['owner'], personId: link['id'] },
    });
    expect([answer.status, answer.body['code']], answer.text).toEqual([409, 'input-refused']);
  });

  it('is for those who may', async () => {
    const auditor = clientOf(service.url, await service.token({ role: 'auditor' }));
    for (const call of ['POST /api/people', 'GET /api/tokens', 'GET /metrics', `POST ${ITEMS}`]) {
      const answer = await auditor(call);
      expect([answer.status, answer.body['code']]).toEqual([403, 'permission-missing']);
    }
    expect((await auditor('GET /api/audit/entries')).status).toBe(200);
    expect((await auditor(`GET ${ITEMS}/wi-T-done`)).status).toBe(200);
  });

  it.each(ROLES)('answers %s alike on the page of people and by the API', async (role) => {
    const headers = { authorization: `Bearer ${await service.token({ role })}` };
    const [api, page] = await Promise.all(
      ['/api/people', '/people'].map((path) => fetch(service.url + path, { headers })),
    );
    expect([api?.status, page?.status]).toEqual(role === 'agent' || role === 'ci' ? [403, 403] : [200, 200]);
  });
});
