import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { SECRETS, VARIABLES } from '../../../service/config-names.ts';
import { ENVIRONMENTS } from './names.ts';

/** What a host is described by. Nothing in it is secret: it goes into user data, which whoever is on the host can read. */

const DOMAIN = /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/;
const KEY = /^(ssh-ed25519|sk-ssh-ed25519@openssh\.com|ssh-rsa) [A-Za-z0-9+/]+={0,3}( [\x20-\x7e]*)?$/;
/** Each of these is given to the service as `<NAME>_FILE`. */
const CREDENTIAL = new RegExp(
  `^(${SECRETS.join('|')}|FACTORY_BACKUP_IDENTITY|FACTORY_BACKUP_CREDENTIALS_[1-9]\\d?)$`,
);
/** What the layout of the host decides. */
const OURS = [
  ...[
    'FACTORY_ENV',
    'FACTORY_RELEASE',
    'FACTORY_HOST',
    'FACTORY_PORT',
    'FACTORY_SOCKET',
    'FACTORY_JOBS',
    'FACTORY_DEPLOY_LOG',
  ],
  ...['FACTORY_BASE_URL', 'FACTORY_TRUST_PROXY', 'FACTORY_DATA_DIR', 'FACTORY_BACKUP_IDENTITY_FILE'],
];

const line = z.string().regex(/^[\x20-\x7e]*$/, 'It has to be one line of plain characters.');

const environment = z.strictObject({
  name: z.enum(ENVIRONMENTS),
  /** What people open, e.g. `staging.example.org`. */
  domain: z.string().regex(DOMAIN, 'It is no domain name in lower case, such as staging.example.org.'),
  /** Settings of the service, without secrets. */
  variables: z.record(z.string(), line).default({}).superRefine(knownVariables),
  /** Names of secrets that the service needs; their files are brought apart from all this. */
  credentials: z
    .array(z.string().regex(CREDENTIAL, 'No such secret; FACTORY_BACKUP_CREDENTIALS_1 is one.'))
    .default([]),
});

const operator = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'It is no user name, such as root or alice.'),
  keys: z
    .array(
      z.string().regex(KEY, 'It is no public key of kind ed25519 or RSA, such as ssh-ed25519 AAAA… name.'),
    )
    .min(1, 'Without a key nobody could log in.'),
});

export const hostSettings = z.strictObject({
  environments: z
    .array(environment)
    .min(1)
    .max(ENVIRONMENTS.length)
    .refine((all) => unique(all.map(({ name }) => name)), 'An environment is named twice.')
    .refine((all) => unique(all.map(({ domain }) => domain)), 'Two environments have one domain.'),
  /** Who may log in by SSH, `root` or others, who become root by sudo. */
  operators: z
    .array(operator)
    .min(1, 'Without an operator nobody could log in.')
    .refine((all) => unique(all.map(({ name }) => name)), 'An operator is named twice.'),
  /** From where: addresses or networks. */
  allowedAddresses: z
    .array(
      z
        .string()
        .refine(
          (text) => networkOf(text) !== null,
          'It is no address or network, such as 203.0.113.7 or 2001:db8::/48.',
        ),
    )
    .min(1, 'Without an address nobody could log in.')
    .refine(
      (all) => !all.some((one) => one.endsWith('/0')),
      'Port 22 open to everybody is refused: name the addresses that operators come from.',
    ),
  acme: z
    .strictObject({
      email: z.email().nullable().default(null),
      /** Null: Caddy's own choice, Let's Encrypt. */
      directory: z.url().nullable().default(null),
      /** A file on the host with the certificate of that directory's server; null: a public one. */
      root: z.string().startsWith('/').nullable().default(null),
    })
    .default({ email: null, directory: null, root: null }),
  /** When a host may start anew after an update that asks for it, `04:30`, UTC; null: never by itself. */
  rebootAt: z
    .string()
    .regex(/^([01]\d|2[0-3]):[0-5]\d$/)
    .nullable()
    .default(null),
});

export type HostSettings = z.output<typeof hostSettings>;
export type HostSettingsInput = z.input<typeof hostSettings>;
export type EnvironmentSettings = HostSettings['environments'][number];

const unique = (all: readonly string[]): boolean => new Set(all).size === all.length;

function knownVariables(variables: Record<string, string>, context: z.RefinementCtx): void {
  for (const name of Object.keys(variables)) {
    const message = OURS.includes(name)
      ? 'The layout of the host decides it.'
      : SECRETS.some((secret) => secret === name)
        ? 'It may be a secret: name it in credentials.'
        : VARIABLES.some((known) => known === name)
          ? null
          : 'There is no such variable.';
    if (message !== null) context.addIssue({ code: 'custom', path: [name], message });
  }
}

interface Network {
  address: string;
  family: 'ipv4' | 'ipv6';
  bits: number;
}

/** `10.0.0.0/8` or an address; null: neither. */
function networkOf(text: string): Network | null {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  const all = version === 6 ? 128 : 32;
  if (version === 0 || rest.length > 0 || address.includes('%')) return null;
  if (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > all)) return null;
  return { address, family: version === 6 ? 'ipv6' : 'ipv4', bits: Number(bits ?? all) };
}

/** Whether SSH would be open to an address. */
export function isAllowed(
  { allowedAddresses }: Pick<HostSettings, 'allowedAddresses'>,
  address: string,
): boolean {
  const list = new BlockList();
  for (const one of allowedAddresses.map(networkOf))
    if (one !== null) list.addSubnet(one.address, one.bits, one.family);
  // A server that listens on both families names an IPv4 client so.
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  return list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4');
}

/** Every problem at once: `environments.0.domain: It is no …`; or the settings with their defaults. */
export function readHostSettings(input: unknown): { settings: HostSettings } | { problems: string[] } {
  const parsed = hostSettings.safeParse(input);
  if (parsed.success) return { settings: parsed.data };
  return {
    problems: parsed.error.issues.map(({ path, message }) =>
      path.length === 0 ? message : `${path.join('.')}: ${message}`,
    ),
  };
}
