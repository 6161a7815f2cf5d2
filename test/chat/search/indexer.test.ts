import { afterEach, expect, it, vi } from 'vitest';
import type { IndexFile } from '../../../service/chat/search/index-file.ts';
import { createIndexer } from '../../../service/chat/search/indexer.ts';
import { createLogger } from '../../../service/logger.ts';
import type { Storage } from '../../../service/storage/transaction.ts';

afterEach(() => void vi.useRealTimers());

it('that is stopped while it starts leaves no timer behind, which would keep its thread alive', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { promise, resolve } = Promise.withResolvers<unknown[]>();
  const storage = { read: { all: () => promise, get: async () => undefined } } as unknown as Storage;
  const closed = vi.fn<() => void>();
  const file = {
    ...{ mark: () => ({ seq: 1, leaf: 'x' }), built: () => null, count: () => 0 },
    ...{ reset: () => undefined, settle: () => undefined, close: closed, put: () => undefined },
  } as unknown as IndexFile;
  const indexer = createIndexer(
    {
      ...{ storage, projectId: 'main', keysOf: async () => new Map(), logger: createLogger('silent') },
      ...{ blobs: undefined as never, troubled: () => undefined },
    },
    file,
  );
  const started = indexer.start();
  const stopped = indexer.stop();
  resolve([]);
  await Promise.all([started, stopped]);
  expect(vi.getTimerCount()).toBe(0);
});
