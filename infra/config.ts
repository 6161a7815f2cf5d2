import { DROPLET_PRICES } from './lib/prices.ts';
import * as take from './lib/take.ts';
import type { Read } from './lib/take.ts';

/** A bucket for backups. The order is that of FACTORY_BACKUP_DESTINATIONS on the host. */
export interface Destination {
  /** `spaces`: DigitalOcean. `b2`: Backblaze, where the host's key cannot delete. `s3`: Amazon. */
  provider: 'spaces' | 'b2' | 's3';
  /** Its name, which is unique among all customers of the provider. */
  bucket: string;
  /** As the provider calls it: `fra1`, `eu-central-003`, `eu-central-1`. */
  region: string;
}

export interface Operator {
  name: string;
  /** The line of a public key: `ssh-ed25519 AAAA… comment`. */
  sshKey: string;
}

/** Everything that decides what is built. Keys are those of Pulumi.<stack>.yaml, below `build-factory:`. */
export interface Config {
  /** The stack's name: `production` or `staging`. */
  environment: 'production' | 'staging';
  /** The DNS zone that is registered: `example.org`. */
  zone: string;
  /** The site's name in the zone: `@` for the zone itself, or `staging`. */
  name: string;
  /** `digitalocean`: records are made there. `external`: they are printed, and `up` waits for them. */
  dns: 'digitalocean' | 'external';
  /** Whether this stack makes the zone at DigitalOcean. One stack does; by default production. */
  ownsZone: boolean;
  /** Minutes that `up` waits for external records; it goes on with a warning then. */
  dnsWaitMinutes: number;
  /** Who may issue certificates for the zone (CAA). */
  certificateAuthorities: string[];
  /** `own`: a VPS of its own. `production`: staging on production's. */
  host: 'own' | 'production';
  /** How many hosts. More than one comes with managed Postgres; only 1 is taken so far. */
  hosts: number;
  /** `sqlite`. `managed-postgres` is not there yet. */
  database: 'sqlite';
  /** DigitalOcean's region. A Reserved IP is bound to it. */
  region: string;
  /** The droplet's size, see infra/lib/prices.ts. */
  size: string;
  /** The droplet's image: Debian 12. */
  image: string;
  /** Raise it to have the droplet replaced by a new one, see docs/infra.md. */
  generation: number;
  /** The private network. Networks of one account must not overlap. */
  vpcRange: string;
  /** Addresses that may use SSH: CIDR, never the whole world. */
  sshFrom: string[];
  /** Who may sign in. */
  operators: Operator[];
  /** Fingerprints (MD5, `aa:bb:…`) of SSH keys that the account has already. */
  sshFingerprints: string[];
  /** Reserved IPs of the account that are for something else: a spare one stops `up`, see docs/infra.md. */
  otherReservedIps: string[];
  /** The host's public key (`ssh-ed25519 AAAA…`), read off its console once; gives the output `knownHosts`. */
  hostKey: string | null;
  /** Where backups go. Production needs at least two providers. */
  backups: Destination[];
  /** Days in which nobody can delete a backup, where the provider locks objects (b2, s3). */
  lockDays: number;
  /** Backblaze's native API. */
  b2Endpoint: string;
  /** Expected size of all backups in a destination, for the monthly cost. */
  backupGb: number;
  /** Most US dollars a month for this stack; a plan above it is refused. */
  monthlyBudget: number;
}

type Facts = Pick<Config, 'environment'>;
type Key = Exclude<keyof Config, 'environment'>;

const REGIONS = 'nyc1 nyc2 nyc3 sfo2 sfo3 ams3 fra1 lon1 sgp1 tor1 blr1 syd1 atl1'.split(' ');

