import { AxeBuilder } from '@axe-core/playwright';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { DEFAULT_CLASS } from '../../service/chat/policy.ts';
import { destination, fakeOperations, jobRun, LOCAL, monthOf } from '../helpers/operations.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { launch, visit } from './browser.ts';

let browser: Browser;
let service: TestService;
let paths: string[];

beforeAll(async () => {
  browser = await launch();
  const now = Date.now();
  const state = monthOf(now);
  state.backups.recoveryKey = { proven: false, provenAt: null, onHost: true, recoveryOnHost: true };
  state.backups.destinations.push(destination(now, { url: LOCAL, sameDisk: true, verified: null }));
  const ended = jobRun(now, 'verify', 60_000);
  state.runs.unshift(jobRun(now, 'drill', 9000, { endedAt: null, outcome: null, result: null }), ended);
  const operations = fakeOperations({ now: Date.now }, state);
  service = await startService({
    operations,
    workItems: new URL('../../work-items', import.meta.url).pathname,
  });
  const { page, context } = await visit(browser, service);
  await page.goto(`${service.url}/items/wi-BF-106`);
  await page.locator('#do-record-history').click();
  await page.locator('#confirm-do-record-history').click();
  await page.waitForURL(/\?done=/);
  const decision = await page.locator('#result a').getAttribute('href');
  await page.goto(`${service.url}/items/wi-BF-106/history`);
  const snapshot = await page.locator('a[href*="/snapshots/"]').first().getAttribute('href');
  await context.close();
  const transcript = await conversation();
  await holdBack();
  await letIn(transcript);
  const { applied, planned } = await expire();
  paths = [
    '/',
    '/?lane=backlog',
    '/?q=nothing-has-this-word',
    '/items/wi-BF-106',
    '/items/wi-BF-276?all=true',
    '/items/wi-BF-301?act=submit-evidence',
    '/items/wi-BF-301?act=override-gate',
    '/items/wi-BF-106/history',
    decision ?? '',
    snapshot ?? '',
    '/items/new?supersedes=wi-BF-106',
    '/operations',
    `/operations/runs/${ended.id}`,
    '/audit',
    '/audit?outcome=refused',
    '/people',
    '/api/docs',
    '/api/docs/schemas',
    '/sessions',
    '/governance',
    '/governance/holds',
    '/governance/erasures',
    '/governance/grants',
    `/governance/grants?all=true&session=${transcript}`,
    `/sessions/${transcript}/access`,
    '/sessions/01890a5d-ac96-774b-bcce-b302099a8057',
    '/governance/policies',
    '/governance/policies/classes/held',
    '/governance/policies/classes/without',
    '/governance/retention',
    `/governance/retention/${applied}`,
    `/governance/retention/${planned}`,
    '/search',
    '/search?q=deploy',
    '/search?q=nowhere-at-all',
    '/search?q=-only',
    `/sessions/${transcript}`,
    '/governance/quarantine',
    '/governance/quarantine?done=asked',
    '/items/wi-NONE',
  ];
});

