import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostLayers } from '../../../scripts/lib/host/layers.ts';
import { fingerprint, objection, readFacts } from '../../../scripts/lib/host/probe.ts';
import { hostSettingsFrom, withCredentials } from '../../../scripts/lib/host/read-settings.ts';
import { readReport, reportText } from '../../../scripts/lib/host/report.ts';
import { connectionError } from '../../../scripts/lib/host/ssh.ts';
import { emptyFolder, factory } from '../cli.ts';

const SETTINGS = {
  environments: [
    { name: 'production', domain: 'factory.example.org', credentials: ['FACTORY_BACKUP_CREDENTIALS_1'] },
    { name: 'staging', domain: 'staging.example.org' },
  ],
  operators: [{ name: 'root', keys: [`ssh-ed25519 ${'A'.repeat(68)} me`] }],
  allowedAddresses: ['203.0.113.0/24'],
};

function folderWith(settings: object): string {
  const folder = emptyFolder();
  writeFileSync(join(folder, 'host.yaml'), JSON.stringify(settings));
  return folder;
}

describe('a mistake in the call ends with 2', () => {
  it.each([
    ['no login', ['host', 'apply', 'example.org'], /is no login at a host/],
    ['an option in place of a login', ['host', 'apply', 'root@-oProxyCommand=x'], /is no login at a host/],
    [
      'no settings',
      ['host', 'apply', 'root@203.0.113.7', '--settings', 'none.yaml'],
      /none\.yaml is not there/,
    ],
    [
      'an environment that is not described',
      ['host', 'apply', 'root@203.0.113.7', '--env', 'live'],
      /"live" is none of/,
    ],
  ])('%s', async (_, argv, message) => {
    const ran = await factory(folderWith(SETTINGS), argv);
    expect(ran.stderr).toMatch(message);
    expect(ran.exit).toBe(2);
  });

  it('and every problem of the settings is told', async () => {
    const ran = await factory(folderWith({ ...SETTINGS, allowedAddresses: ['0.0.0.0/0'], operators: [] }), [
      'host',
      'apply',
      'root@203.0.113.7',
      '--json',
    ]);
    expect(ran.exit).toBe(2);
    expect(ran.json<{ error: { code: string; problems: string[] } }>().error).toMatchObject({
      code: 'host-settings',
      problems: [expect.stringContaining('operators'), expect.stringContaining('everybody')],
    });
  });
});

describe('a host', () => {
  const facts = (more: object = {}): Parameters<typeof objection>[0] => ({
    ...{ user: 0, system: 'debian 12', machine: 'x86_64', systemd: true, freeMegabytes: 5000, fresh: true },
    client: '203.0.113.9',
    ...more,
  });
  const settings = hostSettingsFrom(folderWith(SETTINGS), 'host.yaml', []);

  it('that is fit is taken', () => {
    expect(objection(facts(), settings, 'root@h', null)).toBeNull();
    expect(objection(facts({ fresh: false, freeMegabytes: 100 }), settings, 'root@h', null)).toBeNull();
  });

  it.each([
    ['host-system', { system: 'debian 11' }],
    ['host-system', { system: 'ubuntu 24.04' }],
    ['host-system', { machine: 'aarch64' }],
    ['host-system', { systemd: false }],
    ['host-no-root', { user: 1000 }],
    ['host-disk-full', { freeMegabytes: 900 }],
    ['host-disk-full', { fresh: false, freeMegabytes: 10 }],
    ['host-lockout', { client: '198.51.100.1' }],
  ])('%s: %j', (code, more) => {
    expect(objection(facts(more), settings, 'root@h', null)?.code).toBe(code);
  });

  it('that would not take our key any more is left alone', () => {
    const own = fingerprint(SETTINGS.operators[0]?.keys[0] ?? '');
    expect(own).toMatch(/^SHA256:.{43}$/);
    expect(objection(facts(), settings, 'root@h', own)).toBeNull();
    expect(objection(facts(), settings, 'alice@h', own)?.code).toBe('host-lockout');
    expect(objection(facts(), settings, 'root@h', `SHA256:${'x'.repeat(43)}`)?.message).toContain(
      'would not take the key',
    );
  });

  it('says it in lines', () => {
    expect(
      readFacts(
        'client=203.0.113.9\nuser=0\nsystem=debian 12\nmachine=x86_64\nsystemd=yes\nfree=2097152\nfresh=yes\n',
      ),
    ).toEqual(facts({ freeMegabytes: 2048 }));
  });
});

