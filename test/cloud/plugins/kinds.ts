import { setTimeout as sleep } from 'node:timers/promises';

export type Json = Record<string, unknown>;
/** How a kind of resource is made at the API, in the provider's words on one side and the API's on the other. */
export interface Kind {
  /** Inputs that only another resource can have. */
  replaces: string[];
  create: (api: Api, inputs: Json) => Promise<{ id: string; outputs: Json }>;
  /** Null where it is gone. */
  read: (api: Api, id: string, state: Json) => Promise<Json | null>;
  update?: (api: Api, id: string, inputs: Json, old: Json) => Promise<Json>;
  delete: (api: Api, id: string, state: Json) => Promise<void>;
}

export interface Api {
  call: (method: string, path: string, body?: Json) => Promise<Json | null>;
  /** Makes, finds and deletes buckets. */
  bucket: (method: string, name: string) => Promise<number>;
}

/** Where what was read has another id than it was asked for by. */
export const ID = '__id';

const inner = (answer: Json | null, key: string): Json => (answer?.[key] ?? {}) as Json;
const text = (value: unknown): string => String(value as string | number);
const POLL_MS = 20;

async function over(api: Api, action: unknown): Promise<void> {
  for (;;) {
    const answer = inner(await api.call('GET', `actions/${text(action)}`), 'action');
    if (answer.status === 'completed') return;
    await sleep(POLL_MS);
  }
}

const dropletOutputs = (droplet: Json): Json => {
  const networks = ((droplet.networks as Json).v4 ?? []) as Json[];
  return {
    name: droplet.name,
    region: (droplet.region as Json).slug,
    size: droplet.size_slug,
    image: (droplet.image as Json).slug,
    tags: droplet.tags,
    vpcUuid: droplet.vpc_uuid,
    status: droplet.status,
    ipv6: (droplet.features as string[]).includes('ipv6'),
    monitoring: (droplet.features as string[]).includes('monitoring'),
    dropletUrn: `do:droplet:${text(droplet.id)}`,
    ipv4Address: networks.find((one) => one.type === 'public')?.ip_address ?? '',
  };
};

const Droplet: Kind = {
  replaces: ['image', 'region', 'sshKeys', 'userData', 'vpcUuid', 'monitoring'],
  create: async (api, inputs) => {
    const body = {
      ...{ name: inputs.name, region: inputs.region, size: inputs.size, image: inputs.image },
      ...{ ssh_keys: inputs.sshKeys, ipv6: inputs.ipv6, monitoring: inputs.monitoring, tags: inputs.tags },
      ...{ user_data: inputs.userData, vpc_uuid: inputs.vpcUuid },
    };
    const made = inner(await api.call('POST', 'droplets', body), 'droplet');
    for (;;) {
      const now = inner(await api.call('GET', `droplets/${text(made.id)}`), 'droplet');
      if (now.status === 'active') return { id: text(made.id), outputs: dropletOutputs(now) };
      await sleep(POLL_MS);
    }
  },
  read: async (api, id) => {
    const found = await api.call('GET', `droplets/${id}`);
    return found === null ? null : dropletOutputs(inner(found, 'droplet'));
  },
  update: async (api, id, inputs, old) => {
    const act = async (body: Json): Promise<void> => {
      await over(api, inner(await api.call('POST', `droplets/${id}/actions`, body), 'action').id);
    };
    if (inputs.name !== old.name) await act({ type: 'rename', name: inputs.name });
    if (inputs.size !== old.size) {
      await act({ type: 'power_off' });
      await act({ type: 'resize', size: inputs.size, disk: inputs.resizeDisk });
      await act({ type: 'power_on' });
    }
    return dropletOutputs(inner(await api.call('GET', `droplets/${id}`), 'droplet'));
  },
  delete: async (api, id) => void (await api.call('DELETE', `droplets/${id}`)),
};

/** Those that are one object at one path. */
const simple = (path: string, key: string, replaces: string[], translate: Translate): Kind => ({
  replaces,
  create: async (api, inputs) => {
    const made = inner(await api.call('POST', path, translate.body(inputs)), key);
    return { id: text(made[translate.id ?? 'id']), outputs: translate.outputs(made) };
  },
  read: async (api, id) => {
    const found = await api.call('GET', `${path}/${id}`);
    return found === null ? null : translate.outputs(inner(found, key));
  },
  update: async (api, id, inputs) =>
    translate.outputs(inner(await api.call('PUT', `${path}/${id}`, translate.body(inputs)), key)),
  delete: async (api, id) => void (await api.call('DELETE', `${path}/${id}`)),
});
interface Translate {
  id?: string;
  body: (inputs: Json) => Json;
  outputs: (answer: Json) => Json;
}

