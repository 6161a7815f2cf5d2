import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { DEFAULT_CLASS } from '../../service/chat/policy.ts';
import { clientOf } from '../chat/client.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { launch, visit } from './browser.ts';

/** What people do who answer for conversations, by pages alone. */

const SUBJECT = 'Customer 4711';
const SECRET = 'password=S3cr3t!horse9';

let browser: Browser;
let service: TestService;
let second: string;

beforeAll(async () => {
  browser = await launch();
  service = await startService();
  second = (await service.context.people.invite(SYSTEM, { name: 'Second', role: 'owner' })).id;
});
afterAll(async () => {
  await browser.close();
  await service.close();
});

const { call, begin, say } = clientOf(() => service);

/** Presses a button that shows a plan or asks, then the one of the same place that does it. */
async function confirm(
  page: Page,
  button: string,
  place: '#plan' | '#confirm',
  does = button,
): Promise<void> {
  await page.getByRole('button', { name: button }).first().click();
  await page.locator(place).getByRole('button', { name: does, exact: true }).click();
}

it('keeps what is held from an erasure until its release, and certifies the end', async () => {
  const { id } = await begin({ title: 'Dispute', class: 'legal', subjectId: SUBJECT });
  await say(id, 'evidence');
  await say((await begin({ title: 'Small talk', subjectId: SUBJECT })).id, 'goes at once');
  const { page, complaints } = await visit(browser, service, { acceptDownloads: true });

  await page.getByRole('link', { name: 'Governance' }).click();
  await page.getByRole('link', { name: 'Holds', exact: true }).click();
  await page.getByLabel('Reason').fill('case 7');
  await page.getByLabel('Class').fill('legal');
  await page.getByRole('button', { name: 'Place hold' }).click();
  await page.locator('#plan', { hasText: 'It covers 1 message of 1 session' }).waitFor();
  await page.locator('#plan').getByRole('button', { name: 'Place hold' }).click();
  await page.getByText('Keeps in class legal').waitFor();

  await page.getByRole('link', { name: 'Erasures', exact: true }).click();
  await page.locator('#erase-subjectId').fill(SUBJECT);
  await page.locator('#erase-reason').fill('asked for by letter');
  await page.getByRole('button', { name: 'Erase subject' }).click();
  await page
    .locator('#plan', { hasText: '1 message, 1 session or its title until the release of case 7' })
    .waitFor();
  await page.locator('#erase-typed').fill(SUBJECT);
  await page.locator('#plan').getByRole('button', { name: 'Erase subject' }).click();
  await page.locator('#erasure').getByText('waits for a hold').waitFor();
  const erasure = page.url();
  expect((await call('GET', `/api/sessions/${id}`)).status).toBe(200);

  await page.getByRole('link', { name: 'Holds', exact: true }).click();
  await confirm(page, 'Release hold: case 7', '#plan', 'Release');
  await page.waitForURL(/released=true/);
  await service.context.chat.governance.erasures.idle();
  await page.goto(erasure);
  await page.locator('#erasure .chip', { hasText: 'done' }).waitFor();
  await page.getByText('Erased: 2 sessions, 2 messages, 0 attachments, 2 titles').waitFor();

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download certificate' }).click(),
  ]);
  const checker = join(import.meta.dirname, '../../scripts/verify-certificate.mjs');
  const key = join(service.dataDir, 'keyring/audit-log.vkey');
  const checked = spawnSync(process.execPath, [checker, await download.path(), '--key', key, '--json'], {
    encoding: 'utf8',
  });
  expect(JSON.parse(checked.stdout)).toMatchObject({ ok: true, status: 'done', problems: [] });
  expect((await call('GET', `/api/sessions/${id}`)).status).toBe(410);
  expect(complaints).toEqual([]);
});

it('lets what was held back in only by two people', async () => {
  const { body } = await call<{ general: object; classes: object }>('GET', '/api/governance/policies');
  const sensitive = { ...DEFAULT_CLASS.sensitive, secrets: 'quarantine' };
  const classes = { ...body.classes, held: { ...DEFAULT_CLASS, sensitive } };
  await call('PUT', '/api/governance/policies', { general: body.general, classes });
  const { id } = await begin({ class: 'held' });
  await say(id, SECRET);
  const first = await visit(browser, service);
  const other = await visit(browser, service, { personId: second });

  await first.page.goto(`${service.url}/governance`);
  await first.page.getByRole('link', { name: 'Quarantine 1' }).click();
  await first.page.getByRole('button', { name: 'Let in message 1' }).click();
  await first.page.getByLabel('Reason').fill('a test account');
  await first.page.getByRole('button', { name: 'Ask for the release' }).click();
  await first.page.getByText('The release is asked for.').waitFor();
  await first.page.getByRole('button', { name: 'Agree message 1' }).click();
  await first.page.getByLabel('Reason').fill('again');
  await first.page.locator('#confirm').getByRole('button', { name: 'Let in' }).click();
  await first.page.getByText('Who asked for the release cannot agree to it.').waitFor();

  await other.page.goto(`${service.url}/governance/quarantine`);
  await other.page.getByText('a test account').waitFor();
  await other.page.getByRole('button', { name: 'Agree message 1' }).click();
  await other.page.getByLabel('Reason').fill('agreed');
  await other.page.locator('#confirm').getByRole('button', { name: 'Let in' }).click();
  await other.page.getByText('Nothing waits for a decision').waitFor();
  await other.page.goto(`${service.url}/sessions/${id}`);
  await other.page.getByText(SECRET).waitFor();
  // A browser logs that the refusal answered 409.
  expect([...first.complaints, ...other.complaints].filter((one) => !/409/.test(one))).toEqual([]);
});
