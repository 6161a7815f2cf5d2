import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from 'playwright-core';
import type { TestService } from '../helpers/service.ts';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
}

export interface Visit {
  page: Page;
  context: BrowserContext;
  /** Console errors, uncaught exceptions, failed loads and requests to another origin. */
  complaints: string[];
}

/** A new browser profile, signed in by a one-time link of the owner or of a person. */
export async function visit(
  browser: Browser,
  service: TestService,
  options: BrowserContextOptions & { personId?: string } = {},
): Promise<Visit> {
  const { personId, ...rest } = options;
  const context = await browser.newContext({ viewport: { width: 1280, height: 820 }, ...rest });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${service.url}/`)) complaints.push(`foreign: ${request.url()}`);
  });
  await page.goto(await service.loginLink(personId));
  return { page, context, complaints };
}

/** The page's text as a reader sees it, a line each. */
export async function linesOf(page: Page): Promise<string[]> {
  const text = await page.locator('main').innerText();
  return text.split('\n').flatMap((line) => line.replace(/\s+/g, ' ').trim() || []);
}
