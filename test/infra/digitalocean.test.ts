import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { FINDERS, refuseDouble } from '../../infra/lib/digitalocean.ts';
import { digitalOcean, type DigitalOceanDouble } from '../cloud/digitalocean.ts';
import type { Json } from '../cloud/http-double.ts';

const doubles: DigitalOceanDouble[] = [];
let cloud: DigitalOceanDouble;
beforeEach(async () => {
  cloud = await digitalOcean({ dropletLimit: 2 });
  doubles.push(cloud);
});
afterAll(() => Promise.all(doubles.map((one) => one.close())));

async function call(
  method: string,
  path: string,
  body?: object,
  token = cloud.token,
): Promise<[number, Json]> {
  const answer = await fetch(`${cloud.url}/v2/${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return [answer.status, (text === '' ? {} : JSON.parse(text)) as Json];
}
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIfUWpJ5bFGdWSCvZJUAw1CqNvFwuDzSpfIK3qBeTPD2 anna';
const DROPLET = { name: 'factory-production-1', region: 'fra1', size: 's-1vcpu-1gb', image: 'debian-12-x64' };
const made = async (path: string, body: object): Promise<Json> => {
  const [status, answer] = await call('POST', path, body);
  expect(status, JSON.stringify(answer)).toBeLessThan(300);
  return Object.values(answer)[0] as Json;
};

describe('the double of DigitalOcean', () => {
  it('takes time over a droplet, which has no address before', async () => {
    const droplet = await made('droplets', DROPLET);
    expect(droplet).toMatchObject({ status: 'new', networks: { v4: [] } });
    await call('GET', `droplets/${String(droplet.id)}`);
    const [, after] = await call('GET', `droplets/${String(droplet.id)}`);
    expect(after.droplet).toMatchObject({ status: 'active', networks: { v4: [{ type: 'public' }, {}] } });
  });

  it('assigns a Reserved IP by an action that is in progress first, to an active droplet of its region', async () => {
    const droplet = await made('droplets', DROPLET);
    const { ip } = await made('reserved_ips', { region: 'fra1' });
    const path = `reserved_ips/${String(ip)}/actions`;
    expect(await call('POST', path, { type: 'assign', droplet_id: droplet.id })).toMatchObject([422, {}]);
    for (const _ of [1, 2]) await call('GET', `droplets/${String(droplet.id)}`);
    const action = await made(path, { type: 'assign', droplet_id: droplet.id });
    expect(action.status).toBe('in-progress');
    expect(await call('POST', path, { type: 'unassign' })).toMatchObject([
      422,
      { message: 'Reserved IP already has a pending event.' },
    ]);
    await call('GET', `actions/${String(action.id)}`);
    expect((await call('GET', `actions/${String(action.id)}`))[1]).toMatchObject({
      action: { status: 'completed' },
    });
    expect((await call('GET', `reserved_ips/${String(ip)}`))[1]).toMatchObject({
      reserved_ip: { droplet: { id: droplet.id } },
    });
  });

  it.each<[string, string, object, number, string]>([
    ['an unknown field', 'droplets', { ...DROPLET, sice: 1 }, 422, 'sice is not a field'],
    [
      'a region without the size',
      'droplets',
      { ...DROPLET, region: 'ams3', size: 's-4vcpu-8gb' },
      422,
      'not available',
    ],
    ['an unknown region', 'droplets', { ...DROPLET, region: 'mars1' }, 422, 'invalid region'],
    ['an unknown SSH key', 'droplets', { ...DROPLET, ssh_keys: ['aa:bb'] }, 422, 'invalid key identifiers'],
    ['too much user data', 'droplets', { ...DROPLET, user_data: 'x'.repeat(65_537) }, 422, 'too large'],
    ['a firewall without rules', 'firewalls', { name: 'f' }, 422, 'at least one rule'],
    [
      'a rule from nowhere',
      'firewalls',
      { name: 'f', inbound_rules: [{ protocol: 'tcp', ports: '22' }] },
      422,
      'sources',
    ],
    [
      'a wrong key of Spaces',
      'spaces/keys',
      { name: 'k', grants: [{ bucket: 'b', permission: 'all' }] },
      422,
      'permission',
    ],
  ])('refuses %s', async (_name, path, body, status, message) => {
    const [got, answer] = await call('POST', path, body);
    expect([got, answer.message]).toEqual([status, expect.stringContaining(message)]);
  });

  it('has a quota, unique names and keys, and networks that do not overlap', async () => {
    for (const name of ['a', 'b']) await made('droplets', { ...DROPLET, name });
    expect((await call('POST', 'droplets', DROPLET))[1].message).toMatch(/exceed your droplet limit/);
    await made('account/keys', { name: 'anna', public_key: KEY });
    const twice = await call('POST', 'account/keys', { name: 'other', public_key: KEY.replace('anna', 'b') });
    expect(twice).toMatchObject([422, { message: 'SSH Key is already in use on your account' }]);
    await made('vpcs', { name: 'one', region: 'fra1', ip_range: '10.71.0.0/24' });
    expect(
      (await call('POST', 'vpcs', { name: 'two', region: 'fra1', ip_range: '10.71.0.128/25' }))[1].message,
    ).toMatch(/overlaps/);
    await made('domains', { name: 'example.org' });
    expect((await call('POST', 'domains', { name: 'example.org' }))[1].message).toBe('Name already exists');
  });

  it('takes the same record twice, but no name without its dot and no second TTL', async () => {
    await made('domains', { name: 'example.org' });
    const record = { type: 'A', name: '@', data: '192.0.2.1', ttl: 300 };
    const path = 'domains/example.org/records';
    await made(path, record);
    await made(path, record);
    const caa = { type: 'CAA', name: '@', data: 'letsencrypt.org', flags: 0, tag: 'issue' };
    expect((await call('POST', path, caa))[1].message).toBe('Data needs to end with a dot (.)');
    expect((await call('POST', path, { ...record, ttl: 60 }))[1].message).toMatch(/same TTL/);
    expect(((await call('GET', `${path}?type=A&name=example.org`))[1].domain_records as Json[]).length).toBe(
      2,
    );
  });

  it('tells the secret of a Spaces key once', async () => {
    const key = await made('spaces/keys', { name: 'k', grants: [{ bucket: 'b', permission: 'readwrite' }] });
    expect(key.secret_key).toMatch(/.{20}/);
    const [, again] = await call('GET', `spaces/keys/${String(key.access_key)}`);
    expect(again.key).not.toHaveProperty('secret_key');
  });

  it('knows tokens, and says what it does not know', async () => {
    expect(await call('GET', 'droplets', undefined, 'other')).toMatchObject([401, { id: 'unauthorized' }]);
    expect((await call('GET', 'kubernetes/clusters'))[0]).toBe(404);
    expect(cloud.violations).toEqual(['GET /v2/kubernetes/clusters']);
  });

  it('fails as told: 429 with a time, 500, an answer that is lost, 404 after a create', async () => {
    for (const kind of [429, 500] as const) {
      cloud.fault({ method: 'GET', path: /droplets/, kind, times: 1 });
      expect((await call('GET', 'droplets'))[0]).toBe(kind);
    }
    cloud.fault({ method: 'POST', path: /droplets/, kind: 'lost', times: 1 });
    await expect(call('POST', 'droplets', DROPLET)).rejects.toThrow();
    expect(cloud.state.droplets.size).toBe(1);
    cloud.fault({ method: 'POST', path: /vpcs/, kind: 'hidden', times: 1 });
    const { id } = await made('vpcs', { name: 'one', region: 'fra1' });
    expect((await call('GET', `vpcs/${String(id)}`))[0]).toBe(404);
    expect((await call('GET', `vpcs/${String(id)}`))[0]).toBe(200);
  });
});

describe('looking before a create', () => {
  const NEW: Record<string, [path: string, body: object, inputs: Json]> = {
    'digitalocean:index/droplet:Droplet': ['droplets', DROPLET, { name: DROPLET.name }],
    'digitalocean:index/vpc:Vpc': ['vpcs', { name: 'n', region: 'fra1' }, { name: 'n' }],
    'digitalocean:index/firewall:Firewall': [
      'firewalls',
      { name: 'n', outbound_rules: [{ protocol: 'icmp', destinations: { addresses: ['0.0.0.0/0'] } }] },
      { name: 'n' },
    ],
    'digitalocean:index/project:Project': ['projects', { name: 'n', purpose: 'p' }, { name: 'n' }],
    'digitalocean:index/spacesKey:SpacesKey': ['spaces/keys', { name: 'n', grants: [] }, { name: 'n' }],
    'digitalocean:index/sshKey:SshKey': [
      'account/keys',
      { name: 'other name', public_key: KEY },
      { name: 'n', publicKey: `${KEY}@elsewhere` },
    ],
    'digitalocean:index/reservedIp:ReservedIp': ['reserved_ips', { region: 'fra1' }, { region: 'fra1' }],
    'digitalocean:index/domain:Domain': ['domains', { name: 'example.org' }, { name: 'example.org' }],
    'digitalocean:index/dnsRecord:DnsRecord': [
      'domains/example.org/records',
      { type: 'CAA', name: '@', data: 'letsencrypt.org.', flags: 0, tag: 'issue' },
      { domain: 'example.org', type: 'CAA', name: '@', value: 'letsencrypt.org.' },
    ],
  };
  const look = (type: string, inputs: Json, ignore: string[] = []): Promise<void> =>
    refuseDouble(
      { token: cloud.token, endpoint: cloud.url, pauseMs: 1 },
      { type, name: 'thing', inputs, stack: 'staging' },
      ignore,
    );

  it('knows each kind that can be doubled', () => {
    expect(Object.keys(NEW).sort()).toEqual(Object.keys(FINDERS).sort());
  });

  it.each(Object.keys(NEW))('finds a %s that was made before, and says how to take it over', async (type) => {
    const [path, body, inputs] = NEW[type] ?? ['', {}, {}];
    if (path.startsWith('domains/')) await made('domains', { name: 'example.org' });
    await expect(look(type, inputs)).resolves.toBeUndefined();
    await made(path, body);
    const way = type.includes('spacesKey')
      ? /^Not created: .* \(\w+\), whose secret .* Delete it/
      : new RegExp(`^Not created: .*\\n.*npm run infra -- import ${type} thing [\\w.,-]+ -s staging`);
    await expect(look(type, inputs)).rejects.toThrow(way);
    expect(cloud.violations).toEqual([]);
  });

  it('finds it after a create whose answer was lost', async () => {
    cloud.fault({ method: 'POST', path: /droplets/, kind: 'lost', times: 1 });
    await expect(call('POST', 'droplets', DROPLET)).rejects.toThrow();
    await expect(look('digitalocean:index/droplet:Droplet', { name: DROPLET.name })).rejects.toThrow(
      'Not created',
    );
  });

  it('lets a Reserved IP of another use be, and one that is assigned, and one of another region', async () => {
    const { ip } = await made('reserved_ips', { region: 'fra1' });
    const type = 'digitalocean:index/reservedIp:ReservedIp';
    await expect(look(type, { region: 'fra1' }, [ip as string])).resolves.toBeUndefined();
    await expect(look(type, { region: 'ams3' })).resolves.toBeUndefined();
    const droplet = await made('droplets', DROPLET);
    for (const _ of [1, 2]) await call('GET', `droplets/${String(droplet.id)}`);
    await made('reserved_ips', { droplet_id: droplet.id });
    await expect(look(type, { region: 'fra1' }, [ip as string])).resolves.toBeUndefined();
  });

  it('asks again after 429 and 500, and finds what is on the second page', async () => {
    for (let n = 0; n < 205; n += 1) await made('spaces/keys', { name: `k${n}`, grants: [] });
    cloud.fault({ method: 'GET', path: /spaces/, kind: 429, times: 1 });
    cloud.fault({ method: 'GET', path: /spaces/, kind: 500, times: 1 });
    await expect(look('digitalocean:index/spacesKey:SpacesKey', { name: 'k204' })).rejects.toThrow(
      'Not created',
    );
  });

  it('says what to do about a wrong token, and does not take silence for absence', async () => {
    const account = { token: 'wrong', endpoint: cloud.url };
    const create = { type: 'digitalocean:index/vpc:Vpc', name: 'network', inputs: { name: 'n' }, stack: 's' };
    await expect(refuseDouble(account, create)).rejects.toThrow(
      'pulumi config set --secret digitalocean:token',
    );
    cloud.fault({ method: 'GET', path: /vpcs/, kind: 500, times: 99 });
    await expect(look(create.type, create.inputs)).rejects.toThrow('answered 500');
  });
});
