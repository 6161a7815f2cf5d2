import { file, folder, unit } from '../items.ts';
import type { Item, Layer } from '../items.ts';
import type { HostSettings } from '../settings.ts';
import { HEAD } from './system.ts';

/**
 * The whole access of a host: `keys` of `operators` and nothing else. Keys lie where only root writes, so that what lies
 * in somebody's home opens nothing.
 */
export function sshLayer(settings: HostSettings): Layer {
  return {
    name: 'ssh',
    items: [
      ...settings.operators.filter(({ name }) => name !== 'root').flatMap(({ name }) => account(name)),
      { kind: 'locked-password', user: 'root' },
      folder('/etc/ssh/authorized_keys'),
      ...settings.operators.map(({ name, keys }) =>
        file(`/etc/ssh/authorized_keys/${name}`, keys.map((key) => `${key}\n`).join('')),
      ),
      file('/etc/ssh/sshd_config.d/00-factory.conf', sshdConfig(settings)),
      file('/etc/systemd/system/ssh.service.d/factory.conf', SANDBOX),
      // With both, the server could not take its own port back when it starts anew.
      { kind: 'unit-off', name: 'ssh.socket' },
      unit('ssh.service'),
    ],
    // The main file includes the folder by its path, so the check reads a copy of it that includes the new one.
    check: [
      'cp -a /etc/ssh/sshd_config.d "$new/all" && cp "$new"/etc/ssh/sshd_config.d/* "$new/all/"',
      'sed "s#^Include /etc/ssh/sshd_config.d/#Include $new/all/#" /etc/ssh/sshd_config >"$new/sshd_config"',
      'mkdir -p /run/sshd && sshd -t -f "$new/sshd_config"',
    ].join('\n'),
    // Open connections stay: the unit ends the listening process alone.
    reload: 'systemctl daemon-reload && systemctl restart ssh.service',
  };
}

const account = (name: string): Item[] => [
  { kind: 'user', name, home: `/home/${name}`, shell: '/bin/bash', system: false },
  { kind: 'locked-password', user: name },
  file(`/etc/sudoers.d/factory-${name}`, `${name} ALL=(ALL) NOPASSWD: ALL\n`, { mode: '0440' }),
];

/** The first value of a name counts, and this file is read before the others. Algorithms: what ssh-audit takes as good. */
function sshdConfig({ operators }: HostSettings): string {
  const names = operators.map(({ name }) => name);
  const lines = [
    `AllowUsers ${names.join(' ')}`,
    `PermitRootLogin ${names.includes('root') ? 'prohibit-password' : 'no'}`,
    'AuthenticationMethods publickey',
    'AuthorizedKeysFile /etc/ssh/authorized_keys/%u',
    'PubkeyAuthentication yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'HostbasedAuthentication no',
    'PermitEmptyPasswords no',
    'PermitUserEnvironment no',
    'HostKey /etc/ssh/ssh_host_ed25519_key',
    'HostKeyAlgorithms ssh-ed25519',
    'PubkeyAcceptedAlgorithms ssh-ed25519,sk-ssh-ed25519@openssh.com,rsa-sha2-512,rsa-sha2-256',
    'KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org',
    'Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com',
    'MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,umac-128-etm@openssh.com',
    'RequiredRSASize 3072',
    'MaxAuthTries 3',
    'MaxSessions 2',
    'MaxStartups 10:30:60',
    'LoginGraceTime 20',
    'ClientAliveInterval 30',
    'ClientAliveCountMax 2',
    'TCPKeepAlive no',
    'AllowAgentForwarding no',
    'AllowTcpForwarding no',
    'AllowStreamLocalForwarding no',
    'PermitTunnel no',
    'X11Forwarding no',
    'Compression no',
    'UseDNS no',
    'LogLevel VERBOSE',
    'Banner /etc/issue.net',
    'DebianBanner no',
  ];
  return `${HEAD}${lines.join('\n')}\n`;
}

/**
 * Only what a login needs nothing of: whoever logs in inherits it, and has to be able to install packages, change the
 * firewall and run Node, which writes code that it then executes.
 */
const SANDBOX = `${HEAD}[Service]
KeyringMode=private
LockPersonality=yes
ProtectClock=yes
ProtectKernelLogs=yes
RestrictRealtime=yes
SystemCallArchitectures=native
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
`;