/** A session with everything that a message can be, its id. */
async function conversation(): Promise<string> {
  const headers = { Authorization: `Bearer ${service.owner}`, 'Content-Type': 'application/json' };
  const post = async (path: string, body: object): Promise<{ id: string }> => {
    const answer = await fetch(service.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    expect(answer.status).toBe(201);
    return (await answer.json()) as { id: string };
  };
  const { id } = await post('/api/sessions', { title: `A long title ${'of many words '.repeat(12)}` });
  const secrets = `ghp_${'aB3d'.repeat(9)} and AKIA${'QZ7W'.repeat(4)}, password=S3cr3t!horse9`;
  const code = `\`\`\`sh\n./deploy ${'--with-a-long-option '.repeat(8)}\n\`\`\``;
  const tool = { toolCallId: 'c', name: 'shell' };
  await post(`/api/sessions/${id}/messages`, {
    role: 'user',
    subjectId: 'somebody else with a long name',
    parts: [{ type: 'text', text: `${secrets}\n\n${code}\n\n${'unbroken'.repeat(30)}` }],
  });
  await post(`/api/sessions/${id}/messages`, {
    role: 'tool',
    parts: [
      { type: 'tool-call', ...tool, arguments: { path: 'a/'.repeat(80) } },
      { type: 'tool-result', ...tool, output: { text: 'x'.repeat(500) }, isError: true },
    ],
  });
  const file = await fetch(
    `${service.url}/api/sessions/${id}/attachments?name=${'long-name_'.repeat(9)}.txt`,
    {
      ...{ method: 'POST', headers: { ...headers, 'Content-Type': 'text/plain' }, body: 'a file' },
    },
  );
  const { id: attachmentId } = (await file.json()) as { id: string };
  await post(`/api/sessions/${id}/messages`, { role: 'user', parts: [{ type: 'attachment', attachmentId }] });
  return id;
}
/** Messages and a title in quarantine; one release is asked for. */
async function holdBack(): Promise<void> {
  const headers = { Authorization: `Bearer ${service.owner}`, 'Content-Type': 'application/json' };
  const ask = async (method: string, path: string, body?: object): Promise<Record<string, unknown>> => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await fetch(`${service.url}/api${path}`, { method, headers, ...sent });
    expect(answer.ok).toBe(true);
    return (await answer.json()) as Record<string, unknown>;
  };
  const { general, classes } = await ask('GET', '/governance/policies');
  const held = {
    ...DEFAULT_CLASS,
    sensitive: { ...DEFAULT_CLASS.sensitive, secrets: 'quarantine', personal: 'quarantine' },
  };
  await ask('PUT', '/governance/policies', { general, classes: { ...(classes as object), held } });
  const session = await ask('POST', '/sessions', { class: 'held', title: `ghp_${'aB3d'.repeat(9)}` });
  const text = `ghp_${'aB3d'.repeat(9)} ${Array.from({ length: 30 }, (_, n) => `ada${n}@lovelace.dev`).join(' ')}`;
  const message = { role: 'user', parts: [{ type: 'text', text: `${text} ${'unbroken'.repeat(40)}` }] };
  await ask('POST', `/sessions/${String(session['id'])}/messages`, message);
  const { quarantineId } = await ask('POST', `/sessions/${String(session['id'])}/messages`, message);
  await ask('POST', `/governance/quarantine/${String(quarantineId)}/release`, {
    reason: `A reason ${'of many words '.repeat(10)} ${'unbroken'.repeat(20)}`,
  });
}

/** Grants of every kind and state, with reasons that are long; another owner's break-glass waits for a decision. */
async function letIn(sessionId: string): Promise<void> {
  const { people } = service.context;
  const other = await people.invite(SYSTEM, {
    name: `Somebody ${'with a long name '.repeat(4)}`,
    role: 'owner',
  });
  await service.cookie(other.id);
  const asking = await service.token({ role: 'owner', personId: other.id });
  const ask = async (path: string, body: object, as = service.owner, method = 'POST') => {
    const headers = { Authorization: `Bearer ${as}`, 'Content-Type': 'application/json' };
    const answer = await fetch(`${service.url}/api/governance${path}`, {
      ...{ method, headers, body: JSON.stringify(body) },
    });
    expect(answer.ok).toBe(true);
    return (await answer.json()) as { id: string };
  };
  const reason = `A reason ${'of many words '.repeat(10)} ${'unbroken'.repeat(20)}`;
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  await ask('/grants', { sessionId, grantee: 'team', reason, expiresAt });
  await ask('/grants', { sessionId, grantee: other.id, reason, expiresAt });
  const { general, classes } = await service.context.chat.policies.all();
  await ask('/policies', { general: { ...general, breakGlass: true }, classes }, service.owner, 'PUT');
  const glass = { kind: 'break-glass', reason, expiresAt };
  const { id } = await ask('/grants', glass, asking);
  await ask(`/grants/${id}/refuse`, {});
  await ask('/grants', { ...glass, sessionId }, asking);
}

