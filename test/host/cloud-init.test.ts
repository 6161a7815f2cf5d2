import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { hostFiles } from '../../scripts/lib/host/layers.ts';
import { JOBS } from '../../scripts/lib/host/layers/units.ts';
import { hostUserData } from '../../scripts/lib/host/user-data.ts';
import { authorityCertificate, directoryOf, startAuthority } from './authority.ts';
import type { Authority } from './authority.ts';
import { bootHost } from './machine.ts';
import type { Machine } from './machine.ts';
import { applyHost, knownHosts } from './apply.ts';
import { newKey, PRODUCTION, settingsInput, settingsOf, STAGING } from './settings.ts';

/** A new host with the real user data, as a cloud would start it: what is on it then, and what it lets happen. */

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const ACME_ROOT = '/etc/ssl/acme-root.pem';
const CANARY = 'canary-7f3a91c2e5d8';
const key = newKey();
const began = Date.now();
let machine: Machine;
let authority: Authority;
let seconds = 0;

const inputFor = (from: string): ReturnType<typeof settingsInput> =>
  settingsInput(key, from, { acme: { directory: directoryOf(from), root: ACME_ROOT } });

beforeAll(async () => {
  const image = inject('hostImage');
  const addresses = Array.from({ length: 250 }, (_, n) => `IP:10.89.${n}.1`).join(',');
  const certificate = authorityCertificate(addresses);
  machine = await bootHost({
    image,
    userData: (from) => hostUserData(settingsOf(inputFor(from))),
    files: { [ACME_ROOT]: certificate.root },
    folders: { '/opt/checkout': CHECKOUT },
  });
  seconds = (Date.now() - began) / 1000;
  authority = await startAuthority(image, certificate, { from: machine.from, host: machine.address });
}, 300_000);

afterAll(async () => {
  authority?.stop();
  await machine?.stop();
});

/** How a host is asked over TLS; 0: nobody answered, or with a certificate that is not the authority's. */
function statusOf(domain: string, ca: string, path = '/api/health'): Promise<number> {
  return new Promise((resolve) => {
    const asked = request(
      {
        host: machine.address,
        port: 443,
        servername: domain,
        path,
        ca,
        headers: { host: domain },
        agent: false,
      },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    asked.on('error', () => resolve(0));
    asked.end();
  });
}

const opened = (port: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect({ host: machine.address, port, timeout: 1500 });
    const end = (how: string): void => {
      socket.destroy();
      resolve(how);
    };
    socket.once('connect', () => end('open'));
    socket.once('timeout', () => end('dropped'));
    socket.once('error', () => end('refused'));
  });

describe('the first start', () => {
  it('ends without an error, within a minute and a half', () => {
    const status = machine.ask('cloud-init status --long').output;
    expect(status, machine.ask('cat /var/log/cloud-init-output.log').output).toContain('status: done');
    expect(machine.run('cat /run/cloud-init/result.json')).toContain('"errors": []');
    expect(machine.run('systemctl --failed --no-legend --plain')).toBe('');
    expect(seconds).toBeLessThan(90);
  });

  it('leaves every file as it is described', () => {
    for (const { path, content, mode, owner } of hostFiles(settingsOf(inputFor(machine.from))).values()) {
      expect(machine.run(`cat ${path}`), path).toBe(content);
      expect(machine.run(`stat -c '%a %U:%G' ${path}`).trim(), path).toBe(`${Number(mode)} ${owner}`);
    }
  });

  it('changes nothing when its modules run again', () => {
    // As cloud-init itself would on a next instance, except for the host's keys, which are its own to make anew.
    const photograph =
      'find /etc /usr/local /srv /var/lib/factory-* /home -xdev \\( -type f -o -type l -o -type d \\) ' +
      "! -path '/etc/.pwd.lock' -printf '%p %y %m %u:%g %T@ %l\\n' | sort";
    const before = machine.run(photograph);
    const modules = ['write-files', 'users-groups', 'runcmd', 'scripts-user'];
    for (const name of modules)
      machine.run(
        `cloud-init --file /var/lib/cloud/instance/cloud-config.txt single --name ${name} --frequency always`,
      );
    const told = machine.run('tail -n 40 /var/log/cloud-init-output.log');
    expect(machine.run('/var/lib/factory-host/converge apply')).toContain('end\t0\n');
    expect(told).not.toContain('failed');
    // What cloud-init itself was told to write is written again.
    const own = (text: string): string[] =>
      text.split('\n').filter((line) => !line.includes('/var/lib/factory-host'));
    expect(own(machine.run(photograph))).toEqual(own(before));
  });

  it('leaves nothing to do for `host apply`, layer by layer', async () => {
    const ran = await applyHost(machine, key, inputFor(machine.from), ['--json']);
    expect(ran.stderr).toBe('');
    // The secret that the description names is not there yet, and is named.
    expect(ran.exit).toBe(3);
    expect(ran.json()).toMatchObject({
      ...{ applied: false, changes: 0 },
      awaited: ['/etc/factory-production/credentials/FACTORY_BACKUP_CREDENTIALS_1'],
    });
    expect(
      ran.json<{ layers: { changes: unknown[] }[] }>().layers.every(({ changes }) => changes.length === 0),
    ).toBe(true);
  });
});

