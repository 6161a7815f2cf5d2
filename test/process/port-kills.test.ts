import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createDatabase, query } from '../helpers/postgres.ts';
import { factory } from '../scripts/cli.ts';
import { filledFolder } from '../scripts/port/filled.ts';
import { launch } from './service.ts';

interface Copied {
  rows: number;
  before: number;
  again: string | null;
}

/** How many tables have a committed watermark; 0 before the port has begun. */
async function tablesBegun(url: string): Promise<number> {
  const [row] = await query<{ found: string | null }>(
    url,
    `select to_regclass('factory_port.watermarks')::text as found`,
  );
  if (!row?.found) return 0;
  const [count] = await query<{ n: number }>(url, 'select count(*)::int as n from factory_port.watermarks');
  return count?.n ?? 0;
}

describe('a port that was killed', { timeout: 600_000 }, () => {
  it('goes on where it was, and ends with nothing that differs', async () => {
    const { folder } = await filledFolder(1500);
    for (const tables of [1, 9, 20]) {
      const to = await createDatabase();
      const place = { dir: folder, data: `${folder}/data`, queue: `${folder}/work-items`, env: {} };
      const child = launch(place, ['port', 'copy', '--to', to]);
      const ended = new Promise<NodeJS.Signals | null>((resolve) =>
        child.on('exit', (_code, signal) => resolve(signal)),
      );
      while ((await tablesBegun(to)) < tables && child.exitCode === null) await sleep(5);
      child.kill('SIGKILL');
      expect(await ended).toBe('SIGKILL');
      // What it held is free once the server has seen that it is gone.
      const copied = await again(folder, to);
      expect(copied.exit).toBe(0);
      expect(copied.answer).toMatchObject({ again: null });
      expect(copied.answer.before).toBeGreaterThan(0);
      expect(copied.answer.before).toBeLessThan(copied.answer.rows);
      expect((await factory(folder, ['port', 'verify', '--to', to])).exit).toBe(0);
    }
  });
});

async function again(folder: string, to: string): Promise<{ exit: number; answer: Copied }> {
  for (let tries = 0; ; tries += 1) {
    const ran = await factory(folder, ['port', 'copy', '--to', to, '--json']);
    if (ran.exit !== 4 || tries === 50) return { exit: ran.exit, answer: ran.json<Copied>() };
    await sleep(100);
  }
}
