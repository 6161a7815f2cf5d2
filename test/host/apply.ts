import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostSettingsInput } from '../../scripts/lib/host/settings.ts';
import { factory } from '../scripts/cli.ts';
import type { Ran } from '../scripts/cli.ts';
import type { Machine } from './machine.ts';
import type { Key } from './settings.ts';

/** A file with the host's own key, taken from its tree and not from its port. */
export function knownHosts(machine: Machine): string {
  const path = join(mkdtempSync(join(tmpdir(), 'factory-known-')), 'known_hosts');
  writeFileSync(path, `${machine.address} ${machine.run('cat /etc/ssh/ssh_host_ed25519_key.pub')}`);
  return path;
}

/** `factory host apply` on a booted host, as its root unless told otherwise. */
export async function applyHost(
  machine: Machine,
  key: Key,
  input: HostSettingsInput,
  more: string[] = [],
  user = 'root',
): Promise<Ran> {
  const cwd = mkdtempSync(join(tmpdir(), 'factory-apply-'));
  writeFileSync(join(cwd, 'host.yaml'), JSON.stringify(input));
  const login = ['--known-hosts', knownHosts(machine), '--key', key.file];
  return factory(cwd, ['host', 'apply', `${user}@${machine.address}`, ...login, ...more]);
}
