/** A thread that hangs once, at its start or at the first question, and then answers. */
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';

// Its folder remembers the starts.
const path = join(workerData.folder, 'starts');
appendFileSync(path, '.');
const starts = readFileSync(path).length;
const hang = (where) => {
  while (starts === 1 && workerData.projectId === where);
};

hang('start');
parentPort.on('message', ({ kind, id, name, args }) => {
  if (kind === 'ping') parentPort.postMessage({ kind: 'pong' });
  if (kind !== 'call') return;
  hang('question');
  parentPort.postMessage({ kind: 'answer', id, value: { name, args, starts } });
  if (name === 'stop') parentPort.close();
});
parentPort.postMessage({ kind: 'ready' });
