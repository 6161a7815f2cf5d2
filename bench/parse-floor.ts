/** The floor of an import: seconds to read every record and prompt below a folder and to parse the front matter. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';

const SELF = fileURLToPath(import.meta.url);

/** In a process of its own, as the service is. */
export async function parseFloor(folder: string): Promise<number> {
  const child = spawn(process.execPath, [SELF, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  return (await json(child.stdout)) as number;
}

function read(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true }) as string[]) {
    if (!name.endsWith('.md')) continue;
    const text = readFileSync(join(folder, name), 'utf8');
    if (text.startsWith('---\n')) parseDocument(text.slice(4, text.indexOf('\n---', 4) + 1));
  }
}

if (process.argv[1] === SELF) {
  const started = performance.now();
  read(process.argv[2] ?? '.');
  process.stdout.write(JSON.stringify((performance.now() - started) / 1000));
}
