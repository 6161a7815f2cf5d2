import { file, unit } from '../items.ts';
import type { Layer } from '../items.ts';
import type { HostSettings } from '../settings.ts';
import { HEAD } from './system.ts';

/**
 * Nothing comes in but SSH from allowed addresses, HTTP and HTTPS; everything goes out. Only this table is replaced: what
 * fail2ban holds in its own stays.
 */
export function firewallLayer({ allowedAddresses }: HostSettings): Layer {
  return {
    name: 'firewall',
    items: [file('/etc/nftables.conf', rules(allowedAddresses), { mode: '0755' }), unit('nftables.service')],
    check: 'nft -c -f "$new/etc/nftables.conf"',
    reload: 'systemctl reload-or-restart nftables.service',
  };
}

function rules(addresses: readonly string[]): string {
  const v6 = addresses.filter((one) => one.includes(':'));
  const v4 = addresses.filter((one) => !one.includes(':'));
  return `#!/usr/sbin/nft -f
${HEAD}
table inet factory
delete table inet factory
table inet factory {
${set('operators4', 'ipv4_addr', v4)}${set('operators6', 'ipv6_addr', v6)}  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept
    ct state vmap { established : accept, related : accept, invalid : drop }
    icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
    icmp type echo-request limit rate 10/second accept
    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept
    icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
    icmpv6 type echo-request limit rate 10/second accept
    ip saddr @operators4 tcp dport 22 accept
    ip6 saddr @operators6 tcp dport 22 accept
    tcp dport { 80, 443 } accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
  }
  chain output {
    type filter hook output priority filter; policy accept;
  }
}
`;
}

function set(name: string, type: string, elements: readonly string[]): string {
  const listed = elements.length === 0 ? '' : `    elements = { ${elements.join(', ')} }\n`;
  return `  set ${name} {\n    type ${type}; flags interval; auto-merge;\n${listed}  }\n`;
}

/** Debian's own jail reads a log file that is not there any more: this one reads the journal. */
export function bansLayer(): Layer {
  return {
    name: 'bans',
    items: [
      file(
        '/etc/fail2ban/jail.local',
        `${HEAD}[DEFAULT]
banaction = nftables[type=multiport]
banaction_allports = nftables[type=allports]
bantime = 10m
bantime.increment = true
bantime.maxtime = 1d
findtime = 10m
maxretry = 4
# Nobody but this host itself is beyond suspicion: port 22 is open to operators alone, and what fails there is theirs.
ignoreip = 127.0.0.1/8 ::1

[sshd]
enabled = true
mode = aggressive
backend = systemd
journalmatch = _SYSTEMD_UNIT=ssh.service + _COMM=sshd
`,
      ),
      unit('fail2ban.service'),
    ],
    check:
      'cp -a /etc/fail2ban "$new/all" && cp "$new/etc/fail2ban/jail.local" "$new/all/" && fail2ban-client -c "$new/all" -t >/dev/null',
    reload: 'systemctl reload-or-restart fail2ban.service',
  };
}