describe('from outside', () => {
  it('exactly 22, 80 and 443 are open, and the rest says nothing', async () => {
    machine.run('systemd-run --quiet --unit=stray python3 -m http.server 8080');
    await expect.poll(() => machine.ask('ss -Hltn sport = :8080').output).toContain('8080');
    const ports = [22, 80, 443, 2019, 8080, 8700, 25];
    const answers = await Promise.all(ports.map(async (port) => [port, await opened(port)]));
    expect(Object.fromEntries(answers)).toEqual({
      ...{ 22: 'open', 80: 'open', 443: 'open' },
      ...{ 2019: 'dropped', 8080: 'dropped', 8700: 'dropped', 25: 'dropped' },
    });
    machine.run('systemctl stop stray');
    const listening = machine.run("ss -Hltun | awk '{ print $1, $5 }' | sed 's/ .*:/ /' | sort -u");
    expect(listening.trim().split('\n')).toEqual(['tcp 22', 'tcp 443', 'tcp 80']);
  });

  it('port 22 is closed to whoever is not allowed', () => {
    const rules = machine.run('nft list table inet factory');
    expect(rules).toContain(`elements = { ${machine.from} }`);
    expect(rules).toContain('policy drop');
    // Another address at this end of the cable.
    const other = machine.from.replace(/\.1$/, '.77');
    spawnSync('ip', ['address', 'add', `${other}/32`, 'dev', `fhost${machine.from.split('.')[2]}`]);
    const ran = spawnSync(
      'ssh',
      ['-o', 'ConnectTimeout=2', '-b', other, '-o', 'BatchMode=yes', `root@${machine.address}`, 'true'],
      { encoding: 'utf8' },
    );
    expect(ran.stderr).toMatch(/timed out/);
  });
});

