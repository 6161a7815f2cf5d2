import { spawn } from 'node:child_process';
import { existsSync, openSync, closeSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseEnv } from 'node:util';
import { LAUNCHER, NODE } from './layout.ts';
import type { Layout } from './layout.ts';
import { runProgram } from './run-program.ts';
import type { Supervisor } from './supervisor.ts';
import { commandFailed } from './systemd.ts';

/** Slots as plain processes, for hosts without systemd. They outlive whoever deploys; nothing starts them anew. */

const STOP_MS = 10_000;
const POLL_MS = 20;

interface Noted {
  pid: number;
  /** When the system started it, in its own count: another process under the same number has another one. */
  began: string;
}

export function processes(layout: Layout): Supervisor {
  const note = (release: string): string => join(layout.run, `${release}.pid`);
  const log = (release: string): string => join(layout.run, `${release}.log`);

  function pidOf(release: string): number | null {
    if (!existsSync(note(release))) return null;
    const { pid, began } = JSON.parse(readFileSync(note(release), 'utf8')) as Noted;
    return beganAt(pid) === began ? pid : null;
  }
  function environmentOf(release: string): NodeJS.ProcessEnv {
    const read = (path: string): NodeJS.Dict<string> =>
      existsSync(path) ? parseEnv(readFileSync(path, 'utf8')) : {};
    const secrets = existsSync(layout.credentials) ? readdirSync(layout.credentials) : [];
    return {
      PATH: process.env['PATH'],
      ...read(join(layout.configuration, 'environment')),
      ...Object.fromEntries(secrets.map((name) => [`${name}_FILE`, join(layout.credentials, name)])),
      ...read(layout.variables(release)),
    };
  }
  const running = async (): Promise<string[]> =>
    (existsSync(layout.run) ? readdirSync(layout.run) : [])
      .filter((name) => name.endsWith('.pid'))
      .map((name) => name.slice(0, -'.pid'.length))
      .filter((release) => pidOf(release) !== null);

  return {
    running,
    async start(release) {
      if (pidOf(release) !== null) return;
      const output = openSync(log(release), 'w', 0o600);
      const child = spawn(join(layout.release(release), NODE), [LAUNCHER, 'serve', '--json'], {
        ...{ cwd: layout.release(release), env: environmentOf(release) },
        ...{ detached: true, stdio: ['ignore', output, output] },
      });
      closeSync(output);
      await new Promise<void>((resolve, reject) => child.on('spawn', resolve).on('error', reject));
      const pid = child.pid ?? 0;
      writeFileSync(note(release), JSON.stringify({ pid, began: beganAt(pid) ?? '' } satisfies Noted));
      child.unref();
    },
    async stop(release) {
      const pid = pidOf(release);
      if (pid !== null) {
        process.kill(pid, 'SIGTERM');
        for (const until = performance.now() + STOP_MS; pidOf(release) !== null; await sleep(POLL_MS))
          if (performance.now() > until) process.kill(pid, 'SIGKILL');
      }
      rmSync(note(release), { force: true });
    },
    async ended(release) {
      if (pidOf(release) !== null) return null;
      const said = existsSync(log(release)) ? readFileSync(log(release), 'utf8').trim().slice(-400) : '';
      return said === '' ? 'it is gone' : `it is gone, and said last: ${said.replaceAll('\n', ' ')}`;
    },
    async command(release, args) {
      const env = environmentOf(release);
      const ran = await runProgram(join(layout.release(release), NODE), [LAUNCHER, ...args], {
        ...{ cwd: layout.release(release), env },
      });
      if (ran.code !== 0) throw commandFailed(release, args, ran.stderr);
      return ran.stdout;
    },
    startsWithHost: async () => undefined,
  };
}

/** Null: there is no such process, or it has ended and nobody took notice yet. */
function beganAt(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}
