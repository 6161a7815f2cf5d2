import { join } from 'node:path';
import { fileProblem, FOLDERS, POLICY_FILE } from './queue-files.ts';
import type { QueueRoot } from './queue-files.ts';
import type { QueueProblem } from './types.ts';

const BRING_BACK =
  'Bring the work-items folder back, or set FACTORY_WORK_ITEMS_DIR to where it is; for a new one run `npx factory init`.';

/**
 * Why the folder as a whole says nothing; null: it is there. A folder without any of its parts counts as absent: that is
 * what is left where a volume is not mounted.
 */
export function absenceOf(root: QueueRoot): QueueProblem | null {
  try {
    const stats = root.fs.statSync(root.dir, { throwIfNoEntry: false });
    if (!stats) return absent('queue-missing', 'The work-items folder does not exist.');
    if (!stats.isDirectory()) return absent('queue-missing', 'The work-items folder is not a folder.');
    for (const name of [...FOLDERS, POLICY_FILE]) {
      if (root.fs.lstatSync(join(root.dir, name), { throwIfNoEntry: false })) return null;
    }
    return absent('queue-empty', 'The work-items folder is empty: it has neither a policy nor a collection.');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const hint = 'Give the service the right to read the work-items folder.';
    return fileProblem('.', 'queue-unreadable', `The work-items folder cannot be read (${code}).`, hint);
  }
}

function absent(code: string, message: string): QueueProblem {
  return fileProblem('.', code, message, BRING_BACK);
}
