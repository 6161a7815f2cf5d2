import type { Random } from './random.ts';

/**
 * A labelled corpus of what is sensitive, made from the forms that issuers document, in the surroundings in which people and
 * tools leave it. It knows nothing of our rules: kinds have names of their own.
 */

const DIGITS = '0123456789';
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
const ALNUM = DIGITS + LOWER + UPPER;
const HEX = '0123456789abcdef';
const B32 = `${UPPER}234567`;
const B64 = `${ALNUM}+/`;
const B64U = `${ALNUM}-_`;

export interface Sample {
  kind: string;
  text: string;
  /** Where the secret stands in it. */
  start: number;
  end: number;
}

/** `A{alphabet,count}` pieces between texts. */
type Shape = (pick: (alphabet: string, count: number) => string) => string;

/** Ends with a letter or a digit: what a dash ends is told from its surroundings by nobody. */
const SHAPES: Record<string, Shape> = {
  'AWS access key': (p) => `AKIA${p(B32, 16)}`,
  'AWS temporary key': (p) => `ASIA${p(B32, 16)}`,
  'GitHub classic token': (p) => `ghp_${p(ALNUM, 36)}`,
  'GitHub fine-grained token': (p) => `github_pat_${p(ALNUM, 22)}_${p(ALNUM, 59)}`,
  'GitHub OAuth token': (p) => `gho_${p(ALNUM, 36)}`,
  'GitHub server token': (p) => `ghs_${p(ALNUM, 36)}`,
  'GitHub refresh token': (p) => `ghr_${p(ALNUM, 76)}`,
  'GitLab token': (p) => `glpat-${p(ALNUM, 20)}`,
  'GitLab runner token': (p) => `glrt-${p(ALNUM, 20)}`,
  'Slack bot token': (p) => `xoxb-${p(DIGITS, 12)}-${p(DIGITS, 13)}-${p(ALNUM, 24)}`,
  'Slack user token': (p) => `xoxp-${p(DIGITS, 12)}-${p(DIGITS, 12)}-${p(DIGITS, 12)}-${p(HEX, 32)}`,
  'Slack app token': (p) => `xapp-1-A${p(DIGITS + UPPER, 10)}-${p(DIGITS, 13)}-${p(HEX, 64)}`,
  'Slack webhook': (p) =>
    `https://hooks.slack.com/services/T${p(DIGITS + UPPER, 8)}/B${p(DIGITS + UPPER, 10)}/${p(ALNUM, 24)}`,
  'Stripe live key': (p) => `sk_live_${p(ALNUM, 24)}`,
  'Stripe long key': (p) => `sk_test_51${p(ALNUM, 97)}`,
  'Stripe restricted key': (p) => `rk_live_${p(ALNUM, 24)}`,
  'Stripe webhook secret': (p) => `whsec_${p(ALNUM, 32)}`,
  'Google API key': (p) => `AIza${p(B64U, 34)}${p(ALNUM, 1)}`,
  'Google client secret': (p) => `GOCSPX-${p(B64U, 27)}${p(ALNUM, 1)}`,
  'Google access token': (p) => `ya29.${p(B64U, 120)}${p(ALNUM, 1)}`,
  'OpenAI project key': (p) => `sk-proj-${p(B64U, 74)}T3BlbkFJ${p(ALNUM, 74)}`,
  'OpenAI key': (p) => `sk-${p(ALNUM, 20)}T3BlbkFJ${p(ALNUM, 20)}`,
  'Anthropic key': (p) => `sk-ant-api03-${p(B64U, 93)}AA`,
  'Hugging Face token': (p) => `hf_${p(LOWER + UPPER, 34)}`,
  'Replicate token': (p) => `r8_${p(ALNUM, 37)}`,
  'Groq key': (p) => `gsk_${p(ALNUM, 52)}`,
  'npm token': (p) => `npm_${p(ALNUM, 36)}`,
  'PyPI token': (p) => `pypi-AgEIcHlwaS5vcmc${p(B64U, 130)}${p(ALNUM, 1)}`,
  'RubyGems key': (p) => `rubygems_${p(HEX, 48)}`,
  'Docker token': (p) => `dckr_pat_${p(ALNUM, 27)}`,
  'DigitalOcean token': (p) => `dop_v1_${p(HEX, 64)}`,
  'Heroku key': (p) => `HRKU-${p(HEX, 8)}-${p(HEX, 4)}-${p(HEX, 4)}-${p(HEX, 4)}-${p(HEX, 12)}`,
  'SendGrid key': (p) => `SG.${p(B64U, 22)}.${p(B64U, 42)}${p(ALNUM, 1)}`,
  'Mailgun key': (p) => `key-${p(HEX, 32)}`,
  'Twilio key': (p) => `SK${p(HEX, 32)}`,
  'Telegram bot token': (p) => `${p('123456789', 1)}${p(DIGITS, 9)}:AA${p(B64U, 32)}${p(ALNUM, 1)}`,
  'Discord webhook': (p) => `https://discord.com/api/webhooks/${p(DIGITS, 18)}/${p(B64U, 67)}${p(ALNUM, 1)}`,
  'Shopify token': (p) => `shpat_${p(HEX, 32)}`,
  'Square token': (p) => `sq0atp-${p(B64U, 21)}${p(ALNUM, 1)}`,
  'Atlassian token': (p) => `ATATT3xFfGF0${p(B64U, 170)}=${p(DIGITS + 'ABCDEF', 8)}`,
  'Linear key': (p) => `lin_api_${p(ALNUM, 40)}`,
  'Notion token': (p) => `ntn_${p(DIGITS, 11)}${p(ALNUM, 35)}`,
  'Airtable token': (p) => `pat${p(ALNUM, 14)}.${p(HEX, 64)}`,
  'Figma token': (p) => `figd_${p(B64U, 39)}${p(ALNUM, 1)}`,
  'Postman key': (p) => `PMAK-${p(HEX, 24)}-${p(HEX, 34)}`,
  'New Relic key': (p) => `NRAK-${p(DIGITS + UPPER, 27)}`,
  'Grafana token': (p) => `glsa_${p(ALNUM, 32)}_${p(HEX, 8)}`,
  'Databricks token': (p) => `dapi${p(HEX, 32)}`,
  'Vault token': (p) => `hvs.${p(ALNUM, 90)}`,
  'Terraform token': (p) => `${p(ALNUM, 14)}.atlasv1.${p(ALNUM, 67)}`,
  'Doppler token': (p) => `dp.pt.${p(ALNUM, 43)}`,
  'Pulumi token': (p) => `pul-${p(HEX, 40)}`,
  'PlanetScale token': (p) => `pscale_tkn_${p(ALNUM, 43)}`,
  'Supabase token': (p) => `sbp_${p(HEX, 40)}`,
  'JSON web token': (p) =>
    `eyJhbGciOiJIUzI1NiJ9.${Buffer.from(`{"sub":"${p(ALNUM, 20)}","iat":1}`).toString('base64url')}.${p(B64U, 42)}${p(ALNUM, 1)}`,
  'age identity': (p) => `AGE-SECRET-KEY-1${p('QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L', 58)}`,
  'Tailscale key': (p) => `tskey-auth-${p(ALNUM, 16)}-${p(ALNUM, 32)}`,
  'Sonar token': (p) => `squ_${p(HEX, 40)}`,
  'Dynatrace token': (p) => `dt0c01.${p(B32, 24)}.${p(B32, 64)}`,
  'Azure storage key': (p) => `AccountKey=${p(B64, 86)}==`,
  'Azure client secret': (p) => `${p(ALNUM, 3)}8Q~${p(ALNUM, 34)}`,
  'private key': (p) =>
    `-----BEGIN RSA PRIVATE KEY-----\n${Array.from({ length: 6 }, () => p(B64, 64)).join('\n')}\n-----END RSA PRIVATE KEY-----`,
  'OpenSSH key': (p) =>
    `-----BEGIN OPENSSH PRIVATE KEY-----\n${Array.from({ length: 4 }, () => p(B64, 70)).join('\n')}\n-----END OPENSSH PRIVATE KEY-----`,
};

