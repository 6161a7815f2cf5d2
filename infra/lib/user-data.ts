import type { Operator } from '../config.ts';

/** What a new host is told about itself. */
export interface HostSettings {
  environments: { environment: string; domain: string }[];
  operators: Operator[];
  sshFrom: string[];
}

/** DigitalOcean takes no more. */
const MOST_BYTES = 64 * 1024;

/**
 * Cloud-init user data of a new host. Holds no secret: every process on a host can read its user data.
 *
 * A seam: it only lets operators in and keeps everybody else out, until the description of the host renders it. The rest is
 * done by `factory host apply`.
 */
export function userData({ operators, environments }: HostSettings): string {
  const document = {
    hostname: `factory-${environments.map((one) => one.environment).join('-')}`,
    disable_root: true,
    ssh_pwauth: false,
    package_update: true,
    users: operators.map(({ name, sshKey }) => ({
      name,
      shell: '/bin/bash',
      groups: 'sudo',
      sudo: 'ALL=(ALL) NOPASSWD:ALL',
      lock_passwd: true,
      ssh_authorized_keys: [sshKey],
    })),
  };
  // JSON is YAML.
  const text = `#cloud-config\n${JSON.stringify(document, null, 2)}\n`;
  if (Buffer.byteLength(text) > MOST_BYTES)
    throw new Error(`The user data has ${Buffer.byteLength(text)} bytes; DigitalOcean takes ${MOST_BYTES}.`);
  return text;
}
