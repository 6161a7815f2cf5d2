import { existsSync, writeFileSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import type { Config } from '../service/config.ts';
import { makeFolder } from '../service/folders.ts';
import { initQueue } from '../service/work-items/init.ts';
import { CLONE, shellWord } from './lib/command.ts';
import { readConfig } from './lib/settings.ts';
import type { Run } from './lib/verb.ts';

export const init: Run = async (context) => {
  const config = readConfig(context);
  const { workItemsDir } = config;
  const { created } = initQueue(workItemsDir);
  const folder = relative(context.cwd, workItemsDir) || '.';
  const made =
    created.length === 0
      ? [`${folder} has all that it needs; nothing was changed.`]
      : [`Made in ${folder}:`, ...created.map((path) => `  ${path}`)];
  const data = context.cwd === CLONE ? [] : dataText(config, context.cwd);
  const next = `Next: ${startCommand(config, context.cwd, CLONE)}`;
  return { json: { dir: workItemsDir, created }, text: [...made, ...data, next].join('\n') };
};

/** Database and keys must not get into somebody's repository: a new data folder ignores itself. */
function dataText({ dataDir }: Config, cwd: string): string[] {
  if (!dataDir.startsWith(`${cwd}${sep}`)) return [];
  const folder = relative(cwd, dataDir);
  if (existsSync(join(dataDir, '.gitignore'))) return [];
  if (existsSync(dataDir))
    return [`${folder} will hold the database and its keys: list it in .gitignore, or set FACTORY_DATA_DIR.`];
  makeFolder(dataDir, 0o700);
  writeFileSync(join(dataDir, '.gitignore'), '*\n', { flag: 'wx' });
  return [`Made ${folder}, which git ignores: the database and its keys will lie there.`];
}

/**
 * What starts the service on this queue and its own data, whatever is in the reader's environment. It leads to the
 * folder that it was asked for in, so that further verbs typed there mean the same data.
 */
export function startCommand(
  { workItemsDir, dataDir }: Pick<Config, 'workItemsDir' | 'dataDir'>,
  cwd: string,
  clone: string,
): string {
  const isOwn = workItemsDir === resolve(clone, 'work-items') && dataDir === resolve(clone, 'data');
  if (cwd === clone && isOwn) return 'npm start';
  const settings = [
    `FACTORY_DATA_DIR=${shellWord(within(cwd, dataDir))}`,
    `FACTORY_WORK_ITEMS_DIR=${shellWord(within(cwd, workItemsDir))}`,
  ];
  const launcher = shellWord(join(clone, 'scripts/launch.mjs'));
  return `cd ${shellWord(cwd)} && ${settings.join(' ')} node ${launcher} serve`;
}

function within(folder: string, path: string): string {
  return path.startsWith(`${folder}${sep}`) ? relative(folder, path) : path;
}
