import {
  alnum,
  alnumAnd,
  base32,
  base64,
  base64url,
  digit,
  hex,
  hexAnd,
  letter,
  lettersOf,
  longRunEnd,
  lowerDigit,
  runEnd,
  upperDigit,
  word,
} from './letters.ts';
import type { Letters } from './letters.ts';
import type { Rule, Span } from './hit.ts';

/**
 * Secrets that their issuers gave a form of their own: a beginning, then so many characters of a kind. The forms are those
 * that the issuers document. Checksums inside of tokens are not looked at: who mistypes a token gives away most of it.
 */

/** A text as it stands, or so many characters of a kind. */
type Piece = string | [letters: Letters, least: number, most?: number];

const LONG = 4000;
const base64Whole = lettersOf('=');

/** Rule ids with the forms that each has; all forms begin with a text. */
const FORMS: [id: string, ...forms: Piece[][]][] = [
  [
    'aws-access-key-id',
    ...['AKIA', 'ASIA', 'ABIA', 'ACCA'].map((start): Piece[] => [start, [base32, 16, 16]]),
  ],
  ['github-personal-token', ['ghp_', [alnum, 36, 251]], ['github_pat_', [word, 82, 82]]],
  ['github-oauth-token', ['gho_', [alnum, 36, 251]]],
  ['github-app-token', ['ghu_', [alnum, 36, 251]], ['ghs_', [alnum, 36, 251]]],
  ['github-refresh-token', ['ghr_', [alnum, 36, 251]]],
  ['gitlab-personal-token', ['glpat-', [base64url, 20, 300]]],
  [
    'gitlab-other-token',
    ...['gldt-', 'glrt-', 'glcbt-', 'glptt-', 'glft-', 'glimt-', 'glagent-', 'glsoat-', 'gloas-'].map(
      (start): Piece[] => [start, [base64url, 20, 300]],
    ),
  ],
  ['slack-bot-token', ['xoxb-', [alnumAnd('-'), 24, 200]]],
  [
    'slack-user-token',
    ...['xoxp-', 'xoxa-', 'xoxr-', 'xoxs-', 'xoxe-', 'xoxc-', 'xoxd-', 'xoxo-'].map((start): Piece[] => [
      start,
      [alnumAnd('-%'), 24, 300],
    ]),
  ],
  [
    'slack-app-token',
    ['xapp-', [digit, 1, 2], '-', [upperDigit, 8, 20], '-', [digit, 8, 20], '-', [lowerDigit, 32, 128]],
  ],
  [
    'slack-webhook',
    ['hooks.slack.com/services/', [upperDigit, 8, 14], '/', [upperDigit, 8, 14], '/', [alnum, 20, 30]],
  ],
  ['stripe-secret-key', ['sk_live_', [alnum, 16, 250]], ['sk_test_', [alnum, 16, 250]]],
  ['stripe-restricted-key', ['rk_live_', [alnum, 16, 250]], ['rk_test_', [alnum, 16, 250]]],
  ['1password-service-token', ['ops_eyJ', [base64, 80, LONG]]],
  ['cloudflare-token', ...['cfk_', 'cfut_', 'cfat_'].map((start): Piece[] => [start, [alnum, 48, 48]])],
  [
    'vercel-token',
    ...['vcp_', 'vci_', 'vca_', 'vcr_', 'vck_'].map((start): Piece[] => [start, [alnum, 20, 60]]),
  ],
  ['stripe-webhook-secret', ['whsec_', [base64, 24, 100]]],
  ['google-api-key', ['AIza', [base64url, 35, 35]]],
  ['google-oauth-secret', ['GOCSPX-', [base64url, 28, 28]]],
  ['google-oauth-token', ['ya29.', [base64url, 20, 2000]]],
  [
    'openai-key',
    ['sk-proj-', [base64url, 40, 300]],
    ['sk-svcacct-', [base64url, 40, 300]],
    ['sk-admin-', [base64url, 40, 300]],
    ['sk-', [alnum, 48, 48]],
  ],
  ['anthropic-key', ['sk-ant-', [base64url, 60, 200]]],
  ['openrouter-key', ['sk-or-v1-', [hex, 64, 64]]],
  ['huggingface-token', ['hf_', [letter, 34, 34]], ['api_org_', [letter, 34, 34]]],
  ['replicate-token', ['r8_', [alnum, 37, 37]]],
  ['groq-key', ['gsk_', [alnum, 52, 52]]],
  ['perplexity-key', ['pplx-', [alnum, 40, 64]]],
  ['xai-key', ['xai-', [alnum, 70, 90]]],
  ['npm-token', ['npm_', [alnum, 36, 36]]],
  ['pypi-token', ['pypi-AgE', [base64url, 50, 1000]]],
  ['rubygems-key', ['rubygems_', [hex, 48, 48]]],
  ['crates-token', ['cio', [alnum, 32, 32]]],
  ['clojars-token', ['CLOJARS_', [lowerDigit, 60, 60]]],
  ['docker-token', ['dckr_pat_', [base64url, 27, 40]], ['dckr_oat_', [base64url, 27, 60]]],
  ['artifactory-key', ['AKC', [alnum, 60, 80]], ['cmVmdGtu', [alnum, 56, 56]]],
  ['digitalocean-token', ['dop_v1_', [hex, 64, 64]], ['doo_v1_', [hex, 64, 64]], ['dor_v1_', [hex, 64, 64]]],
  ['heroku-key', ['HRKU-', [base64url, 36, 100]]],
  ['sendgrid-key', ['SG.', [base64url, 22, 22], '.', [base64url, 43, 43]]],
  ['mailgun-key', ['key-', [lowerDigit, 32, 32]]],
  ['twilio-key', ['SK', [hex, 32, 32]]],
  [
    'discord-webhook',
    ['discord.com/api/webhooks/', [digit, 17, 20], '/', [base64url, 60, 80]],
    ['discordapp.com/api/webhooks/', [digit, 17, 20], '/', [base64url, 60, 80]],
  ],
  [
    'teams-webhook',
    [
      '.webhook.office.com/webhookb2/',
      [hexAnd('-@'), 60, 90],
      '/IncomingWebhook/',
      [hex, 32, 32],
      '/',
      [base64url, 36, 36],
    ],
  ],
  [
    'shopify-token',
    ...['shpat_', 'shpca_', 'shppa_', 'shpss_'].map((start): Piece[] => [start, [hex, 32, 32]]),
  ],
  [
    'square-token',
    ['sq0atp-', [base64url, 22, 22]],
    ['sq0csp-', [base64url, 43, 43]],
    ['EAAA', [base64url, 60, 60]],
  ],
  [
    'braintree-token',
    ['access_token$production$', [lowerDigit, 16, 16], '$', [hex, 32, 32]],
    ['access_token$sandbox$', [lowerDigit, 16, 16], '$', [hex, 32, 32]],
  ],
  [
    'plaid-token',
    ...['access-sandbox-', 'access-development-', 'access-production-'].map((start): Piece[] => [
      start,
      [hexAnd('-'), 36, 36],
    ]),
  ],
  ['atlassian-token', ['ATATT3', [alnumAnd('-_='), 100, 250]]],
  ['linear-key', ['lin_api_', [alnum, 40, 40]], ['lin_oauth_', [hex, 64, 64]]],
  ['notion-token', ['ntn_', [alnum, 40, 60]], ['secret_', [alnum, 43, 43]]],
  ['airtable-token', ['pat', [alnum, 14, 14], '.', [hex, 64, 64]]],
  ['figma-token', ['figd_', [base64url, 40, 60]]],
  ['postman-key', ['PMAK-', [hex, 24, 24], '-', [hex, 34, 34]]],
  ['newrelic-key', ['NRAK-', [upperDigit, 27, 27]], ['NRJS-', [hex, 19, 19]], ['NRIQ-', [base64url, 32, 32]]],
  ['grafana-token', ['glsa_', [alnum, 32, 32], '_', [hex, 8, 8]], ['glc_', [base64, 32, 400]]],
  ['sentry-token', ['sntrys_', [alnumAnd('+/=_'), 60, 400]], ['sntryu_', [hex, 64, 64]]],
  ['databricks-token', ['dapi', [hex, 32, 32]]],
  ['vault-token', ['hvs.', [base64url, 24, 300]], ['hvb.', [base64url, 100, 300]]],
  ['terraform-token', ['.atlasv1.', [base64url, 60, 70]]],
  [
    'doppler-token',
    ...['dp.pt.', 'dp.st.', 'dp.ct.', 'dp.sa.'].map((start): Piece[] => [start, [alnumAnd('._-'), 40, 70]]),
  ],
  ['pulumi-token', ['pul-', [hex, 40, 40]]],
  [
    'planetscale-token',
    ['pscale_tkn_', [base64url, 32, 64]],
    ['pscale_pw_', [base64url, 32, 64]],
    ['pscale_oauth_', [base64url, 32, 64]],
  ],
  ['supabase-token', ['sbp_', [hex, 40, 40]], ['sb_secret_', [base64url, 20, 60]]],
  ['netlify-token', ['nfp_', [alnum, 36, 40]]],
  ['vercel-token', ['vercel_blob_rw_', [word, 30, 60]]],
  ['cloudflare-ca-key', ['v1.0-', [hex, 24, 24], '-', [hex, 146, 146]]],
  ['azure-client-secret', ['8Q~', [alnumAnd('_.~-'), 31, 34]], ['7Q~', [alnumAnd('_.~-'), 31, 34]]],
  ['azure-storage-key', ['AccountKey=', [base64, 86, 86], [base64Whole, 2, 2]]],
  ['azure-shared-access-key', ['SharedAccessKey=', [base64, 43, 43], [base64Whole, 1, 1]]],
  [
    'json-web-token',
    ['eyJ', [base64url, 10, LONG], '.eyJ', [base64url, 10, LONG], '.', [base64url, 10, LONG]],
  ],
  ['age-secret-key', ['AGE-SECRET-KEY-1', [upperDigit, 58, 58]]],
  ['build-factory-token', ['bf_', [base64url, 40, 60]]],
  ['fly-token', ['fo1_', [base64url, 43, 43]], ['fm1r_', [base64, 100, LONG]], ['fm2_', [base64, 100, LONG]]],
  ['adafruit-key', ['aio_', [alnum, 28, 28]]],
  [
    'dynatrace-token',
    ['dt0c01.', [base32, 24, 24], '.', [base32, 64, 64]],
    ['dt0s01.', [base32, 24, 24], '.', [base32, 64, 64]],
  ],
  ['easypost-key', ['EZAK', [alnum, 54, 54]], ['EZTK', [alnum, 54, 54]]],
  ['sonar-token', ['squ_', [hex, 40, 40]], ['sqp_', [hex, 40, 40]], ['sqa_', [hex, 40, 40]]],
  ['typeform-token', ['tfp_', [alnumAnd('-_.='), 59, 59]]],
  ['readme-key', ['rdme_', [lowerDigit, 70, 70]]],
  ['prefect-key', ['pnu_', [alnum, 36, 36]]],
  ['scalingo-token', ['tk-us-', [base64url, 48, 48]]],
  ['shippo-token', ['shippo_live_', [hex, 40, 40]], ['shippo_test_', [hex, 40, 40]]],
  ['tailscale-key', ['tskey-', [letter, 3, 12], '-', [alnum, 8, 20], '-', [alnum, 16, 40]]],
  ['mapbox-token', ['sk.eyJ', [base64url, 40, 200], '.', [base64url, 20, 30]]],
  ['hubspot-token', ['pat-na1-', [hexAnd('-'), 36, 36]], ['pat-eu1-', [hexAnd('-'), 36, 36]]],
  ['snyk-token', ['snyk_uat.', [hex, 8, 8], '.', [base64url, 60, 400]]],
  ['circleci-token', ['CCIPAT_', [alnum, 20, 24], '_', [hex, 40, 40]]],
  ['buildkite-token', ['bkua_', [hex, 40, 40]]],
  [
    'onepassword-token',
    ['ops_eyJ', [base64, 250, LONG]],
    [
      'A3-',
      [upperDigit, 6, 6],
      '-',
      [upperDigit, 6, 11],
      '-',
      [upperDigit, 5, 5],
      '-',
      [upperDigit, 5, 5],
      '-',
      [upperDigit, 5, 5],
    ],
  ],
  ['contentful-token', ['CFPAT-', [base64url, 43, 43]]],
  ['facebook-token', ['EAACEdEose0cBA', [alnum, 20, 300]], ['EAAM', [alnum, 80, 300]]],
  ['alibaba-access-key', ['LTAI', [alnum, 20, 20]]],
  ['tencent-secret-id', ['AKID', [alnum, 32, 32]]],
];

