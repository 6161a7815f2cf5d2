import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { leavesFrom } from '../service/audit/store.ts';
import { FactoryError } from '../service/errors.ts';
import { openStorage } from '../service/storage/open.ts';
import type { Reader } from '../service/storage/transaction.ts';
import { assertData } from './lib/data.ts';
import { usage } from './lib/failure.ts';
import { readConfig } from './lib/settings.ts';
import type { Run } from './lib/verb.ts';

const PAGE = 1000;

/** Writes the leaves of one consistent state, in the order of `seq`, each as it was hashed. */
export const exportLog: Run = async (context, given) => {
  const config = readConfig(context);
  const output = given.text('output');
  if (output === undefined && context.json) {
    throw usage('audit export', '--json needs --output: stdout has room for one of the two.');
  }
  assertData(config);
  const storage = await openStorage(config.databaseUrl);
  const count = { entries: 0 };
  try {
    await storage.snapshot((reader) => {
      const lines = Readable.from(leafLines(reader, count, context.progress));
      if (output === undefined) return pipeline(lines, context.stdout, { end: false });
      return pipeline(
        lines,
        createWriteStream(resolve(context.cwd, output), { flags: 'wx', mode: 0o600, flush: true }),
      );
    });
  } catch (error) {
    // The reader of the pipe has seen enough.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return null;
    throw writeError(error, output);
  } finally {
    await storage.close();
  }
  if (output === undefined) return null;
  return {
    json: { file: resolve(context.cwd, output), ...count },
    text: `${output}: ${count.entries} entries.`,
  };
};

async function* leafLines(
  reader: Reader,
  count: { entries: number },
  progress: (text: string) => void,
): AsyncGenerator<string> {
  for (let from = 0; ;) {
    const page = await reader.all(leavesFrom, { from, limit: PAGE });
    for (const { leaf } of page) yield `${leaf}\n`;
    count.entries += page.length;
    progress(`Exporting entry ${count.entries.toLocaleString('en')}`);
    const last = page.at(-1);
    if (last === undefined) return;
    from = last.seq + 1;
  }
}

function writeError(error: unknown, output: string | undefined): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof FactoryError || output === undefined || code === undefined) return error;
  const exists = code === 'EEXIST';
  return new FactoryError({
    code: exists ? 'export-exists' : 'export-unwritable',
    op: 'export audit log',
    target: output,
    message: exists ? `${output} exists already.` : `${output} cannot be written (${code}).`,
    hint: 'Name a new file in a folder that may be written, with enough free space.',
    cause: error,
  });
}
