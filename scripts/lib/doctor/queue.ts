import { accessSync, constants, existsSync } from 'node:fs';
import type { Config } from '../../../service/config.ts';
import { PROJECT } from '../../../service/offline.ts';
import type { Storage } from '../../../service/storage/transaction.ts';
import { BUILT_IN_PACKS } from '../../../service/work-items/packs.ts';
import { foreignHint, judgeHome, lookHome } from '../../../service/work-items/queue-home.ts';
import { validateQueue } from '../../../service/work-items/validate.ts';
import { fail, ok, warn } from './check.ts';
import type { Check } from './check.ts';

const NAME = 'work items';

/** The queue folder, whether it is the one that the database was filled from, and its policy. */
export async function queueCheck(
  config: Pick<Config, 'workItemsDir' | 'queueWrites'>,
  storage: Storage | null,
): Promise<Check> {
  const home = storage && (await lookHome(storage.read, PROJECT, config.workItemsDir));
  if (storage && home && judgeHome(home) === 'foreign')
    return fail(
      NAME,
      `The database was filled from ${home.known?.path}, not from ${home.here.path}.`,
      foreignHint(home, storage),
    );
  return folderCheck(config);
}

function folderCheck({ workItemsDir, queueWrites }: Pick<Config, 'workItemsDir' | 'queueWrites'>): Check {
  if (!existsSync(workItemsDir)) {
    return warn(
      NAME,
      `${workItemsDir} does not exist.`,
      'Run `npx factory init`, or set FACTORY_WORK_ITEMS_DIR.',
    );
  }
  if (queueWrites && !isWritable(workItemsDir)) {
    const hint = 'Make it writable for this user, or set FACTORY_QUEUE_WRITES=off.';
    return fail(NAME, `${workItemsDir} cannot be written, and actions move records in it.`, hint);
  }
  const errors = validateQueue(workItemsDir, BUILT_IN_PACKS).filter(
    ({ severity }) => severity !== 'warn',
  ).length;
  if (errors === 0) return ok(NAME, `${workItemsDir} has no errors.`);
  return warn(
    NAME,
    `${workItemsDir} has ${errors} errors.`,
    'Run `npx factory validate`: it names file and line of each.',
  );
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
