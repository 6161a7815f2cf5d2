#!/usr/bin/env node
import { endWith } from './lib/end.ts';
import { runFactory } from './lib/program.ts';

// A reader that has seen enough (`| head`) ends the writing, not the work.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const code = await runFactory(process.argv.slice(2), {
  cwd: process.cwd(),
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
});
await endWith(code, [process.stdout, process.stderr]);
