import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { itemFiles, startService, type TestService } from '../helpers/service.ts';
import { launch, visit } from './browser.ts';

let browser: Browser;
let service: TestService;

beforeAll(async () => {
  browser = await launch();
  service = await startService({
    workItems: { ...itemFiles('wi-P-1', 'backlog'), ...itemFiles('wi-P-2', 'done') },
  });
});
afterAll(async () => {
  await browser.close();
  await service.close();
});

async function ask(page: Page, text: string): Promise<void> {
  await page.keyboard.press('Control+k');
  await page.keyboard.type(text);
}

it('offers a new item to whoever may create one', async () => {
  const { page } = await visit(browser, service);
  await ask(page, 'new');
  await page.getByRole('option', { name: 'Create item page' }).waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL(`${service.url}/items/new`);

  const { id } = await service.context.people.invite(SYSTEM, { name: 'Rea', role: 'reviewer' });
  const other = await visit(browser, service, { personId: id });
  await ask(other.page, 'new');
  await other.page.getByText('No item or page matches “new”.').waitFor();
});

it('offers the items of the board before anything is typed', async () => {
  const { page } = await visit(browser, service);
  await page.keyboard.press('Control+k');
  await page.getByRole('option', { name: /P-1 Title of wi-P-1/ }).waitFor();
});

it('offers on an item’s page all of its actions, those of other lanes with what they wait for', async () => {
  const { page } = await visit(browser, service);
  await page.goto(`${service.url}/items/wi-P-2`);
  await ask(page, 'mark');
  await page.getByRole('option', { name: 'Mark ready not on this lane' }).waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL(`${service.url}/items/wi-P-2?act=mark-ready#act-mark-ready`);
  await page.locator('#act-mark-ready').getByText('Cause').waitFor();
  await ask(page, 'reconcile');
  await page.getByRole('option', { name: 'Reconcile action' }).waitFor();
});

it('says that nothing matches, and when it could not look', async () => {
  const { page } = await visit(browser, service);
  // In place before the page loads: a route that is added to a loaded page may miss the page's next request.
  let unreachable = false;
  await page.route('**/api/control-plane/items?*', (route) =>
    unreachable ? route.abort() : route.continue(),
  );
  await page.reload();
  await ask(page, 'zzzz');
  await page
    .getByText('No item or page matches “zzzz”. Actions are offered on an item’s page.', { exact: true })
    .waitFor();
  unreachable = true;
  await page.keyboard.type('z');
  await page.getByText('items could not be searched').waitFor();
  expect(await page.getByRole('option').count()).toBe(1);
});
