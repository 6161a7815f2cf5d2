/** A thread for staging: see `stageApart`. Gives bytes done as numbers, and at last what was staged. */
import { parentPort, workerData } from 'node:worker_threads';
import { stageFull } from './stage.ts';
import type { ApartOptions } from './stage-apart.ts';

const { source, ...options } = workerData as ApartOptions & { source: string };
// The thread is ended as a whole where it has to stop.
const { signal } = new AbortController();
parentPort?.postMessage(
  await stageFull(source, { ...options, signal, onBytes: (bytes) => parentPort?.postMessage(bytes) }),
);
