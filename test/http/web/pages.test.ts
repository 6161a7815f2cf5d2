import { errorPage } from '../../../service/http/web/views/error.ts';
import { matchingAttention } from '../../../service/http/web/views/board.ts';
import type { ItemSummary } from '../../../service/work-items/documents.ts';
import type { QueueProblem } from '../../../service/work-items/types.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { FactoryError } from '../../../service/errors.ts';
import { startPages, type Running, type World } from './context.ts';
import { board, decision, gate, item, minutesAgo, principal, report, summary, view } from './fixtures.ts';
import { textOf } from './text.ts';

let running: Running | null = null;

afterEach(async () => {
  await running?.close();
  running = null;
});

async function open(world: World = {}): Promise<Running> {
  running = await startPages(world);
  return running;
}

async function get(path: string, world: World = {}) {
  const { url } = running ?? (await open(world));
  const response = await fetch(url + path, { redirect: 'manual' });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

async function post(path: string, form: Record<string, string>, world: World = {}) {
  const { url } = running ?? (await open(world));
  const body = new URLSearchParams({ _csrf: 'csrf-of-the-session', ...form });
  const response = await fetch(url + path, { method: 'POST', body, redirect: 'manual' });
  return { status: response.status, location: response.headers.get('location'), text: await response.text() };
}

/** Values of the hidden fields and inputs of the form that a button of this name and value belongs to. */
function fieldsOf(page: string, form: string): Record<string, string> {
  const start = page.indexOf(form);
  expect(start, `no ${form}`).toBeGreaterThan(-1);
  const text = page.slice(start, page.indexOf('</form>', start));
  return Object.fromEntries(
    [...text.matchAll(/<input\s[^>]*name="([^"]*)"[^>]*value="([^"]*)"/g)].map(
      ([, name = '', value = '']) => [name, value],
    ),
  );
}

const ready = item({ lane: 'ready' });
const actions = {
  version: 4,
  actions: [
    report('start-execution', [gate('lane-transition', 'pass')]),
    report('submit-evidence', [gate('lane-transition', 'not-applicable')]),
  ],
};
const ACT = '/items/wi-BF-281/actions/start-execution';

describe('every page', () => {
  const paths = [
    '/',
    '/?lane=done',
    '/items/wi-BF-281',
    '/items/wi-BF-281?all=true',
    '/items/wi-BF-281?act=submit-evidence',
    '/items/wi-BF-281/history',
    `/items/wi-BF-281/snapshots/${'a'.repeat(64)}`,
    `/items/wi-BF-281/decisions/${decision().id}`,
    '/items/new',
    '/items/new?supersedes=wi-BF-281',
    '/audit',
    '/people',
    '/api/docs',
  ];

  it.each(paths)(
    '%s has no inline style or script, nothing from elsewhere, and a token in each posting form',
    async (path) => {
      const { status, text, headers } = await get(path, { actions });
      expect(status).toBe(200);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(text).not.toMatch(/<style|\sstyle=|\son[a-z]+="|<script(?![^>]*\ssrc="\/assets\/)/);
      expect(text.match(/(?:src|href)="(?:https?:)?\/\/[^"]*\.(?:js|css|svg|png)/)).toBeNull();
      const forms = text.match(/<form\s[^>]*method="post"[\s\S]*?<\/form>/g) ?? [];
      expect(forms.length).toBeGreaterThan(0);
      for (const form of forms) expect(form).toContain('name="_csrf" value="csrf-of-the-session"');
    },
  );

  it('keeps text of people and files from becoming markup', async () => {
    const title = '<script>alert(1)</script>"\'>';
    const { text } = await get('/items/wi-BF-281', {
      items: [item({ title, summary: title, branch: title, status: title })],
    });
    expect(text).not.toContain('<script>alert');
    expect(textOf(text).filter((line) => line === title)).toHaveLength(4);
  });

  it('says what happened, what next and the request id, in the frame', async () => {
    const { status, text } = await get('/items/wi-NONE');
    expect(status).toBe(404);
    expect(textOf(text)).toEqual(
      expect.arrayContaining([
        'There is no such item.',
        'What next: Look at the board.',
        'request request-1 · not-found',
      ]),
    );
  });
});

