import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readHostSettings } from '../../scripts/lib/host/settings.ts';
import type { HostSettings, HostSettingsInput } from '../../scripts/lib/host/settings.ts';

export interface Key {
  /** Path of the private half. */
  file: string;
  public: string;
}

export function newKey(): Key {
  const file = join(mkdtempSync(join(tmpdir(), 'factory-key-')), 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'operator', '-f', file]);
  return { file, public: readFileSync(`${file}.pub`, 'utf8').trim() };
}

export const PRODUCTION = 'factory.example.org';
export const STAGING = 'staging.factory.example.org';

/** Both environments on one host, `root` and `alice`. */
export function settingsInput(
  key: Key,
  from: string,
  more: Partial<HostSettingsInput> = {},
): HostSettingsInput {
  return {
    environments: [
      {
        name: 'production',
        domain: PRODUCTION,
        variables: {
          FACTORY_BACKUP_DESTINATIONS: 's3://backups/factory?endpoint=http://127.0.0.1:9&region=eu',
        },
        credentials: ['FACTORY_BACKUP_CREDENTIALS_1'],
      },
      { name: 'staging', domain: STAGING },
    ],
    operators: [
      { name: 'root', keys: [key.public] },
      { name: 'alice', keys: [key.public] },
    ],
    allowedAddresses: [from],
    ...more,
  };
}

export function settingsOf(input: HostSettingsInput): HostSettings {
  const read = readHostSettings(input);
  if ('problems' in read) throw new Error(read.problems.join('\n'));
  return read.settings;
}
