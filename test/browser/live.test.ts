import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manualClock } from '../../service/clock.ts';
import { itemFiles, startService, type TestService } from '../helpers/service.ts';
import { launch, visit } from './browser.ts';

let browser: Browser;
let service: TestService;

beforeAll(async () => {
  browser = await launch();
  service = await startService({
    workItems: {
      ...itemFiles('wi-B-1', 'backlog'),
      ...itemFiles('wi-B-2', 'backlog'),
      ...itemFiles('wi-B-3', 'ready'),
    },
  });
});
afterAll(async () => {
  await browser.close();
  await service.close();
});

async function act(id: string, identity: string): Promise<void> {
  const response = await fetch(`${service.url}/api/control-plane/items/${id}/actions/${identity}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${service.owner}`, 'content-type': 'application/json' },
    body: '{}',
  });
  expect(response.status).toBe(200);
}

describe('live parts', () => {
  it('moves a card on the board without a reload, and keeps focus', async () => {
    const { page, complaints } = await visit(browser, service);
    await page.evaluate('window.stays = true');
    await page.locator('#card-wi-B-3').focus();
    await act('wi-B-1', 'mark-ready');
    await page.locator('section[aria-label="Ready"] #card-wi-B-1').waitFor();
    expect(await page.evaluate('document.activeElement.id')).toBe('card-wi-B-3');
    expect(await page.evaluate('window.stays')).toBe(true);
    expect(complaints).toEqual([]);
  });

  it('keeps a plan that somebody reads, and refreshes around it', async () => {
    const { page } = await visit(browser, service);
    await page.goto(`${service.url}/items/wi-B-2`);
    await page.locator('#do-cancel').click();
    const note = page.locator('#cancel-note');
    await note.fill('half a sentence');
    await act('wi-B-2', 'mark-ready');
    await page.locator('#heading', { hasText: 'Ready Work Item' }).waitFor();
    expect(await note.inputValue()).toBe('half a sentence');
  });
});

describe('time', () => {
  it('opens what it holds back while the page is open, without an event', async () => {
    const clock = manualClock(new Date().toISOString());
    const hour = (hours: number) => new Date(clock.now() + hours * 3_600_000).toISOString();
    const held = await startService({
      clock,
      policy: `gatePack: strict\nfreezes:\n  - { name: Quiet, from: ${hour(-1)}, until: ${hour(1)} }\n`,
      workItems: itemFiles('wi-B-9', 'done', { extra: 'pr: https://forge.example/pull/9\n' }),
    });
    try {
      const { page, complaints } = await visit(browser, held);
      await page.clock.install();
      await page.goto(`${held.url}/items/wi-B-9`);
      await page.locator('#act-prepare-release', { hasText: 'Blocked' }).waitFor();
      clock.advance(3_600_000);
      await page.clock.fastForward('01:00:01');
      await page.locator('#do-prepare-release').waitFor();
      expect(complaints).toEqual([]);
    } finally {
      await held.close();
    }
  });
});

describe('a lost connection', () => {
  it('is said after a while', async () => {
    const { page, context } = await visit(browser, service);
    expect(await page.locator('#connection').isVisible()).toBe(false);
    await context.route('**/api/events', (route) => route.abort());
    await page.reload();
    await page.getByText('Live updates are interrupted.').waitFor();
  });
});

describe('keyboard', () => {
  it('moves over the board, opens an item, shows its keys', async () => {
    const { page } = await visit(browser, service);
    await page.keyboard.press('j');
    const first = await page.evaluate('document.activeElement.getAttribute("href")');
    await page.keyboard.press('j');
    await page.keyboard.press('k');
    expect(await page.evaluate('document.activeElement.getAttribute("href")')).toBe(first);
    await page.keyboard.press('Enter');
    await page.waitForURL(`${service.url}${String(first)}`);
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  });

  it('goes to an item, a page or an action from the palette', async () => {
    const { page, complaints } = await visit(browser, service);
    await page.keyboard.press('Control+k');
    await page.keyboard.type('B-3');
    await page.getByRole('option', { name: /Title of wi-B-3/ }).waitFor();
    await page.keyboard.press('Enter');
    await page.waitForURL(`${service.url}/items/wi-B-3`);
    await page.keyboard.press('/');
    await page.keyboard.type('start exec');
    await page.getByRole('option', { name: /Start execution/ }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('form', { name: 'Confirm Start execution' }).waitFor();
    await page.keyboard.press('Control+k');
    await page.keyboard.type('audit');
    await page.getByRole('option', { name: 'Audit page' }).waitFor();
    await page.keyboard.press('Enter');
    await page.waitForURL(`${service.url}/audit`);
    expect(complaints).toEqual([]);
  });
});
