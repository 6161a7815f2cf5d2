import { Worker } from 'node:worker_threads';
import type { Pages } from './bulk.ts';
import { stageFull } from './stage.ts';
import type { Staged, StageOptions } from './stage.ts';

/** Below it a thread costs more than it saves. */
const WORTH_BYTES = 16 * 1024 * 1024;
/**
 * Of the young generation. Pieces of a stream are small objects that hold much memory outside of V8's heap; a large young
 * generation keeps them, and 1 GiB takes 60 MiB more. Only a thread or a new process can be given another size.
 */
const YOUNG_MIB = 2;

/** What the thread tells while it works: bytes of the source, and of the staged file. */
export type Progress = { read: number } | { written: number };
export type ApartOptions = Pick<StageOptions, 'pageSize' | 'path' | 'recipient'>;

/** As `stageFull`, for a file of so many bytes; in a thread of its own, with less memory, where it is a large one. */
export async function stageApart(
  source: string,
  bytes: number,
  options: StageOptions,
): Promise<{ staged: Staged; pages: Pages }> {
  if (bytes < WORTH_BYTES) return stageFull(source, options);
  const { signal, pageSize, path, recipient } = options;
  signal.throwIfAborted();
  const worker = new Worker(new URL('stage-worker.ts', import.meta.url), {
    workerData: { source, pageSize, path, recipient } satisfies ApartOptions & { source: string },
    execArgv: [],
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
  });
  const stop = Promise.withResolvers<never>();
  const onAbort = (): void => stop.reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort);
  try {
    return await Promise.race([stop.promise, resultOf(worker, options)]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    await worker.terminate();
  }
}

type Result = { staged: Staged; pages: Pages };

function resultOf(worker: Worker, { onBytes, onWritten }: StageOptions): Promise<Result> {
  return new Promise((resolve, reject) => {
    worker.on('message', (message: Progress | Result) => {
      if ('read' in message) return onBytes(message.read);
      if ('written' in message) return onWritten?.(message.written);
      const { buffer, byteOffset, byteLength } = message.pages.list;
      const list = Buffer.from(buffer, byteOffset, byteLength);
      resolve({ ...message, pages: { ...message.pages, list } });
    });
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new Error(`the thread that compresses ended with ${code}`)));
  });
}