describe('an address without an item', () => {
  it('names file, line, problem and the way out of a record that cannot be read', async () => {
    const problems = [
      {
        ...{ file: 'ready/wi-BF-9.md', line: 4, code: 'field-missing', message: '`title` is missing.' },
        ...{ itemId: 'wi-BF-9', hint: 'Add `title: …`.' },
      },
    ];
    const { status, text } = await get('/items/wi-BF-9', { problems });
    expect(status).toBe(404);
    expect(textOf(text)).toContain('ready/wi-BF-9.md:4 title is missing. Add title: …. (field-missing)');
    expect(text).toContain('npx factory validate');
    expect(textOf((await get('/items/wi-BF-8')).text)).not.toContain('This record cannot be read');
  });

  it.each([
    { code: 'not-found', says: 'What next: Look for it on the board, or search for its key or title.' },
    { code: 'in-flight', says: 'What next: Go back to the page before and try again.' },
  ])('gives page advice where the hint is for callers of the API: $code', ({ code, says }) => {
    const problem = { status: 404, title: 'No', code, hint: 'GET /api/x lists them.', requestId: 'r' };
    const text = errorPage(view(), problem, true).text;
    expect(textOf(text)).toContain(says);
    expect(text).not.toContain('/api/');
    expect(text).toMatch(/<a[^>]*href="\/"/);
    expect(text).toContain('name="q"');
  });
});

