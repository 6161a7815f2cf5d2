import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Runs what a document tells people to type. Blocks fenced as `sh` are commands; the words behind `sh` say how they end
 * where that is not with 0: ` ```sh exit=1 `, ` ```sh exit=0,3 `. Blocks of another language are for reading.
 */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BLOCK_MS = 120_000;

export interface Block {
  /** The heading that it stands under. */
  heading: string;
  /** Of its fence in the document. */
  line: number;
  script: string;
  /** How it may end. */
  exits: number[];
}

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Where the commands are typed: a folder, and what is set there. */
export interface Shell {
  dir: string;
  env: Record<string, string>;
}

/** The blocks of a document, in order. Throws on a fence that does not end. */
export function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  let open: (Block & { indent: string; sh: boolean }) | null = null;
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^( *)```(.*)$/.exec(line);
    if (open !== null && fence?.[2]?.trim() === '') {
      const { indent: _indent, sh, ...block } = open;
      if (sh) blocks.push(block);
      open = null;
    } else if (open !== null) {
      open.script += `${line.startsWith(open.indent) ? line.slice(open.indent.length) : line}\n`;
    } else if (fence) {
      const [language, ...words] = (fence[2] ?? '').trim().split(/\s+/);
      const exits = exitsOf(words, index + 1);
      open = { heading, line: index + 1, script: '', exits, indent: fence[1] ?? '', sh: language === 'sh' };
    } else if (/^#+ /.test(line)) {
      heading = line.replace(/^#+ /, '').trim();
    }
  }
  if (open !== null) throw new Error(`the block of line ${open.line} does not end`);
  return blocks;
}

function exitsOf(words: readonly string[], line: number): number[] {
  const said = words.find((word) => word.startsWith('exit='));
  if (said === undefined) return [0];
  const exits = said.slice('exit='.length).split(',').map(Number);
  if (exits.some((exit) => !Number.isInteger(exit))) throw new Error(`line ${line}: ${said} is no exit code`);
  return exits;
}

/** A document whose blocks are run under the conditions that a test makes for each heading. */
export function openRunbook(path: string) {
  const blocks = blocksOf(readFileSync(join(ROOT, path), 'utf8'));
  const left = new Set(blocks);
  return {
    blocks,

    /** Runs the blocks under a heading, in order; throws where one ends otherwise than the document says. */
    async run(heading: string, shell: Shell): Promise<Ran[]> {
      const under = blocks.filter((block) => block.heading === heading);
      if (under.length === 0) throw new Error(`${path} has no block under "${heading}"`);
      const all: Ran[] = [];
      for (const block of under) {
        const ran = await runScript(block.script, shell);
        if (!block.exits.includes(ran.code ?? -1))
          throw new Error(
            `${path}:${block.line} ended with ${ran.code}:\n${block.script}\n${ran.stdout}\n${ran.stderr}`,
          );
        left.delete(block);
        all.push(ran);
      }
      return all;
    },

    /** The blocks that were not run: a test of a whole document leaves none. */
    unrun: (): string[] => [...left].map(({ line, heading }) => `${path}:${line} (${heading})`),
  };
}

/** As typed into a shell of somebody who stands in the clone: `npx factory` is this clone's command line. */
export async function runScript(script: string, { dir, env }: Shell): Promise<Ran> {
  const kept = ['HOME', 'TMPDIR', 'LANG'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: dir,
    env: {
      ...Object.fromEntries(kept),
      NO_COLOR: '1',
      PATH: `${commandsIn(dir)}:${process.env.PATH ?? ''}`,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: BLOCK_MS,
  });
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
}

/** npm would look the command up in a registry from any folder but the clone, where the tests do not stand. */
function commandsIn(dir: string): string {
  const folder = join(dir, '.commands');
  const npx = join(folder, 'npx');
  if (!existsSync(npx)) {
    mkdirSync(folder, { recursive: true });
    const launcher = join(ROOT, 'scripts/launch.mjs');
    writeFileSync(
      npx,
      `#!/bin/sh\n[ "$1" = factory ] || { echo "npx $1 is not ours" >&2; exit 127; }\nshift\nexec '${process.execPath}' '${launcher}' "$@"\n`,
    );
    chmodSync(npx, 0o755);
  }
  return folder;
}
