import { file, folder, unit } from '../items.ts';
import type { Item, Layer } from '../items.ts';
import { namesOf } from '../names.ts';
import type { EnvironmentSettings } from '../settings.ts';
import { commandFile, jobService, jobTimer, JOBS, serviceUnit } from './units.ts';
import { HEAD } from './system.ts';

/** All that is one environment's own. */
export function environmentLayer(environment: EnvironmentSettings): Layer {
  const names = namesOf(environment.name);
  const { user, home, data, configuration, releases } = names;
  const own = `${user}:${user}`;
  return {
    name: environment.name,
    items: [
      { kind: 'user', name: user, home, shell: '/usr/sbin/nologin', system: true },
      folder(home, '0750', own),
      folder(data, '0700', own),
      folder(`${home}/work-items`, '0750', own),
      // Read by the service, written by whoever deploys.
      folder(releases, '0750', `root:${user}`),
      folder(`${releases}/releases`, '0750', `root:${user}`),
      folder(`${releases}/store`, '0700'),
      folder(configuration, '0750', `root:${user}`),
      folder(`${configuration}/credentials`, '0700'),
      file(`${configuration}/environment`, variablesFile(environment), {
        owner: `root:${user}`,
        mode: '0640',
      }),
      ...environment.credentials.map((name): Item => ({
        kind: 'awaited',
        path: `${configuration}/credentials/${name}`,
      })),
      // The group's bit hands it on to each socket: Caddy may connect, and the other environment may not.
      file(`/etc/tmpfiles.d/${user}.conf`, `${HEAD}d ${names.run} 2750 ${user} caddy -\n`),
      file(`/etc/systemd/system/${user}@.service`, serviceUnit(environment)),
      ...JOBS.flatMap((job) => [
        file(`/etc/systemd/system/${user}-${job.name}.service`, jobService(environment, job)),
        file(`/etc/systemd/system/${user}-${job.name}.timer`, jobTimer(environment, job)),
      ]),
      file(names.command, commandFile(environment), { mode: '0755' }),
      ...JOBS.map(({ name }) => unit(`${user}-${name}.timer`)),
    ],
    check: `sh -n "$new${names.command}"`,
    // A running release keeps the unit that it was started with; the next deploy starts on the new one.
    reload: `systemctl daemon-reload && systemd-tmpfiles --create /etc/tmpfiles.d/${user}.conf`,
  };
}

/** Written so that systemd and a shell read the same. */
function variablesFile({ variables, name, domain }: EnvironmentSettings): string {
  const all = {
    FACTORY_WORK_ITEMS_DIR: `${namesOf(name).home}/work-items`,
    ...variables,
    FACTORY_ENV: name,
    FACTORY_BASE_URL: `https://${domain}`,
    FACTORY_DATA_DIR: namesOf(name).data,
    FACTORY_TRUST_PROXY: '1',
    // Timers start them, so that a service that cannot start still gets its backup.
    FACTORY_JOBS: 'off',
  };
  const quoted = (value: string): string => `"${value.replace(/[\\"$`]/g, '\\$&')}"`;
  return (
    HEAD +
    Object.entries(all)
      .map(([key, value]) => `${key}=${quoted(value)}\n`)
      .join('')
  );
}