/** A plan that was applied, with something in the bin and something held, and one that was not; their ids. */
async function expire(): Promise<{ applied: string; planned: string }> {
  const headers = { Authorization: `Bearer ${service.owner}`, 'Content-Type': 'application/json' };
  const ask = async (method: string, path: string, body?: object): Promise<Record<string, unknown>> => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await fetch(`${service.url}/api${path}`, { method, headers, ...sent });
    expect(answer.ok).toBe(true);
    return (await answer.json()) as Record<string, unknown>;
  };
  const name = `a-class-of-a-long-name-${'x'.repeat(40)}`;
  const { general, classes } = await ask('GET', '/governance/policies');
  const message = { days: 30, binDays: 14 };
  const brief = { ...DEFAULT_CLASS, retention: { ...DEFAULT_CLASS.retention, message } };
  await ask('PUT', '/governance/policies', { general, classes: { ...(classes as object), [name]: brief } });
  await ask('POST', '/governance/holds', {
    reason: `A dispute ${'of many words '.repeat(9)}`,
    subjectId: 'held',
  });
  const part = [{ type: 'text', text: 'long ago' }];
  for (const subjectId of ['free', 'held', 'other']) {
    const { id } = await ask('POST', '/sessions', { class: name, subjectId });
    for (let n = 0; n < 3; n += 1)
      await ask('POST', `/sessions/${String(id)}/messages`, { role: 'user', parts: part });
    // Only what is older than its days expires.
    const created_at = '2020-01-01T00:00:00.000Z';
    await service.context.storage.write(async (tx) => {
      const [session] = await tx.query((db) =>
        db.updateTable('chat_sessions').set({ created_at }).where('id', '=', String(id)).returning('number'),
      );
      await tx.query((db) =>
        db
          .updateTable('chat_messages')
          .set({ created_at })
          .where('session', '=', session!.number)
          .returning('seq'),
      );
    });
    if (subjectId === 'held') {
      const { id: plan, digest } = await ask('POST', '/governance/retention-plans', {});
      await ask('POST', `/governance/retention-plans/${String(plan)}/apply`, { digest });
    }
  }
  const { plans } = await ask('GET', '/governance/retention-plans');
  const { id: planned } = await ask('POST', '/governance/retention-plans', {});
  return { applied: (plans as { id: string }[])[0]!.id, planned: String(planned) };
}

afterAll(async () => {
  await browser.close();
  await service.close();
});

