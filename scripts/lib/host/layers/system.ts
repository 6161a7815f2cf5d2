import { file, packages, unit } from '../items.ts';
import type { Item, Layer } from '../items.ts';
import type { HostSettings } from '../settings.ts';

const HEAD = '# Written by Build Factory (docs/host.md); a change made here is undone by the next run.\n';

/** What every later layer needs is installed at once: one run of apt instead of seven. */
export function packageLayer(): Layer {
  return {
    name: 'packages',
    items: packages(
      ...['ca-certificates', 'openssh-server', 'sudo', 'zstd', 'age'],
      ...['nftables', 'fail2ban', 'python3-systemd', 'unattended-upgrades', 'caddy'],
      // Tells what still runs on an old library; compares installed files with their packages; records load and processes.
      ...['needrestart', 'debsums', 'sysstat', 'acct', 'libpam-tmpdir', 'libpam-pwquality'],
    ),
  };
}

/** Of the kernel: nothing is forwarded, no redirect is believed, and a process sees nothing of another's memory. */
const SYSCTL: Record<string, string | number> = {
  'dev.tty.ldisc_autoload': 0,
  'fs.protected_fifos': 2,
  'fs.protected_hardlinks': 1,
  'fs.protected_regular': 2,
  'fs.protected_symlinks': 1,
  'fs.suid_dumpable': 0,
  'kernel.core_uses_pid': 1,
  'kernel.dmesg_restrict': 1,
  'kernel.kptr_restrict': 2,
  'kernel.perf_event_paranoid': 3,
  'kernel.randomize_va_space': 2,
  'kernel.sysrq': 0,
  'kernel.unprivileged_bpf_disabled': 1,
  'kernel.yama.ptrace_scope': 1,
  'net.core.bpf_jit_harden': 2,
  'net.ipv4.conf.all.accept_redirects': 0,
  'net.ipv4.conf.all.accept_source_route': 0,
  'net.ipv4.conf.all.bootp_relay': 0,
  'net.ipv4.conf.all.forwarding': 0,
  'net.ipv4.conf.all.log_martians': 1,
  'net.ipv4.conf.all.proxy_arp': 0,
  'net.ipv4.conf.all.rp_filter': 1,
  'net.ipv4.conf.all.send_redirects': 0,
  'net.ipv4.conf.default.accept_redirects': 0,
  'net.ipv4.conf.default.accept_source_route': 0,
  'net.ipv4.conf.default.log_martians': 1,
  'net.ipv4.conf.default.rp_filter': 1,
  'net.ipv4.conf.default.send_redirects': 0,
  'net.ipv4.icmp_echo_ignore_broadcasts': 1,
  'net.ipv4.icmp_ignore_bogus_error_responses': 1,
  'net.ipv4.tcp_syncookies': 1,
  'net.ipv6.conf.all.accept_redirects': 0,
  'net.ipv6.conf.all.accept_source_route': 0,
  'net.ipv6.conf.default.accept_redirects': 0,
  'net.ipv6.conf.default.accept_source_route': 0,
};

export function kernelLayer(): Layer {
  const lines = Object.entries(SYSCTL).map(([name, value]) => `${name} = ${value}\n`);
  const unused = ['dccp', 'sctp', 'rds', 'tipc', 'usb-storage', 'firewire-core', 'cramfs', 'udf'];
  return {
    name: 'kernel',
    items: [
      file('/etc/sysctl.d/90-factory.conf', HEAD + lines.join('')),
      file(
        '/etc/modprobe.d/factory.conf',
        HEAD + unused.map((name) => `install ${name} /bin/true\n`).join(''),
      ),
      file('/etc/security/limits.d/90-factory.conf', `${HEAD}* hard core 0\n* soft core 0\n`),
      file(
        '/etc/systemd/coredump.conf.d/factory.conf',
        `${HEAD}[Coredump]\nStorage=none\nProcessSizeMax=0\n`,
      ),
    ],
    // The unit knows where the kernel is not ours to set, as in a container, and is passed over there.
    reload: 'systemctl restart systemd-sysctl.service',
  };
}