/** How each key is read, and what it is without a line in the stack's file. */
const KEYS: { [K in Key]: Read<Config[K], Facts> } = {
  zone: take.required(take.domain),
  name: take.optional(take.label, ({ environment }) => (environment === 'production' ? '@' : 'staging')),
  dns: take.optional(take.oneOf('digitalocean', 'external'), () => 'digitalocean'),
  ownsZone: take.optional(take.flag, ({ environment }) => environment === 'production'),
  dnsWaitMinutes: take.optional(take.whole(0, 120), () => 10),
  certificateAuthorities: take.optional(take.list(take.domain), () => ['letsencrypt.org']),
  host: take.optional(take.oneOf('own', 'production'), () => 'own'),
  hosts: take.optional(
    take.only(1, 'Several hosts need managed Postgres and a load balancer, which come later.'),
    () => 1,
  ),
  database: take.optional(
    take.only('sqlite', 'Managed Postgres comes later; a Postgres of your own is set on the host.'),
    () => 'sqlite',
  ),
  region: take.required(take.oneOf(...REGIONS)),
  size: take.required(take.oneOf(...Object.keys(DROPLET_PRICES))),
  image: take.optional(
    take.only('debian-12-x64', 'The host is described for Debian 12.'),
    () => 'debian-12-x64',
  ),
  generation: take.optional(take.whole(1, 999), () => 1),
  vpcRange: take.optional(take.privateNet, ({ environment }) =>
    environment === 'production' ? '10.71.0.0/24' : '10.72.0.0/24',
  ),
  sshFrom: take.required(take.list(take.narrowNet)),
  operators: take.required(take.list(take.shape({ name: take.user, sshKey: take.publicKey }))),
  sshFingerprints: take.optional(take.list(take.fingerprint), () => [] as string[]),
  otherReservedIps: take.optional(take.list(take.address), () => [] as string[]),
  hostKey: take.optional(take.publicKey, () => null),
  backups: take.required(
    take.list(
      take.shape({ provider: take.oneOf('spaces', 'b2', 's3'), bucket: take.bucket, region: take.slug }),
    ),
  ),
  lockDays: take.optional(take.whole(1, 365), () => 30),
  b2Endpoint: take.optional(take.url, () => 'https://api.backblazeb2.com'),
  backupGb: take.optional(take.whole(1, 100_000), () => 20),
  monthlyBudget: take.required(take.whole(1, 100_000)),
};

export const CONFIG_KEYS = Object.keys(KEYS) as Key[];
const ENVIRONMENTS = ['production', 'staging'] as const;

/** Every problem of a configuration at once. */
export class ConfigError extends Error {
  readonly problems: string[];
  constructor(problems: string[]) {
    super(
      `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n` +
        problems.map((problem) => `  - ${problem}`).join('\n') +
        '\nKeys are explained in infra/config.ts; set one by: pulumi config set build-factory:KEY VALUE',
    );
    this.problems = problems;
  }
}

/** What holds between keys. */
function together(config: Config): string[] {
  const problems: string[] = [];
  const { environment, host, backups, dns, ownsZone } = config;
  if (environment === 'production' && host === 'production')
    problems.push('host: production has a host of its own; write `own`.');
  if (environment === 'staging' && config.name === '@')
    problems.push('name: `@` is production; give staging a name such as `staging`.');
  if (environment === 'production' && new Set(backups.map((one) => one.provider)).size < 2)
    problems.push('backups: production needs two destinations at different providers.');
  const places = backups.map((one) => `${one.provider} ${one.bucket}`);
  if (new Set(places).size < places.length) problems.push('backups: a bucket is named twice.');
  if (dns === 'external' && ownsZone && environment === 'staging')
    problems.push('ownsZone: with external DNS no zone is made; leave it out.');
  return problems;
}

/**
 * The configuration of a stack from the plain values of its file. Pure.
 *
 * @param raw values by key, without `build-factory:`
 * Errors: ConfigError with every problem.
 */
export function parseConfig(stack: string, raw: Record<string, unknown>): Config {
  const environment = ENVIRONMENTS.find((one) => one === stack);
  if (environment === undefined)
    throw new ConfigError([`The stack is \`${stack}\`; there are: ${ENVIRONMENTS.join(', ')}.`]);
  const problems = Object.keys(raw)
    .filter((key) => !Object.hasOwn(KEYS, key))
    .map((key) => `${key}: no such key${take.nearest(key, CONFIG_KEYS)}.`);
  const config: Record<string, unknown> = { environment };
  for (const key of CONFIG_KEYS) {
    const read = KEYS[key](raw[key], { environment });
    if ('problem' in read) problems.push(`${key}: ${read.problem}`);
    else config[key] = read.value;
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const whole = config as unknown as Config;
  const between = together(whole);
  if (between.length > 0) throw new ConfigError(between);
  return whole;
}

const EXAMPLE = /(^|\.)example\.(org|com|net)$/;
/** Addresses that are for documents only (RFC 5737, RFC 3849). */
const DOCUMENTATION = /^(192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|2001:db8:)/i;

/** What still stands as it came with the repository: no real run may begin with it. */
export function placeholders(config: Config): string[] {
  const found: string[] = [];
  if (EXAMPLE.test(config.zone)) found.push(`zone: ${config.zone} is an example; write your own domain.`);
  if (config.sshFrom.some((net) => DOCUMENTATION.test(net)))
    found.push('sshFrom: this address is an example; write those that you come from.');
  if (config.backups.some((one) => one.bucket.startsWith('example-')))
    found.push('backups: buckets named `example-…` are examples; choose names of your own.');
  return found;
}
