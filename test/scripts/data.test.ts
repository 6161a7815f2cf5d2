import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startCommand } from '../../scripts/init.ts';
import { runFactory } from '../../scripts/lib/program.ts';
import { emptyFolder, factory, FACTORY } from './cli.ts';

interface People {
  people: { id: string; name: string; status: string; roles: string[]; tokens: { id: string }[] }[];
}

describe('people and tokens', () => {
  it('are made, listed and ended on the data, without a service', async () => {
    const folder = emptyFolder();
    const invited = await factory(folder, [
      'people',
      'invite',
      '--name',
      'Ada',
      '--role',
      'planner',
      '--json',
    ]);
    expect(invited.exit).toBe(0);
    expect(invited.stderr).toContain('There is no database');
    const ada = invited.json<{ id: string; url: string; expiresAt: string }>();
    expect(ada.url).toMatch(/^http:\/\/127\.0\.0\.1:8700\/login\?link=[\w-]{43}$/);

    const made = await factory(folder, [
      ...['token', 'create', '--name', 'pipeline', '--role', 'ci,agent'],
      ...['--owner', 'Ada', '--expires', '30d', '--json'],
    ]);
    const token = made.json<{
      id: string;
      roles: string[];
      token: string;
      owner: { id: string };
      expiresAt: string;
    }>();
    expect(token).toMatchObject({ roles: ['ci', 'agent'], owner: { id: ada.id, name: 'Ada' } });
    const days = (Date.parse(token.expiresAt) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(29.9);
    expect(days).toBeLessThan(30.1);
    for (const name of ['factory.db', 'factory.db-wal']) {
      const path = join(folder, 'data', name);
      if (existsSync(path)) expect(readFileSync(path).includes(token.token)).toBe(false);
    }

    expect((await factory(folder, ['token', 'revoke', token.id])).exit).toBe(0);
    expect((await factory(folder, ['token', 'list'])).stdout).toMatch(
      /revoked +ci,agent +Ada +never .*pipeline/,
    );
    expect((await factory(folder, ['people', 'remove', ada.id])).exit).toBe(0);
    const { people } = (await factory(folder, ['people', 'list', '--json'])).json<People>();
    expect(people.map(({ name, status }) => [name, status])).toEqual([
      ['Owner', 'active'],
      ['Ada', 'removed'],
    ]);
    expect((await factory(folder, ['verify-audit'])).exit).toBe(0);
  });

  it('come back by a new link, and change their role, which their tokens follow', async () => {
    const folder = emptyFolder();
    const invite = ['people', 'invite', '--name', 'Ada', '--role', 'owner'];
    const ada = (await factory(folder, [...invite, '--json'])).json<{ id: string; url: string }>();
    const link = await factory(folder, ['people', 'link', ada.id, '--sign-out', '--json']);
    expect(link.exit).toBe(0);
    expect(link.json()).toMatchObject({ id: ada.id, url: expect.stringContaining('/login?link=') });
    expect(link.json<{ url: string }>().url).not.toBe(ada.url);

    const role = await factory(folder, ['people', 'role', ada.id, '--role', 'reviewer', '--json']);
    expect(role.json()).toEqual({ id: ada.id, roles: ['reviewer'] });
    expect((await factory(folder, ['people', 'list'])).stdout).toMatch(/reviewer .* Ada$/m);
    const unknown = await factory(folder, ['people', 'role', 'nobody', '--role', 'ci', '--json']);
    expect(unknown.json()).toMatchObject({ error: { code: 'not-found' } });

    const twice = await factory(folder, invite.with(3, 'ada '));
    expect(twice.exit).toBe(0);
    expect(twice.stderr).toContain(`then people link ${ada.id}`);
    expect((await factory(folder, ['verify-audit'])).exit).toBe(0);
  });

  it('belong to the first owner unless a person is named; a name has to be of one person', async () => {
    const folder = emptyFolder();
    const create = ['token', 'create', '--name', 'T', '--role', 'agent'];
    const bare = (await factory(folder, [...create])).stdout.trim();
    expect(bare).toMatch(/^bf_[\w-]{43}$/);
    for (const role of ['planner', 'agent'])
      await factory(folder, ['people', 'invite', '--name', 'Ada', '--role', role]);
    const twice = await factory(folder, [...create, '--owner', 'Ada', '--json']);
    expect(twice.exit).toBe(1);
    expect(twice.json()).toMatchObject({ error: { code: 'name-ambiguous' } });
    const nobody = await factory(folder, [...create, '--owner', 'Eve', '--json']);
    expect(nobody.json()).toMatchObject({ error: { code: 'not-found', target: 'Eve' } });
  });

  it.each([
    [{}, 'FACTORY_URL to http://127.0.0.1:8700.'],
    [{ FACTORY_BASE_URL: 'https://f.example.org' }, 'FACTORY_URL to https://f.example.org.'],
    [{ FACTORY_PORT: '0' }, 'FACTORY_URL to the address that `serve` printed.'],
    [{ FACTORY_SOCKET: '/f.sock' }, 'FACTORY_SOCKET to /f.sock.'],
  ])('say how a token of %j is used', async (env, where) => {
    const create = ['token', 'create', '--name', 'T', '--role', 'agent'];
    const { stderr, stdout } = await factory(emptyFolder(), create, { ...env });
    expect(stderr).toContain(`Set FACTORY_TOKEN to it, and ${where}`);
    expect(stderr).not.toContain(stdout.trim());
  });

  it('refuse the removal of the last owner as a rule does', async () => {
    const folder = emptyFolder();
    await factory(folder, ['login-link']);
    const { people } = (await factory(folder, ['people', 'list', '--json'])).json<People>();
    const { exit, json } = await factory(folder, ['people', 'remove', people[0]?.id ?? '', '--json']);
    expect(exit).toBe(4);
    expect(json()).toMatchObject({ error: { code: 'last-owner' } });
    const role = await factory(folder, ['people', 'role', people[0]?.id ?? '', '--role', 'planner']);
    expect(role.exit).toBe(4);
  });

  it('end a wrong value with the way to the help', async () => {
    const { exit, stderr } = await factory(emptyFolder(), [
      ...['token', 'create', '--name', 'T', '--role', 'ci', '--expires', 'soon'],
    ]);
    expect(exit).toBe(2);
    expect(stderr.trimEnd()).toMatch(/90m, 12h, 30d or 4w[^]*Try: node \S+ token create --help$/);
  });
});

describe('data that is not there', () => {
  it.each([
    ['people list'],
    ['people remove x'],
    ['people link x'],
    ['people role x --role owner'],
    ['token list'],
    ['token revoke x'],
    ['verify-audit'],
    ['audit export'],
  ])('%s makes none', async (words) => {
    const folder = emptyFolder();
    const { exit, stderr, stdout } = await factory(folder, words.split(' '));
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: '' });
    expect(stderr).toContain(join(folder, 'data', 'factory.db'));
    expect(existsSync(join(folder, 'data'))).toBe(false);
  });

  it.each([['people list'], ['login-link'], ['verify-audit'], ['doctor']])(
    '%s leaves a foreign database alone',
    async (words) => {
      const folder = emptyFolder();
      const bytes = 'This is no database. '.repeat(300);
      writeFileSync(join(folder, 'other.db'), bytes);
      const { exit, stderr, stdout } = await factory(folder, words.split(' '), {
        FACTORY_DATABASE_URL: 'sqlite:other.db',
      });
      expect(exit).toBe(1);
      expect(stderr + stdout).toContain('is not a database of Build Factory');
      expect(stderr + stdout).not.toMatch(/ at .*\.ts:\d+/);
      expect(readFileSync(join(folder, 'other.db'), 'utf8')).toBe(bytes);
    },
  );
});