const BANNER =
  'This is a private system. Access is for those who were given a key; unauthorised access is a criminal offence.\n' +
  'Connections are monitored and recorded, and the log is evidence.\n';

/** A shell that was left open ends after half an hour; what runs in it meanwhile does not count as left. */
const PROFILE = `${HEAD}ulimit -c 0
TMOUT=1800
export TMOUT
readonly TMOUT
`;

/** Files of the system that say who may do what. Nobody has a password here; should somebody set one, it is a good one. */
export function accountsLayer(): Layer {
  const defs: Record<string, string | number> = {
    ...{ UMASK: '027', HOME_MODE: '0700', PASS_MIN_DAYS: 1, PASS_MAX_DAYS: 365 },
    ...{ SHA_CRYPT_MIN_ROUNDS: 65_536, SHA_CRYPT_MAX_ROUNDS: 65_536 },
  };
  const cron = ['cron.d', 'cron.daily', 'cron.hourly', 'cron.weekly', 'cron.monthly'];
  return {
    name: 'accounts',
    items: [
      ...Object.entries(defs).map(([key, value]): Item => ({
        kind: 'setting',
        path: '/etc/login.defs',
        key,
        value: `${value}`,
      })),
      ...cron.map((name): Item => ({ kind: 'mode', path: `/etc/${name}`, mode: '0700' })),
      ...['/etc/crontab', '/etc/ssh/sshd_config'].map((path): Item => ({ kind: 'mode', path, mode: '0600' })),
      { kind: 'mode', path: '/etc/sudoers.d', mode: '0750' },
      // Came with needrestart; nobody but root assembles anything here.
      { kind: 'mode', path: '/usr/bin/x86_64-linux-gnu-as', mode: '0700' },
      file('/etc/profile.d/90-factory.sh', PROFILE),
      file('/etc/issue', BANNER),
      file('/etc/issue.net', BANNER),
    ],
  };
}

/** What the machine did: load every ten minutes, and each process that ended. */
export function accountingLayer(): Layer {
  return {
    name: 'accounting',
    items: [
      file('/etc/default/sysstat', `${HEAD}ENABLED="true"\n`),
      unit('sysstat.service'),
      unit('sysstat-collect.timer'),
      unit('acct.service'),
    ],
  };
}

export function journalLayer(): Layer {
  return {
    name: 'journal',
    items: [
      file(
        '/etc/systemd/journald.conf.d/factory.conf',
        `${HEAD}[Journal]\nStorage=persistent\nSystemMaxUse=1G\nSystemKeepFree=1G\nMaxRetentionSec=90day\n` +
          'RateLimitIntervalSec=30s\nRateLimitBurst=20000\nForwardToSyslog=no\n',
      ),
    ],
    reload: 'systemctl restart systemd-journald.service',
  };
}

/** Security updates each day; a new kernel counts from the next start, which `rebootAt` allows at night. */
export function updatesLayer({ rebootAt }: HostSettings): Layer {
  const origins = ['label=Debian-Security', 'label=Debian']
    .map((label) => `  "origin=Debian,codename=\${distro_codename},${label}";\n`)
    .join('');
  return {
    name: 'updates',
    items: [
      file(
        '/etc/apt/apt.conf.d/60factory-updates',
        '// Written by Build Factory (docs/host.md).\n' +
          'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n' +
          'APT::Periodic::AutocleanInterval "7";\n' +
          '#clear Unattended-Upgrade::Origins-Pattern;\n' +
          `Unattended-Upgrade::Origins-Pattern {\n${origins}};\n` +
          'Unattended-Upgrade::MinimalSteps "true";\nUnattended-Upgrade::Remove-Unused-Dependencies "true";\n' +
          `Unattended-Upgrade::Automatic-Reboot "${rebootAt === null ? 'false' : 'true'}";\n` +
          (rebootAt === null ? '' : `Unattended-Upgrade::Automatic-Reboot-Time "${rebootAt}";\n`),
      ),
      unit('apt-daily.timer'),
      unit('apt-daily-upgrade.timer'),
      unit('unattended-upgrades.service'),
    ],
    check: 'apt-config -c "$new/etc/apt/apt.conf.d/60factory-updates" dump >/dev/null',
  };
}

export { HEAD };
