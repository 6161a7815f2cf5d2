import { createHash } from 'node:crypto';
import { FactoryError } from '../../../service/errors.ts';
import { isAllowed } from './settings.ts';
import type { HostSettings } from './settings.ts';

/** What has to be known of a host before anything is done to it. */
export interface HostFacts {
  user: number;
  /** As `/etc/os-release` has it: `debian 12`. */
  system: string;
  machine: string;
  systemd: boolean;
  /** Of the system's disk. */
  freeMegabytes: number;
  /** Whether packages are still to be installed. */
  fresh: boolean;
  /** Where the host sees us come from; empty where it does not say. */
  client: string;
}

/** As ssh writes it, of a public key's line. */
export const fingerprint = (key: string): string =>
  `SHA256:${createHash('sha256')
    .update(Buffer.from(key.split(' ')[1] ?? '', 'base64'))
    .digest('base64')
    .replace(/=+$/, '')}`;

/** Whether a login with a key is one of those that the settings let in. */
function letsIn({ operators }: HostSettings, target: string, key: string): boolean {
  const user = target.split('@')[0];
  return operators.some(({ name, keys }) => name === user && keys.some((one) => fingerprint(one) === key));
}

/** Shell that says it, a line each. */
export const PROBE = `
echo "user=$(id -u)"
echo "system=$(. /etc/os-release 2>/dev/null; echo "\${ID-unknown} \${VERSION_ID-}")"
echo "machine=$(uname -m)"
[ -d /run/systemd/system ] && echo systemd=yes
echo "free=$(df -Pk / /var | awk 'NR > 1 { print $4 }' | sort -n | head -n 1)"
command -v caddy >/dev/null || echo fresh=yes
`;

export function readFacts(text: string): HostFacts {
  const said = new Map(text.split('\n').map((line) => [line.split('=')[0], line.replace(/^[^=]*=/, '')]));
  return {
    user: Number(said.get('user') ?? -1),
    system: said.get('system')?.trim() ?? 'unknown',
    machine: said.get('machine') ?? 'unknown',
    systemd: said.get('systemd') === 'yes',
    freeMegabytes: Math.floor(Number(said.get('free') ?? 0) / 1024),
    fresh: said.get('fresh') === 'yes',
    client: said.get('client') ?? '',
  };
}

/** A new host gets about 250 MB of packages and their lists; a described one only files. */
const NEEDED_MB = { fresh: 1024, described: 64 };

/**
 * Why this host cannot or must not be described; null: it can. Nothing was changed by then. `key`: the fingerprint that we
 * logged in with, null where it is not known. Pure.
 */
export function objection(
  facts: HostFacts,
  settings: HostSettings,
  target: string,
  key: string | null,
): FactoryError | null {
  const error = (code: string, message: string, hint: string): FactoryError =>
    new FactoryError({ code, op: 'describe host', target, message, hint });
  const needed = facts.fresh ? NEEDED_MB.fresh : NEEDED_MB.described;
  // First: where sudo refuses, nothing else of it is known.
  if (facts.user !== 0)
    return error(
      'host-no-root',
      `${target} gives no root.`,
      'Log in as root, or as somebody who becomes root by `sudo -n`.',
    );
  if (facts.system !== 'debian 12')
    return error(
      'host-system',
      `${target} is ${facts.system}, and this describes Debian 12.`,
      'Take a host with Debian 12 (bookworm). Nothing was changed.',
    );
  if (facts.machine !== 'x86_64')
    return error(
      'host-system',
      `${target} is a machine of kind ${facts.machine}, and releases carry a Node for x86_64.`,
      'Take a host of kind x86_64. Nothing was changed.',
    );
  if (!facts.systemd)
    return error(
      'host-system',
      `${target} was not started by systemd.`,
      'A container without systemd cannot be a host. Nothing was changed.',
    );
  if (facts.freeMegabytes < needed)
    return error(
      'host-disk-full',
      `${target} has ${facts.freeMegabytes} MB free, and ${needed} are needed.`,
      'Make room there: `apt-get clean` and `journalctl --vacuum-size=200M` often do. Nothing was changed.',
    );
  if (facts.client !== '' && !isAllowed(settings, facts.client))
    return error(
      'host-lockout',
      `SSH would be closed to ${facts.client}, where you come from now.`,
      'Add that address or its network to allowedAddresses, or come from one that is there. Nothing was changed.',
    );
  if (key !== null && !letsIn(settings, target, key))
    return error(
      'host-lockout',
      `${target} would not take the key any more that you came with (${key}).`,
      `Add its public half to the keys of ${target.split('@')[0]} in operators, or come with one that is there. Nothing was changed.`,
    );
  return null;
}
