import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';

/** F_SETLEASE and F_WRLCK of Linux, which perl has no names for. SIGIO asks to give it back. */
const HOLD = `$SIG{IO} = 'IGNORE'; open(F, '+<', $ARGV[0]) or die $!; fcntl(F, 1024, 1) or die $!;
$| = 1; print "held\\n"; sleep 60`;

/**
 * Has every open of a file wait, as one on a disk does that gives no answer: for 45 seconds, after which Linux breaks the
 * lease, or until the test ends.
 */
export async function holdOpens(path: string): Promise<void> {
  const holder = spawn('perl', ['-e', HOLD, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void holder.kill('SIGKILL'));
  await Promise.race([
    once(holder.stdout, 'data'),
    once(holder, 'exit').then(([code]) => Promise.reject(new Error(`No lease on ${path}: exit ${code}`))),
  ]);
}