/** A name that gives it away stands before these. `secret` is what has to be found. */
const NAMED: Record<string, (p: Parameters<Shape>[0]) => { before: string; secret: string; after: string }> =
  {
    'AWS secret key': (p) => ({
      before: 'aws_secret_access_key = ',
      secret: p(B64, 39) + p(ALNUM, 1),
      after: '',
    }),
    'password in an environment': (p) => ({
      before: 'DB_PASSWORD=',
      secret: `${p(ALNUM, 9)}7${p('!#%', 1)}aQ`,
      after: '\n',
    }),
    'password in JSON': (p) => ({ before: '{"password": "', secret: `${p(ALNUM, 10)}4!`, after: '"}' }),
    'password in a URL': (p) => ({
      before: 'postgres://app:',
      secret: `${p(ALNUM, 14)}`,
      after: '@db.internal:5432/app',
    }),
    'key in YAML': (p) => ({ before: 'api_key: ', secret: p(ALNUM, 38) + '42', after: '\n' }),
    'key in code': (p) => ({ before: 'const apiKey = "', secret: p(ALNUM, 30) + '7k', after: '";' }),
    'bearer token': (p) => ({ before: 'Authorization: Bearer ', secret: p(ALNUM, 40), after: '\n' }),
    'basic credentials': (p) => ({
      before: 'curl -H "Authorization: Basic ',
      secret: Buffer.from(`deploy:${p(ALNUM, 18)}`).toString('base64'),
      after: '" https://host.internal',
    }),
  };