describe('audit export', () => {
  it('is over without a complaint when its reader has seen enough', async () => {
    const folder = emptyFolder();
    await factory(folder, ['login-link']);
    const stderr = new PassThrough();
    const stdout = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
    });
    expect(await runFactory(['audit', 'export'], { cwd: folder, env: {}, stdout, stderr })).toBe(0);
    expect(stderr.read()).toBeNull();
  });

  it('replaces no file', async () => {
    const folder = emptyFolder();
    await factory(folder, ['login-link']);
    writeFileSync(join(folder, 'log.jsonl'), 'mine');
    const ran = await factory(folder, ['audit', 'export', '--output', 'log.jsonl']);
    expect(ran).toMatchObject({ exit: 4, stderr: expect.stringContaining('exists already') });
    expect(readFileSync(join(folder, 'log.jsonl'), 'utf8')).toBe('mine');
    expect((await factory(folder, ['audit', 'export', '--json'])).exit).toBe(2);
  });
});

describe('links', () => {
  it.each([
    [{ FACTORY_BASE_URL: 'https://f.example.org' }, /^https:\/\/f\.example\.org\/login\?link=/, ''],
    [
      { FACTORY_PORT: '0' },
      /^http:\/\/127\.0\.0\.1:0\/login/,
      'put the port that `serve` printed into the link',
    ],
    [{ FACTORY_SOCKET: 'f.sock' }, /^http:\/\/localhost\/login/, 'set FACTORY_BASE_URL'],
  ])('of %j', async (env, url, note) => {
    const { exit, stdout, stderr } = await factory(emptyFolder(), ['login-link'], { ...env });
    expect(exit).toBe(0);
    expect(stdout).toMatch(url);
    expect(stderr).toContain(note);
  });
});

