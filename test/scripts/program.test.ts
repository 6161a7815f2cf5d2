import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { verbIn } from '../../scripts/lib/program.ts';
import { GROUPS, VERBS } from '../../scripts/lib/verbs.ts';
import { emptyFolder, factory, FACTORY } from './cli.ts';

const flagOf = (flags: string): string => flags.split(' ')[0] ?? '';

describe('every verb', () => {
  it.each(VERBS.map((verb) => [verb.path, verb] as const))('%s explains itself', async (path, verb) => {
    const { exit, stdout, stderr } = await factory(emptyFolder(), [...path.split(' '), '--help']);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(stdout).toContain(`Usage: factory ${path}`);
    for (const flag of ['--json', ...(verb.options ?? []).map(({ flags }) => flagOf(flags))]) {
      expect(stdout).toContain(`  ${flag}`);
    }
    for (const { name, description } of verb.arguments ?? []) {
      expect(stdout).toMatch(new RegExp(`<${name}>|\\[${name}\\]`));
      expect(stdout).toContain(description);
    }
  });

  it('can be loaded', async () => {
    for (const verb of VERBS) expect(typeof (await verb.load()), verb.path).toBe('function');
  });

  it('stands in the guide with its options, and the guide names no other verb', () => {
    const guide = readFileSync(fileURLToPath(new URL('../../docs/cli.md', import.meta.url)), 'utf8');
    const named = [...guide.matchAll(/^\| `([a-z]+(?:-[a-z]+)*(?: [a-z]+)?)[^|`]*`/gm)].map(
      ([, name]) => name,
    );
    expect(named.sort()).toEqual(VERBS.map(({ path }) => path).sort());
    for (const { path, options = [] } of VERBS) {
      const row = guide.split('\n').find((line) => new RegExp(`^\\| \`${path}[\` ]`).test(line)) ?? '';
      for (const { flags } of options) expect(row, `${path} ${flags}`).toContain(flagOf(flags));
    }
  });

  it('has a group with a line of its own where it has two words', () => {
    const groups = VERBS.flatMap(({ path }) => (path.includes(' ') ? [path.split(' ')[0]] : []));
    expect(Object.keys(GROUPS).sort()).toEqual([...new Set(groups)].sort());
  });
});

it('names every verb in its own help', async () => {
  const { exit, stdout } = await factory(emptyFolder(), ['--help']);
  expect(exit).toBe(0);
  for (const { path } of VERBS) {
    const [first = '', second] = path.split(' ');
    const line = stdout.split('\n').find((text) => text.startsWith(`  ${first} `));
    expect(line, path).toContain(second ?? first);
  }
});

describe('help as one JSON document', () => {
  const help = async (...argv: string[]) => {
    const { exit, stdout, stderr } = await factory(emptyFolder(), argv);
    expect({ exit, stderr, lines: stdout.split('\n').length }).toEqual({ exit: 0, stderr: '', lines: 2 });
    return (JSON.parse(stdout) as { verbs: { path: string; options: { flags: string }[] }[] }).verbs;
  };
  const paths = (verbs: { path: string }[]) => verbs.map(({ path }) => path);

  it('lists every verb with its summary and options', async () => {
    const verbs = await help('--help', '--json');
    expect(paths(verbs)).toEqual(VERBS.map(({ path }) => path));
    for (const [index, { summary, options = [] }] of VERBS.entries()) {
      expect(verbs[index]).toMatchObject({ summary });
      const flags = verbs[index]?.options.map((option) => option.flags);
      expect(flags).toEqual([...options.map((option) => option.flags), '--json']);
    }
  });

  it('lists the verbs of a group, and one verb', async () => {
    expect(paths(await help('token', '--help', '--json'))).toEqual([
      'token create',
      'token list',
      'token revoke',
    ]);
    expect(paths(await help('items', 'act', '-h', '--json'))).toEqual(['items act']);
    expect(paths(await help('help', 'serve', '--json'))).toEqual(['serve']);
  });

  it('is no help for a word that is no verb', async () => {
    const { exit, stdout } = await factory(emptyFolder(), ['nonsense', '--help', '--json']);
    expect(exit).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: expect.any(String) } });
  });
});

