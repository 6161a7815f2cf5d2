import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSearchIndex, type SearchIndex } from '../../../service/chat/search/apart.ts';
import { createLogger } from '../../../service/logger.ts';

/** What the service makes of a thread that ends or hangs; `threads/fails.mjs` and `threads/hangs.mjs` stand for it. */

let folder: string;
let index: SearchIndex;
let lines: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'factory-thread-'));
  lines = [];
});
afterEach(async () => {
  await index.stop();
  rmSync(folder, { recursive: true, force: true });
});

function failing(times: number, againMs = 1): SearchIndex {
  return (index = createSearchIndex({
    ...{ databaseUrl: '', folder, blobsFolder: '', installation: '', projectId: String(times) },
    keys: { byId: () => Promise.reject(new Error('no keys')) as never },
    logger: createLogger('error', { write: (line: string) => void lines.push(line) }),
    thread: new URL('threads/fails.mjs', import.meta.url),
    times: { againMs, absentMs: 30_000, caughtUpMs: 30_000 },
  }));
}

const restarts: string[] = [];

function hanging(where: 'start' | 'question' | 'nowhere', pingMs: number): SearchIndex {
  restarts.length = 0;
  return (index = createSearchIndex({
    ...{ databaseUrl: '', folder, blobsFolder: '', installation: '', projectId: where },
    keys: { byId: () => Promise.reject(new Error('no keys')) as never },
    logger: createLogger('error', { write: (line: string) => void lines.push(line) }),
    restarts: (why) => void restarts.push(why),
    thread: new URL('threads/hangs.mjs', import.meta.url),
    times: { againMs: 1, absentMs: 30_000, caughtUpMs: 30_000, pingMs, mostMissed: 3 },
  }));
}

const query = { match: 'x', before: 1, limit: 1 };

describe('the thread of the search index', () => {
  it('is begun again when it ends; what was asked is refused, and said in the log', async () => {
    failing(1);
    await expect(index.find(query)).rejects.toMatchObject({
      ...{ code: 'search-index-unavailable', retryable: true },
    });
    expect(index.trouble()).toBe('SQLITE_FULL');
    expect(await index.find(query)).toMatchObject({ name: 'find', args: [query], starts: 2 });
    expect(index.trouble()).toBeNull();
    expect(lines.join('')).toContain('It broke.');
  });

  it('takes what went out of the index, even if it ends meanwhile', async () => {
    failing(2);
    index.lost('a session');
    expect(await index.settled()).toMatchObject({ args: [['a session']], starts: 3 });
    expect(await index.settled()).toMatchObject({ args: [[]] });
  });

  it('keeps in mind what went when it fails for long', async () => {
    failing(3);
    index.lost('a session');
    await expect(index.settled()).rejects.toMatchObject({ code: 'search-index-unavailable' });
    expect(await index.settled()).toMatchObject({ args: [['a session']] });
  });

  it('is behind, not in error, for a search that waits for what is new', async () => {
    failing(1);
    expect(await index.caughtUp()).toBe(false);
  });

  it.each(['start', 'question'] as const)(
    'is ended and begun again when it hangs at its %s',
    async (where) => {
      // Longer than a thread takes to begin.
      hanging(where, 500);
      await expect(index.find(query)).rejects.toMatchObject({
        ...{ code: 'search-index-unavailable', retryable: true },
      });
      expect(index.trouble()).toBe('thread-hangs');
      expect(await index.find(query)).toMatchObject({ name: 'find', starts: 2 });
      await expect.poll(() => index.trouble()).toBeNull();
      expect(restarts).toEqual(['hung']);
      expect(lines.join('')).toContain('hangs; it is ended and begun again');
    },
  );

  it('is left alone while it answers pings', async () => {
    hanging('nowhere', 1000);
    expect(await index.find(query)).toMatchObject({ starts: 1 });
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(await index.find(query)).toMatchObject({ starts: 1 });
    expect(restarts).toEqual([]);
  });

  it('does not keep a stop waiting', async () => {
    failing(1, 3_600_000);
    await expect(index.find(query)).rejects.toMatchObject({ code: 'search-index-unavailable' });
    const asked = index.find(query);
    await index.stop();
    await expect(asked).rejects.toMatchObject({ code: 'search-index-unavailable' });
  });

  it('keeps its process alive until it is stopped', () => {
    failing(0);
    const entry = fileURLToPath(new URL('threads/stops.ts', import.meta.url));
    expect(execFileSync(process.execPath, [entry, folder]).toString()).toBe('stopped');
  });
});
