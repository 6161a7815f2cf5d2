/** A thread for staging: see `stageApart`. Tells how far it is, and at last what was staged. */
import { parentPort, workerData } from 'node:worker_threads';
import { stageFull } from './stage.ts';
import type { ApartOptions, Progress } from './stage-apart.ts';

/** So much has to be new before it is told. */
const STEP_BYTES = 1024 * 1024;

const { source, ...options } = workerData as ApartOptions & { source: string };
const tell = (progress: Progress): void => parentPort?.postMessage(progress);
let told = 0;
// The thread is ended as a whole where it has to stop.
const { signal } = new AbortController();
parentPort?.postMessage(
  await stageFull(source, {
    ...{ ...options, signal },
    onBytes: (read) => tell({ read }),
    onWritten: (written) => {
      if (written - told >= STEP_BYTES) tell({ written: (told = written) });
    },
  }),
);
