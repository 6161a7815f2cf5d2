import { relative } from 'node:path';
import { initQueue } from '../service/work-items/init.ts';
import { readConfig } from './lib/settings.ts';
import type { Run } from './lib/verb.ts';

export const init: Run = async (context) => {
  const { workItemsDir } = readConfig(context);
  const { created } = initQueue(workItemsDir);
  const folder = relative(context.cwd, workItemsDir) || '.';
  const text =
    created.length === 0
      ? `${folder} has all that it needs; nothing was changed.`
      : [`Made in ${folder}:`, ...created.map((path) => `  ${path}`), 'Next: npm start'].join('\n');
  return { json: { dir: workItemsDir, created }, text };
};
