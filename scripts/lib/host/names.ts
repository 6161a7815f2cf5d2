/** Where things of an environment are on a host. Two environments on one host share none of these. */

export const ENVIRONMENTS = ['production', 'staging'] as const;
export type EnvironmentName = (typeof ENVIRONMENTS)[number];

export interface HostNames {
  /** User and group of the service, and the beginning of each unit's name. */
  user: string;
  home: string;
  data: string;
  configuration: string;
  /** Releases, the store of their files, and the links `current`, `previous` and `deployer`. */
  releases: string;
  run: string;
  /** The live release's socket, a link. */
  socket: string;
  deployerSocket: string;
  /** The command line of the environment. */
  command: string;
}

export function namesOf(name: string): HostNames {
  const user = `factory-${name}`;
  return {
    user,
    home: `/var/lib/${user}`,
    data: `/var/lib/${user}/data`,
    configuration: `/etc/${user}`,
    releases: `/srv/${user}`,
    run: `/run/${user}`,
    socket: `/run/${user}/current.sock`,
    deployerSocket: `/run/${user}-deployer/deployer.sock`,
    command: `/usr/local/sbin/${user}`,
  };
}
