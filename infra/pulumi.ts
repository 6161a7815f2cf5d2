import { spawn } from 'node:child_process';
import { delimiter, dirname } from 'node:path';
import process from 'node:process';

/**
 * `npm run infra -- up -s staging`: Pulumi's own command line, with the Node that runs this first on PATH, because Pulumi
 * runs the program by whatever `node` it finds there.
 */
const path = [dirname(process.execPath), process.env.PATH ?? ''].join(delimiter);
const pulumi = spawn('pulumi', process.argv.slice(2), {
  stdio: 'inherit',
  env: { ...process.env, PATH: path, PULUMI_SKIP_UPDATE_CHECK: 'true' },
});

// Pulumi itself decides what a signal means; one from the terminal reaches it anyway.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => pulumi.kill('SIGTERM'));
pulumi.on('error', (error: NodeJS.ErrnoException) => {
  const why =
    error.code === 'ENOENT'
      ? 'The Pulumi command line is not on PATH. Install it (https://www.pulumi.com/docs/install/, 3.182 or later) and run this again.'
      : `Pulumi does not start: ${error.message}`;
  process.stderr.write(`infra: ${why}\n`);
  process.exitCode = 1;
});
pulumi.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