export const SECRET_KINDS: readonly string[] = [...Object.keys(SHAPES), ...Object.keys(NAMED)];

/** Where people and tools leave a secret: before it, and after. */
const AROUND: [string, string][] = [
  ['', ''],
  ['Here is the token I used: ', ' – please rotate it later.'],
  ['export TOKEN=', '\n'],
  ['{"auth":{"value":"', '"},"ok":true}'],
  ['$ curl -u ', ': https://api.internal/v1/me\nHTTP/2 200'],
  ['2026-05-01T10:00:00Z WARN request failed token=', ' status=401'],
  ["// eslint-disable-next-line, secretlint-disable, gitleaks:allow\nconst value = '", "';"],
  ['<config><value>', '</value></config>'],
  ['| name | value |\n| --- | --- |\n| prod | ', ' |'],
  ['the key (', ') is in the vault'],
];

export const VARIANTS = ['plain', 'concatenated', 'broken', 'base64', 'zero-width', 'full-width'] as const;
export type Variant = (typeof VARIANTS)[number];

function varied(secret: string, variant: Variant, random: Random): string {
  const at = Math.min(secret.length - 2, Math.floor(secret.length / 2) + random.below(3));
  const [first, second] = [secret.slice(0, at), secret.slice(at)];
  if (variant === 'concatenated') return `${first}" + "${second}`;
  if (variant === 'broken') return `${first}\\\n    ${second}`;
  if (variant === 'base64') return Buffer.from(`token: ${secret}\n`).toString('base64');
  if (variant === 'zero-width') return `${first}\u200b${second.slice(0, 1)}\u2060${second.slice(1)}`;
  if (variant === 'full-width')
    return secret.replace(/[!-~]/g, (one) => String.fromCharCode(one.charCodeAt(0) + 0xfee0));
  return secret;
}

export function secretSample(kind: string, variant: Variant, random: Random): Sample {
  const pick = (alphabet: string, count: number): string =>
    Array.from({ length: count }, () => alphabet[random.below(alphabet.length)]).join('');
  const named = NAMED[kind]?.(pick);
  const secret = varied(named?.secret ?? SHAPES[kind]?.(pick) ?? '', variant, random);
  const [open = '', close = ''] = AROUND[random.below(AROUND.length)] ?? [];
  const before = named ? `${random.below(2) ? 'see:\n' : ''}${named.before}` : open;
  const after = named ? named.after : close;
  // The address of a webhook begins with what all addresses begin with.
  const start = before.length + (/^(?:https|ｈｔｔｐｓ)/.test(secret) ? 'https://'.length : 0);
  return { kind, text: before + secret + after, start, end: before.length + secret.length };
}