/** Of words that tokens are known by although something stands before them: so many characters. */
const HEADS: Record<string, number> = { 'azure-client-secret': 3, 'terraform-token': 14 };

/** What stands before a beginning must be no letter, digit or underline: else it is a part of a word. */
function formMatcher(form: readonly Piece[], head: number): Rule['match'] {
  const [beginning, ...rest] = form as [string, ...Piece[]];
  return (text, at, after): Span | null => {
    const start = at - head;
    if (start < 0 || text.slice(at, after) !== beginning || runEnd(text, start, alnum, head) !== at)
      return null;
    if (start > 0 && word(text.charCodeAt(start)) && word(text.charCodeAt(start - 1))) return null;
    const end = endOf(text, after, rest);
    return end === null ? null : { start, end };
  };
}

function endOf(text: string, from: number, pieces: readonly Piece[]): number | null {
  let at = from;
  for (const [index, piece] of pieces.entries()) {
    if (typeof piece === 'string') {
      if (!text.startsWith(piece, at)) return null;
      at += piece.length;
      continue;
    }
    const [letters, least, most = least] = piece;
    const end = (most > 500 ? longRunEnd : runEnd)(text, at, letters, most);
    if (end - at < least) return null;
    at = end;
    // What is longer than the form is something else.
    const isLast = index === pieces.length - 1;
    if (isLast && at < text.length && letters(text.charCodeAt(at)) && alnum(text.charCodeAt(at))) return null;
  }
  return at;
}

/** Tokens that begin with letters that words begin with, too, have digits in them, and letters of both cases. */
const MIXED = new Set([
  'crates-token',
  'twilio-key',
  'openai-key',
  'huggingface-token',
  'artifactory-key',
  'square-token',
]);

function isMixed(text: string): boolean {
  return /\d/.test(text) || (/[a-z]/.test(text) && /[A-Z]/.test(text));
}

function ruleOf(id: string, form: Piece[]): Rule {
  const start = form[0] as string;
  const match = formMatcher(form, HEADS[id] ?? 0);
  return {
    ...{ id, category: 'secrets', keywords: [start.toLowerCase()] },
    match(text, at, after) {
      const found = match(text, at, after);
      if (found && MIXED.has(id) && !isMixed(text.slice(after, found.end))) return null;
      return found;
    },
  };
}

export const TOKEN_RULES: readonly Rule[] = FORMS.flatMap(([id, ...forms]) =>
  forms.map((form) => ruleOf(id, form)),
);
