/** A thread that ends by an error as often as it was told to, and then answers. */
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';

// Its folder remembers the starts.
const path = join(workerData.folder, 'starts');
appendFileSync(path, '.');
const [fails, starts] = [Number(workerData.projectId), readFileSync(path).length];

parentPort.on('message', ({ kind, id, name, args }) => {
  if (kind !== 'call') return;
  if (starts <= fails) throw Object.assign(new Error('It broke.'), { code: 'SQLITE_FULL' });
  parentPort.postMessage({ kind: 'answer', id, value: { name, args, starts } });
  if (name === 'stop') parentPort.close();
});
parentPort.postMessage({ kind: 'trouble', code: null });
if (starts > fails) parentPort.postMessage({ kind: 'ready' });
