import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { hostFiles } from '../../scripts/lib/host/layers.ts';
import { applyHost } from './apply.ts';
import { bootHost } from './machine.ts';
import type { Machine } from './machine.ts';
import { newKey, settingsInput, settingsOf } from './settings.ts';

/** A running host that nobody described yet, as somebody else's cloud hands it out: root, a key, and nothing of ours. */

const key = newKey();
let machine: Machine;

interface Answer {
  applied: boolean;
  changes: number;
  layers: { name: string; changes: { kind: string; name: string; what: string; diff: string[] }[] }[];
}

beforeAll(async () => {
  machine = await bootHost({ image: inject('hostImage'), rootKey: key.public });
});
afterAll(async () => machine?.stop());

const input = (more = {}): ReturnType<typeof settingsInput> => settingsInput(key, machine.from, more);
const etc = (): string =>
  machine.run(
    "find /etc /usr/local /srv -xdev -printf '%p %y %m %u:%g %T@\\n' | grep -v /etc/.pwd.lock | sort",
  );
/** When a unit's process began: another one is another start. */
const begun = (unit: string): string =>
  machine.run(`systemctl show -p ExecMainStartTimestampMonotonic --value ${unit}`);
const reloads = (unit: string): number =>
  machine.run(`journalctl --no-pager -o cat _PID=1 UNIT=${unit}`).match(/^Reloaded /gm)?.length ?? 0;

describe('a plan', () => {
  it('names what differs and changes nothing', async () => {
    const before = etc();
    const ran = await applyHost(machine, key, input(), ['--plan', '--json']);
    const { applied, changes, layers } = ran.json<Answer>();
    expect(applied).toBe(false);
    expect(changes).toBeGreaterThan(50);
    expect(layers.map(({ name }) => name)).toEqual([
      ...['packages', 'accounts', 'accounting', 'kernel', 'journal', 'ssh', 'firewall', 'bans', 'updates'],
      ...['production', 'staging', 'caddy'],
    ]);
    expect(etc()).toBe(before);
    machine.run('! command -v caddy');
  });
});

describe('refused before anything is done', () => {
  it('where it would shut out whoever asks', async () => {
    const ran = await applyHost(machine, key, input({ allowedAddresses: ['192.0.2.0/24'] }), ['--json']);
    expect(ran.exit).toBe(4);
    expect(ran.json<{ error: { code: string; message: string } }>().error).toMatchObject({
      code: 'host-lockout',
      message: expect.stringContaining(machine.from),
    });
  });

  it('where it would not take the key of whoever asks any more', async () => {
    const other = [{ name: 'root', keys: [newKey().public] }];
    const ran = await applyHost(machine, key, input({ operators: other }), ['--json']);
    expect(ran.exit).toBe(4);
    expect(ran.json<{ error: { code: string; message: string } }>().error).toMatchObject({
      code: 'host-lockout',
      message: expect.stringContaining('the key'),
    });
  });

  it('where the disk is too full for what has to be installed', async () => {
    // A disk of its own for /var, with hardly any room.
    machine.run(
      'mkdir -p /mnt/var && cp -a /var/. /mnt/var/ && mount -t tmpfs -o size=200m tmpfs /var && cp -a /mnt/var/. /var/',
    );
    const ran = await applyHost(machine, key, input(), ['--json']);
    machine.run('umount -l /var && rm -rf /mnt/var');
    expect(ran.exit).toBe(1);
    expect(ran.json<{ error: { code: string } }>().error.code).toBe('host-disk-full');
  });

  it('where it is no Debian 12', async () => {
    machine.run(
      'cp -P /etc/os-release /root/ && rm /etc/os-release && printf "ID=debian\\nVERSION_ID=11\\n" > /etc/os-release',
    );
    const ran = await applyHost(machine, key, input(), ['--json']);
    machine.run('cp -P /root/os-release /etc/os-release');
    expect(ran.exit).toBe(1);
    expect(ran.json<{ error: { code: string; message: string } }>().error).toMatchObject({
      code: 'host-system',
      message: expect.stringContaining('debian 11'),
    });
  });

  it('where nobody answers, the key is none of its own, or the login is no root', async () => {
    const codeOf = (ran: { json: <T>() => T }): string => ran.json<{ error: { code: string } }>().error.code;
    const nowhere = { ...machine, address: machine.address.replace(/\.2$/, '.9') };
    expect(codeOf(await applyHost(nowhere, key, input(), ['--json']))).toBe('host-unreachable');
    expect(codeOf(await applyHost(machine, newKey(), input(), ['--json']))).toBe('host-denied');
    machine.run(
      `useradd -m bob && mkdir -p ~bob/.ssh && echo '${key.public}' > ~bob/.ssh/authorized_keys && chown -R bob: ~bob`,
    );
    expect(codeOf(await applyHost(machine, key, input(), ['--json'], 'bob'))).toBe('host-no-root');
    machine.run('loginctl terminate-user bob; userdel -rf bob');
  });
});

