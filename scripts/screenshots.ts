/**
 * Takes the README's pictures from a running service: docs/images/board.png and docs/images/item.png.
 * Usage: `node scripts/screenshots.ts LOGIN_LINK [ITEM]`; LOGIN_LINK is what `npm start` or `factory login-link`
 * prints, ITEM the item to show (default wi-BF-302). Needs Chromium, at CHROMIUM or /usr/bin/chromium.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium, type Page } from 'playwright-core';

const [link, item = 'wi-BF-302'] = process.argv.slice(2);
if (!link || !URL.canParse(link)) {
  process.stderr.write('Try: node scripts/screenshots.ts http://127.0.0.1:8700/login?link=… [wi-BF-302]\n');
  process.exit(2);
}

const folder = fileURLToPath(new URL('../docs/images/', import.meta.url));
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 820 },
    deviceScaleFactor: 1.5,
    colorScheme: 'light',
  });
  const page = await context.newPage();
  await page.goto(link);
  if (new URL(page.url()).pathname === '/login')
    throw new Error('The link does not sign in (any more): take a new one.');
  await take(page, '/', 'board');
  await take(page, `/items/${item}`, 'item');
} finally {
  await browser.close();
}

async function take(page: Page, path: string, name: string): Promise<void> {
  const response = await page.goto(new URL(path, link).href);
  if (!response?.ok()) throw new Error(`${path} answered ${response?.status() ?? 'nothing'}.`);
  await page.screenshot({ path: `${folder}${name}.png` });
  process.stdout.write(`docs/images/${name}.png\n`);
}
