import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CheckFailed, oneLine } from './findings.ts';
import type { KeeperMessage, KeeperTask } from './keeper.ts';

/** Starts an application for a drill, and ends it with everything that it started. */

const KEEPER = fileURLToPath(new URL('keeper.ts', import.meta.url));
const STOP_MS = 5_000;
/** Whoever else holds its output must not hold up the answer. */
const LAST_WORDS_MS = 1_000;
/** Of what it wrote, enough to see why it did not start. */
const TAIL = 2_000;

export interface Running {
  /** Whether the system keeps it from reaching anything but this machine. */
  apart: boolean;
  /** The first line on its stdout. Rejects where it ends before, or the signal fires. */
  firstLine(): Promise<string>;
  /** Resolves when it answered with 2xx. Rejects where it ends before, or the signal fires. */
  answers(url: string): Promise<void>;
  stop(): Promise<void>;
}

/** Where `unshare` and `ip` lie is not in every user's path. */
function withSystemFolders(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...env,
    PATH: [env['PATH'] ?? '', '/usr/sbin', '/sbin'].filter((one) => one !== '').join(delimiter),
  };
}

/** How this system starts a process in a network of its own; null: it does not, or not for this user. */
function apartCommand(): string[] | null {
  const env = withSystemFolders(process.env);
  for (const flags of ['-n', '-rn']) {
    const tried = spawnSync('unshare', [flags, '--', 'ip', 'link', 'set', 'lo', 'up'], {
      env,
      stdio: 'ignore',
    });
    if (tried.status === 0) return ['unshare', flags, '--'];
  }
  return null;
}

/** Starts it. Its environment may hold secrets, so it is on no command line. Errors: `CheckFailed` of `boot`. */
export async function startApplication(
  { env: own, ...task }: Omit<KeeperTask, 'apart'> & { env: Record<string, string> },
  { signal, needsNetwork }: { signal: AbortSignal; needsNetwork: boolean },
): Promise<Running> {
  const apart = needsNetwork ? null : apartCommand();
  const argument = JSON.stringify({ ...task, apart: apart !== null } satisfies KeeperTask);
  const [program = '', ...args] = [...(apart ?? []), process.execPath, KEEPER, argument];
  const keeper = spawn(program, args, {
    env: withSystemFolders({ ...process.env, NODE_OPTIONS: '', DRILL_ENVIRONMENT: JSON.stringify(own) }),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  const running = new Application(keeper, signal);
  try {
    await running.started();
    return running;
  } catch (error) {
    await running.stop();
    throw error;
  }
}

class Application implements Running {
  apart = false;
  private output = '';
  private stdout = '';
  private end: string | null = null;
  private how: string | null = null;
  /** The last thing that was asked and not answered. */
  private unanswered: string | null = null;
  private readonly keeper: ChildProcess;
  private readonly signal: AbortSignal;
  private readonly closed: Promise<void>;
  private readonly answered = new Set<string>();
  private isStarted = false;
  private news = Promise.withResolvers<void>();

  constructor(keeper: ChildProcess, signal: AbortSignal) {
    this.keeper = keeper;
    this.signal = signal;
    this.closed = new Promise((resolve) => {
      for (const end of ['exit', 'error']) keeper.once(end, () => resolve());
    });
    keeper.on('message', (message: KeeperMessage) => this.hear(message));
    keeper.on('error', (error) => this.over(error.message));
    keeper.once('exit', (code, how) => this.endsAs(how ?? `exit ${code}`));
    signal.addEventListener('abort', () => this.tell(), { once: true });
    keeper.stdout?.on('data', (data: Buffer) => {
      this.stdout += data.toString();
      this.heardText(data);
    });
    keeper.stderr?.on('data', (data: Buffer) => this.heardText(data));
  }

  private heardText(data: Buffer): void {
    this.output = (this.output + data.toString()).slice(-TAIL);
    this.tell();
  }

  private hear(message: KeeperMessage): void {
    if (message.kind === 'started') {
      this.isStarted = true;
      this.apart = message.apart;
    } else if (message.kind === 'ended') this.endsAs(message.how);
    else if (message.kind === 'answered') this.answered.add(message.url);
    else this.unanswered = `${message.url}: ${message.why}`;
    this.tell();
  }

  /** What it wrote last may still be on its way, and says why it ended. */
  private endsAs(how: string): void {
    this.how ??= how;
    const told = (): void => this.over(this.how ?? how);
    this.keeper.once('close', told);
    setTimeout(told, LAST_WORDS_MS).unref();
  }

  private over(how: string): void {
    this.end ??= how;
    this.tell();
  }

  private tell(): void {
    this.news.resolve();
    this.news = Promise.withResolvers();
  }

  private async until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.end !== null) throw this.failed(`It ended (${this.end}) before it answered.`);
      if (this.signal.aborted) throw this.failed('It did not answer in time.');
      await this.news.promise;
    }
  }

  private failed(what: string): CheckFailed {
    const asked = this.unanswered === null ? '' : ` Last asked ${this.unanswered}.`;
    const said = oneLine(this.output).slice(-600);
    return new CheckFailed(
      'boot',
      `${what}${asked} ${said === '' ? 'It wrote nothing.' : `It wrote last: ${said}`}`,
    );
  }

  started = (): Promise<void> => this.until(() => this.isStarted);

  async firstLine(): Promise<string> {
    await this.until(() => this.stdout.includes('\n'));
    return this.stdout.slice(0, this.stdout.indexOf('\n'));
  }

  async answers(url: string): Promise<void> {
    this.keeper.send({ url });
    await this.until(() => this.answered.has(url));
  }

  async stop(): Promise<void> {
    this.killGroup('SIGTERM');
    const late = setTimeout(() => this.killGroup('SIGKILL'), STOP_MS);
    await this.closed;
    clearTimeout(late);
    // Somebody who left the group could hold them open.
    this.keeper.stdout?.destroy();
    this.keeper.stderr?.destroy();
  }

  private killGroup(signal: NodeJS.Signals): void {
    try {
      if (this.keeper.pid !== undefined) process.kill(-this.keeper.pid, signal);
    } catch {
      // It is gone already.
    }
  }
}
