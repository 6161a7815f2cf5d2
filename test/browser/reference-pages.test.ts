import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPostgres } from '../helpers/postgres-server.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { firstMissing, referenceLines } from '../http/web/text.ts';
import { launch, linesOf, visit } from './browser.ts';

const engines =
  findPostgres() === null && !process.env.CI ? (['sqlite'] as const) : (['sqlite', 'postgres'] as const);

describe.each(engines)('the reference pages from %s', (engine) => {
  let browser: Browser;
  let service: TestService;

  beforeAll(async () => {
    browser = await launch();
    service = await startService({
      workItems: new URL('../../work-items', import.meta.url).pathname,
      engine,
    });
  });
  afterAll(async () => {
    await browser.close();
    await service.close();
  });

  it.each(['wi-BF-106', 'wi-BF-276'])('%s shows every line in its order', async (id) => {
    const { page, complaints } = await visit(browser, service);
    await page.goto(`${service.url}/items/${id}`);
    expect(firstMissing(await linesOf(page), referenceLines(id))).toBeNull();
    expect(complaints).toEqual([]);
  });
});
