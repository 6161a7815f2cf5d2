import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { initQueue } from '../service/work-items/init.ts';
import { readConfig } from './lib/settings.ts';
import type { Run } from './lib/verb.ts';

/** The clone that this file stands in. */
const CLONE = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');

export const init: Run = async (context) => {
  const { workItemsDir } = readConfig(context);
  const { created } = initQueue(workItemsDir);
  const folder = relative(context.cwd, workItemsDir) || '.';
  const made =
    created.length === 0
      ? [`${folder} has all that it needs; nothing was changed.`]
      : [`Made in ${folder}:`, ...created.map((path) => `  ${path}`)];
  const next = `Next: ${startCommand(workItemsDir, context.cwd, CLONE)}`;
  return { json: { dir: workItemsDir, created }, text: [...made, next].join('\n') };
};

/** What starts the service on a work-items folder from where the reader stands, whatever is in their environment. */
export function startCommand(workItemsDir: string, cwd: string, clone: string): string {
  if (cwd === clone && workItemsDir === resolve(clone, 'work-items')) return 'npm start';
  return `FACTORY_WORK_ITEMS_DIR=${shellWord(workItemsDir)} npm --prefix ${shellWord(clone)} start`;
}

/** One word of a POSIX shell. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