describe('assets', () => {
  it('serves each linked one compressed and immutable, and nothing under another hash', async () => {
    const { text } = await get('/');
    const urls = [
      ...new Set([...text.matchAll(/(?:src|href)="(\/assets\/[^"#]*)/g)].map(([, url = '']) => url)),
    ];
    expect(urls.length).toBeGreaterThanOrEqual(5);
    for (const url of urls) {
      const { status, headers } = await fetch(running?.url + url, {
        headers: { 'accept-encoding': 'gzip, deflate, br' },
      });
      expect([url, status, headers.get('cache-control')]).toEqual([
        url,
        200,
        'public, max-age=31536000, immutable',
      ]);
      expect(headers.get('content-encoding')).toBe('br');
    }
    expect((await get('/assets/000000000000/look.css')).status).toBe(404);
  });
});

describe('acting', () => {
  it('plans first, then applies exactly that decision, and leads to its result', async () => {
    const world = { items: [ready], actions, decisions: [decision()] };
    const { calls } = await open(world);
    const plan = await post(ACT, { step: 'plan' });
    expect(plan.status).toBe(200);
    expect(calls).toEqual([{ identity: 'start-execution', call: { input: {}, dryRun: true } }]);
    const lines = textOf(plan.text);
    expect(lines).toEqual(expect.arrayContaining(['Plan', 'Start execution moves the item to review.']));

    const fields = fieldsOf(plan.text, 'aria-label="Confirm Start execution"');
    expect(fields).toMatchObject({ decisionId: decision().id, version: '4' });
    const applied = await post(ACT, { ...fields, step: 'apply', note: 'go' });
    expect(calls[1]).toEqual({
      identity: 'start-execution',
      call: { input: { note: 'go' }, decisionId: decision().id, ifMatch: 4, idempotencyKey: fields.key },
    });
    expect([applied.status, applied.location]).toEqual([303, `/items/wi-BF-281?done=${decision().id}`]);
    expect(textOf((await get(applied.location ?? '')).text)).toContain(
      'Start execution: done, the item stays Ready.',
    );
  });

  it('asks for input before it plans, and sends numbers and UTC times', async () => {
    const { calls } = await open({ actions });
    const url = '/items/wi-BF-281/actions/submit-evidence';
    const asked = await post(url, { step: 'plan' });
    expect(calls).toEqual([]);
    const fields = fieldsOf(asked.text, 'aria-label="Confirm Submit evidence"');
    expect(fields.decisionId).toBeUndefined();
    await post(url, {
      ...fields,
      step: 'apply',
      kind: 'criterion',
      criterion: '3',
      result: 'passed',
      url: '',
    });
    await post(url, { ...fields, step: 'apply', until: '2026-12-01T10:00' });
    expect(calls.map(({ call }) => call.input)).toEqual([
      { kind: 'criterion', criterion: 3, result: 'passed' },
      { until: '2026-12-01T10:00:00.000Z' },
    ]);
  });

  const error = (code: string, details: Record<string, unknown> = {}) =>
    new FactoryError({ code, op: 'act', message: `It is ${code}.`, hint: 'Do the next thing.', details });

  it.each([
    { code: 'action-blocked', status: 409, says: 'Blocked: nothing was changed.' },
    { code: 'permission-missing', status: 403, says: 'It is permission-missing.' },
    {
      code: 'decision-outdated',
      status: 409,
      says: 'The item changed since this plan was made; nothing was done.',
    },
    {
      code: 'version-mismatch',
      status: 412,
      says: 'The item changed since this plan was made; nothing was done.',
    },
  ])('shows a refusal in place: $code', async ({ code, status, says }) => {
    const details = { blockers: [gate('capacity', 'blocked')] };
    await open({ items: [ready], actions, refuse: (call) => (call.dryRun ? null : error(code, details)) });
    const refused = await post(ACT, { step: 'apply', key: 'k', decisionId: 'd' });
    expect(refused.status).toBe(status);
    const lines = textOf(refused.text);
    expect(lines).toContain(says);
    expect(lines).toContain('policy gate capacity: blocked (capacity stands in the way.)');
    expect(lines.includes('Plan')).toBe(code === 'decision-outdated' || code === 'version-mismatch');
  });

  it('warns before what nothing takes back, with a button that cannot be taken for the way out', async () => {
    const cancel = { version: 4, actions: [report('cancel', [gate('lane-transition', 'pass')])] };
    const { text } = await post('/items/wi-BF-281/actions/cancel', { step: 'plan' }, { actions: cancel });
    expect(text).toMatch(/<button\s+class="btn danger"[^>]*>\s*Cancel this item\s*<\/button>/);
    expect(textOf(text)).toContain(
      'Cancelled items stay closed: nothing opens one again, and more work takes a new item.',
    );
    expect(text).toMatch(/>Not now<\/a>/);
  });

  it('keeps what was typed and puts each problem at its field', async () => {
    const details = { problems: [{ path: 'commit', message: 'Give 40 hexadecimal digits.' }] };
    await open({ actions, refuse: () => error('bad-input', details) });
    const url = '/items/wi-BF-281/actions/submit-evidence';
    const { status, text } = await post(url, { step: 'apply', key: 'k', commit: 'abc', note: 'kept' });
    expect(status).toBe(400);
    expect(text).toMatch(/value="abc"[^>]*aria-invalid="true"[^>]*autofocus/);
    expect(text.match(/<input[^>]* autofocus/g)).toHaveLength(1);
    expect(textOf(text)).toEqual(expect.arrayContaining(['Give 40 hexadecimal digits.', 'kept']));
  });

  it('does not swallow what it does not know', async () => {
    await open({ actions, refuse: () => error('database-busy') });
    expect((await post(ACT, { step: 'apply' })).status).toBe(503);
  });

  it('leads a GET of a step to the item page', async () => {
    const { status, headers } = await get(ACT);
    expect([status, headers.get('location')]).toEqual([
      303,
      '/items/wi-BF-281?act=start-execution#act-start-execution',
    ]);
  });
});

describe('board', () => {
  it('starts an empty queue with a record to copy and the way to the first item', async () => {
    const { text } = await get('/', { board: board([]) });
    expect(textOf(text)).toEqual(expect.arrayContaining(['No work items yet', 'Create the first item']));
    expect(text).toContain('id: wi-DEMO-1');
    expect(text).toContain('href="/items/new"');
  });

  it('shows cause and step of what needs attention, counts, limits, and the way to the rest', async () => {
    const attention = {
      kind: 'drift' as const,
      cause: 'record says ready.',
      step: { label: 'Reconcile', action: 'reconcile' as const, url: '/items/wi-A#act-reconcile' },
    };
    const world = board([summary('A', 'First', 'executing', { attention }), summary('B', 'Second', 'done')]);
    for (const lane of world.lanes) if (lane.lane === 'done') lane.count = 214;
    const { text } = await get('/', { board: world });
    expect(textOf(text)).toEqual(
      expect.arrayContaining(['record says ready.', 'Reconcile', '1 · 1/3 running', '213 more']),
    );
    expect(text).toContain('href="/?lane=done"');
  });

  it.each([
    ['Ada', 'Open the item', '/items/wi-A', true],
    ['Ben', 'Override gate', '/items/wi-A?act=override-gate#act-override-gate', false],
  ])('offers to second an override only to another person than %s', async (by, label, url, asked) => {
    const step = { label: 'Override gate', action: 'override-gate' as const, url: '/items/wi-A' };
    const attention = { kind: 'waiting' as const, cause: 'The override of window waits.', step };
    const override = {
      ...{ id: 'o1', gate: 'window', action: 'complete', reason: 'Now.', until: minutesAgo(-60), by },
      ...{ at: minutesAgo(9), state: 'waiting-for-person' as const, from: null, secondedBy: null },
    };
    const { text } = await get('/', {
      board: board([summary('A', 'First', 'review', { attention })]),
      items: [item({ id: 'wi-A', overrides: [override] as never })],
    });
    expect(text).toContain(`id="step-wi-A" href="${url}">${label}<`);
    expect(text.includes('You asked for it, so another owner has to.')).toBe(asked);
  });

  it('claims nothing beside files that cannot be read, and names the folder and code', async () => {
    const problem = (file: string, message: string): QueueProblem => ({
      ...{ file, line: 1, code: 'queue-missing', message, itemId: null },
      hint: 'Run `npx factory init` to make one.',
    });
    const problems = [problem('.', 'The work-items folder does not exist.'), problem('done/a.md', 'Bad.')];
    const { text } = await get('/', { board: board([summary('A', 'First', 'ready')], { problems }) });
    const lines = textOf(text);
    expect(lines).toContain('1 item · the queue folder cannot be used');
    expect(text).not.toContain('all sources fresh');
    expect(lines).toEqual(
      expect.arrayContaining([
        'work-items/ The work-items folder does not exist. Run npx factory init to make one. (queue-missing)',
        'done/a.md:1 Bad. Run npx factory init to make one. (queue-missing)',
      ]),
    );
    expect(text).toContain('<code>npx factory init</code>');
  });

  it('says that nothing matches, and nothing of what lanes hold without the filter', async () => {
    const { text } = await get('/?q=zzzz', { board: board([]) });
    expect(textOf(text)).toContain('Nothing matches “zzzz”. Show the whole board');
    expect(text).not.toContain('Nobody works on anything');
  });

  it('narrows the strip with the lanes', async () => {
    const needs = (kind: 'waiting' | 'problem') => ({
      attention: { kind, cause: `It is ${kind}.`, step: { label: 'Open', action: null, url: '/' } },
    });
    const world = (items: ItemSummary[]) => board(items);
    const all = [
      summary('A', 'Late', 'review', needs('waiting')),
      summary('B', 'Bad', 'done', needs('problem')),
    ];
    const strip = matchingAttention(world(all));
    expect(strip.attention.map(({ id }) => id)).toEqual(['wi-B', 'wi-A']);
    expect(strip.attentionTotal).toBe(2);
    const other = summary('C', 'Elsewhere', 'ready', needs('waiting'));
    const shown = board([summary('D', 'Fits', 'ready')], { attention: [other], attentionTotal: 1 });
    const { text } = await get('/?q=fits', { board: shown, attention: board([]) });
    expect(text).not.toContain('Elsewhere');
    expect(text).not.toContain('Needs attention');
  });

  it('passes the filter of the URL on, and keeps it in its links', async () => {
    const { text } = await get('/?q=keys&workType=operations&mine=true', {
      board: board([summary('A', 'First', 'ready')]),
    });
    expect(text).toContain('href="/?q=keys&amp;workType=operations"');
    expect(text).toContain('href="/?workType=operations&amp;mine=true"');
  });
});

describe('who may what', () => {
  const planner = principal('Pia', 'planner');

  it.each<{ path: string; form: Record<string, string> | null }>([
    { path: '/audit', form: null },
    { path: '/people/invite', form: { name: 'X', role: 'owner' } },
    { path: '/people/person-ada/remove', form: { step: 'apply' } },
    { path: '/tokens', form: { name: 'X' } },
    { path: '/tokens/token-1/revoke', form: { step: 'apply' } },
  ])('refuses $path without the permission, and records it', async ({ path, form }) => {
    const { refusals } = await open({ principal: planner });
    const { status } = form ? await post(path, form) : await get(path);
    expect(status).toBe(403);
    expect(refusals).toHaveLength(1);
  });

  it('shows only what exists and may be used', async () => {
    const { text } = await get('/people', { principal: planner });
    expect(text).not.toContain('href="/audit"');
    expect(text).not.toContain('action="/people/invite"');
    expect(text).not.toContain('/remove');
  });
});

describe('audit', () => {
  it('names who did what to what, refusals by their code, and a row that is no entry any more', async () => {
    const lines = textOf((await get('/audit')).text);
    expect(lines).toEqual(
      expect.arrayContaining([
        ...['permission-missing', 'work-item.complete', 'Ada', 'wi-BF-281'],
        'work-item.submit-evidence evidence submitted',
      ]),
    );
    expect(lines).toContain('What is stored here is no entry any more; Verify says more.');
  });

  it('takes names, keys and short actions for what the log knows, and says so', async () => {
    const { auditQueries } = await open();
    const { text } = await get('/audit?actor=agent&action=claim&object=BF-321&outcome=refused');
    expect(auditQueries).toEqual([
      {
        ...{ actors: ['token-1', 'token-2'], action: 'work-item.claim', object: 'wi-BF-321' },
        ...{ outcome: 'refused', limit: 50 },
      },
    ]);
    expect(textOf(text)).toContain(
      'Entries by agent-2, agent-1 · action work-item.claim · object wi-BF-321 · outcome refused; the last column names the reason',
    );
    expect(text).toMatch(/name="actor"\s+value="agent"/);
  });

  it('asks for a span of time, carries it along, and leaves out what is no time', async () => {
    const { auditQueries } = await open();
    const { text } = await get('/audit?action=session.read&from=2026-11-20T10:00:00Z&to=soon');
    expect(auditQueries).toEqual([{ action: 'session.read', from: '2026-11-20T10:00:00.000Z', limit: 50 }]);
    expect(textOf(text)).toContain('Entries action session.read · from 2026-11-20 10:00:00 UTC on');
    expect(text).toContain('type="hidden" name="from" value="2026-11-20T10:00:00Z"');
  });

  it('looks for all tokens of a person, and names the first', async () => {
    const token = { roles: [], createdAt: minutesAgo(9), lastUsedAt: null, expiresAt: null, revokedAt: null };
    const tokens = Array.from({ length: 12 }, (_, n) => ({ ...token, id: `t-${n}`, name: `bot-${n}` }));
    const cem = { id: 'p-cem', name: 'Cem', roles: [], createdAt: minutesAgo(60), lastSeenAt: null, tokens };
    const { auditQueries } = await open({ people: [{ ...cem, status: 'active' }] });
    const lines = textOf((await get('/audit?actor=cem')).text);
    expect(auditQueries[0]?.actors).toHaveLength(13);
    expect(lines).toContain('Entries by Cem, bot-0, bot-1, bot-2, bot-3, bot-4, bot-5, bot-6 and 5 others');
  });

  it('verifies on request', async () => {
    expect(textOf((await post('/audit/verify', {})).text)).toContain(
      'The whole log was read again: 2 entries, nothing was changed.',
    );
  });
});

describe('people', () => {
  it('shows an invitation and a token once, on the answer that made them', async () => {
    await open();
    expect((await post('/people/invite', { name: 'Cem', role: 'reviewer' })).text).toContain(
      'login?link=one-time',
    );
    expect((await post('/tokens', { name: 'bot', personId: 'person-ada', roles: 'agent' })).text).toContain(
      'bf_example',
    );
    expect((await get('/people')).text).not.toMatch(/one-time|bf_example/);
  });

  it('does not offer to remove the only active owner, and advises where it is asked to', async () => {
    const { text } = await get('/people');
    expect(text).not.toContain('action="/people/person-ada/remove"');
    expect(text).toContain('action="/people/person-ben/remove"');
    expect(text).toContain('the only owner: nobody else could manage people');
    for (const form of [{}, { step: 'apply' }]) {
      const refused = await post('/people/person-ada/remove', form as Record<string, string>);
      expect(refused.status).toBe(409);
      expect(refused.text).toContain('href="#invite"');
      expect(refused.text).not.toContain('npx factory people');
    }
  });

  const person = { id: 'p', name: 'Cem', roles: ['reviewer'], createdAt: minutesAgo(60), tokens: [] };
  it.each([
    { status: 'invited', lastSeenAt: null, says: 'invited 1 h ago · never signed in' },
    { status: 'active', lastSeenAt: null, says: 'here since 1 h ago · not signed in now' },
    { status: 'active', lastSeenAt: minutesAgo(2), says: 'here since 1 h ago · last seen 2 min ago' },
    { status: 'removed', lastSeenAt: null, says: 'added 1 h ago · removed' },
  ] as const)('claims of a person only what is known: $says', async ({ status, lastSeenAt, says }) => {
    const { text } = await get('/people', { people: [{ ...person, status, lastSeenAt }] });
    expect(textOf(text)).toContain(says);
  });

  it('says of tokens when they were last used', async () => {
    const lines = textOf((await get('/people')).text).join('\n');
    expect(lines).toMatch(/^made \d+ d ago · last used 3 min ago · expires in/m);
    expect(lines).toMatch(/^made \d+ d ago · never used · revoked/m);
  });

  it('asks before it takes away', async () => {
    await open();
    expect(textOf((await post('/people/person-ben/remove', {})).text)).toContain('Remove Ben?');
    expect(textOf((await post('/tokens/token-1/revoke', {})).text)).toContain(
      'Revoke the token agent-2 of Ada?',
    );
    expect((await post('/people/person-ben/remove', { step: 'apply' })).location).toBe('/people');
  });
});