describe('sshd', () => {
  // Logins that fail here are meant to, and would soon have us banned.
  beforeAll(() => void machine.run(`fail2ban-client set sshd addignoreip ${machine.from}`));

  it.each([
    ['permitrootlogin', 'without-password'],
    ['passwordauthentication', 'no'],
    ['kbdinteractiveauthentication', 'no'],
    ['authenticationmethods', 'publickey'],
    ['authorizedkeysfile', '/etc/ssh/authorized_keys/%u'],
    ['allowusers', 'root'],
    ['allowusers', 'alice'],
    ['permitemptypasswords', 'no'],
    ['x11forwarding', 'no'],
    ['allowtcpforwarding', 'no'],
    ['allowagentforwarding', 'no'],
    ['maxauthtries', '3'],
    ['logingracetime', '20'],
    ['loglevel', 'VERBOSE'],
    ['hostkey', '/etc/ssh/ssh_host_ed25519_key'],
    ['ciphers', 'chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com'],
  ])('%s is %s', (name, value) => {
    expect(machine.run('sshd -T').split('\n')).toContain(`${name} ${value}`);
  });

  it('lets in who is an operator, root or by sudo, and no key that lies in a home', () => {
    const login = (user: string, with_ = key, command = 'id -un'): string =>
      spawnSync(
        'ssh',
        [
          ...['-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes', '-i', with_.file],
          ...['-o', `UserKnownHostsFile=${knownHosts(machine)}`],
          `${user}@${machine.address}`,
          command,
        ],
        { encoding: 'utf8' },
      ).stdout.trim();
    expect(login('root')).toBe('root');
    expect(login('alice', key, 'sudo -n id -un')).toBe('root');
    const stranger = newKey();
    machine.run(`mkdir -p /root/.ssh && echo '${stranger.public}' >> /root/.ssh/authorized_keys`);
    expect(login('root', stranger)).toBe('');
    machine.run('passwd -S root | grep -q "^root L"');
  });

  it('has no algorithm that ssh-audit fails', () => {
    const folder = join(
      process.env['FACTORY_TOOLS'] ?? join(homedir(), '.cache', 'build-factory'),
      'venv-ssh-audit-3.3.0',
    );
    const program = join(folder, 'bin', 'ssh-audit');
    if (!existsSync(program)) {
      expect(spawnSync('python3', ['-m', 'venv', folder]).status).toBe(0);
      const made = spawnSync(join(folder, 'bin', 'pip'), ['install', '--quiet', 'ssh-audit==3.3.0'], {
        encoding: 'utf8',
      });
      expect(made.status, made.stderr).toBe(0);
    }
    const judged = spawnSync(program, ['--skip-rate-test', '--no-colors', '--level=fail', machine.address], {
      encoding: 'utf8',
    });
    expect(judged.stdout).not.toMatch(/\[fail\]/);
    expect(judged.status, judged.stdout).toBeLessThan(3);
  });
});

describe('units', () => {
  const exposure = (unit: string): number =>
    Number(/level for \S+ ([\d.]+)/.exec(machine.run(`systemd-analyze security --no-pager ${unit}`))?.[1]);
  const ours = ['production', 'staging'].flatMap((name) => [
    `factory-${name}@any.service`,
    ...JOBS.map((job) => `factory-${name}-${job.name}.service`),
  ]);

  it.each(ours)('%s is exposed by 2.0 at most', (unit) => {
    expect(exposure(unit)).toBeLessThanOrEqual(2);
  });

  it('Caddy and sshd are exposed less than Debian has them', () => {
    expect(exposure('caddy.service')).toBeLessThanOrEqual(2);
    expect(exposure('ssh.service')).toBeLessThan(8);
  });

  it('each job of an environment has its timer', () => {
    for (const name of ['production', 'staging'])
      for (const job of JOBS) machine.run(`systemctl is-active factory-${name}-${job.name}.timer`);
  });
});

