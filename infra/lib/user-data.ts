import { readHostSettings } from '../../scripts/lib/host/settings.ts';
import { hostUserData } from '../../scripts/lib/host/user-data.ts';
import type { Operator } from '../config.ts';

/** What a new host is told about itself. */
export interface NewHost {
  environments: { environment: string; domain: string }[];
  operators: readonly Operator[];
  /** Addresses and networks that operators come from. */
  sshFrom: readonly string[];
}

/**
 * Cloud-init user data of a new host, which makes it what `factory host apply` makes of a running one. Holds no secret: every
 * process on a host can read its user data. Errors: every problem of the settings at once, and where it is too long.
 */
export function userData({ environments, operators, sshFrom }: NewHost): string {
  const read = readHostSettings({
    environments: environments.map(({ environment, domain }) => ({ name: environment, domain })),
    operators: operators.map(({ name, sshKey }) => ({ name, keys: [sshKey] })),
    allowedAddresses: sshFrom,
  });
  if ('problems' in read) throw new Error(`The host cannot be described: ${read.problems.join(' ')}`);
  return hostUserData(read.settings);
}
