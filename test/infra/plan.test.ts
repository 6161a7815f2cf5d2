import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { Firewall } from '@pulumi/digitalocean/firewall.js';
import { SpacesBucket } from '@pulumi/digitalocean/spacesBucket.js';
import { SpacesKey } from '@pulumi/digitalocean/spacesKey.js';
import { outboundRules } from '../../infra/lib/firewall.ts';
import { FINDERS } from '../../infra/lib/digitalocean.ts';
import { broken } from '../../infra/policy/rules.ts';
import { plan, planText, type Plan, type Planned } from './plan.ts';

const S3 = [{ provider: 's3', bucket: 'example-factory-staging', region: 'eu-central-1' }];

/** What is committed of each stack. UPDATE_PLANS=1 writes it anew. */
const PLANS: Record<string, [stack: string, changes: Record<string, unknown>]> = {
  production: ['production', {}],
  'staging-on-the-same-vps': ['staging', { 'build-factory:host': 'production' }],
  'staging-on-its-own': ['staging', { 'build-factory:host': 'own', 'build-factory:backups': S3 }],
  'production-dns-external': ['production', { 'build-factory:dns': 'external' }],
};

const plans: Record<string, Plan> = {};
beforeAll(async () => {
  // One after the other: Pulumi's runtime is one for the process.
  for (const [name, [stack, changes]] of Object.entries(PLANS)) plans[name] = await plan(stack, changes);
});
const planOf = (name: string): Plan => plans[name] as Plan;
const inputs = (name: string): string => JSON.stringify(planOf(name).resources);

describe.each(Object.keys(PLANS))('the plan %s', (name) => {
  it('is the one that is committed', () => {
    const path = fileURLToPath(new URL(`plans/${name}.yaml`, import.meta.url));
    const text = planText(planOf(name));
    if (process.env.UPDATE_PLANS) writeFileSync(path, text);
    expect(existsSync(path) ? text : 'UPDATE_PLANS=1 writes it').toBe(readFileSync(path, 'utf8'));
  });

  it('breaks no rule of the policy', () => {
    expect(planOf(name).resources.flatMap((one) => broken({ ...one, props: one.inputs }))).toEqual([]);
  });

  it('protects what holds data, and looks before each create that could double something', () => {
    for (const one of planOf(name).resources) {
      const data = /:(Droplet|ReservedIp|Domain|SpacesBucket|Bucket)$/.test(one.type);
      expect(one.protect, one.name).toBe(data);
      expect(one.hooks, one.name).toEqual(Object.hasOwn(FINDERS, one.type) ? ['not-there-yet'] : []);
    }
  });

  it('marks secrets as secrets, and shows none', () => {
    expect(planOf(name).secrets.sort()).toEqual(['backupCredentials', 'pruneCredentials']);
    expect(inputs(name)).not.toMatch(/account-key|secret of/);
    for (const one of planOf(name).resources.filter(makesSecret))
      expect(one.secretOutputs, one.name).not.toEqual([]);
    const { backupCredentials, pruneCredentials, ...open } = planOf(name).outputs;
    expect(JSON.stringify(open)).not.toMatch(/secret of/);
    expect(JSON.stringify([backupCredentials, pruneCredentials])).toMatch(
      /aws_secret_access_key = secret of/,
    );
  });

  it('gives the host no key that prunes', () => {
    const { backupCredentials, pruneCredentials } = planOf(name).outputs as Record<string, string[]>;
    expect(JSON.stringify(backupCredentials)).not.toContain('prune');
    expect(JSON.stringify(pruneCredentials)).not.toContain('host');
  });
});

const makesSecret = ({ type }: Planned): boolean => /:(SpacesKey|AccessKey)$|dynamic:Resource/.test(type);

describe('the stacks', () => {
  it('replace a droplet by its generation, not by a change of its user data', async () => {
    const next = await plan('production', { 'build-factory:generation': 2 });
    const droplet = next.resources.find((one) => one.type.endsWith(':Droplet'));
    expect(droplet).toMatchObject({ name: 'host-2', inputs: { name: 'factory-production-2' } });
    expect(droplet?.ignoreChanges).toContain('userData');
  });

  it('share no name of theirs', () => {
    const names = (name: string): unknown[] =>
      planOf(name)
        .resources.map((one) => one.inputs.name)
        .filter((one) => typeof one === 'string' && one.startsWith('factory-'));
    expect(names('production').length).toBeGreaterThan(5);
    for (const staging of ['staging-on-its-own', 'staging-on-the-same-vps'])
      expect(names(staging).filter((name) => names('production').includes(name))).toEqual([]);
  });

  it('on the same VPS make no host, firewall or zone for staging', () => {
    const types = planOf('staging-on-the-same-vps').resources.map((one) => one.type.split(':').at(-1));
    expect(types.filter((type) => /Droplet|Firewall|Vpc|ReservedIp|SshKey|^Domain/.test(type ?? ''))).toEqual(
      [],
    );
  });

  it('refuse a plan above the budget before anything is asked for', async () => {
    await expect(plan('production', { 'build-factory:monthlyBudget': 10 })).rejects.toThrow(
      'raise monthlyBudget',
    );
  });
});

describe('a program that asks for more', () => {
  it.each<[string, () => unknown, RegExp]>([
    [
      'an open bucket',
      () => new SpacesBucket('a', { acl: 'public-read' }, { protect: true }),
      /^no-public-bucket: a /,
    ],
    [
      'a bucket without protection',
      () => new SpacesBucket('b', { acl: 'private' }),
      /^data-is-protected: b /,
    ],
    [
      'a key for everything',
      () => new SpacesKey('c', { grants: [{ bucket: '', permission: 'fullaccess' }] }),
      /^no-full-access-key: c /,
    ],
    [
      'SSH for everybody',
      () =>
        new Firewall('d', {
          inboundRules: [{ protocol: 'tcp', portRange: '22', sourceAddresses: ['0.0.0.0/0'] }],
          outboundRules: outboundRules(),
        }),
      /^no-ssh-from-anywhere: d /,
    ],
  ])('is refused for %s before it is asked for', async (_what, ask, message) => {
    await expect(plan('production', {}, ask)).rejects.toThrow(message);
  });
});

describe('docs/infra.md', () => {
  it('names every output, and no other', () => {
    const text = readFileSync(new URL('../../docs/infra.md', import.meta.url), 'utf8');
    const table = text.split('## Outputs')[1]?.split('\n## ')[0] ?? '';
    const named = [...table.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1]);
    for (const name of Object.keys(PLANS)) expect(Object.keys(planOf(name).outputs)).toEqual(named);
  });
});
