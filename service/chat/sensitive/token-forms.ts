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
  lowerDigit,
  upperDigit,
  word,
} from './letters.ts';
import type { Letters } from './letters.ts';

/**
 * Secrets that their issuers gave a form of their own: a beginning, then so many characters of a kind. The forms are those
 * that the issuers document. Checksums inside of tokens are not looked at: who mistypes a token gives away most of it.
 */

/** A text as it stands, or so many characters of a kind. */
export type Piece = string | [letters: Letters, least: number, most?: number];

/** As long as anybody makes one. */
export const LONG = 4000;
const base64Whole = lettersOf('=');

/** Rule ids with the forms that each has; all forms begin with a text. */
export const FORMS: [id: string, ...forms: Piece[][]][] = [
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
    ...[
      'gldt-',
      'glrt-',
      'glcbt-',
      'glptt-',
      'glft-',
      'glimt-',
      'glagent-',
      'glsoat-',
      'gloas-',
      'glffct-',
      'glwt-',
    ].map((start): Piece[] => [start, [base64url, 20, 300]]),
    ['GR1348941', [base64url, 20, 20]],
    ['_gitlab_session=', [lowerDigit, 32, 32]],
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
    ['hooks.slack.com/workflows/', [alnumAnd('+/'), 43, 64]],
    ['hooks.slack.com/triggers/', [alnumAnd('+/'), 43, 64]],
  ],
  [
    'stripe-secret-key',
    ...['sk_live_', 'sk_test_', 'sk_prod_'].map((start): Piece[] => [start, [alnum, 10, 250]]),
  ],
  [
    'stripe-restricted-key',
    ...['rk_live_', 'rk_test_', 'rk_prod_'].map((start): Piece[] => [start, [alnum, 10, 250]]),
  ],
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
  ['artifactory-key', ['AKC', [alnum, 60, 80]], ['cmVmd', [alnum, 59, 59]]],
  ['digitalocean-token', ['dop_v1_', [hex, 64, 64]], ['doo_v1_', [hex, 64, 64]], ['dor_v1_', [hex, 64, 64]]],
  ['heroku-key', ['HRKU-', [base64url, 36, 100]]],
  ['sendgrid-key', ['SG.', [base64url, 22, 22], '.', [base64url, 43, 43]]],
  ['mailgun-key', ['key-', [lowerDigit, 32, 32]], ['pubkey-', [hex, 32, 32]]],
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
  [
    'newrelic-key',
    ['NRAK-', [upperDigit, 27, 27]],
    ['NRJS-', [hex, 19, 19]],
    ['NRIQ-', [base64url, 32, 32]],
    ['NRII-', [base64url, 32, 32]],
  ],
  [
    'grafana-token',
    ['glsa_', [alnum, 32, 32], '_', [hex, 8, 8]],
    ['glc_', [base64, 32, 400]],
    ['eyJrIjoi', [alnum, 70, 400]],
  ],
  ['sentry-token', ['sntrys_', [alnumAnd('+/=_'), 60, 400]], ['sntryu_', [hex, 64, 64]]],
  ['databricks-token', ['dapi', [hex, 32, 32]]],
  ['vault-token', ['hvs.', [base64url, 24, 300]], ['hvb.', [base64url, 100, 300]]],
  ['terraform-token', ['.atlasv1.', [alnumAnd('_=-'), 60, 70]]],
  [
    'doppler-token',
    ...['dp.pt.', 'dp.st.', 'dp.ct.', 'dp.sa.'].map((start): Piece[] => [start, [alnumAnd('._-'), 40, 70]]),
  ],
  ['pulumi-token', ['pul-', [hex, 40, 40]]],
  [
    'planetscale-token',
    ...['pscale_tkn_', 'pscale_pw_', 'pscale_oauth_'].map((start): Piece[] => [
      start,
      [alnumAnd('_=.-'), 32, 64],
    ]),
  ],
  ['supabase-token', ['sbp_', [hex, 40, 40]], ['sb_secret_', [base64url, 20, 60]]],
  ['netlify-token', ['nfp_', [alnum, 36, 40]]],
  ['vercel-token', ['vercel_blob_rw_', [word, 30, 60]]],
  ['cloudflare-ca-key', ['v1.0-', [hex, 24, 24], '-', [hex, 146, 146]]],
  [
    'azure-client-secret',
    ...[...'0123456789'].map((version): Piece[] => [`${version}Q~`, [alnumAnd('_.~-'), 31, 34]]),
  ],
  ['azure-storage-key', ['AccountKey=', [base64, 86, 86], [base64Whole, 2, 2]]],
  ['azure-shared-access-key', ['SharedAccessKey=', [base64, 43, 43], [base64Whole, 1, 1]]],
  [
    'json-web-token',
    ['eyJ', [base64url, 10, LONG], '.eyJ', [base64url, 10, LONG], '.', [base64url, 10, LONG]],
  ],
  ['age-secret-key', ['AGE-SECRET-KEY-1', [upperDigit, 58, 58]]],
  ['build-factory-token', ['bf_', [base64url, 40, 60]]],
  ['fly-token', ['fo1_', [base64url, 43, 43]], ['fm1r_', [base64, 100, LONG]], ['fm2_', [base64, 100, LONG]]],
];
