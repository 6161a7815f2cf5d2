import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { packageLayer } from '../../scripts/lib/host/layers/system.ts';

/**
 * A bare Debian 12 as a cloud hands it out: systemd, cloud-init, sshd. What the description of a host installs lies in a
 * repository in it (called as the one that a real host has for security updates), so that a boot needs no network; apt and dpkg do the rest as anywhere. Built once and kept.
 */

const AS_A_CLOUD_HAS_IT = [
  ...[
    'systemd',
    'systemd-sysv',
    'libpam-systemd',
    'dbus',
    'udev',
    'cloud-init',
    'openssh-server',
    'sudo',
    'apt-utils',
  ],
  ...['iproute2', 'netbase', 'ca-certificates', 'locales', 'less', 'procps', 'cron', 'python3', 'curl'],
];
/** Judges of a running host; the description does not know of them. */
const JUDGES = ['lynis'];
/** Stands beside the host, not on it: an authority that gives certificates. */
const BESIDE = ['pebble'];

const DEBIAN = [
  'deb http://deb.debian.org/debian bookworm main',
  'deb http://deb.debian.org/debian bookworm-updates main',
  'deb http://deb.debian.org/debian-security bookworm-security main',
];

export interface Image {
  /** The tree; nobody writes to it. */
  root: string;
  /** Programs of packages that are not on the host. */
  beside: string;
}

/** Errors: where it cannot be built, with what mmdebstrap said. */
export function hostImage(): Image {
  const wanted = packageLayer().items.flatMap((one) => (one.kind === 'package' ? [one.name] : []));
  const recipe = createHash('sha256')
    .update(
      JSON.stringify([
        AS_A_CLOUD_HAS_IT,
        JUDGES,
        BESIDE,
        DEBIAN,
        wanted,
        readFileSync(import.meta.filename, 'utf8'),
      ]),
    )
    .digest('hex')
    .slice(0, 12);
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folder = join(cache, 'build-factory', `host-${recipe}`);
  const image = { root: join(folder, 'root'), beside: join(folder, 'beside') };
  if (existsSync(folder)) return image;
  process.stderr.write('Building the root file system of a Debian 12 host, once: about two minutes.\n');
  mkdirSync(dirname(folder), { recursive: true });
  const building = mkdtempSync(`${folder}.`);
  try {
    build(building, wanted);
    renameSync(building, folder);
    return image;
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}

function build(folder: string, wanted: readonly string[]): void {
  const root = join(folder, 'root');
  const sources = join(folder, 'sources.list');
  writeFileSync(sources, `${DEBIAN.join('\n')}\n`);
  const hook = join(folder, 'hook');
  writeFileSync(
    hook,
    `#!/bin/sh
set -eu
chroot "$1" apt-get -q install -y --no-install-recommends --download-only ${wanted.join(' ')}
mkdir -p "$1/opt/debian-security"
mv "$1"/var/cache/apt/archives/*.deb "$1/opt/debian-security/"
chroot "$1" apt-get -q install -y --no-install-recommends --download-only ${BESIDE.join(' ')}
for package in ${BESIDE.join(' ')}; do dpkg -x "$1"/var/cache/apt/archives/"$package"_*.deb ${folder}/beside; done
chroot "$1" sh -c 'cd /opt/debian-security && apt-ftparchive packages . >Packages'
echo 'deb [trusted=yes] file:/opt/debian-security ./' >"$1/etc/apt/sources.list"
rm -rf "$1"/etc/apt/sources.list.d/* "$1"/var/lib/apt/lists/* "$1"/etc/ssh/ssh_host_* "$1"/etc/resolv.conf
# Without the file systemd would take the boot for one that presets every unit.
: >"$1/etc/machine-id"
# No locale of its own is made, which takes its time.
printf "locale: C.UTF-8\\n" >"$1/etc/cloud/cloud.cfg.d/99-locale.cfg"
# Its addresses are given from outside, as a cloud's are.
# As a cloud's own data says it: the host's name leads to itself.
printf 'manage_etc_hosts: true\\n' >"$1/etc/cloud/cloud.cfg.d/99-hosts.cfg"
printf 'network: {config: disabled}\\n' >"$1/etc/cloud/cloud.cfg.d/99-network.cfg"
printf 'datasource_list: [NoCloud, None]\\n' >"$1/etc/cloud/cloud.cfg.d/99-seed.cfg"
`,
    { mode: 0o755 },
  );
  const include = `--include=${[...AS_A_CLOUD_HAS_IT, ...JUDGES].join(',')}`;
  const options = ['--quiet', '--mode=root', '--variant=minbase', '--dpkgopt=force-unsafe-io', include];
  execFileSync('mmdebstrap', [...options, `--customize-hook=${hook}`, 'bookworm', root, sources], {
    stdio: ['ignore', 2, 2],
  });
}