it('tells its version', async () => {
  const folder = emptyFolder();
  const told = await factory(folder, ['--version']);
  expect(told).toMatchObject({ exit: 0, stderr: '' });
  expect(told.stdout).toMatch(/^\d+\.\d+\.\d+ \(release development\)\n$/);
  expect((await factory(folder, ['-V'], { FACTORY_RELEASE: 'r7' })).stdout).toContain('(release r7)');
  expect((await factory(folder, ['-V'], { FACTORY_PORT: 'x' })).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

describe('a mistake in the call', () => {
  it.each([
    [[], /^factory: Name a verb: serve, .*governance\.$/m, '--help'],
    [['undeploy', '--help'], /^factory: Unknown command 'undeploy'\./, '--help'],
    [['help', 'nonsense'], /^factory: Unknown command 'nonsense'\./, '--help'],
    [['people', 'lst', '-h'], /Did you mean list\?/, 'people --help'],
    [['itmes'], /Unknown command 'itmes'\. Did you mean items\?/, '--help'],
    [['people'], /^factory people: Name a verb: invite, link, role, list, remove\.$/m, 'people --help'],
    [['people', 'lst'], /Did you mean list\?/, 'people --help'],
    [['items', 'act'], /Missing required argument 'id'/, 'items act --help'],
    [['items', 'act', 'wi-A', 'mark-redy'], /Allowed choices are .*mark-ready/, 'items act --help'],
    [['items', 'list', '--lane', 'doing'], /Allowed choices are backlog, ready/, 'items list --help'],
    [['doctor', '--jsno'], /Unknown option '--jsno'\. Did you mean --json\?/, 'doctor --help'],
    [
      ['people', 'invite', '--nmae', 'x', '--role', 'owner'],
      /Unknown option '--nmae'\. Did you mean --name\?/,
      'people invite --help',
    ],
    [
      ['people', 'invite', '--name', '--nmae', '--rloe=owner'],
      /Unknown option '--rloe'\. Did you mean --role\?/,
      'people invite --help',
    ],
    [['login-link', '--person', 'x'], /Unknown option '--person'\.$/m, 'login-link --help'],
    [['doctor', 'now'], /[Tt]oo many arguments/, 'doctor --help'],
    [['people', 'invite', '--name', 'A'], /'--role <role>' not specified/, 'people invite --help'],
    [
      ['token', 'create', '--name', 'A', '--role', 'ci,boss'],
      /"boss" is none of owner/,
      'token create --help',
    ],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/, 'completion --help'],
  ])('%j is explained', async (argv, message, way) => {
    const folder = emptyFolder();
    const plain = await factory(folder, argv);
    expect(plain).toMatchObject({ exit: 2, stdout: '' });
    expect(plain.stderr).toMatch(message);
    expect(plain.stderr.trimEnd().split('\n').at(-1)).toBe(`Try: ${FACTORY} ${way}`);

    const json = await factory(folder, [...argv, '--json']);
    expect(json.exit).toBe(2);
    expect(json.json()).toEqual({
      error: {
        code: 'usage',
        op: expect.stringMatching(/^factory/),
        target: null,
        message: expect.stringMatching(/./),
        hint: `Try: ${FACTORY} ${way}`,
        retryable: false,
      },
    });
  });
});

it.each([
  ['help', '--help'],
  ['help items', 'items --help'],
  ['help items act', 'items act --help'],
])('%s is %s', async (typed, meant) => {
  const [asked, flag] = await Promise.all(
    [typed, meant].map((words) => factory(emptyFolder(), words.split(' '))),
  );
  expect(asked?.exit).toBe(0);
  expect(asked?.stdout).toContain('Usage: factory');
  expect(asked?.stdout).toBe(flag?.stdout);
});

describe('a configuration that is wrong', () => {
  it('is told as a whole before anything is touched', async () => {
    const folder = emptyFolder();
    const env = { FACTORY_PROT: '1', FACTORY_PORT: 'x', FACTORY_ENV: 'prod' };
    const { exit, stderr, json } = await factory(folder, ['login-link', '--json'], env);
    expect(exit).toBe(2);
    for (const name of Object.keys(env)) expect(stderr).toContain(`${name}: `);
    const { error } = json<{ error: { code: string; problems: { name: string }[] } }>();
    expect(error.code).toBe('config-invalid');
    expect(error.problems.map(({ name }) => name).sort()).toEqual(Object.keys(env).sort());
    expect(existsSync(`${folder}/data`)).toBe(false);
  });
});

it.each([
  [[], ''],
  [['--json'], ''],
  [['serve', '--json'], 'serve'],
  [['items', 'act', 'wi-A'], 'items act'],
  [['items', 'wi-A'], 'items'],
  [['nothing'], ''],
])('finds the verb in %j', (argv, verb) => {
  expect(verbIn(argv)).toBe(verb);
});

it('prints commands as they can be typed where it was called', async () => {
  const clone = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
  const lines: string[] = [];
  for (const folder of [clone, `${clone}/docs`, emptyFolder()])
    lines.push((await factory(folder, ['itmes'])).stderr.trimEnd().split('\n').at(-1) ?? '');
  expect(lines).toEqual(['Try: npx factory --help', 'Try: npx factory --help', `Try: ${FACTORY} --help`]);
  const { stdout } = await factory(emptyFolder(), ['completion', '--help']);
  expect(stdout).toContain(`alias factory="${FACTORY}"`);
  const missing = await factory(emptyFolder(), ['people', 'list', '--json']);
  expect(missing.json()).toMatchObject({ error: { hint: expect.stringContaining(`\`${FACTORY} serve\``) } });
});
