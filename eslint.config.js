import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

const root = dirname(fileURLToPath(import.meta.url));

// ---- which way things point: http -> domains -> audit, access -> storage; scripts beside it; infra on its own

const DOMAINS = ['work-items', 'handoffs', 'chat', 'jobs', 'ops'];
const service = (...names) => names.map((name) => `./service/${name}`);
const zone = (target, from, message, except = undefined) => ({
  target,
  from,
  message,
  ...(except && { except }),
});

const zones = [
  zone(
    service(...DOMAINS, 'restored', 'audit', 'access', 'storage'),
    service('http', 'main.ts', 'app.ts', 'context.ts'),
    'Domains and what lies below know nothing of HTTP and of the wiring.',
  ),
  zone(
    './service/http/api',
    './service/http/web',
    'The two faces call the same domain function, not each other.',
  ),
  zone(
    './service/http/web',
    './service/http/api',
    'The two faces call the same domain function, not each other.',
  ),
  ...DOMAINS.flatMap((domain) =>
    DOMAINS.filter((other) => other !== domain).map((other) =>
      zone(
        `./service/${domain}`,
        `./service/${other}/store.ts`,
        'A domain asks another one, never its store.',
      ),
    ),
  ),
  zone('./service/work-items', './service/chat', 'Work items and chat never import each other.'),
  zone('./service/chat', './service/work-items', 'Work items and chat never import each other.'),
  zone(
    service('audit', 'access'),
    service(...DOMAINS.filter((domain) => domain !== 'work-items')),
    'Audit and access lie below the domains.',
  ),
  zone(
    service('audit', 'access'),
    './service/work-items',
    'Of the domains, what lies below knows the shared words only.',
    ['./types.ts'],
  ),
  zone('./service/audit', './service/access', 'Audit lies below access: access records what it does.'),
  zone('./service/storage', service(...DOMAINS, 'audit', 'access'), 'Storage knows no domain.'),
  zone('./service', ['./scripts', './infra', './test', './bench'], 'The service stands without its tools.'),
  zone(
    './scripts',
    service('http', 'app.ts', 'context.ts', 'handoffs', 'ops'),
    'A script must work while the service is down.',
  ),
  zone(
    './scripts',
    './service/chat',
    'Of conversations, scripts know the keys and the erasure journal only.',
    ['./keys/keys.ts', './keys/key-file.ts', './keys/opened-keys.ts', './erasure/journal.ts'],
  ),
  zone('./scripts', './service/work-items', 'Of the work items, scripts read the queue folder only.', [
    './record.ts',
    './record-text.ts',
    './types.ts',
    './init.ts',
    './queue-home.ts',
    './validate.ts',
    './packs.ts',
    './policy.ts',
    './documents.ts',
    './change-words.ts',
  ]),
  zone(
    './scripts',
    ['./infra', './test', './bench'],
    'Scripts run from a release, which carries none of these.',
  ),
  zone('./infra', ['./service', './test', './bench'], 'infra imports nothing of ours.'),
  zone('./infra', './scripts', 'Of the scripts, infra knows the description of a host only.', ['./lib/host']),
];

// ---- packages that belong to one place

const packages = (names, message) => names.map((name) => ({ name, message }));
const ZX = packages(['zx'], 'Only scripts/lib/run.ts runs commands.');
const DRIVERS = packages(['better-sqlite3', 'pg'], 'Only service/storage names an engine.');
const BUILDER = packages(['kysely'], 'Queries live in stores.');
const HTTP = packages(['express'], 'Only service/http and service/app.ts know HTTP.');
const IO = packages(
  ['node:fs', 'node:fs/promises', 'node:net', 'node:http', 'node:https', 'node:child_process'],
  'A rule takes facts and now; it never fetches.',
);
const PULUMI = packages(['@pulumi/pulumi'], 'Rules of infra/ are tables and functions; components build.');
const WRITERS = {
  regex: '(^|/)(store|service|storage/.*|http/.*)\\.ts$',
  message: 'A rule takes facts and now; it imports types only from whoever fetches or writes.',
  allowTypeImports: true,
};