describe('applied', () => {
  it('shows the plan, makes the host what is described, and the next run finds nothing, layer by layer', async () => {
    const first = await applyHost(machine, key, input());
    expect(first.stderr).toContain('package caddy: is not installed');
    expect(first.stdout).toMatch(/\d+ changes, applied\.$/m);
    for (const { path, content } of hostFiles(settingsOf(input())).values())
      expect(machine.run(`cat ${path}`), path).toBe(content);
    expect(machine.run('systemctl --failed --no-legend --plain')).toBe('');

    const before = etc();
    const second = await applyHost(machine, key, input());
    expect(second.stdout).toMatch(/^No change\.$/m);
    expect(second.stdout.match(/as described/g)).toHaveLength(12);
    expect(etc()).toBe(before);
  }, 240_000);

  it('as somebody who becomes root by sudo, too', async () => {
    const ran = await applyHost(machine, key, input(), ['--json'], 'alice');
    expect(ran.json<Answer>().changes).toBe(0);
  });

  it('touches of a running host only what hangs on what changed', async () => {
    const untouched = ['ssh', 'fail2ban', 'systemd-journald', 'caddy'].map((unit) => [unit, begun(unit)]);
    const changed = input();
    changed.environments[1] = { ...changed.environments[1]!, domain: 'preview.example.org' };
    const before = reloads('caddy.service');
    const ran = await applyHost(machine, key, changed, ['--json']);
    const { layers } = ran.json<Answer>();
    expect(layers.flatMap(({ changes }) => changes.map(({ name }) => name))).toEqual([
      '/etc/factory-staging/environment',
      '/etc/caddy/factory/staging.caddy',
    ]);
    expect(reloads('caddy.service')).toBe(before + 1);
    expect(untouched.map(([unit]) => [unit, begun(unit ?? '')])).toEqual(untouched);
    await applyHost(machine, key, input());
  }, 120_000);

  it('puts back what somebody changed by hand', async () => {
    machine.run(
      'echo "PasswordAuthentication yes" > /etc/ssh/sshd_config.d/00-factory.conf && chmod 666 /etc/nftables.conf',
    );
    machine.run('systemctl disable --now fail2ban');
    const ran = await applyHost(machine, key, input(), ['--json']);
    expect(
      ran.json<Answer>().layers.flatMap(({ changes }) => changes.map(({ name, what }) => `${name} ${what}`)),
    ).toEqual([
      '/etc/ssh/sshd_config.d/00-factory.conf differs',
      '/etc/nftables.conf is root:root 666',
      'fail2ban.service is not enabled and does not run',
    ]);
    expect(machine.run('sshd -T')).toContain('passwordauthentication no');
  }, 120_000);

  it('of one environment alone leaves the other as it is', async () => {
    machine.run('rm /etc/caddy/factory/production.caddy /usr/local/sbin/factory-production');
    const ran = await applyHost(machine, key, input(), ['--env', 'staging', '--json']);
    expect(ran.json<Answer>()).toMatchObject({ changes: 0, applied: false });
    await applyHost(machine, key, input());
    machine.run('test -x /usr/local/sbin/factory-production');
  }, 120_000);
});

describe('what would not work', () => {
  const failing = async (more = {}): Promise<{ code: string; message: string }> => {
    const ran = await applyHost(machine, key, input(more), ['--json']);
    expect(ran.exit).toBe(1);
    return ran.json<{ error: { code: string; message: string } }>().error;
  };

  it('for sshd never gets in place, and the old one goes on', async () => {
    const before = etc();
    machine.run('echo "Nonsense yes" > /etc/ssh/sshd_config.d/50-other.conf');
    const server = begun('ssh');
    const error = await failing({ operators: [{ name: 'root', keys: [key.public] }] });
    machine.run('rm /etc/ssh/sshd_config.d/50-other.conf');
    expect(error.code).toBe('host-layer-failed');
    expect(error.message).toMatch(/^ssh: .*Nonsense/);
    expect(begun('ssh')).toBe(server);
    const stamps = (text: string): string[] =>
      text.split('\n').filter((line) => !line.startsWith('/etc/ssh/sshd_config.d d'));
    expect(stamps(etc())).toEqual(stamps(before));
  }, 120_000);

  it('for Caddy never gets in place, and its sites go on', async () => {
    machine.run('echo "nonsense {" > /etc/caddy/factory/staging.caddy');
    machine.run('printf "%s\\n" "import /etc/caddy/other/*.caddy" > /dev/null');
    const before = machine.run('cat /etc/caddy/Caddyfile');
    const started = begun('caddy');
    // A certificate that is named and is not there.
    const error = await failing({
      acme: { directory: 'https://acme.example.org/dir', root: '/etc/nowhere.pem' },
    });
    expect(error).toMatchObject({
      code: 'host-layer-failed',
      message: expect.stringMatching(/^caddy: .*nowhere/),
    });
    expect(machine.run('cat /etc/caddy/Caddyfile')).toBe(before);
    expect(begun('caddy')).toBe(started);
    await applyHost(machine, key, input());
  }, 120_000);

  it('and what is cut off in the middle, the next run finishes', async () => {
    const changed = input({ rebootAt: '04:30' });
    machine.run('rm -rf /etc/caddy/factory /etc/fail2ban/jail.local');
    // The connection goes away with the first layer that has something to do.
    machine.run(
      'mv /usr/bin/fail2ban-client /root/ && printf "#!/bin/sh\\npkill -9 sshd\\nsleep 1\\n" > /usr/bin/fail2ban-client && chmod 755 /usr/bin/fail2ban-client',
    );
    const plan = await applyHost(machine, key, changed, ['--json']);
    machine.run('mv /root/fail2ban-client /usr/bin/fail2ban-client; systemctl restart ssh');
    expect(['host-unreachable', 'host-interrupted']).toContain(
      plan.json<{ error: { code: string } }>().error.code,
    );
    await applyHost(machine, key, changed);
    expect((await applyHost(machine, key, changed, ['--json'])).json<Answer>().changes).toBe(0);
  }, 120_000);
});
