import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { manualClock } from '../../service/clock.ts';
import { createLogger } from '../../service/logger.ts';
import { openQueue } from '../../service/work-items/source.ts';
import { queueFiles, record, startItems } from './service.fixture.ts';

it('says of an item that was not read yet that the queue is being read, and of no other', async () => {
  const fixture = await startItems(queueFiles({ ready: ['wi-A-1'] }));
  const { items, owner, queueDir } = fixture;
  mkdirSync(join(queueDir, 'backlog'), { recursive: true });
  writeFileSync(join(queueDir, 'backlog/wi-B-1.md'), record('wi-B-1', 'backlog'));
  const early = { code: 'not-found', retryable: true, message: expect.stringMatching(/still being read/) };
  await expect(items.show(owner, 'wi-B-1')).rejects.toMatchObject(early);
  await expect(items.history(owner, 'wi-B-1')).rejects.toMatchObject(early);
  expect(items.notThere('wi-B-1')).toMatchObject(early);
  const none = { code: 'not-found', retryable: false, message: 'There is no work item wi-C-1.' };
  await expect(items.show(owner, 'wi-C-1')).rejects.toMatchObject(none);
  await items.rescan();
  expect(await items.show(owner, 'wi-B-1')).toMatchObject({ id: 'wi-B-1' });
  await fixture.close();
});

it('knows how far a scan is while it runs', async () => {
  const fixture = await startItems(queueFiles({ ready: ['wi-A-1', 'wi-A-2'] }));
  const clock = manualClock('2026-05-04T10:00:00.000Z');
  const queue = openQueue({ dir: fixture.queueDir, clock, logger: createLogger('silent') });
  const seen = [];
  for await (const _ of queue.scan()) seen.push(queue.reading());
  expect([seen[0], seen.at(-1), queue.reading()]).toEqual([{ seen: 0, of: 2 }, { seen: 2, of: 2 }, null]);
  await queue.close();
  await fixture.close();
});
