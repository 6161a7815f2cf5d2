/**
 * The thread of the search index: it follows the log, opens messages, takes them apart and writes the index, so that whoever
 * answers requests does none of it. It reads the database by a connection of its own. Keys stay with the service: for each
 * piece of rows it is asked for theirs, and none is kept here.
 */
import type { KeyObject } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { FactoryError } from '../../errors.ts';
import { folderBlobs } from '../attachments/blobs.ts';
import { engineOf, openAsItIs } from '../../storage/open.ts';
import { openIndexFile } from './index-file.ts';
import { createIndexer } from './indexer.ts';
import { tellError, type FromThread, type ThreadData, type ToThread } from './protocol.ts';

const { databaseUrl, folder, installation, projectId, blobsFolder } = workerData as ThreadData;
const tell = (message: FromThread): void => parentPort!.postMessage(message);

const asked = new Map<number, (keys: ReadonlyMap<number, KeyObject>) => void>();
let questions = 0;

function keysOf(numbers: readonly number[]): Promise<ReadonlyMap<number, KeyObject>> {
  return new Promise((resolve) => {
    asked.set(++questions, resolve);
    tell({ kind: 'keys-of', id: questions, numbers });
  });
}

const log =
  (level: 'debug' | 'warn' | 'error') =>
  ({ err = null, ...fields }: { err?: unknown }, text: string): void =>
    tell({ kind: 'log', level, fields, error: err === null ? null : tellError(err), text });

const storage = await openAsItIs(databaseUrl);
if (storage === null)
  throw new FactoryError({
    ...{ code: 'database-foreign', op: 'open search index' },
    message: 'The database is not there any more, or is of an older release.',
    hint: 'Start the service again.',
  });
const file = openIndexFile(folder, { installation, engine: engineOf(databaseUrl) });
const indexer = createIndexer(
  {
    ...{ storage, projectId, keysOf, blobs: folderBlobs(blobsFolder) },
    logger: { debug: log('debug'), warn: log('warn'), error: log('error') },
    troubled: (code) => tell({ kind: 'trouble', code }),
  },
  file,
);

async function answer({ id, name, args }: ToThread & { kind: 'call' }): Promise<void> {
  try {
    const call = indexer[name] as (...given: unknown[]) => Promise<unknown>;
    const value = await call(...args);
    if (name === 'stop') await storage!.close();
    tell({ kind: 'answer', id, value });
  } catch (error) {
    tell({ kind: 'refusal', id, error: tellError(error) });
  }
  // Nothing else keeps the thread alive.
  if (name === 'stop') parentPort!.close();
}

parentPort!.on('message', (message: ToThread) => {
  if (message.kind === 'wake') indexer.wake();
  else if (message.kind === 'ping') tell({ kind: 'pong' });
  else if (message.kind === 'call') void answer(message);
  else {
    asked.get(message.id)?.(message.keys);
    asked.delete(message.id);
  }
});
await indexer.start();
tell({ kind: 'ready' });
