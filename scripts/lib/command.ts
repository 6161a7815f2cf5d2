import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The clone that this file stands in. */
export const CLONE = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '');

/** How this program starts itself: it ends with whoever holds its channel. */
export const OWN_COMMAND = [process.execPath, join(CLONE, 'scripts/launch.mjs')];

/**
 * How the command line is called from a folder. `npx` finds it in the clone alone: elsewhere it would ask the registry
 * for a package of that name.
 */
export function factoryCommand(cwd: string): string {
  const inside = cwd === CLONE || cwd.startsWith(CLONE + sep);
  return inside ? 'npx factory' : `node ${shellWord(join(CLONE, 'scripts/launch.mjs'))}`;
}

/** A text of ours with its commands as they can be typed in a folder. */
export function typedIn(cwd: string, text: string): string {
  const command = factoryCommand(cwd);
  if (command === 'npx factory') return text;
  return text.replace(/\bnpx factory\b/g, () => command).replace(/\bnpm start\b/g, () => `${command} serve`);
}

/** One word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
