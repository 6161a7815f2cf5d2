/** Begins the thread of the search index with the compiled code that its process keeps: half of its start. */
import { enableCompileCache } from 'node:module';
import { dirname } from 'node:path';
import { workerData } from 'node:worker_threads';
import type { ThreadData } from './protocol.ts';

const { compileCache } = workerData as ThreadData;
if (compileCache !== undefined) enableCompileCache(dirname(compileCache));
await import('./thread-main.ts');