const rules = (list: unknown, side: 'sources' | 'destinations', addresses: string): Json[] =>
  ((list ?? []) as Json[]).map(({ protocol, portRange, ...rest }) => ({
    protocol,
    ...(portRange !== undefined && { ports: portRange }),
    [side]: { addresses: rest[addresses] },
  }));
const back = (list: unknown, side: string, addresses: string): Json[] =>
  ((list ?? []) as Json[]).map(({ protocol, ports, ...rest }) => ({
    protocol,
    ...(ports !== undefined && { portRange: ports }),
    [addresses]: (rest[side] as Json).addresses,
  }));

const Firewall = simple('firewalls', 'firewall', [], {
  body: ({ name, dropletIds, inboundRules, outboundRules }) => ({
    name,
    droplet_ids: dropletIds,
    inbound_rules: rules(inboundRules, 'sources', 'sourceAddresses'),
    outbound_rules: rules(outboundRules, 'destinations', 'destinationAddresses'),
  }),
  outputs: ({ name, droplet_ids, inbound_rules, outbound_rules, status }) => ({
    ...{ name, status, dropletIds: droplet_ids },
    inboundRules: back(inbound_rules, 'sources', 'sourceAddresses'),
    outboundRules: back(outbound_rules, 'destinations', 'destinationAddresses'),
  }),
});

const Vpc: Kind = {
  ...simple('vpcs', 'vpc', ['region', 'ipRange'], {
    body: ({ name, region, ipRange }) => ({ name, region, ip_range: ipRange }),
    outputs: ({ name, region, ip_range, urn }) => ({ name, region, ipRange: ip_range, vpcUrn: urn }),
  }),
  // Of a network only its name changes.
  update: async (api, id, { name }) => {
    await api.call('PUT', `vpcs/${id}`, { name });
    return {};
  },
};

const SshKey = simple('account/keys', 'ssh_key', ['publicKey'], {
  body: ({ name, publicKey }) => ({ name, public_key: publicKey }),
  outputs: ({ name, public_key, fingerprint }) => ({ name, publicKey: public_key, fingerprint }),
});

const SpacesKey = simple('spaces/keys', 'key', [], {
  id: 'access_key',
  body: ({ name, grants }) => ({ name, grants }),
  outputs: ({ name, grants, access_key, secret_key }) => ({
    ...{ name, grants, accessKey: access_key },
    ...(secret_key !== undefined && { secretKey: secret_key }),
  }),
});

const Domain = simple('domains', 'domain', ['name', 'ipAddress'], {
  id: 'name',
  body: ({ name }) => ({ name }),
  outputs: ({ name }) => ({ name, domainUrn: `do:domain:${text(name)}` }),
});

const record = ({ type, name, value, ttl, flags, tag }: Json): Json => ({
  type,
  name,
  data: value,
  ttl,
  flags,
  tag,
});
const named = (type: unknown, data: unknown): string =>
  ['CAA', 'CNAME', 'MX', 'NS'].includes(text(type)) ? `${text(data)}.` : text(data);
const recordOutputs = ({ type, name, data, ttl, flags, tag }: Json): Json => ({
  ...{ type, name, value: named(type, data), ttl },
  ...(type === 'CAA' && { flags, tag }),
});
const DnsRecord: Kind = {
  replaces: ['domain', 'type'],
  create: async (api, inputs) => {
    const made = inner(
      await api.call('POST', `domains/${text(inputs.domain)}/records`, record(inputs)),
      'domain_record',
    );
    return { id: text(made.id), outputs: { ...recordOutputs(made), domain: inputs.domain } };
  },
  // An import names both: `example.org,7001`.
  read: async (api, given, state) => {
    const [zone, id] = given.includes(',') ? given.split(',') : [text(state.domain), given];
    const found = await api.call('GET', `domains/${zone}/records/${id}`);
    if (found === null) return null;
    return { ...recordOutputs(inner(found, 'domain_record')), domain: zone, [ID]: id };
  },
  update: async (api, id, inputs) => {
    const path = `domains/${text(inputs.domain)}/records/${id}`;
    return {
      ...recordOutputs(inner(await api.call('PUT', path, record(inputs)), 'domain_record')),
      domain: inputs.domain,
    };
  },
  delete: async (api, id, { domain }) =>
    void (await api.call('DELETE', `domains/${text(domain)}/records/${id}`)),
};

const ipOutputs = ({ ip, region }: Json): Json => ({
  ...{ ipAddress: ip, region: (region as Json).slug, reservedIpUrn: `do:reservedip:${text(ip)}` },
});
const ReservedIp: Kind = {
  replaces: ['region'],
  create: async (api, { region }) => {
    const made = inner(await api.call('POST', 'reserved_ips', { region }), 'reserved_ip');
    return { id: text(made.ip), outputs: ipOutputs(made) };
  },
  read: async (api, id) => {
    const found = await api.call('GET', `reserved_ips/${id}`);
    return found === null ? null : ipOutputs(inner(found, 'reserved_ip'));
  },
  update: async () => ({}),
  delete: async (api, id) => void (await api.call('DELETE', `reserved_ips/${id}`)),
};

