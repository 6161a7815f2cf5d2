import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fakeOperations, type FakeOperations } from '../helpers/operations.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { launch, visit } from './browser.ts';

let browser: Browser;
let service: TestService;
let operations: FakeOperations;

beforeAll(async () => {
  browser = await launch();
  operations = fakeOperations({ now: Date.now });
  service = await startService({ operations });
});
afterAll(async () => {
  await browser.close();
  await service.close();
});

it.each([true, false])(
  'starts a backup after its plan, and sees it through (scripts: %s)',
  async (scripts) => {
    const { page, complaints } = await visit(browser, service, { javaScriptEnabled: scripts });
    await page.getByRole('link', { name: 'Operations' }).click();
    await page.getByRole('button', { name: 'Back up now' }).first().click();
    await page.getByRole('heading', { name: 'Plan: Back up now' }).waitFor();
    expect(operations.started).toHaveLength(scripts ? 0 : 1);
    await page.locator('#plan').getByRole('button', { name: 'Back up now' }).click();
    await page.waitForURL(/\/operations\/runs\//);
    await page.getByText('It is running').waitFor();
    const run = operations.state.runs[0];
    if (!run) throw new Error('no run');
    Object.assign(run, { outcome: 'ok', endedAt: new Date().toISOString(), log: 'sent everything\n' });
    if (!scripts) await page.getByRole('link', { name: 'Look again' }).click();
    await page.getByText('All of it was done.').waitFor();
    await page.getByText('sent everything').waitFor();
    await page.goto(`${service.url}/operations`);
    await page.locator('#runs').getByRole('link').nth(6).waitFor();
    expect(complaints).toEqual([]);
  },
);

it('accepts a restore after its report', async () => {
  const times = { takenAt: '2026-05-01T00:00:00.000Z', restoredAt: '2026-05-01T01:00:00.000Z' };
  const restored = { ...times, why: 'restore' as const };
  const pause = { ...restored, backupId: 'full/factory/x', epoch: 1, by: 'someone@host' };
  operations.state.restored = { ...restored, open: true };
  operations.state.report = { pause, drifted: [], owed: [], digest: '0123456789abcdef' };
  const { page, complaints } = await visit(browser, service);
  await page.goto(`${service.url}/operations`);
  await page.getByRole('button', { name: 'Look at what drifted' }).click();
  await page.getByRole('heading', { name: 'What drifted since the restore' }).waitFor();
  expect(operations.accepted).toEqual([]);
  await page.getByRole('button', { name: 'Accept and go on' }).click();
  await page.getByText('The restore is accepted').waitFor();
  expect([operations.accepted.length, complaints]).toEqual([1, []]);
  operations.state.restored = null;
});

it('is found by the palette', async () => {
  const { page } = await visit(browser, service);
  await page.keyboard.press('Control+k');
  await page.keyboard.type('operat');
  await page.getByRole('option', { name: 'Operations page' }).waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL(`${service.url}/operations`);
});

it('shows the badge as a picture within a page, without a complaint', async () => {
  const { page, complaints } = await visit(browser, service);
  const width = await page.evaluate(`(async () => {
    const image = new Image();
    image.src = '/api/badge/restore.svg';
    await image.decode();
    return image.naturalWidth;
  })()`);
  expect(width).toBeGreaterThan(200);
  expect(complaints).toEqual([]);
});

it('breaks no kind of backup within its word on a phone', async () => {
  const { page } = await visit(browser, service, { viewport: { width: 390, height: 820 } });
  await page.goto(`${service.url}/operations`);
  const lines: number[] = await page.evaluate(
    `[...document.querySelectorAll('.word')].map((one) => one.getClientRects().length)`,
  );
  expect(lines.length).toBeGreaterThan(5);
  expect(new Set(lines)).toEqual(new Set([1]));
  const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
  expect(await page.evaluate(overflow)).toBeLessThanOrEqual(0);
});

it('shows drills as a table that fits a telephone, few lines each', async () => {
  const [drill] = operations.state.drills;
  if (drill) drill.backupId = 'full/factory/20261123T021500.123Z-0000790-0123456789abcdef';
  const { page } = await visit(browser, service, { viewport: { width: 390, height: 820 } });
  await page.goto(`${service.url}/operations`);
  await page.locator('#drill-table summary').click();
  const measured = await page.evaluate<{ cut: number; tallest: number }>(`(() => {
    const table = document.querySelector('#drill-table table');
    const rows = [...table.querySelectorAll('tbody tr')].map((row) => row.getBoundingClientRect().height);
    return { cut: table.scrollWidth - table.parentElement.clientWidth, tallest: Math.max(...rows) };
  })()`);
  expect(measured.cut).toBeLessThanOrEqual(0);
  expect(measured.tallest).toBeLessThan(180);
});
