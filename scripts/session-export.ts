import { createWriteStream, existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FactoryError } from '../service/errors.ts';
import { syncFolder } from '../service/replace-file.ts';
import { createApi } from './lib/client.ts';
import { usage } from './lib/failure.ts';
import { counting } from './lib/files.ts';
import { readConfig } from './lib/settings.ts';
import { sizeText } from './lib/size.ts';
import type { Run } from './lib/verb.ts';

export const exportSession: Run = async (context, given) => {
  const to = given.text('to');
  if (to === undefined && context.json) throw usage('sessions export', '--json takes --to FILE.');
  const format = given.text('format') ?? 'jsonl';
  const path = to === undefined ? null : resolve(context.cwd, to);
  if (path !== null && existsSync(path)) throw exists(path);
  const [id = ''] = given.arguments;
  const content = await createApi(readConfig(context)).open(
    `/api/sessions/${encodeURIComponent(id)}/export?format=${format}`,
  );
  const counted = counting(context, 'Exported');
  if (path === null) {
    // The caller ends its own output.
    await pipeline(content, counted, context.stdout as Writable, { end: false }).catch(broken);
    return null;
  }
  await toFile(path, (file) => pipeline(content, counted, file).catch(broken));
  return {
    json: { id, format, path, bytes: counted.bytes() },
    text: `Exported ${id} to ${path}, ${sizeText(counted.bytes())}`,
  };
};

/** Beside it first: a file under the name that was asked for is whole. */
async function toFile(path: string, fill: (file: Writable) => Promise<void>): Promise<void> {
  const beside = `${path}.part`;
  try {
    await fill(createWriteStream(beside, { mode: 0o600, flush: true }));
    if (existsSync(path)) throw exists(path);
    await rename(beside, path);
    syncFolder(dirname(path));
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

function exists(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'export-exists', op: 'export session', target },
    message: `${target} is there already, and nothing is replaced unasked.`,
    hint: 'Name another file, or remove that one.',
  });
}

function broken(cause: unknown): never {
  throw new FactoryError({
    ...{ code: 'export-cut', op: 'export session', retryable: true, cause },
    message: `The export broke off: ${(cause as Error).message}.`,
    hint: 'Nothing was kept. Try again; if it stays, look at the log of the service.',
  });
}
