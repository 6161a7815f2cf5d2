import { ANYWHERE, includesSsh, isWide } from '../lib/firewall.ts';

/** What a rule sees of a resource: values that are not known yet are OPAQUE. */
export interface Planned {
  type: string;
  name: string;
  props: Record<string, unknown>;
  protect: boolean;
}

/** Stands for a value that only the provider knows. */
export const OPAQUE = Symbol('not known yet');

export interface Rule {
  name: string;
  /** What it forbids, and why. */
  description: string;
  /** What is wrong with the resource, and what to do; null where nothing is. */
  check: (resource: Planned) => string | null;
}

type Json = Record<string, unknown>;
const objects = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);
const texts = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'string');

const BUCKETS = [
  'digitalocean:index/spacesBucket:SpacesBucket',
  'aws:s3/bucket:Bucket',
  'aws:s3/bucketV2:BucketV2',
];

/** What is gone for good with its resource. */
const DATA = [
  ...BUCKETS,
  'digitalocean:index/droplet:Droplet',
  'digitalocean:index/volume:Volume',
  'digitalocean:index/reservedIp:ReservedIp',
  'digitalocean:index/domain:Domain',
  'digitalocean:index/databaseCluster:DatabaseCluster',
];

/** Statements of a policy document, given as text or as an object. */
function statements(policy: unknown): Json[] {
  try {
    const document = (typeof policy === 'string' ? JSON.parse(policy) : policy) as Json | null;
    const found = document?.Statement;
    return Array.isArray(found) ? (found as Json[]) : found === undefined ? [] : [found as Json];
  } catch {
    return [];
  }
}

const allowsAll = (statement: Json): boolean => {
  const principal = statement.Principal as Json | string | undefined;
  const who = typeof principal === 'object' ? Object.values(principal).flatMap(texts) : texts(principal);
  return statement.Effect === 'Allow' && who.includes('*');
};

const publicBucket: Rule = {
  name: 'no-public-bucket',
  description: 'No bucket can be read from outside: backups are encrypted, their names and sizes are not.',
  check: ({ type, props }) => {
    const acl = props.acl;
    if ((BUCKETS.includes(type) || /bucketAcl/i.test(type)) && typeof acl === 'string' && acl !== 'private')
      return `its acl is ${acl}; leave it at private.`;
    if (/bucket(Ownership|PublicAccessBlock)/.test(type)) {
      const open = ['blockPublicAcls', 'blockPublicPolicy', 'ignorePublicAcls', 'restrictPublicBuckets'];
      if (type.includes('PublicAccessBlock') && open.some((key) => props[key] !== true))
        return 'it leaves a way to make the bucket public; set all four to true.';
    }
    if (/bucketPolicy/i.test(type) && statements(props.policy).some(allowsAll))
      return 'its policy allows something to everybody; name who may.';
    return null;
  },
};

const sshFromAnywhere: Rule = {
  name: 'no-ssh-from-anywhere',
  description: 'Port 22 is open to named addresses only.',
  check: ({ type, props }) => {
    if (type !== 'digitalocean:index/firewall:Firewall') return null;
    for (const rule of objects(props.inboundRules)) {
      const ssh = rule.protocol === 'tcp' && includesSsh(rule.portRange as string | undefined);
      const wide = texts(rule.sourceAddresses).find(isWide);
      if (ssh && wide !== undefined)
        return `port 22 is open to ${wide}; name the addresses that operators come from (sshFrom).`;
    }
    return null;
  },
};

const outboundWritten: Rule = {
  name: 'outbound-rules-are-written',
  description: 'A firewall without outbound rules lets nothing out: no updates, no certificates, no backups.',
  check: ({ type, props }) =>
    type === 'digitalocean:index/firewall:Firewall' && objects(props.outboundRules).length === 0
      ? `it has no outbound rules; allow at least 53, 80, 443 and 123 to ${ANYWHERE.join(' and ')}.`
      : null,
};

const dataIsProtected: Rule = {
  name: 'data-is-protected',
  description: 'Hosts, addresses, buckets, zones and databases cannot be deleted by a change alone.',
  check: ({ type, protect, props }) => {
    if (!DATA.includes(type)) return null;
    if (!protect) return 'it holds data and is not protected; set protect: true.';
    return props.forceDestroy === true ? 'forceDestroy deletes what is in it; leave it out.' : null;
  },
};

/** Actions on everything. */
const wholeAccess = (statement: Json): boolean =>
  statement.Effect === 'Allow' &&
  texts(statement.Action).some((action) => action === '*' || action === 's3:*') &&
  texts(statement.Resource).some((resource) => resource === '*' || resource === 'arn:aws:s3:::*');

const B2_ACCOUNT = ['writeKeys', 'deleteKeys', 'writeBuckets', 'deleteBuckets', 'bypassGovernance'];

const isB2Key = ({ props }: Planned): boolean => Array.isArray(props.capabilities);

const fullAccessKey: Rule = {
  name: 'no-full-access-key',
  description: 'A key is for one bucket, and for no more than its holder does there.',
  check: (resource) => {
    const { type, props } = resource;
    if (type === 'digitalocean:index/spacesKey:SpacesKey') {
      const grants = objects(props.grants);
      if (grants.length === 0) return 'it has no grants, which is no key at all; grant it one bucket.';
      if (grants.some((grant) => grant.permission === 'fullaccess' || grant.bucket === ''))
        return 'it has full access to every bucket; grant readwrite on one.';
    }
    if (/^aws:iam\/(user|role|group)?policy:/i.test(type) && statements(props.policy).some(wholeAccess))
      return 'it allows everything everywhere; name the actions and the bucket.';
    if (isB2Key(resource)) {
      const wide = texts(props.capabilities).filter((capability) => B2_ACCOUNT.includes(capability));
      if (wide.length > 0) return `it may ${wide.join(', ')}; that is for the account's own key.`;
      if (props.bucket === '' || props.bucket === undefined) return 'it is for every bucket; name one.';
    }
    return null;
  },
};

const hostKeyDeletes: Rule = {
  name: 'host-key-cannot-delete',
  description:
    'Whoever takes a host over cannot delete its backups (where the provider knows the difference).',
  check: (resource) => {
    const { props, name } = resource;
    if (!/-host-\d+$/.test(name)) return null;
    const deletes = isB2Key(resource)
      ? texts(props.capabilities).some((capability) => capability.startsWith('delete'))
      : statements(props.policy).some((one) => texts(one.Action).some((action) => /Delete|\*$/.test(action)));
    return deletes ? 'the key on the host may delete; that is for the key that prunes elsewhere.' : null;
  },
};

/** Every rule for a single resource. */
export const RULES: Rule[] = [
  publicBucket,
  sshFromAnywhere,
  outboundWritten,
  dataIsProtected,
  fullAccessKey,
  hostKeyDeletes,
];

/** `rule: type name: what is wrong`, for each rule that a resource breaks. */
export const broken = (resource: Planned): string[] =>
  RULES.flatMap((rule) => {
    const problem = rule.check(resource);
    return problem === null ? [] : [`${rule.name}: ${resource.name} (${resource.type}): ${problem}`];
  });

/** A plan above its budget, which is a rule of the whole stack. */
export const overBudget = (monthly: number, budget: number): string | null =>
  // A price that is not known is above every budget.
  monthly <= budget
    ? null
    : `budget: this stack costs $${monthly} a month and may cost $${budget}; choose less, or raise monthlyBudget.`;
