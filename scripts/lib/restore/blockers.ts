import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import { sizeText } from '../size.ts';

/** What stands in the way of a restore: a restore throws the first, a plan names them all. */

/** What these looks throw; one error once. */
export async function blockersIn(...looks: (() => unknown)[]): Promise<FactoryError[]> {
  const found: FactoryError[] = [];
  for (const look of looks) {
    try {
      await look();
    } catch (error) {
      const known = asFactoryError(error, 'plan restore');
      if (!found.some(({ message }) => message === known.message)) found.push(known);
    }
  }
  return found;
}

/** Others write there meanwhile, too. */
const SPARE = 1.1;

/** Whether a folder, which may still have to be made, has room for so many bytes. Errors: `restore-space`. */
export function assertRoom(
  folder: string,
  bytes: number,
  { what, hint }: { what: string; hint: string },
): void {
  const { bavail, bsize } = statfsSync(existingFolder(folder));
  if (bavail * bsize > bytes * SPARE) return;
  throw new FactoryError({
    code: 'restore-space',
    op: 'restore',
    target: folder,
    message: `${folder} has ${sizeText(bavail * bsize)} free; ${what} has ${sizeText(bytes)}.`,
    hint,
  });
}

function existingFolder(folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : existingFolder(dirname(folder));
}
