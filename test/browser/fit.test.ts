import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { destination, fakeOperations, jobRun, monthOf } from '../helpers/operations.ts';
import { itemFiles, startService, type TestService } from '../helpers/service.ts';
import { launch, visit } from './browser.ts';

/** What has to fit into its place, and what forms and lists show of themselves. */

const LONG = `https://example.org/${'a'.repeat(4980)}`;

let browser: Browser;
let service: TestService;
let runId: string;

beforeAll(async () => {
  browser = await launch();
  const now = Date.now();
  const state = monthOf(now);
  const error = { code: 'no-space', message: LONG, hint: LONG, at: new Date(now).toISOString() };
  state.backups.status = 'degraded';
  state.backups.destinations = [destination(now, { url: LONG, error })];
  const run = jobRun(now, 'backup', 60_000, { outcome: 'failed', result: { error }, log: LONG });
  state.runs = [run];
  state.jobs = { drill: { paused: LONG } };
  runId = run.id;
  service = await startService({
    operations: fakeOperations({ now: Date.now }, state),
    workItems: {
      ...itemFiles('wi-F-1', 'executing'),
      ...itemFiles('wi-F-2', 'backlog'),
      ...itemFiles('wi-F-3', 'review', { title: LONG, criteria: [LONG], prompt: LONG }),
    },
  });
  const { token } = await service.context.tokens.create(
    { kind: 'system', id: 'system', personId: null, roles: [] },
    {
      name: 'an-agent-with-a-name-that-no-card-can-hold-in-one-line',
      roles: ['agent'],
      personId: await service.context.people.ensureOwner(),
      expires: null,
    },
  );
  const url = `${service.url}/api/control-plane/items/wi-F-1`;
  const authorization = `Bearer ${token}`;
  const etag = (await fetch(url, { headers: { authorization } })).headers.get('etag') ?? '';
  const claimed = await fetch(`${url}/actions/claim`, {
    method: 'POST',
    headers: {
      authorization,
      'content-type': 'application/json',
      'idempotency-key': 'fit',
      'if-match': etag,
    },
    body: '{}',
  });
  expect(claimed.status).toBe(200);
});
afterAll(async () => {
  await browser.close();
  await service.close();
});

describe.each([390, 768, 1280, 1440])('at %s px', (width) => {
  it('keeps every chip in its card and every card in its lane', async () => {
    const { page } = await visit(browser, service, { viewport: { width, height: 820 } });
    const chip = page.locator('#card-wi-F-1 .chip', { hasText: 'an-agent' });
    expect(await chip.getAttribute('title')).toContain('no-card-can-hold');
    const over =
      await page.evaluate(`[...document.querySelectorAll('.lanes .chip, .lanes .card')].filter((one) => {
      const around = one.closest(one.matches('.card') ? 'section' : '.card').getBoundingClientRect();
      return one.getBoundingClientRect().right > around.right + 0.5;
    }).length`);
    expect(over).toBe(0);
    expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
  });

  it('says within its page who holds an item', async () => {
    const { page } = await visit(browser, service, { viewport: { width, height: 820 } });
    await page.goto(`${service.url}/items/wi-F-1`);
    await page.locator('#heading').getByText('handoff claimed').waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
  });

  it('opens an audit entry over the whole width of the list', async () => {
    const { page } = await visit(browser, service, { viewport: { width, height: 820 } });
    await page.goto(`${service.url}/audit`);
    expect(await page.locator('tr.json').first().isVisible()).toBe(false);
    await page.locator('.leaf summary').first().click();
    const shown = await page.locator('tr.json:visible pre').boundingBox();
    const list = await page.locator('table.log').boundingBox();
    expect(shown?.width).toBeGreaterThan((list?.width ?? 0) * 0.8);
  });
});

describe.each([390, 1280])('words of any length at %s px', (width) => {
  it('stay within every page that shows them', async () => {
    const { page } = await visit(browser, service, { viewport: { width, height: 820 } });
    const item = `${service.url}/items/wi-F-3`;
    await page.goto(`${item}?act=waive-criterion`);
    await page.locator('[name="reason"]').fill(LONG.slice(0, 3000));
    await page.getByRole('button', { name: 'Show the plan' }).click();
    await page.getByRole('heading', { name: 'Plan', exact: true }).waitFor();
    const over = async () => Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'));
    const found: [string, number][] = [['plan', await over()]];
    const decision = (await page.locator('.plan a[href*="/decisions/"]').getAttribute('href')) ?? '';
    for (const path of [
      ...['/', '/?lane=review', '/items/wi-F-3', '/items/wi-F-3/history', decision, '/audit?object=wi-F-3'],
      ...['/operations', `/operations/runs/${runId}`],
      ...['/items/new?supersedes=wi-F-3', `/?q=${LONG.slice(0, 900)}`],
    ]) {
      await page.goto(service.url + path);
      found.push([path.slice(0, 40), await over()]);
    }
    expect(found.filter(([, pixels]) => pixels > 0)).toEqual([]);
  });
});

describe('the form of evidence', () => {
  it('asks what its kind needs, and nothing else is sent', async () => {
    const { page } = await visit(browser, service);
    await page.goto(`${service.url}/items/wi-F-1?act=submit-evidence`);
    const field = (name: string) => page.locator(`#submit-evidence-${name}`);
    const visible = async () => [
      await field('criterion').isVisible(),
      await field('scriptDigest').isVisible(),
    ];
    expect(await visible()).toEqual([false, true]);
    await field('kind').selectOption('criterion');
    expect(await visible()).toEqual([true, false]);
    await field('criterion').selectOption('1');
    await field('commit').fill('no commit');
    await page.locator('#confirm-do-submit-evidence').click();
    await page.locator('#submit-evidence-commit-problem').waitFor();
    await expect.poll(() => page.evaluate('document.activeElement.id')).toBe('submit-evidence-commit');
    expect(await visible()).toEqual([true, false]);
  });

  it('shows all of its fields without a script', async () => {
    const { page } = await visit(browser, service, { javaScriptEnabled: false });
    await page.goto(`${service.url}/items/wi-F-1?act=submit-evidence`);
    for (const name of ['criterion', 'scriptDigest'])
      expect(await page.locator(`#submit-evidence-${name}`).isVisible()).toBe(true);
  });
});
