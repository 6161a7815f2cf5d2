import { existsSync, readdirSync, rmSync } from 'node:fs';
import { FactoryError } from '../../../../service/errors.ts';
import { LAUNCHER, NODE } from './layout.ts';
import type { Layout } from './layout.ts';
import { writeBeside } from './links.ts';
import { runProgram } from './run-program.ts';
import type { Ran } from './run-program.ts';
import type { Supervisor } from './supervisor.ts';

/** Slots as instances of the unit `factory-<env>@.service`. */

export type Systemctl = (program: string, args: readonly string[]) => Promise<Ran>;

/** A unit that failed is started anew by systemd; more starts than this are a crash loop. */
const RESTARTS = 2;

export function systemd(layout: Layout, run: Systemctl = runProgram): Supervisor {
  const unit = (release: string): string => `${layout.name}@${release}.service`;
  async function systemctl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await run('systemctl', args);
    if (code === 0) return stdout;
    throw new FactoryError({
      ...{ code: 'systemd-failed', op: 'call systemctl', target: args.at(-1) },
      message: `systemctl ${args.join(' ')} ended with ${code}: ${stderr.trim()}`,
      hint: `Look at \`systemctl status '${layout.name}@*'\` and the journal on the host.`,
    });
  }
  async function units(...args: string[]): Promise<string[]> {
    const out = await systemctl('list-units', '--plain', '--no-legend', ...args, `${layout.name}@*.service`);
    return out.split('\n').flatMap((line) => {
      const name = line.trim().split(/\s+/)[0] ?? '';
      return name.startsWith(`${layout.name}@`)
        ? [name.slice(layout.name.length + 1, -'.service'.length)]
        : [];
    });
  }
  return {
    async start(release) {
      // What failed before counts no more.
      await run('systemctl', ['reset-failed', unit(release)]);
      await systemctl('start', unit(release));
    },
    stop: async (release) => void (await systemctl('stop', unit(release))),
    async ended(release) {
      const shown = await systemctl(
        'show',
        '--property=ActiveState,SubState,NRestarts,Result',
        unit(release),
      );
      const found = new Map(shown.split('\n').map((line) => line.split('=') as [string, string]));
      const state = found.get('ActiveState') ?? 'unknown';
      const restarts = Number(found.get('NRestarts') ?? 0);
      if (restarts > RESTARTS)
        return `it was started ${restarts + 1} times, the last end: ${found.get('Result')}`;
      return state === 'active' || found.get('SubState') === 'auto-restart' || state === 'activating'
        ? null
        : `${state}, ${found.get('Result') ?? 'unknown'}`;
    },
    running: () => units('--state=active,activating,reloading,deactivating'),
    async command(release, args) {
      const { code, stdout, stderr } = await run('systemd-run', commandLine(layout, release, args));
      if (code !== 0) throw commandFailed(release, args, stderr);
      return stdout;
    },
    async startsWithHost(release) {
      writeBeside(layout.tmpfiles, `L ${layout.live} - - - - ${release}.sock\n`, 0o644);
      await systemctl('enable', unit(release));
      const folder = '/etc/systemd/system/multi-user.target.wants';
      const others = existsSync(folder) ? readdirSync(folder) : [];
      for (const name of others)
        if (name.startsWith(`${layout.name}@`) && name !== unit(release)) rmSync(`${folder}/${name}`);
    },
  };
}

/** As the unit runs the service: its user, its settings, its secrets as files that only it can read. */
export function commandLine(layout: Layout, release: string, args: readonly string[]): string[] {
  const unit = `${layout.name}-deploy-${process.pid}`;
  const secrets = existsSync(layout.credentials) ? readdirSync(layout.credentials) : [];
  return [
    ...['--quiet', '--collect', '--wait', '--pipe', `--unit=${unit}`, `--uid=${layout.name}`],
    `--working-directory=${layout.release(release)}`,
    `--property=EnvironmentFile=${layout.configuration}/environment`,
    `--property=EnvironmentFile=-${layout.variables(release)}`,
    '--property=NoNewPrivileges=yes',
    ...secrets.flatMap((name) => [
      `--property=LoadCredential=${name}:${layout.credentials}/${name}`,
      `--property=Environment=${name}_FILE=/run/credentials/${unit}.service/${name}`,
    ]),
    ...['--', `${layout.release(release)}/${NODE}`, LAUNCHER, ...args],
  ];
}

export function commandFailed(target: string, args: readonly string[], stderr: string): FactoryError {
  const said = stderr.trim().split('\n').slice(-4).join(' ').slice(0, 600);
  return new FactoryError({
    ...{ code: 'release-failed', op: args[0] ?? 'run release', target },
    message: `${target} could not ${args.join(' ')}: ${said === '' ? 'it said nothing' : said}`,
    hint: 'Requests went on to the release before. Mend what it says, and deploy the new release.',
  });
}