describe('with a release in place', () => {
  const start = (name: string): void => {
    machine.run(
      `mkdir -p /srv/factory-${name}/releases/r1 && mount --bind /opt/checkout /srv/factory-${name}/releases/r1`,
    );
    machine.run(`ln -sfn releases/r1 /srv/factory-${name}/current && systemctl start factory-${name}@r1`);
    machine.run(
      `ln -s r1.sock /run/factory-${name}/.next && mv -T /run/factory-${name}/.next /run/factory-${name}/current.sock`,
    );
  };

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'factory-secrets-'));
    spawnSync('mkdir', [join(folder, 'production')]);
    const secret = `[default]\naws_access_key_id = ${CANARY}\naws_secret_access_key = ${CANARY}\n`;
    writeFileSync(join(folder, 'production', 'FACTORY_BACKUP_CREDENTIALS_1'), secret);
    const ran = await applyHost(machine, key, inputFor(machine.from), ['--credentials', folder]);
    expect(ran.stderr).toContain('FACTORY_BACKUP_CREDENTIALS_1: does not exist');
    expect(ran.exit).toBe(0);
    expect(`${ran.stdout}${ran.stderr}`).not.toContain(CANARY);
    start('production');
    start('staging');
  }, 120_000);

  it('both environments answer 200 over TLS, with certificates of the authority', async () => {
    const ca = await authority.issuer();
    for (const domain of [PRODUCTION, STAGING])
      await expect.poll(() => statusOf(domain, ca), { timeout: 60_000, interval: 500 }).toBe(200);
    expect(await statusOf(PRODUCTION, ca, '/api/openapi.json')).toBe(200);
  }, 180_000);

  it('neither can read what is the other’s, nor connect to it', () => {
    const as = (user: string, shell: string): number =>
      machine.ask(`runuser -u ${user} -- sh -c '${shell}'`).status;
    for (const path of [
      '/var/lib/factory-production',
      '/srv/factory-production',
      '/etc/factory-production',
      '/run/factory-production',
    ])
      expect(as('factory-staging', `ls ${path} 2>/dev/null`), path).not.toBe(0);
    const health = (name: string): string =>
      `curl -s -o /dev/null --unix-socket /run/factory-${name}/r1.sock http://localhost/api/health`;
    expect(as('factory-production', health('production'))).toBe(0);
    expect(as('factory-staging', health('production'))).not.toBe(0);
    expect(
      as(
        'factory-production',
        'cat /etc/factory-production/credentials/FACTORY_BACKUP_CREDENTIALS_1 2>/dev/null',
      ),
    ).not.toBe(0);
    const shared =
      machine.run('ls /var/lib /srv /etc /run /etc/systemd/system /usr/local/sbin').match(/^factory-\S*/gm) ??
      [];
    expect(
      shared.filter((name) => !/^factory-(production|staging)/.test(name) && name !== 'factory-host'),
    ).toEqual([]);
  });

  it('its command line reads its settings and secrets, as its own user', () => {
    const { output } = machine.ask('factory-production doctor --json');
    const { checks } = JSON.parse(output.split('\n').find((line) => line.startsWith('{')) ?? '{}') as {
      checks: { name: string; detail: string }[];
    };
    expect(checks.find(({ name }) => name === 'configuration')?.detail).toContain('environment production');
  });

  it('no secret stands in the list of processes, an environment, the journal or a log', () => {
    machine.ask('systemctl start factory-production-differential.service');
    machine.run('! ps axfww | grep -v grep | grep -q ' + CANARY);
    machine.run(`! cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -q ${CANARY}`);
    machine.run(`journalctl --sync && ! journalctl --no-pager | grep -q ${CANARY}`);
    machine.run(`! grep -rqs ${CANARY} /var/log /var/lib/cloud /run/factory-host.* /tmp`);
    // That it would be found where it is.
    machine.run(`grep -q ${CANARY} /etc/factory-production/credentials/FACTORY_BACKUP_CREDENTIALS_1`);
    machine.run('journalctl --no-pager | grep -q "Build Factory, production"');
  });
});

describe('failed logins', () => {
  it('are banned by fail2ban after a few', async () => {
    machine.run(`fail2ban-client set sshd delignoreip ${machine.from}`);
    const stranger = newKey();
    const attempt = (): string =>
      spawnSync(
        'ssh',
        [
          ...[
            '-o',
            'BatchMode=yes',
            '-o',
            'ConnectTimeout=3',
            '-o',
            'IdentitiesOnly=yes',
            '-i',
            stranger.file,
          ],
          ...['-o', `UserKnownHostsFile=${knownHosts(machine)}`],
          `intruder@${machine.address}`,
          'true',
        ],
        { encoding: 'utf8' },
      ).stderr;
    for (let n = 0; n < 6; n += 1) attempt();
    await expect
      .poll(() => machine.run('fail2ban-client status sshd'), { timeout: 30_000 })
      .toContain(machine.from);
    expect(attempt()).toMatch(/refused|timed out/);
    // Of HTTPS nobody is banned.
    expect(await opened(443)).toBe('open');
  }, 90_000);
});

describe('judges of the whole', () => {
  it('lynis gives 80 or more', () => {
    machine.run('lynis audit system --quick --no-colors >/root/lynis.out 2>&1');
    const index = Number(/Hardening index : (\d+)/.exec(machine.run('cat /root/lynis.out'))?.[1]);
    expect(
      index,
      machine.run("sed -n '/Warnings/,/Hardening index/p' /root/lynis.out"),
    ).toBeGreaterThanOrEqual(80);
  }, 300_000);
});
