import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and what is missing above it, one by one. Node's own recursive form never returns where the system
 * refuses with "no such file", as below /proc. Throws the system's error.
 */
export function makeFolder(path: string, mode?: number): void {
  // What is there and is no folder is refused with the system's own words.
  if (existsSync(path) && !statSync(path).isDirectory()) mkdirSync(path);
  const missing: string[] = [];
  for (let folder = path; !existsSync(folder); folder = dirname(folder)) missing.unshift(folder);
  for (const folder of missing) {
    try {
      mkdirSync(folder, mode);
    } catch (error) {
      // Another process may have been first.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
