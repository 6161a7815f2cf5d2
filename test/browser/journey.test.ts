import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { itemFiles, startService, type TestService } from '../helpers/service.ts';
import { launch, linesOf, visit } from './browser.ts';

const HEAD = '4f1c2d9aa0b1c2d3e4f5061728394a5b6c7d8e9f';
let browser: Browser;
let service: TestService;

beforeAll(async () => {
  browser = await launch();
  service = await startService({
    workItems: {
      ...itemFiles('wi-A-1', 'backlog'),
      ...itemFiles('wi-A-2', 'backlog'),
      ...itemFiles('wi-A-3', 'done'),
    },
  });
});
afterAll(async () => {
  await browser.close();
  await service.close();
});

/** Presses the action's button, then the button of the same name that confirms the plan; waits for what came of it. */
async function take(page: Page, id: string, label: string, fill: Record<string, string> = {}): Promise<void> {
  const card = page.locator('.action', { has: page.getByRole('heading', { name: label }) });
  await card.getByRole('button', { name: label, exact: true }).click();
  const confirm = page.getByRole('form', { name: `Confirm ${label}` });
  await confirm.waitFor();
  for (const [name, value] of Object.entries(fill)) {
    const field = confirm.locator(`[name="${name}"]`);
    if ((await field.evaluate((element) => element.tagName)) === 'SELECT') await field.selectOption(value);
    else await field.fill(value);
  }
  await confirm.getByRole('button', { name: label, exact: true }).click();
  await page.locator('#result', { hasText: `${label}: done` }).waitFor();
  expect(page.url()).toContain(`/items/${id}?done=`);
}

const steps: [label: string, heading: string, fill?: Record<string, string>][] = [
  ['Mark ready', 'Ready Work Item', { note: 'Planned for this week.' }],
  ['Start execution', 'Ready Work Item'],
  ['Claim', 'Executing Work Item'],
  [
    'Submit evidence',
    'Executing Work Item',
    { kind: 'criterion', criterion: '1', result: 'passed', commit: HEAD },
  ],
  ['Request review', 'Review Work Item'],
  ['Submit evidence', 'Review Work Item', { kind: 'attestation', result: 'passed', commit: HEAD }],
  ['Complete', 'Done Work Item'],
];

describe.each([
  { id: 'wi-A-1', javaScriptEnabled: true },
  { id: 'wi-A-2', javaScriptEnabled: false },
])('by pages alone, script enabled: $javaScriptEnabled', ({ id, javaScriptEnabled }) => {
  it('takes an item from backlog to done, and the record follows', async () => {
    const { page, complaints } = await visit(browser, service, { javaScriptEnabled });
    await page.goto(`${service.url}/items/${id}`);
    expect(await linesOf(page)).toContain('Backlog Work Item');
    for (const [label, heading, fill] of steps) {
      await take(page, id, label, fill);
      expect(await linesOf(page)).toContain(heading);
    }
    expect(complaints).toEqual([]);
    await expect
      .poll(() => readFileSync(join(service.workItemsDir, 'done', `${id}.md`), 'utf8'), { timeout: 10_000 })
      .toContain('status: done');
  });
});

describe('on the way', () => {
  it('leads from the advice of a done item to its successor', async () => {
    const { page } = await visit(browser, service);
    await page.goto(`${service.url}/items/wi-A-3`);
    await page.getByRole('link', { name: 'Create a net-new work item' }).first().click();
    await page.getByLabel('Title').fill('The next step');
    await page.getByLabel('Summary').fill('What was left over.');
    await page.getByLabel('Done criteria').fill('First thing shown.\nSecond thing shown.');
    await page.getByLabel('Prompt').fill('Do what was left over.');
    await page.getByRole('button', { name: 'Create item' }).click();
    await page.waitForURL(/\/items\/(?!new)/);
    const lines = await linesOf(page);
    expect(lines).toEqual(
      expect.arrayContaining(['Backlog Work Item', 'The next step', 'Supersedes', 'wi-A-3']),
    );
    expect(lines[lines.indexOf('Done criteria') + 1]).toBe('2');
  });

  it('says in place that the item moved since the plan, and shows the new state', async () => {
    const first = await visit(browser, service);
    const second = await visit(browser, service);
    const { item: raced } = await service.context.items.create(await owner(), {
      title: 'Raced',
      summary: 'Two people move it.',
      workType: 'feature',
      criteria: [],
      prompt: 'Do it.',
    });
    await first.page.goto(`${service.url}/items/${raced.id}`);
    await first.page.locator('#do-mark-ready').click();
    await first.page.locator('#confirm-do-mark-ready').waitFor();
    await second.page.goto(`${service.url}/items/${raced.id}`);
    await take(second.page, raced.id, 'Mark ready');
    await first.page.locator('#confirm-do-mark-ready').click();
    await first.page.getByText('The item changed since this plan was made; nothing was done.').waitFor();
  });

  it('takes the forms of nobody else: without its token a form is refused with a page', async () => {
    const { page } = await visit(browser, service);
    await page.goto(`${service.url}/items/wi-A-1`);
    await page.evaluate(`(() => {
      const form = document.getElementById('do-record-history').form;
      form.elements._csrf.remove();
      form.submit();
    })()`);
    await page.getByText('The form does not carry the token of your session.').waitFor();
  });
});

async function owner() {
  const cookie = await service.cookie();
  const signedIn = await service.context.sessions.authenticate(cookie.slice(cookie.indexOf('=') + 1));
  if (!signedIn || 'refused' in signedIn) throw new Error('the owner could not sign in');
  return signedIn.principal;
}
