import { gzipSync } from 'node:zlib';
import { hostLayers } from './layers.ts';
import { hostScript } from './script.ts';
import type { HostSettings } from './settings.ts';

/** What DigitalOcean takes at most, in bytes. */
export const USER_DATA_LIMIT = 64 * 1024;
/** Where a new host finds its description, which is root's alone. */
export const SCRIPT_PATH = '/var/lib/factory-host/converge';

/**
 * cloud-init's user data for a new host: it becomes what `factory host apply` makes of a running one, by the same script.
 * Text, no secret in it. Errors: where a cloud would not take it.
 */
export function hostUserData(settings: HostSettings): string {
  const script = hostScript(hostLayers(settings));
  const text = `#cloud-config
# Build Factory: ${settings.environments.map(({ name, domain }) => `${name} at ${domain}`).join(', ')}
# The script is one file, gzip and base64: base64 -d | gunzip
users: []
write_files:
  - path: ${SCRIPT_PATH}
    owner: root:root
    permissions: '0700'
    encoding: gz+b64
    content: ${gzipSync(script, { level: 9 }).toString('base64')}
runcmd:
  - [${SCRIPT_PATH}, apply]
`;
  if (Buffer.byteLength(text) <= USER_DATA_LIMIT) return text;
  throw new Error(
    `The user data has ${Buffer.byteLength(text)} bytes, and a cloud takes ${USER_DATA_LIMIT}: name fewer keys and variables.`,
  );
}