const ReservedIpAssignment: Kind = {
  replaces: ['ipAddress', 'dropletId'],
  create: async (api, { ipAddress, dropletId }) => {
    const path = `reserved_ips/${text(ipAddress)}/actions`;
    const action = inner(await api.call('POST', path, { type: 'assign', droplet_id: dropletId }), 'action');
    await over(api, action.id);
    return { id: `${text(dropletId)}-${text(ipAddress)}`, outputs: {} };
  },
  read: async (api, _id, { ipAddress, dropletId }) => {
    const found = await api.call('GET', `reserved_ips/${text(ipAddress)}`);
    const droplet = inner(found, 'reserved_ip').droplet as Json | null | undefined;
    return droplet?.id === dropletId ? { ipAddress, dropletId } : null;
  },
  delete: async (api, _id, { ipAddress }) => {
    const path = `reserved_ips/${text(ipAddress)}/actions`;
    const answer = await api.call('POST', path, { type: 'unassign' });
    if (answer !== null) await over(api, inner(answer, 'action').id);
  },
};

const projectBody = ({ name, purpose, environment, description }: Json): Json => ({
  ...{ name, purpose, environment, description },
});
const Project: Kind = {
  replaces: [],
  create: async (api, inputs) => {
    const made = inner(await api.call('POST', 'projects', projectBody(inputs)), 'project');
    await api.call('POST', `projects/${text(made.id)}/resources`, { resources: inputs.resources });
    return { id: text(made.id), outputs: {} };
  },
  read: async (api, id) => {
    const found = await api.call('GET', `projects/${id}`);
    if (found === null) return null;
    const { name, purpose, environment } = inner(found, 'project');
    const held = await api.call('GET', `projects/${id}/resources`);
    return {
      name,
      purpose,
      environment,
      resources: ((held?.resources ?? []) as Json[]).map((one) => one.urn),
    };
  },
  update: async (api, id, inputs) => {
    await api.call('PUT', `projects/${id}`, projectBody(inputs));
    await api.call('POST', `projects/${id}/resources`, { resources: inputs.resources });
    return {};
  },
  // What a project holds goes to the default one first, as the provider does.
  delete: async (api, id, { resources }) => {
    await api.call('POST', 'projects/default/resources', { resources });
    await api.call('DELETE', `projects/${id}`);
  },
};

const bucket = (nameKey: string, replaces: string[], urn: boolean): Kind => ({
  replaces: [nameKey, ...replaces],
  create: async (api, inputs) => {
    const name = text(inputs[nameKey]);
    const status = await api.bucket('PUT', name);
    if (status !== 200) throw new Error(`BucketAlreadyExists: ${name}`);
    return { id: name, outputs: urn ? { bucketUrn: `do:space:${name}` } : { arn: `arn:aws:s3:::${name}` } };
  },
  read: async (api, id) => ((await api.bucket('GET', id)) === 200 ? { [nameKey]: id } : null),
  update: async () => ({}),
  delete: async (api, id) => void (await api.bucket('DELETE', id)),
});

/** A setting of a bucket, which lives and goes with it. */
const setting: Kind = {
  replaces: ['bucket'],
  create: async (_api, inputs) => ({ id: text(inputs.bucket), outputs: {} }),
  read: async (api, _id, { bucket: name }) => ((await api.bucket('GET', text(name))) === 200 ? {} : null),
  update: async () => ({}),
  delete: async () => undefined,
};

export const KINDS: Record<string, Kind> = {
  'digitalocean:index/droplet:Droplet': Droplet,
  'digitalocean:index/firewall:Firewall': Firewall,
  'digitalocean:index/vpc:Vpc': Vpc,
  'digitalocean:index/sshKey:SshKey': SshKey,
  'digitalocean:index/spacesKey:SpacesKey': SpacesKey,
  'digitalocean:index/domain:Domain': Domain,
  'digitalocean:index/dnsRecord:DnsRecord': DnsRecord,
  'digitalocean:index/reservedIp:ReservedIp': ReservedIp,
  'digitalocean:index/reservedIpAssignment:ReservedIpAssignment': ReservedIpAssignment,
  'digitalocean:index/project:Project': Project,
  'digitalocean:index/spacesBucket:SpacesBucket': bucket('name', ['region'], true),
  'aws:s3/bucket:Bucket': bucket('bucket', ['objectLockEnabled'], false),
  'aws:s3/bucketVersioning:BucketVersioning': setting,
  'aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration': setting,
};
