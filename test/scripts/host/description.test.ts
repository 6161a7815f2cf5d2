import { gunzipSync } from 'node:zlib';
import { spawnSync } from 'node:child_process';
import { expect, it, describe } from 'vitest';
import { parse } from 'yaml';
import { JOB_NAMES } from '../../../service/jobs/types.ts';
import { hostFiles, hostLayers, hostSteps } from '../../../scripts/lib/host/layers.ts';
import { JOBS } from '../../../scripts/lib/host/layers/units.ts';
import { namesOf } from '../../../scripts/lib/host/names.ts';
import { hostScript } from '../../../scripts/lib/host/script.ts';
import { isAllowed, readHostSettings } from '../../../scripts/lib/host/settings.ts';
import type { HostSettings, HostSettingsInput } from '../../../scripts/lib/host/settings.ts';
import { hostUserData, SCRIPT_PATH, USER_DATA_LIMIT } from '../../../scripts/lib/host/user-data.ts';

const KEY = `ssh-ed25519 ${'A'.repeat(68)} alice@laptop`;

const BOTH: HostSettingsInput = {
  environments: [
    { name: 'production', domain: 'factory.example.org', credentials: ['FACTORY_BACKUP_CREDENTIALS_1'] },
    { name: 'staging', domain: 'staging.factory.example.org', variables: { FACTORY_LOG_LEVEL: 'debug' } },
  ],
  operators: [{ name: 'root', keys: [KEY] }],
  allowedAddresses: ['203.0.113.7', '2001:db8::/48'],
};

function settings(input: HostSettingsInput): HostSettings {
  const read = readHostSettings(input);
  if ('problems' in read) throw new Error(read.problems.join('\n'));
  return read.settings;
}
const problems = (more: object): string[] => {
  const read = readHostSettings({ ...BOTH, ...more });
  return 'problems' in read ? read.problems : [];
};
const environment = (more: object): object => ({
  environments: [{ name: 'production', domain: 'a.example.org', ...more }],
});

describe('settings', () => {
  it.each([
    ['port 22 open to all', { allowedAddresses: ['0.0.0.0/0'] }, /open to everybody is refused/],
    ['port 22 open to all of IPv6', { allowedAddresses: ['::/0'] }, /open to everybody is refused/],
    ['no address', { allowedAddresses: [] }, /nobody could log in/],
    ['no operator', { operators: [] }, /nobody could log in/],
    [
      'an operator without a key',
      { operators: [{ name: 'root', keys: [] }] },
      /operators\.0\.keys: Without a key/,
    ],
    ['a private key', { operators: [{ name: 'root', keys: ['-----BEGIN'] }] }, /no public key/],
    ['a key with options', { operators: [{ name: 'root', keys: [`command="x" ${KEY}`] }] }, /no public key/],
    ['two keys in one', { operators: [{ name: 'root', keys: [`${KEY}\n${KEY}`] }] }, /no public key/],
    ['a user of two names', { operators: [{ name: 'a b', keys: [KEY] }] }, /no user name/],
    ['a domain that is a path', environment({ domain: 'a.example.org/x' }), /no domain name/],
    ['a domain with Caddy in it', environment({ domain: 'a.example.org {\n' }), /no domain name/],
    [
      'a secret among variables',
      environment({ variables: { FACTORY_TOKEN: 'x' } }),
      /name it in credentials/,
    ],
    [
      'a variable that the layout decides',
      environment({ variables: { FACTORY_SOCKET: '/x' } }),
      /layout of the host/,
    ],
    ['a variable that is none', environment({ variables: { FACTORY_SOKET: '/x' } }), /no such variable/],
    ['a value of two lines', environment({ variables: { FACTORY_LOG_LEVEL: 'a\nb' } }), /one line/],
    ['a secret that is none', environment({ credentials: ['../etc/passwd'] }), /No such secret/],
    ['a slip in a name', { alowedAddresses: [] }, /alowedAddresses/],
  ])('refuses %s', (_, more, message) => {
    expect(problems(more).join('\n')).toMatch(message);
  });

  it('tells every problem at once', () => {
    expect(problems({ allowedAddresses: ['x'], operators: [] })).toHaveLength(2);
  });

  it.each([
    ['203.0.113.7', true],
    ['::ffff:203.0.113.7', true],
    ['203.0.113.8', false],
    ['2001:db8:0:ffff::1', true],
    ['2001:db8:1::1', false],
  ])('%s is allowed: %s', (address, allowed) => {
    expect(isAllowed(settings(BOTH), address)).toBe(allowed);
  });
});

