import { createHash, randomBytes, randomUUID } from 'node:crypto';
import {
  httpDouble,
  wrongKeys,
  type Answer,
  type HttpDouble,
  type Json,
  type Request,
  type Route,
} from './http-double.ts';

/** Where which sizes are to be had: not everywhere all of them. */
const SIZES: Record<string, string[]> = {
  's-1vcpu-1gb': ['fra1', 'ams3', 'nyc3'],
  's-1vcpu-2gb': ['fra1', 'ams3', 'nyc3'],
  's-2vcpu-4gb': ['fra1', 'ams3', 'nyc3'],
  's-4vcpu-8gb': ['fra1', 'nyc3'],
};
const REGIONS = ['fra1', 'ams3', 'nyc3'];
const IMAGES = ['debian-12-x64'];

export interface DigitalOceanOptions {
  token?: string;
  /** Droplets that the account may have. */
  dropletLimit?: number;
  /** Reads of an action until it is over. */
  pendingReads?: number;
}

export interface DigitalOceanDouble extends HttpDouble {
  token: string;
  state: State;
  /** Lets time pass: all that was begun is over. */
  settle: () => void;
}

interface State {
  droplets: Map<number, Json>;
  actions: Map<number, Json & { reads: number; done: () => void }>;
  reservedIps: Map<string, Json>;
  firewalls: Map<string, Json>;
  domains: Map<string, Json>;
  records: Map<number, Json & { domain: string }>;
  vpcs: Map<string, Json>;
  sshKeys: Map<number, Json>;
  projects: Map<string, Json & { resources: string[] }>;
  spacesKeys: Map<string, Json>;
}

const ID: Record<number, string> = {
  400: 'bad_request',
  401: 'unauthorized',
  404: 'not_found',
  405: 'method_not_allowed',
  409: 'conflict',
  412: 'precondition_failed',
  422: 'unprocessable_entity',
  429: 'too_many_requests',
  500: 'server_error',
};
const MESSAGE: Record<number, string> = {
  401: 'Unable to authenticate you',
  404: 'The resource you were accessing could not be found.',
  429: 'API Rate limit exceeded.',
  500: 'Server was unable to give you a response.',
};

const error = (status: number, message = MESSAGE[status] ?? ''): Answer => ({
  status,
  body: { id: ID[status] ?? 'error', message, request_id: randomUUID() },
});
const refused = (message: string): Answer => error(422, message);
const gone = (): Answer => error(404);
const done: Answer = { status: 204 };

/** A page of a list, with links as DigitalOcean has them. */
function page(request: Request, key: string, entries: Json[]): Answer {
  const size = Math.min(Number(request.query.get('per_page') ?? 20), 200);
  const at = Number(request.query.get('page') ?? 1);
  const last = Math.max(1, Math.ceil(entries.length / size));
  const link = (to: number): string =>
    `https://api.digitalocean.com${request.path}?page=${to}&per_page=${size}`;
  const pages = at < last ? { next: link(at + 1), last: link(last) } : {};
  return {
    status: 200,
    body: {
      [key]: entries.slice((at - 1) * size, at * size),
      links: { pages },
      meta: { total: entries.length },
    },
  };
}

/** The first and the last address of a network. */
function range(cidr: string): [number, number] {
  const [address = '', bits = '32'] = cidr.split('/');
  const first = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return [first, first + 2 ** (32 - Number(bits)) - 1];
}

const overlap = (a: string, b: string): boolean => {
  const [a0, a1] = range(a);
  const [b0, b1] = range(b);
  return a0 <= b1 && b0 <= a1;
};

/** MD5 of the key's bytes, as DigitalOcean names a key. */
const fingerprint = (line: string): string =>
  createHash('md5')
    .update(Buffer.from(line.split(' ')[1] ?? '', 'base64'))
    .digest('hex')
    .replace(/(..)(?!$)/g, '$1:');

