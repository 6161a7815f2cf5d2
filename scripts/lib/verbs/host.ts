import { ENVIRONMENTS } from '../host/names.ts';
import type { Verb } from '../verb.ts';

/** Machines that the service runs on. */
export const HOST_VERBS: Verb[] = [
  {
    path: 'host apply',
    summary: 'Make a Debian 12 host, new or running, what its settings describe, by SSH',
    details:
      'Shows what differs, changes it, and looks whether you still get in; what is as described is left alone. The same script\n' +
      'as the user data of a new host. Exit 3 while a secret is awaited; 4 where you would lock yourself out.',
    arguments: [{ name: 'target', description: 'a login as root or sudoer: root@203.0.113.7' }],
    options: [
      { flags: '--settings <file>', description: 'the description, YAML or JSON (default: host.yaml)' },
      { flags: '--env <environments>', description: 'of these alone', list: 'comma', choices: ENVIRONMENTS },
      { flags: '--credentials <folder>', description: 'bring the secrets in it: <environment>/<NAME>' },
      { flags: '--plan', description: 'show what differs and change nothing' },
      {
        flags: '--known-hosts <file>',
        description: "where the host's key stands (default: as for ssh)",
      },
      { flags: '--key <file>', description: 'the private key to log in with' },
    ],
    load: async () => (await import('../../host.ts')).apply,
  },
];
