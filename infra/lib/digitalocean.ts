import { setTimeout as sleep } from 'node:timers/promises';

/** Whose API is asked. */
export interface Account {
  token: string;
  /** `https://api.digitalocean.com` unless a double stands in. */
  endpoint: string;
  /** How long the first repetition waits, if the answer does not say. */
  pauseMs?: number;
}

export const DIGITALOCEAN = 'https://api.digitalocean.com';
const TRIES = 5;
const PAGE = 200;

type Json = Record<string, unknown>;

/** One that is asked for and not there. */
const NOT_FOUND = 404;

/** How long to wait before asking again: what the answer says, else longer each time. */
function pause(answer: Response | null, attempt: number, first: number): number {
  const seconds = Number(answer?.headers.get('retry-after'));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : first * 2 ** attempt;
}

/** Reading may be repeated: a lost answer, 429 and 5xx are asked again. */
async function ask(url: string, { token, pauseMs = 250 }: Account): Promise<Response> {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await fetch(url, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(30_000),
    }).catch((error: unknown) => (attempt + 1 < TRIES ? null : Promise.reject(error as Error)));
    const again = answer === null || answer.status === 429 || answer.status >= 500;
    if (!again || attempt + 1 >= TRIES) return answer as Response;
    await sleep(pause(answer, attempt, pauseMs));
  }
}

async function get(account: Account, path: string): Promise<Json | null> {
  const answer = await ask(`${account.endpoint}/v2/${path}`, account);
  if (answer.status === NOT_FOUND) return null;
  if (answer.status === 401)
    throw new Error(
      'DigitalOcean refused the token. Make one that may read and write, and set it: pulumi config set --secret digitalocean:token',
    );
  if (!answer.ok)
    throw new Error(`DigitalOcean answered ${answer.status} to GET /v2/${path}. Try again later.`);
  return (await answer.json()) as Json;
}

/** Every page of a list. */
async function all(account: Account, path: string, key: string): Promise<Json[]> {
  const found: Json[] = [];
  for (let page = 1; ; page += 1) {
    const mark = path.includes('?') ? '&' : '?';
    const answer = await get(account, `${path}${mark}page=${page}&per_page=${PAGE}`);
    const entries = (answer?.[key] ?? []) as Json[];
    found.push(...entries);
    if (entries.length < PAGE) return found;
  }
}

/** Something in the account that a create would double. */
export interface Found {
  what: string;
  /** As `pulumi import` takes it. */
  id: string;
}

type Finder = (account: Account, inputs: Json, ignore: string[]) => Promise<Found[]>;

const text = (value: unknown): string => (typeof value === 'string' ? value : String(value));

/** Those of a list that have the same name. */
const named =
  (path: string, key: string, what: string, id = 'id'): Finder =>
  async (account, { name }) =>
    (await all(account, path, key))
      .filter((entry) => entry.name === name)
      .map((entry) => ({ what: `${what} ${text(name)}`, id: text(entry[id]) }));

const sshKey: Finder = async (account, { publicKey }) =>
  (await all(account, 'account/keys', 'ssh_keys'))
    .filter((entry) => keyBody(entry.public_key) === keyBody(publicKey))
    .map((entry) => ({
      what: `SSH key ${text(entry.name)} (${text(entry.fingerprint)})`,
      id: text(entry.id),
    }));

/** Without its comment. */
const keyBody = (line: unknown): string => text(line).split(' ').slice(0, 2).join(' ');

/** A Reserved IP has no name: one of the region that is assigned to nothing may be what a cut-off run made. */
const reservedIp: Finder = async (account, { region }, ignore) =>
  (await all(account, 'reserved_ips', 'reserved_ips'))
    .filter((entry) => entry.droplet === null && (entry.region as Json).slug === region)
    .filter((entry) => !ignore.includes(text(entry.ip)))
    .map((entry) => ({ what: `unassigned Reserved IP ${text(entry.ip)}`, id: text(entry.ip) }));

const domain: Finder = async (account, { name }) =>
  (await get(account, `domains/${text(name)}`)) === null
    ? []
    : [{ what: `domain ${text(name)}`, id: text(name) }];

/** DigitalOcean takes the same record twice. */
const dnsRecord: Finder = async (account, { domain: zone, name, type, value }) =>
  (await all(account, `domains/${text(zone)}/records?type=${text(type)}`, 'domain_records'))
    .filter((entry) => entry.name === name && dotless(entry.data) === dotless(value))
    .map((entry) => ({
      what: `record ${text(type)} ${text(name)} of ${text(zone)}`,
      id: `${text(zone)},${text(entry.id)}`,
    }));

const dotless = (value: unknown): string => text(value).replace(/\.$/, '');

const SPACES_KEY = 'digitalocean:index/spacesKey:SpacesKey';

/** How what a create would double is found, by the resource's type. Buckets are not here: their name is unique anyway. */
export const FINDERS: Record<string, Finder> = {
  'digitalocean:index/droplet:Droplet': named('droplets', 'droplets', 'droplet'),
  'digitalocean:index/vpc:Vpc': named('vpcs', 'vpcs', 'VPC'),
  'digitalocean:index/firewall:Firewall': named('firewalls', 'firewalls', 'firewall'),
  'digitalocean:index/project:Project': named('projects', 'projects', 'project'),
  [SPACES_KEY]: named('spaces/keys', 'keys', 'Spaces key', 'access_key'),
  'digitalocean:index/sshKey:SshKey': sshKey,
  'digitalocean:index/reservedIp:ReservedIp': reservedIp,
  'digitalocean:index/domain:Domain': domain,
  'digitalocean:index/dnsRecord:DnsRecord': dnsRecord,
};

/** Errors: where the account has it already, with both ways on. */
export async function refuseDouble(
  account: Account,
  create: { type: string; name: string; inputs: Json; stack: string },
  ignore: string[] = [],
): Promise<void> {
  const found = (await FINDERS[create.type]?.(account, create.inputs, ignore)) ?? [];
  const [first] = found;
  if (first === undefined) return;
  if (create.type === SPACES_KEY)
    throw new Error(
      `Not created: the account has the ${first.what} already (${first.id}), whose secret this stack does not know: it is told ` +
        'once. Delete it in the control panel, below Spaces Object Storage, Access Keys, and run this again.',
    );
  throw new Error(
    `Not created: the account has the ${found.map((one) => one.what).join(' and the ')} already, ` +
      'and this stack does not know it, as after a run that was cut off. Take it over, or delete it, and run this again:\n' +
      `  npm run infra -- import ${create.type} ${create.name} ${first.id} -s ${create.stack}`,
  );
}
