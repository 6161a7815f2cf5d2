import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Step {
  name: string;
  args: string[];
}

const STATIC: Step[] = [
  {
    name: 'prettier',
    args: ['node_modules/prettier/bin/prettier.cjs', '--check', '--cache', '--log-level=warn', '.'],
  },
  {
    // What it remembers of a file does not see that another file changed; a fresh checkout remembers nothing.
    name: 'eslint',
    args: [
      ...['node_modules/eslint/bin/eslint.js', '--max-warnings=0'],
      ...['--cache', '--cache-strategy=content', '--cache-location=node_modules/.cache/eslint', '.'],
    ],
  },
  { name: 'tsc', args: ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json'] },
];
const UNIT: Step = { name: 'unit', args: ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit'] };

/** Runs one step; a quiet one shows its output only when it is over, so that two never mix. */
async function run(step: Step, quiet: boolean): Promise<boolean> {
  const started = Date.now();
  const child = spawn(process.execPath, step.args, {
    cwd: root,
    stdio: ['ignore', quiet ? 'pipe' : 1, quiet ? 'pipe' : 2],
  });
  const output: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk));
  const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 1)));
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  process.stdout.write(Buffer.concat(output));
  process.stdout.write(`${code === 0 ? 'ok    ' : 'FAILED'} ${step.name} (${seconds} s)\n`);
  return code === 0;
}

/**
 * `npm run check`: all steps run even after a failure, so that one run shows everything. `--static` leaves the tests
 * out, for whoever runs them apart.
 */
const outcomes = await Promise.all(STATIC.map(async (step) => ({ step, ok: await run(step, true) })));
if (!process.argv.includes('--static')) outcomes.push({ step: UNIT, ok: await run(UNIT, false) });
const failed = outcomes.filter((outcome) => !outcome.ok).map((outcome) => outcome.step.name);
if (failed.length > 0) process.stderr.write(`check failed: ${failed.join(', ')}\n`);
process.exitCode = failed.length > 0 ? 1 : 0;