describe('init and validate', () => {
  it('make a queue that has no problems, once', async () => {
    const folder = emptyFolder();
    const missing = await factory(folder, ['validate']);
    expect(missing).toMatchObject({ exit: 1, stdout: expect.stringContaining(`\`${FACTORY} init\``) });
    const first = (await factory(folder, ['init', '--json'])).json<{ created: string[] }>();
    expect(first.created).toContain('policy.yaml');
    expect((await factory(folder, ['init', '--json'])).json()).toMatchObject({ created: [] });
    const { exit, stdout } = await factory(folder, ['validate']);
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: 'work-items: no problems.\n' });
  });

  it('say what starts the service on this folder from here', async () => {
    const folder = join(emptyFolder(), "it's mine");
    mkdirSync(folder);
    const clone = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
    for (const [env, dir] of [
      [{}, 'work-items'],
      [{ FACTORY_WORK_ITEMS_DIR: 'queue' }, 'queue'],
    ] as const) {
      const { stdout } = await factory(folder, ['init'], env);
      const [, start = ''] = /^Next: (.*)$/m.exec(stdout) ?? [];
      // The shell reads the line back as it was meant, in a folder that has data of its own.
      const script = `node() { printf '%s\n' "$PWD" "$FACTORY_DATA_DIR" "$FACTORY_WORK_ITEMS_DIR" "$@"; }; ${start}`;
      const { stdout: read } = spawnSync('sh', ['-c', script], { encoding: 'utf8', cwd: '/' });
      expect(read.split('\n')).toEqual([folder, 'data', dir, join(clone, 'scripts/launch.mjs'), 'serve', '']);
    }
    const own = { workItemsDir: '/c/work-items', dataDir: '/c/data' };
    expect(startCommand(own, '/c', '/c')).toBe('npm start');
    expect(startCommand(own, '/other', '/c')).toBe(
      'cd /other && FACTORY_DATA_DIR=/c/data FACTORY_WORK_ITEMS_DIR=/c/work-items node /c/scripts/launch.mjs serve',
    );
    expect(startCommand({ ...own, dataDir: '/d' }, '/c', '/c')).toContain('FACTORY_DATA_DIR=/d');
  });

  it('keep database and keys out of the repository: a new data folder ignores itself', async () => {
    const folder = emptyFolder();
    expect((await factory(folder, ['init'])).stdout).toContain('Made data, which git ignores');
    expect(readFileSync(join(folder, 'data/.gitignore'), 'utf8')).toBe('*\n');
    expect((await factory(folder, ['init'])).stdout).not.toContain('ignore');
    const other = emptyFolder();
    mkdirSync(join(other, 'data'));
    expect((await factory(other, ['init'])).stdout).toContain('list it in .gitignore');
    expect(existsSync(join(other, 'data/.gitignore'))).toBe(false);
  });

  it('tell how a folder without a record gets one', async () => {
    const folder = emptyFolder();
    mkdirSync(join(folder, 'work-items'));
    const empty = await factory(folder, ['validate']);
    expect(empty).toMatchObject({ exit: 0, stdout: expect.stringContaining(`\`${FACTORY} init\``) });
    await factory(folder, ['init']);
    expect((await factory(folder, ['validate'])).stdout).not.toContain('init');
  });

  it('name file and line of each problem; a warning alone is no failure', async () => {
    const folder = emptyFolder();
    await factory(folder, ['init']);
    const record = join(folder, 'work-items/backlog/wi-START-1.md');
    writeFileSync(record, readFileSync(record, 'utf8').replace(/^title: .*\n/m, ''));
    const broken = await factory(folder, ['validate', '--json']);
    expect(broken.exit).toBe(1);
    const { problems } = broken.json<{ problems: object[] }>();
    expect(problems).toContainEqual(
      expect.objectContaining({
        file: 'backlog/wi-START-1.md',
        line: expect.any(Number),
        code: expect.any(String),
        message: expect.stringContaining('title'),
      }),
    );
    expect((await factory(folder, ['validate'])).stdout).toMatch(
      /^work-items\/backlog\/wi-START-1\.md:\d+: error: /m,
    );

    const other = emptyFolder();
    await factory(other, ['init']);
    mkdirSync(join(other, 'work-items/prompts'), { recursive: true });
    writeFileSync(join(other, 'work-items/prompts/wi-LOST.prompt.md'), 'Do it.\n');
    const warned = await factory(other, ['validate']);
    expect(warned.exit).toBe(0);
    expect(warned.stdout).toContain('0 errors, 1 warning.');
  });
});