it.each([
  ['host-unreachable', 'ssh: connect to host 203.0.113.7 port 22: Connection timed out'],
  ['host-unreachable', 'client_loop: send disconnect: Broken pipe'],
  ['host-unreachable', ''],
  ['host-key-unknown', 'No ED25519 host key is known for 203.0.113.7\nHost key verification failed.'],
  ['host-denied', 'Banner with permission in it\nroot@203.0.113.7: Permission denied (publickey).'],
  ['host-no-root', 'sudo: a password is required'],
])('%s: %s', (code, said) => {
  expect(connectionError('root@203.0.113.7', said)).toMatchObject({
    code,
    retryable: code === 'host-unreachable',
  });
});

describe('what the host said', () => {
  const SAID = [
    ...['Welcome\tto this host', 'layer\tpackages\t0', 'change\tssh\tfile\t/etc/x\tdiffers'],
    ...[
      'diff\tssh\t/etc/x\t-a\tb',
      'diff\tssh\t/etc/x\t+c',
      'layer\tssh\t1',
      'awaited\tproduction\t/etc/y',
      'end\t1',
    ],
  ].join('\n');

  it('is read as a report', () => {
    expect(readReport(SAID)).toEqual({
      layers: [
        { name: 'packages', changes: [] },
        { name: 'ssh', changes: [{ kind: 'file', name: '/etc/x', what: 'differs', diff: ['-a\tb', '+c'] }] },
      ],
      ...{ changes: 1, awaited: ['/etc/y'], failed: null, ended: true },
    });
    expect(reportText(readReport(SAID), false)).toMatchInlineSnapshot(`
      "packages    as described
      ssh         1 change
        file /etc/x: differs
            -a	b
            +c
      waits for /etc/y: bring it with --credentials, or put it there, root's alone
      1 change to make."
    `);
  });

  it('cut off, is none that ended', () => {
    expect(readReport(SAID.split('\n').slice(0, 4).join('\n')).ended).toBe(false);
    expect(readReport('failed\tcaddy\tnot valid')).toMatchObject({
      ended: true,
      failed: { layer: 'caddy', message: 'not valid' },
    });
  });
});

describe('secrets', () => {
  it('are taken from the folder of their environment, and those that are not there stay awaited', () => {
    const folder = folderWith(SETTINGS);
    const settings = hostSettingsFrom(folder, 'host.yaml', []);
    const kinds = (where: string): string[] =>
      withCredentials(hostLayers(settings), settings, where)
        .flatMap(({ items }) => items)
        .filter((one) => 'path' in one && one.path.endsWith('CREDENTIALS_1'))
        .map(({ kind }) => kind);
    mkdirSync(join(folder, 'staging'));
    writeFileSync(join(folder, 'staging', 'FACTORY_BACKUP_CREDENTIALS_1'), 'of staging');
    expect(kinds(folder)).toEqual(['awaited']);
    mkdirSync(join(folder, 'production'));
    writeFileSync(join(folder, 'production', 'FACTORY_BACKUP_CREDENTIALS_1'), 'a secret');
    expect(kinds(folder)).toEqual(['file']);
    writeFileSync(join(folder, 'production', 'FACTORY_BACKUP_CREDENTIALS_1'), '\n');
    expect(() => kinds(folder)).toThrow(/is empty/);
  });
});