describe('the description', () => {
  it('is the same for the same settings, and each of its files is there once', () => {
    expect(hostLayers(settings(BOTH))).toEqual(hostLayers(settings(BOTH)));
    const paths = hostLayers(settings(BOTH)).flatMap(({ items }) =>
      items.flatMap((one) => (one.kind === 'file' ? [one.path] : [])),
    );
    expect(new Set(paths).size).toBe(paths.length);
    expect([...hostFiles(settings(BOTH)).keys()]).toEqual(paths);
    expect(hostSteps(settings(BOTH)).length).toBeGreaterThan(paths.length);
  });

  it('lets two environments share no file, user, socket or name', () => {
    const own = (name: 'production' | 'staging'): string[] => Object.values(namesOf(name)) as string[];
    for (const name of own('production'))
      for (const other of own('staging')) {
        expect(name === other || name.startsWith(`${other}/`) || other.startsWith(`${name}/`)).toBe(false);
      }
    // And what is one's own says nothing of the other.
    const layers = hostLayers(settings(BOTH));
    const textOf = (name: string): string => JSON.stringify(layers.find((one) => one.name === name));
    expect(textOf('production')).not.toContain('factory-staging');
    expect(textOf('staging')).not.toContain('factory-production');
  });

  it('starts every job that the service would, and tells the service to start none', () => {
    expect(JOBS.map(({ job }) => job).sort()).toEqual([...JOB_NAMES].sort());
    expect(hostFiles(settings(BOTH)).get('/etc/factory-staging/environment')?.content).toContain(
      'FACTORY_JOBS="off"',
    );
  });

  it('writes values so that a shell and systemd read the same', () => {
    const value = 'a b "c" \\d $e `f` \'g\'';
    const only = settings({ ...BOTH, ...environment({ variables: { FACTORY_BACKUP_DESTINATIONS: value } }) });
    const content = hostFiles(only).get('/etc/factory-production/environment')?.content ?? '';
    const read = spawnSync('sh', ['-c', `${content}\nprintf %s "$FACTORY_BACKUP_DESTINATIONS"`], {
      encoding: 'utf8',
    });
    expect(read.stdout).toBe(value);
  });

  it('gives secrets by systemd, by their names, and by nothing else', () => {
    const unit = hostFiles(settings(BOTH)).get('/etc/systemd/system/factory-production@.service')?.content;
    expect(unit).toContain(
      'LoadCredential=FACTORY_BACKUP_CREDENTIALS_1:/etc/factory-production/credentials/FACTORY_BACKUP_CREDENTIALS_1\n',
    );
    expect(unit).toContain('Environment=FACTORY_BACKUP_CREDENTIALS_1_FILE=%d/FACTORY_BACKUP_CREDENTIALS_1\n');
  });
});

describe('both ways in', () => {
  it('run the same script: the user data hold what is sent by SSH', () => {
    const data = parse(hostUserData(settings(BOTH))) as {
      write_files: { path: string; permissions: string; content: string }[];
      runcmd: string[][];
    };
    const [script] = data.write_files;
    expect(gunzipSync(Buffer.from(script?.content ?? '', 'base64')).toString()).toBe(
      hostScript(hostLayers(settings(BOTH))),
    );
    expect(script).toMatchObject({ path: SCRIPT_PATH, permissions: '0700' });
    expect(data.runcmd).toEqual([[SCRIPT_PATH, 'apply']]);
  });

  it('is bash as it should be', () => {
    const script = hostScript(hostLayers(settings(BOTH)));
    expect(spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' }).stderr).toBe('');
  });

  it('leaves room below what a cloud takes, and says where there is none', () => {
    expect(hostUserData(settings(BOTH)).length).toBeLessThan(USER_DATA_LIMIT / 3);
    const random = (): string =>
      `ssh-ed25519 ${Array.from({ length: 68 }, () => 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef0123456789'[Math.floor(Math.random() * 42)]).join('')}`;
    const many = { ...BOTH, operators: [{ name: 'root', keys: Array.from({ length: 1500 }, random) }] };
    expect(() => hostUserData(settings(many))).toThrow(/a cloud takes 65536/);
  });
});