describe.each([
  { colorScheme: 'light', width: 1280 },
  { colorScheme: 'dark', width: 1280 },
  { colorScheme: 'light', width: 390 },
] as const)('$colorScheme at $width px', ({ colorScheme, width }) => {
  const options = { colorScheme, viewport: { width, height: 820 } };

  it(
    'has no accessibility violation, no sideways scroll and no complaint on any page',
    { timeout: 240_000 },
    async () => {
      const { page, complaints } = await visit(browser, service, options);
      const found: string[] = [];
      for (const path of paths) {
        await page.goto(service.url + path);
        await page.evaluate(
          'for (const one of document.querySelectorAll("details:not(.menu)")) one.open = true',
        );
        found.push(...(await violations(page)).map((violation) => `${path}: ${violation}`));
      }
      expect(found).toEqual([]);
      // The page for what is not there answers 404, and a search for nothing 400, which a browser logs.
      expect(complaints.filter((complaint) => !/40[04]/.test(complaint))).toEqual([]);
    },
  );

  it('has none in what opens: a plan, a menu, the palette', { timeout: 120_000 }, async () => {
    const { page } = await visit(browser, service, options);
    await page.goto(`${service.url}/items/wi-BF-106`);
    await page.locator('#do-record-history').click();
    await page.locator('#confirm-do-record-history').waitFor();
    await page.locator('.top .menu summary').click();
    expect(await violations(page)).toEqual([]);
    await page.goto(`${service.url}/governance/quarantine`);
    for (const [button, opened] of [
      ['Agree', '#confirm'],
      ['Remove', '#confirm'],
      ['Read', '#original'],
    ]) {
      await page
        .getByRole('button', { name: new RegExp(`^${button} message`) })
        .first()
        .click();
      await page.locator(opened ?? '').waitFor();
      expect(await violations(page)).toEqual([]);
    }
    await page.goto(`${service.url}/governance/grants`);
    await page.getByRole('button', { name: /^Approve: / }).click();
    await page.locator('#confirm').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.locator('#break-glass').getByLabel('Reason').fill('unbroken'.repeat(30));
    await page.getByRole('button', { name: 'Ask for break-glass' }).click();
    await page.locator('#plan').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.goto(`${service.url}/governance/erasures`);
    await page.locator('#erase-subjectId').fill('somebody else with a long name');
    await page.locator('#erase-reason').fill('asked for');
    await page.getByRole('button', { name: 'Erase subject' }).click();
    await page.locator('#plan').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await page.getByRole('option').first().waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it(
    'has none in the steps of governance that ask again, nor in a refusal',
    { timeout: 240_000 },
    async () => {
      const { page } = await visit(browser, service, options);
      for (const [path, button, opened] of [
        [paths.findLast((one) => one.startsWith('/governance/retention/')), 'Apply plan', '#confirm'],
        [paths.find((one) => one.startsWith('/governance/retention/')), 'Take back', '#confirm'],
        ['/governance/policies/classes/without', 'Change policies', '#plan'],
        ['/governance/policies/classes/held', 'Remove policy', '#plan'],
      ] as const) {
        await page.goto(service.url + path);
        await page.getByRole('button', { name: button }).click();
        await page.locator(opened).waitFor();
        expect(await violations(page)).toEqual([]);
      }
      await page.goto(`${service.url}/governance/policies/classes/general`);
      await page.getByLabel('Then in the bin').first().fill('never');
      await page.getByRole('button', { name: 'Change policies' }).click();
      await page.locator('[aria-invalid]').waitFor();
      expect(await violations(page)).toEqual([]);
    },
  );
});

async function violations(page: Page): Promise<string[]> {
  const found = await new AxeBuilder({ page }).analyze();
  const over = Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'));
  return [
    ...found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
    ...(over > 0 ? [`${over} px too wide`] : []),
  ];
}

describe('weight', () => {
  it.each([
    '/',
    '/items/wi-BF-276',
    '/items/wi-BF-302?all=true',
    '/operations',
    '/audit',
    '/sessions',
    '/governance/quarantine',
    '/governance/grants',
    '/governance/policies',
    '/governance/policies/classes/held',
    '/governance/retention',
    '/search?q=deploy',
    '/api/docs',
    '/api/docs/schemas',
  ])('%s is under 40 kB with everything it loads, as transferred', async (path) => {
    const { page, context } = await visit(browser, service);
    await page.goto('about:blank');
    const network = await context.newCDPSession(page);
    let bytes = 0;
    network.on('Network.loadingFinished', ({ encodedDataLength }) => {
      bytes += encodedDataLength;
    });
    await network.send('Network.enable');
    await network.send('Network.setCacheDisabled', { cacheDisabled: true });
    await page.goto(service.url + path, { waitUntil: 'load' });
    await page.locator('h1').waitFor();
    expect(bytes).toBeGreaterThan(5_000);
    expect(bytes).toBeLessThan(40_000);
  });
});

describe('sign-in', () => {
  it('says why a used link does not work and what next, without a violation', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const link = await service.loginLink();
    await page.goto(link);
    await context.clearCookies();
    await page.goto(link);
    await page.getByText('This link was used already.').waitFor();
    await page.getByText('npx factory login-link').waitFor();
    expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
  });

  it('signs out', async () => {
    const { page } = await visit(browser, service);
    await page.locator('.top .menu summary').click();
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await page.getByText('You are signed out.').waitFor();
    await page.goto(service.url);
    expect(new URL(page.url()).pathname).toBe('/login');
  });
});