/** One file can match several blocks and the last wins, so each lists all that it forbids. */
const forbid = (files, ...paths) => ({
  files,
  rules: { '@typescript-eslint/no-restricted-imports': ['error', { paths: paths.flat() }] },
});

/** Rule files: taught apart in docs as "pure", readable and testable alone. */
const RULES = [
  'service/work-items/{lanes,actions,truth,drift,guidance}.ts',
  'service/work-items/gates/**/*.ts',
  'service/handoffs/lease.ts',
  'service/chat/{policy,retention/retention,holds/holds,erasure/erasure,grants/grants}.ts',
  'service/chat/sensitive/**/*.ts',
  'service/audit/{merkle,verify}.ts',
  'service/access/roles.ts',
  'service/ops/health.ts',
  'scripts/lib/plans/**/*.ts',
  'infra/config.ts',
  'infra/lib/{access,destinations,firewall,names,prices,records,take,user-data}.ts',
  'infra/policy/rules.ts',
  'scripts/lib/deploy/rules/**/*.ts',
  'scripts/lib/release/{contents,tar}.ts',
];

export default tseslint.config(
  { ignores: ['node_modules/', 'data/', 'coverage/', '.tools/', 'service/http/web/public/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: root } },
    settings: {
      'import-x/extensions': ['.ts'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.js', '.mjs'] })],
    },
    rules: {
      'import-x/no-cycle': 'error',
      'import-x/no-restricted-paths': ['error', { basePath: root, zones }],
      'max-lines': ['error', 300],
      // Functions are near 10 lines; a `createX` that returns its closures counts as one, hence the room.
      'max-lines-per-function': ['error', { max: 120, skipBlankLines: true, skipComments: true }],
      eqeqeq: 'error',
      'no-restricted-syntax': [
        'error',
        { selector: 'TSEnumDeclaration', message: 'Types are erased: no enums.' },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      // Parts of the service are closures in an object; none uses `this`, and they are handed on by name.
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      // An async function is also how a port's promise is kept where nothing has to be awaited.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
    },
  },
  forbid(['**/*.ts'], ZX, DRIVERS),
  forbid([`service/{${DOMAINS.join(',')},audit,access}/**/*.ts`], ZX, DRIVERS, HTTP),
  forbid(['service/http/**/*.ts', 'service/*.ts'], ZX, DRIVERS, BUILDER),
  forbid(['service/storage/**/*.ts'], ZX, HTTP),
  forbid(['scripts/lib/run.ts'], DRIVERS),
  {
    files: ['infra/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          paths: [ZX, DRIVERS, HTTP, BUILDER].flat(),
          patterns: [
            {
              regex: '^@pulumi/(aws|digitalocean)$|^@pulumi/aws/[a-z0-9]+(/index(\\.js)?)?$',
              message: 'Name the file, as in @pulumi/aws/s3/bucket.js: the whole SDK takes seconds.',
            },
          ],
        },
      ],
    },
  },
  forbid(['test/**/*.ts', 'bench/**/*.ts'], ZX),
  {
    files: RULES,
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { paths: [ZX, DRIVERS, HTTP, BUILDER, IO, PULUMI].flat(), patterns: [WRITERS] },
      ],
    },
  },
  {
    files: ['service/**/*.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'exit', message: 'The service ends by closing what it opened.' },
      ],
    },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'max-lines': 'off',
      'max-lines-per-function': 'off',
      // Matchers such as expect.any(), and parsed answers, are typed any.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
    },
  },
  {
    // Pulumi's protocol is generated code whose types are not for the outside.
    files: ['test/cloud/plugins/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unnecessary-type-assertion': 'off',
    },
  },
  {
    // A list of words, and lists of statements, that are read from top to bottom.
    files: ['service/work-items/types.ts', 'service/storage/migrations/*.ts'],
    rules: { 'max-lines': 'off', 'max-lines-per-function': 'off' },
  },
);
