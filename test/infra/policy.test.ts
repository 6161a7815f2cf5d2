import { describe, expect, it } from 'vitest';
import { iamPolicy } from '../../infra/lib/access.ts';
import { inboundRules, includesSsh, isWide, outboundRules } from '../../infra/lib/firewall.ts';
import { costDifference, monthlyCost } from '../../infra/lib/prices.ts';
import { broken, OPAQUE, overBudget, RULES, type Planned } from '../../infra/policy/rules.ts';

const SPACES = 'digitalocean:index/spacesBucket:SpacesBucket';
const FIREWALL = 'digitalocean:index/firewall:Firewall';
const SPACES_KEY = 'digitalocean:index/spacesKey:SpacesKey';
const IAM = 'aws:iam/userPolicy:UserPolicy';
const B2 = 'pulumi-nodejs:dynamic:Resource';
const everybody = { Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject' }] };
const account = {
  Statement: [{ Effect: 'Allow', Principal: { AWS: ['arn:aws:iam::1:root'] }, Action: 's3:GetObject' }],
};
const ssh = (portRange: string | undefined, ...sourceAddresses: string[]): Planned['props'] => ({
  inboundRules: [...inboundRules(['203.0.113.7/32']), { protocol: 'tcp', portRange, sourceAddresses }],
  outboundRules: outboundRules(),
});
const closed = {
  blockPublicAcls: true,
  blockPublicPolicy: true,
  ignorePublicAcls: true,
  restrictPublicBuckets: true,
};

type Case = [rule: string, what: string, type: string, props: Planned['props'], rest?: Partial<Planned>];
const on = { protect: true };

const RED: Case[] = [
  ['no-public-bucket', 'acl public-read', SPACES, { acl: 'public-read' }, on],
  ['no-public-bucket', 'acl of Amazon', 'aws:s3/bucketAcl:BucketAcl', { acl: 'authenticated-read' }],
  [
    'no-public-bucket',
    'policy for everybody',
    'aws:s3/bucketPolicy:BucketPolicy',
    { policy: JSON.stringify(everybody) },
  ],
  [
    'no-public-bucket',
    'policy of Spaces',
    'digitalocean:index/spacesBucketPolicy:SpacesBucketPolicy',
    { policy: { Statement: { ...everybody.Statement[0], Principal: { AWS: '*' } } } },
  ],
  [
    'no-public-bucket',
    'a way to open it',
    'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock',
    { ...closed, blockPublicPolicy: false },
  ],
  ['no-ssh-from-anywhere', 'IPv4', FIREWALL, ssh('22', '0.0.0.0/0')],
  ['no-ssh-from-anywhere', 'IPv6 beside a named address', FIREWALL, ssh('22', '203.0.113.7', '::/0')],
  ['no-ssh-from-anywhere', 'half of the world', FIREWALL, ssh('22', '128.0.0.0/1')],
  ['no-ssh-from-anywhere', 'a range of ports', FIREWALL, ssh('20-30', '0.0.0.0/0')],
  ['no-ssh-from-anywhere', 'all ports', FIREWALL, ssh('all', '0.0.0.0/0')],
  ['no-ssh-from-anywhere', 'no port', FIREWALL, ssh(undefined, '0.0.0.0/0')],
  ['outbound-rules-are-written', 'none', FIREWALL, { inboundRules: [] }],
  ['data-is-protected', 'bucket', SPACES, {}],
  ['data-is-protected', 'droplet', 'digitalocean:index/droplet:Droplet', {}],
  ['data-is-protected', 'address', 'digitalocean:index/reservedIp:ReservedIp', {}],
  ['data-is-protected', 'zone', 'digitalocean:index/domain:Domain', {}],
  ['data-is-protected', 'database', 'digitalocean:index/databaseCluster:DatabaseCluster', {}],
  ['data-is-protected', 'forceDestroy', 'aws:s3/bucket:Bucket', { forceDestroy: true }, on],
  ['no-full-access-key', 'fullaccess', SPACES_KEY, { grants: [{ bucket: '', permission: 'fullaccess' }] }],
  ['no-full-access-key', 'every bucket', SPACES_KEY, { grants: [{ bucket: '', permission: 'read' }] }],
  ['no-full-access-key', 'no grants', SPACES_KEY, {}],
  [
    'no-full-access-key',
    'Amazon',
    IAM,
    { policy: '{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}' },
  ],
  ['no-full-access-key', 'makes keys', B2, { capabilities: ['writeKeys'], bucket: 'b' }],
  ['no-full-access-key', 'no bucket', B2, { capabilities: ['readFiles'] }],
  [
    'host-key-cannot-delete',
    'Backblaze',
    B2,
    { capabilities: ['deleteFiles'], bucket: 'b' },
    { name: 'backups-host-1' },
  ],
  ['host-key-cannot-delete', 'Amazon', IAM, { policy: iamPolicy('prune', 'b') }, { name: 'backups-host-1' }],
];

const GREEN: Case[] = [
  ['no-public-bucket', 'acl private', SPACES, { acl: 'private' }, on],
  ['no-public-bucket', 'no acl', 'aws:s3/bucket:Bucket', {}, on],
  [
    'no-public-bucket',
    'policy for an account',
    'aws:s3/bucketPolicy:BucketPolicy',
    { policy: JSON.stringify(account) },
  ],
  ['no-public-bucket', 'all closed', 'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock', closed],
  ['no-ssh-from-anywhere', 'ours', FIREWALL, ssh('22', '203.0.113.7', '2001:db8::/48')],
  ['no-ssh-from-anywhere', 'another port', FIREWALL, ssh('443', '0.0.0.0/0')],
  ['outbound-rules-are-written', 'ours', FIREWALL, { inboundRules: [], outboundRules: outboundRules() }],
  ['data-is-protected', 'protected', 'digitalocean:index/droplet:Droplet', {}, on],
  ['no-full-access-key', 'one bucket', SPACES_KEY, { grants: [{ bucket: 'b', permission: 'readwrite' }] }],
  [
    'no-full-access-key',
    'a bucket not known yet',
    SPACES_KEY,
    { grants: [{ bucket: OPAQUE, permission: 'read' }] },
  ],
  ['no-full-access-key', 'Amazon', IAM, { policy: iamPolicy('prune', 'b') }],
  ['no-full-access-key', 'Backblaze', B2, { capabilities: ['deleteFiles'], bucket: OPAQUE }],
  ['host-key-cannot-delete', 'Amazon', IAM, { policy: iamPolicy('host', 'b') }, { name: 'backups-host-1' }],
  [
    'host-key-cannot-delete',
    'pruning',
    B2,
    { capabilities: ['deleteFiles'], bucket: 'b' },
    { name: 'backups-prune-1' },
  ],
];

const planned = ([, , type, props, rest]: Case): Planned => ({
  type,
  name: 'thing',
  props,
  protect: false,
  ...rest,
});
const rules = (one: Planned): (string | undefined)[] => broken(one).map((problem) => problem.split(':')[0]);

describe('the policy', () => {
  it.each(RED)('%s refuses: %s', (...one) => {
    expect(rules(planned(one))).toEqual([one[0]]);
    // A reason, and what to do.
    expect(broken(planned(one))[0]).toMatch(/ \(\S+\): \S.*[;,] |; /);
  });

  it.each(GREEN)('%s allows: %s', (...one) => {
    expect(rules(planned(one))).toEqual([]);
  });

  it('has a red and a green case for each rule', () => {
    const names = RULES.map((rule) => rule.name).sort();
    for (const cases of [RED, GREEN]) expect([...new Set(cases.map(([name]) => name))].sort()).toEqual(names);
  });

  it('keeps a stack within its budget, and a price that is not known out', () => {
    expect(overBudget(30, 30)).toBeNull();
    expect(overBudget(30.01, 30)).toContain('raise monthlyBudget');
    expect(overBudget(NaN, 30)).toContain('budget');
  });
});

describe('firewall words', () => {
  it.each([
    ['0.0.0.0/0', true],
    ['10.0.0.0/15', true],
    ['10.0.0.0/16', false],
    ['10.0.0.1', false],
    ['::/0', true],
    ['2001:db8::/31', true],
    ['2001:db8::1', false],
  ])('%s is wide: %s', (cidr, wide) => {
    expect(isWide(cidr)).toBe(wide);
  });

  it.each([
    ['22', true],
    ['1-65535', true],
    ['all', true],
    ['0', true],
    ['23-80', false],
    ['2222', false],
  ])('ports %s let SSH in: %s', (ports, included) => {
    expect(includesSsh(ports)).toBe(included);
  });
});

describe('monthly cost', () => {
  const stack = {
    host: 'own',
    size: 's-1vcpu-2gb',
    backups: [{ provider: 'spaces', bucket: 'b' }],
    backupGb: 20,
  } as const;
  const cost = (changes: object): ReturnType<typeof monthlyCost> =>
    monthlyCost({ ...stack, backups: [...stack.backups], ...changes });

  it('adds the droplet and the stores', () => {
    expect(cost({}).total).toBe(17);
    expect(cost({ host: 'production' }).total).toBe(5);
    expect(cost({ backupGb: 350 }).total).toBe(19);
    expect(cost({ backups: [{ provider: 'b2', bucket: 'b' }], backupGb: 1000 }).total).toBe(18);
    expect(cost({ size: 'unheard-of' }).total).toBeNaN();
  });

  it('tells what a change costs', () => {
    expect(costDifference(cost({}), cost({ size: 's-2vcpu-4gb' }))).toEqual([
      { what: 'droplet s-1vcpu-2gb', monthly: -12 },
      { what: 'droplet s-2vcpu-4gb', monthly: 24 },
    ]);
    expect(costDifference(cost({}), cost({}))).toEqual([]);
  });
});