/** What is wrong with a firewall's rules, or null. */
function wrongRules(rules: Json[], side: 'sources' | 'destinations'): string | null {
  for (const rule of rules) {
    if (!['tcp', 'udp', 'icmp'].includes(rule.protocol as string)) return 'protocol must be tcp, udp or icmp';
    if (rule.protocol !== 'icmp' && !/^(all|0|\d+(-\d+)?)$/.test(String(rule.ports)))
      return 'ports must be a number, a range or all';
    const peers = rule[side] as Json | undefined;
    if (Object.values(peers ?? {}).flat().length === 0) return `${side} must not be empty`;
  }
  return null;
}

/**
 * A strict double of DigitalOcean's API v2, from its reference: what a request may hold, what is answered, what takes time.
 * Unknown fields are refused, so that a request which the real one would overlook is seen.
 */
export async function digitalOcean(options: DigitalOceanOptions = {}): Promise<DigitalOceanDouble> {
  const token = options.token ?? `dop_v1_${randomBytes(32).toString('hex')}`;
  const limit = options.dropletLimit ?? 10;
  const pendingReads = options.pendingReads ?? 2;
  const state: State = {
    droplets: new Map(),
    actions: new Map(),
    reservedIps: new Map(),
    firewalls: new Map(),
    domains: new Map(),
    records: new Map(),
    vpcs: new Map(),
    sshKeys: new Map(),
    projects: new Map([['default', { id: 'default', name: 'default', is_default: true, resources: [] }]]),
    spacesKeys: new Map(),
  };
  let last = 7000;
  const next = (): number => (last += 1);
  const now = (): string => new Date().toISOString();

  // ---- what takes time

  const begin = (type: string, resource: number | string, end: () => void): Json => {
    const action = {
      id: next(),
      status: 'in-progress',
      type,
      started_at: now(),
      completed_at: null,
      resource_id: resource,
      reads: 0,
      done: end,
    };
    state.actions.set(action.id, action);
    return shown(action);
  };
  const shown = ({ id, status, type, started_at, completed_at, resource_id }: Json): Json => ({
    ...{ id, status, type, started_at, completed_at, resource_id },
  });
  /** Each look at an action, or at what it changes, brings it nearer to its end. */
  const look = (resource: number | string): void => {
    for (const action of state.actions.values()) {
      if (action.status !== 'in-progress' || action.resource_id !== resource) continue;
      action.reads += 1;
      if (action.reads < pendingReads) continue;
      Object.assign(action, { status: 'completed', completed_at: now() });
      action.done();
    }
  };
  const settle = (): void => {
    for (const action of state.actions.values()) {
      if (action.status !== 'in-progress') continue;
      Object.assign(action, { status: 'completed', completed_at: now() });
      action.done();
    }
  };
  const busy = (resource: number | string): boolean =>
    [...state.actions.values()].some((one) => one.resource_id === resource && one.status === 'in-progress');

  const readAction = (id: number): Answer => {
    const action = state.actions.get(id);
    if (action === undefined) return gone();
    look(action.resource_id as number | string);
    return { status: 200, body: { action: shown(action) } };
  };

  // ---- droplets

  const DROPLET = ['name', 'region', 'size', 'image', 'ssh_keys', 'backups', 'ipv6', 'monitoring', 'tags'];
  const DROPLET_MORE = ['user_data', 'vpc_uuid', 'with_droplet_agent', 'private_networking', 'volumes'];
  const createDroplet = ({ body }: Request): Answer => {
    const wrong = wrongKeys(body, [...DROPLET, ...DROPLET_MORE], ['name', 'region', 'size', 'image']);
    if (wrong !== null) return refused(wrong);
    const { name, region, size, image, vpc_uuid: vpc } = body as Record<string, string>;
    if (!/^[a-zA-Z0-9][a-zA-Z0-9.-]*$/.test(name ?? ''))
      return refused('Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)');
    if (!REGIONS.includes(region ?? ''))
      return refused('You specified an invalid region for Droplet creation.');
    if (SIZES[size ?? ''] === undefined)
      return refused('You specified an invalid size for Droplet creation.');
    if (!SIZES[size ?? '']?.includes(region ?? '')) return refused('Size is not available in this region.');
    if (!IMAGES.includes(image ?? '')) return refused('You specified an invalid image for Droplet creation.');
    if (state.droplets.size >= limit)
      return refused('creating this/these droplet(s) will exceed your droplet limit');
    if (vpc !== undefined && state.vpcs.get(vpc)?.region !== region)
      return refused('VPC network is not in the same region as the Droplet.');
    const keys = (body.ssh_keys ?? []) as (string | number)[];
    const known = (key: string | number): boolean =>
      [...state.sshKeys.values()].some((one) => one.fingerprint === key || String(one.id) === String(key));
    if (!keys.every(known))
      return refused(`${String(keys.find((key) => !known(key)))} are invalid key identifiers`);
    const data = (body.user_data ?? '') as string;
    if (Buffer.byteLength(data) > 65_536) return refused('User data is too large');
    const id = next();
    const droplet: Json = {
      id,
      name,
      status: 'new',
      locked: true,
      memory: 4096,
      vcpus: 2,
      disk: 80,
      region: { slug: region, name: region },
      size_slug: size,
      size: { slug: size, price_monthly: 24, price_hourly: 0.03571 },
      image: { id: 1, slug: image, distribution: 'Debian' },
      networks: { v4: [], v6: [] },
      features: [
        ...(body.ipv6 === true ? ['ipv6'] : []),
        ...(body.monitoring === true ? ['monitoring'] : []),
      ],
      tags: body.tags ?? [],
      vpc_uuid: vpc ?? 'default',
      volume_ids: [],
      backup_ids: [],
      created_at: now(),
      user_data: data,
    };
    state.droplets.set(id, droplet);
    const action = begin('create', id, () =>
      Object.assign(droplet, {
        status: 'active',
        locked: false,
        networks: {
          v4: [
            {
              ip_address: `192.0.2.${id % 250}`,
              netmask: '255.255.255.0',
              gateway: '192.0.2.1',
              type: 'public',
            },
            {
              ip_address: `10.71.0.${id % 250}`,
              netmask: '255.255.255.0',
              gateway: '10.71.0.1',
              type: 'private',
            },
          ],
          v6: body.ipv6 === true ? [{ ip_address: '2001:db8::1', netmask: 64, type: 'public' }] : [],
        },
      }),
    );
    const links = { actions: [{ id: action.id, rel: 'create', href: `/v2/actions/${String(action.id)}` }] };
    return { status: 202, body: { droplet: hideData(droplet), links } };
  };
  /** User data cannot be read back. */
  const hideData = (droplet: Json): Json =>
    Object.fromEntries(Object.entries(droplet).filter(([key]) => key !== 'user_data'));
  const dropletAction = ({ body, parts }: Request): Answer => {
    const id = Number(parts[0]);
    const droplet = state.droplets.get(id);
    if (droplet === undefined) return gone();
    if (busy(id)) return refused('Droplet already has a pending event.');
    const changes: Record<string, () => void> = {
      rename: () => Object.assign(droplet, { name: body.name }),
      resize: () => Object.assign(droplet, { size_slug: body.size }),
      power_off: () => Object.assign(droplet, { status: 'off' }),
      power_on: () => Object.assign(droplet, { status: 'active' }),
      shutdown: () => Object.assign(droplet, { status: 'off' }),
    };
    const change = changes[body.type as string];
    if (change === undefined) return refused('The type is not an action of a droplet.');
    if (body.type === 'resize' && droplet.status !== 'off') return refused('Droplet must be off to resize.');
    return { status: 201, body: { action: begin(body.type as string, id, change) } };
  };
  const deleteDroplet = ({ parts }: Request): Answer => {
    const id = Number(parts[0]);
    if (!state.droplets.delete(id)) return gone();
    for (const ip of state.reservedIps.values())
      if ((ip.droplet as Json | null)?.id === id) ip.droplet = null;
    for (const firewall of state.firewalls.values())
      firewall.droplet_ids = (firewall.droplet_ids as number[]).filter((one) => one !== id);
    return done;
  };

  // ---- reserved IPs

  const createReservedIp = ({ body }: Request): Answer => {
    const wrong = wrongKeys(body, ['region', 'droplet_id', 'project_id'], []);
    if (wrong !== null) return refused(wrong);
    if ((body.region === undefined) === (body.droplet_id === undefined))
      return refused('Either region or droplet_id is required.');
    const droplet = body.droplet_id === undefined ? null : state.droplets.get(body.droplet_id as number);
    if (droplet === undefined) return refused('Droplet does not exist.');
    if (droplet === null && !REGIONS.includes(body.region as string)) return refused('Region is not valid.');
    const ip = `198.51.100.${(next() % 250) + 1}`;
    const region = droplet === null ? { slug: body.region } : droplet.region;
    const made: Json = { ip, droplet: droplet && hideData(droplet), region, locked: false, project_id: null };
    state.reservedIps.set(ip, made);
    return { status: 202, body: { reserved_ip: made, links: {} } };
  };
  const reservedIpAction = ({ body, parts }: Request): Answer => {
    const [ip = ''] = parts;
    const reserved = state.reservedIps.get(ip);
    if (reserved === undefined) return gone();
    if (busy(ip)) return refused('Reserved IP already has a pending event.');
    if (body.type === 'unassign')
      return { status: 201, body: { action: begin('unassign_ip', ip, () => (reserved.droplet = null)) } };
    if (body.type !== 'assign') return refused('The type is neither assign nor unassign.');
    const droplet = state.droplets.get(body.droplet_id as number);
    if (droplet === undefined) return refused('Droplet does not exist.');
    if (droplet.status !== 'active') return refused('Droplet already has a pending event.');
    if ((droplet.region as Json).slug !== (reserved.region as Json).slug)
      return refused('The Reserved IP is in another region than the Droplet.');
    const end = (): void => void (reserved.droplet = hideData(droplet));
    return { status: 201, body: { action: begin('assign_ip', ip, end) } };
  };

  // ---- firewalls

  const FIREWALL = ['name', 'droplet_ids', 'tags', 'inbound_rules', 'outbound_rules'];
  const wrongFirewall = (body: Json): string | null => {
    const wrong = wrongKeys(body, FIREWALL, ['name']);
    if (wrong !== null) return wrong;
    const inbound = (body.inbound_rules ?? []) as Json[];
    const outbound = (body.outbound_rules ?? []) as Json[];
    if (inbound.length + outbound.length === 0) return 'must have at least one rule';
    const ids = (body.droplet_ids ?? []) as number[];
    if (!ids.every((id) => state.droplets.has(id))) return 'droplet_ids: a Droplet does not exist';
    return wrongRules(inbound, 'sources') ?? wrongRules(outbound, 'destinations');
  };
  const saveFirewall = (id: string | null, body: Json): Answer => {
    const wrong = wrongFirewall(body);
    if (wrong !== null) return refused(wrong);
    const twin = [...state.firewalls.values()].find((one) => one.name === body.name && one.id !== id);
    if (twin !== undefined) return error(409, 'duplicate name');
    const firewall: Json = {
      id: id ?? randomUUID(),
      status: 'succeeded',
      created_at: now(),
      pending_changes: [],
      droplet_ids: [],
      tags: [],
      inbound_rules: [],
      outbound_rules: [],
      ...body,
    };
    state.firewalls.set(firewall.id as string, firewall);
    return { status: id === null ? 202 : 200, body: { firewall } };
  };

  // ---- domains

  const createDomain = ({ body }: Request): Answer => {
    const wrong = wrongKeys(body, ['name', 'ip_address'], ['name']);
    if (wrong !== null) return refused(wrong);
    const name = body.name as string;
    if (state.domains.has(name)) return refused('Name already exists');
    const domain: Json = { name, ttl: 1800, zone_file: '' };
    state.domains.set(name, domain);
    const add = (record: Json): void => {
      const id = next();
      state.records.set(id, { ...NO_RECORD, ...record, id, domain: name });
    };
    for (const server of ['ns1', 'ns2', 'ns3'])
      add({ type: 'NS', name: '@', data: `${server}.digitalocean.com`, ttl: 1800 });
    if (body.ip_address !== undefined) add({ type: 'A', name: '@', data: body.ip_address, ttl: 1800 });
    return { status: 201, body: { domain } };
  };
  const NO_RECORD = { priority: null, port: null, ttl: 1800, weight: null, flags: null, tag: null };
  const RECORD = ['type', 'name', 'data', 'priority', 'port', 'ttl', 'weight', 'flags', 'tag'];
  const wrongRecord = (domain: string, body: Json, own: number | null): string | null => {
    const wrong = wrongKeys(body, RECORD, ['type', 'name', 'data']);
    if (wrong !== null) return wrong;
    const { type, name, data } = body as Record<string, string>;
    if (!['A', 'AAAA', 'CAA', 'CNAME', 'MX', 'NS', 'SRV', 'TXT'].includes(type ?? ''))
      return 'Type is not supported';
    if (['CNAME', 'CAA', 'MX', 'NS'].includes(type ?? '') && !/\.$/.test(data ?? ''))
      return 'Data needs to end with a dot (.)';
    if (type === 'A' && !/^(\d{1,3}\.){3}\d{1,3}$/.test(data ?? ''))
      return 'IP address did not match IPv4 format';
    if (
      type === 'CAA' &&
      (typeof body.flags !== 'number' || !['issue', 'issuewild', 'iodef'].includes(String(body.tag)))
    )
      return 'CAA records need flags and a tag';
    if (body.ttl !== undefined && (body.ttl as number) < 30) return 'TTL must be at least 30';
    const mates = [...state.records.values()].filter(
      (one) => one.domain === domain && one.id !== own && one.name === name,
    );
    if (type === 'CNAME' && mates.length > 0) return 'CNAME records cannot share a name with other records';
    const other = mates.find((one) => one.type === type && one.ttl !== (body.ttl ?? 1800));
    return other === undefined ? null : 'All records of one name and type must have the same TTL';
  };
  const listRecords = (request: Request): Answer => {
    const [zone = ''] = request.parts;
    if (!state.domains.has(zone)) return gone();
    const [type, name] = [request.query.get('type'), request.query.get('name')];
    const full = (one: Json): string => (one.name === '@' ? zone : `${one.name as string}.${zone}`);
    const found = [...state.records.values()]
      .filter((one) => one.domain === zone && (type === null || one.type === type))
      .filter((one) => name === null || full(one) === name);
    return page(request, 'domain_records', found.map(bare));
  };
  const bare = ({ domain: _domain, ...record }: Json): Json => record;
  const saveRecord = ({ body, parts }: Request): Answer => {
    const [zone = '', given] = parts;
    if (!state.domains.has(zone)) return gone();
    const old = given === undefined ? undefined : state.records.get(Number(given));
    if (given !== undefined && old === undefined) return gone();
    const wanted = { ...(old === undefined ? {} : onlyKeys(old, RECORD)), ...body };
    const wrong = wrongRecord(zone, wanted, (old?.id as number | undefined) ?? null);
    if (wrong !== null) return refused(wrong);
    const id = (old?.id as number | undefined) ?? next();
    // A name as data is kept without its dot.
    const data = (wanted as Record<string, string>).data?.replace(/\.$/, '');
    const record = { ...NO_RECORD, ...wanted, data, id, domain: zone };
    state.records.set(id, record);
    return { status: old === undefined ? 201 : 200, body: { domain_record: bare(record) } };
  };
  const onlyKeys = (from: Json, keys: string[]): Json =>
    Object.fromEntries(Object.entries(from).filter(([key, value]) => keys.includes(key) && value !== null));

  // ---- networks, SSH keys, projects, keys of Spaces

  const createVpc = ({ body }: Request): Answer => {
    const wrong = wrongKeys(body, ['name', 'region', 'ip_range', 'description'], ['name', 'region']);
    if (wrong !== null) return refused(wrong);
    if (!REGIONS.includes(body.region as string)) return refused('region is not valid');
    const ip_range = (body.ip_range ?? '10.110.0.0/20') as string;
    const all = [...state.vpcs.values()];
    if (all.some((one) => one.name === body.name)) return refused('name must be unique');
    if (all.some((one) => overlap(one.ip_range as string, ip_range)))
      return refused('This range/size overlaps with another VPC network in your account');
    const id = randomUUID();
    const fresh = { id, urn: `do:vpc:${id}`, description: '', default: false, created_at: now() };
    const vpc = { ...fresh, ...body, ip_range };
    state.vpcs.set(id, vpc);
    return { status: 201, body: { vpc } };
  };
  const deleteVpc = ({ parts }: Request): Answer => {
    const [id = ''] = parts;
    if (!state.vpcs.has(id)) return gone();
    if ([...state.droplets.values()].some((one) => one.vpc_uuid === id))
      return error(409, 'Can not delete VPC with members');
    state.vpcs.delete(id);
    return done;
  };

  const createSshKey = ({ body }: Request): Answer => {
    const wrong = wrongKeys(body, ['name', 'public_key'], ['name', 'public_key']);
    if (wrong !== null) return refused(wrong);
    const print = fingerprint(body.public_key as string);
    if ([...state.sshKeys.values()].some((one) => one.fingerprint === print))
      return refused('SSH Key is already in use on your account');
    const key = { id: next(), fingerprint: print, ...body };
    state.sshKeys.set(key.id, key);
    return { status: 201, body: { ssh_key: key } };
  };
  const sshKeyOf = (name = ''): Json | undefined =>
    [...state.sshKeys.values()].find((one) => String(one.id) === name || one.fingerprint === name);

  const PROJECT = ['name', 'description', 'purpose', 'environment', 'is_default'];
  const saveProject = ({ body, parts }: Request): Answer => {
    const [id] = parts;
    const old = id === undefined ? undefined : state.projects.get(id);
    if (id !== undefined && old === undefined) return gone();
    const wrong = wrongKeys(body, PROJECT, old === undefined ? ['name', 'purpose'] : []);
    if (wrong !== null) return refused(wrong);
    const allowed = [undefined, '', 'Development', 'Staging', 'Production'];
    if (!allowed.includes(body.environment as string)) return refused('environment is not valid');
    if ([...state.projects.values()].some((one) => one.name === body.name && one.id !== id))
      return error(409, 'name is already in use');
    const fresh = {
      id: randomUUID(),
      owner_id: 1,
      owner_uuid: randomUUID(),
      is_default: false,
      description: '',
    };
    const project = { ...fresh, created_at: now(), updated_at: now(), resources: [], ...old, ...body };
    state.projects.set(project.id, project);
    const { resources: _resources, ...shownProject } = project;
    return { status: old === undefined ? 201 : 200, body: { project: shownProject } };
  };
  const assign = ({ body, parts }: Request): Answer => {
    const project = state.projects.get(parts[0] ?? '');
    if (project === undefined) return gone();
    const urns = (body.resources ?? []) as string[];
    const odd = urns.find((urn) => !/^do:(droplet|reservedip|floatingip|domain|space|dbaas):.+/.test(urn));
    if (odd !== undefined) return error(400, `${odd} is not a URN of a resource`);
    // A resource is in one project at a time.
    for (const other of state.projects.values())
      other.resources = other.resources.filter((one) => !urns.includes(one));
    project.resources.push(...urns);
    const resources = urns.map((urn) => ({ urn, assigned_at: now(), status: 'assigned' }));
    return { status: 200, body: { resources } };
  };
  const projectResources = (request: Request): Answer => {
    const project = state.projects.get(request.parts[0] ?? '');
    if (project === undefined) return gone();
    return page(
      request,
      'resources',
      project.resources.map((urn) => ({ urn, status: 'ok', assigned_at: now() })),
    );
  };
  const deleteProject = ({ parts }: Request): Answer => {
    const project = state.projects.get(parts[0] ?? '');
    if (project === undefined) return gone();
    if (project.resources.length > 0) return error(412, 'cannot delete a project with resources');
    state.projects.delete(project.id as string);
    return done;
  };

  const saveSpacesKey = ({ body, parts }: Request): Answer => {
    const [id] = parts;
    const old = id === undefined ? undefined : state.spacesKeys.get(id);
    if (id !== undefined && old === undefined) return gone();
    const wrong = wrongKeys(body, ['name', 'grants'], ['name']);
    if (wrong !== null) return refused(wrong);
    const grants = (body.grants ?? []) as Json[];
    const permissions = ['read', 'readwrite', 'fullaccess'];
    if (!grants.every((one) => permissions.includes(one.permission as string)))
      return refused('permission is not valid');
    if (grants.some((one) => one.permission === 'fullaccess' && one.bucket !== ''))
      return refused('fullaccess is granted with an empty bucket');
    const access_key = id ?? `DO${randomBytes(9).toString('hex').toUpperCase()}`;
    const key = { created_at: now(), ...old, ...body, access_key };
    state.spacesKeys.set(access_key, key);
    // Once, when it is made.
    const secret = old === undefined ? { secret_key: randomBytes(24).toString('base64') } : {};
    return { status: old === undefined ? 201 : 200, body: { key: { ...key, ...secret } } };
  };

  // ---- routes

  const route = (method: string, path: string, handle: Route['handle']): Route => ({
    method,
    path: new RegExp(`^/v2/${path.replaceAll('*', '([^/]+)')}$`),
    handle,
  });
  const one = (key: string, found: Json | undefined): Answer =>
    found === undefined ? gone() : { status: 200, body: { [key]: found } };
  const remove = (map: Map<string, unknown>, id = ''): Answer => (map.delete(id) ? done : gone());

  const routes: Route[] = [
    route('GET', 'account', () => ({
      status: 200,
      body: { account: { status: 'active', droplet_limit: limit } },
    })),
    route('GET', 'actions/*', ({ parts }) => readAction(Number(parts[0]))),
    route('POST', 'droplets', createDroplet),
    route('GET', 'droplets', (request) => {
      const [name, tag] = [request.query.get('name'), request.query.get('tag_name')];
      const found = [...state.droplets.values()]
        .filter((droplet) => name === null || droplet.name === name)
        .filter((droplet) => tag === null || (droplet.tags as string[]).includes(tag));
      return page(request, 'droplets', found.map(hideData));
    }),
    route('GET', 'droplets/*', ({ parts }) => {
      look(Number(parts[0]));
      const found = state.droplets.get(Number(parts[0]));
      return one('droplet', found && hideData(found));
    }),
    route('DELETE', 'droplets/*', deleteDroplet),
    route('POST', 'droplets/*/actions', dropletAction),
    route('GET', 'droplets/*/actions/*', ({ parts }) => readAction(Number(parts[1]))),
    route('POST', 'reserved_ips', createReservedIp),
    route('GET', 'reserved_ips', (request) => page(request, 'reserved_ips', [...state.reservedIps.values()])),
    route('GET', 'reserved_ips/*', ({ parts }) => one('reserved_ip', state.reservedIps.get(parts[0] ?? ''))),
    route('DELETE', 'reserved_ips/*', ({ parts }) => remove(state.reservedIps, parts[0])),
    route('POST', 'reserved_ips/*/actions', reservedIpAction),
    route('GET', 'reserved_ips/*/actions/*', ({ parts }) => readAction(Number(parts[1]))),
    route('POST', 'firewalls', ({ body }) => saveFirewall(null, body)),
    route('GET', 'firewalls', (request) => page(request, 'firewalls', [...state.firewalls.values()])),
    route('GET', 'firewalls/*', ({ parts }) => one('firewall', state.firewalls.get(parts[0] ?? ''))),
    route('PUT', 'firewalls/*', ({ body, parts }) =>
      state.firewalls.has(parts[0] ?? '') ? saveFirewall(parts[0] ?? '', body) : gone(),
    ),
    route('DELETE', 'firewalls/*', ({ parts }) => remove(state.firewalls, parts[0])),
    route('POST', 'domains', createDomain),
    route('GET', 'domains', (request) => page(request, 'domains', [...state.domains.values()])),
    route('GET', 'domains/*', ({ parts }) => one('domain', state.domains.get(parts[0] ?? ''))),
    route('DELETE', 'domains/*', ({ parts }) => {
      for (const [id, record] of state.records) if (record.domain === parts[0]) state.records.delete(id);
      return remove(state.domains, parts[0]);
    }),
    route('GET', 'domains/*/records', listRecords),
    route('POST', 'domains/*/records', saveRecord),
    route('GET', 'domains/*/records/*', ({ parts }) => {
      const found = state.records.get(Number(parts[1]));
      return one('domain_record', found && bare(found));
    }),
    route('PUT', 'domains/*/records/*', saveRecord),
    route('PATCH', 'domains/*/records/*', saveRecord),
    route('DELETE', 'domains/*/records/*', ({ parts }) =>
      state.records.delete(Number(parts[1])) ? done : gone(),
    ),
    route('POST', 'vpcs', createVpc),
    route('GET', 'vpcs', (request) => page(request, 'vpcs', [...state.vpcs.values()])),
    route('GET', 'vpcs/*', ({ parts }) => one('vpc', state.vpcs.get(parts[0] ?? ''))),
    route('PUT', 'vpcs/*', ({ body, parts }) => {
      const vpc = state.vpcs.get(parts[0] ?? '');
      if (vpc === undefined) return gone();
      const wrong = wrongKeys(body, ['name', 'description', 'default'], ['name']);
      if (wrong !== null) return refused(wrong);
      return one('vpc', Object.assign(vpc, body));
    }),
    route('DELETE', 'vpcs/*', deleteVpc),
    route('POST', 'account/keys', createSshKey),
    route('GET', 'account/keys', (request) => page(request, 'ssh_keys', [...state.sshKeys.values()])),
    route('GET', 'account/keys/*', ({ parts }) => one('ssh_key', sshKeyOf(parts[0]))),
    route('DELETE', 'account/keys/*', ({ parts }) => {
      const found = sshKeyOf(parts[0]);
      return found !== undefined && state.sshKeys.delete(found.id as number) ? done : gone();
    }),
    route('POST', 'projects', saveProject),
    route('GET', 'projects', (request) => page(request, 'projects', [...state.projects.values()])),
    route('GET', 'projects/*', ({ parts }) => one('project', state.projects.get(parts[0] ?? ''))),
    route('PUT', 'projects/*', saveProject),
    route('PATCH', 'projects/*', saveProject),
    route('DELETE', 'projects/*', deleteProject),
    route('POST', 'projects/*/resources', assign),
    route('GET', 'projects/*/resources', projectResources),
    route('POST', 'spaces/keys', saveSpacesKey),
    route('GET', 'spaces/keys', (request) => page(request, 'keys', [...state.spacesKeys.values()])),
    route('GET', 'spaces/keys/*', ({ parts }) => one('key', state.spacesKeys.get(parts[0] ?? ''))),
    route('PUT', 'spaces/keys/*', saveSpacesKey),
    route('DELETE', 'spaces/keys/*', ({ parts }) => remove(state.spacesKeys, parts[0])),
  ];

  const before = ({ headers }: Request): Answer | null =>
    headers.authorization === `Bearer ${token}` ? null : error(401);
  return { ...(await httpDouble({ routes, before, error })), token, state, settle };
}
