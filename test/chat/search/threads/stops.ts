/** A process that has nothing but the search index: it lives until that is stopped. */
import { createSearchIndex } from '../../../../service/chat/search/apart.ts';
import { createLogger } from '../../../../service/logger.ts';

const index = createSearchIndex({
  ...{ databaseUrl: '', folder: process.argv[2]!, blobsFolder: '', installation: '', projectId: '0' },
  keys: { byId: () => Promise.reject(new Error('no keys')) as never },
  logger: createLogger('silent'),
  thread: new URL('fails.mjs', import.meta.url),
});
await index.find({ match: 'x', before: 1, limit: 1 });
await index.stop();
process.stdout.write('stopped');
