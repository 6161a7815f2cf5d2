import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missingFrom } from '../../scripts/lib/install.mjs';

const runtime = { version: '1.0.0', integrity: 'sha512-a' };
const LOCK = {
  '': {},
  'node_modules/run': runtime,
  'node_modules/dev': { version: '2.0.0', integrity: 'sha512-b', dev: true },
  'node_modules/other-platform': { version: '3.0.0', integrity: 'sha512-c', optional: true },
};
const { 'node_modules/dev': dev, ...withoutDev } = LOCK;

describe('missingFrom', () => {
  it.each<[string, Record<string, object> | null, boolean, string | null]>([
    ['nothing installed', null, false, 'nothing is installed yet'],
    ['runtime set for runtime use', { 'node_modules/run': runtime }, false, null],
    ['runtime set for development', { 'node_modules/run': runtime }, true, 'node_modules/dev is missing'],
    ['full set for runtime use', { 'node_modules/run': runtime, 'node_modules/dev': dev }, false, null],
    ['full set for development', { 'node_modules/run': runtime, 'node_modules/dev': dev }, true, null],
    ['everything', LOCK, true, null],
    ['a runtime package gone', { 'node_modules/dev': dev }, false, 'node_modules/run is missing'],
    [
      'another version',
      { ...withoutDev, 'node_modules/run': { ...runtime, version: '0.9.0' } },
      false,
      'node_modules/run is not at the locked version',
    ],
    [
      'another content',
      { ...withoutDev, 'node_modules/run': { ...runtime, integrity: 'sha512-x' } },
      false,
      'node_modules/run is not at the locked version',
    ],
  ])('%s', (_, installed, wantsDev, expected) => {
    expect(missingFrom(LOCK, installed, wantsDev)).toBe(expected);
  });
});

/** An npm that takes its time, notes each call, and leaves the record that npm leaves. */
const NPM = `#!${process.execPath}
const { appendFileSync, copyFileSync, mkdirSync } = require('node:fs');
appendFileSync('calls.log', process.argv.slice(2, 4).join(' ') + '\\n');
if (process.env.NPM_FAILS) process.exit(7);
setTimeout(() => {
  mkdirSync('node_modules', { recursive: true });
  copyFileSync('package-lock.json', 'node_modules/.package-lock.json');
}, 300);
`;

describe('ensureInstalled', () => {
  let root = '';
  let bin = '';

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'factory-install-'));
    bin = join(root, 'bin');
    mkdirSync(bin);
    writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages: LOCK }));
    writeFileSync(join(bin, 'npm'), NPM);
    chmodSync(join(bin, 'npm'), 0o755);
  });
  afterEach(() => rmSync(root, { recursive: true }));

  /** Runs it in a process of its own, as a launcher would. */
  async function run(
    wantsDev: boolean,
    env: NodeJS.ProcessEnv = {},
  ): Promise<{ code: number; talk: string }> {
    const script = `
      import { ensureInstalled } from ${JSON.stringify(new URL('../../scripts/lib/install.mjs', import.meta.url).href)};
      await ensureInstalled(${JSON.stringify(root)}, { dev: ${wantsDev}, files: [] }).catch((error) => {
        console.error(error.message, error.hint);
        process.exitCode = 1;
      });`;
    const PATH = [bin, dirname(process.execPath)].join(delimiter);
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      env: { PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let talk = '';
    let answer = '';
    child.stderr.on('data', (chunk: Buffer) => (talk += chunk.toString()));
    child.stdout.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 1)));
    expect(answer).toBe('');
    return { code, talk };
  }
  const calls = (): string[] => {
    const log = join(root, 'calls.log');
    return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
  };

  it('installs once for several that start together, and nothing later', async () => {
    const outcomes = await Promise.all([run(false), run(false), run(false)]);
    expect(outcomes.map((outcome) => outcome.code)).toEqual([0, 0, 0]);
    expect(calls()).toEqual(['ci --omit=dev']);
    expect(await run(false)).toEqual({ code: 0, talk: '' });
    expect(existsSync(join(root, '.install.lock'))).toBe(false);
  });

  it('adds devDependencies when a command needs them', async () => {
    mkdirSync(join(root, 'node_modules'));
    writeFileSync(join(root, 'node_modules/.package-lock.json'), JSON.stringify({ packages: withoutDev }));
    expect((await run(false)).talk).toBe('');
    expect((await run(true)).code).toBe(0);
    expect(calls()).toEqual(['ci --include=dev']);
  });

  it('takes over the lock of a process that is gone', async () => {
    const gone = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => gone.on('close', resolve));
    writeFileSync(join(root, '.install.lock'), JSON.stringify({ pids: [gone.pid], host: hostname() }));
    expect((await run(false)).code).toBe(0);
    expect(calls()).toHaveLength(1);
  });

  it('waits for an npm that outlived its launcher', async () => {
    const npm = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 700)']);
    writeFileSync(
      join(root, '.install.lock'),
      JSON.stringify({ pids: [2 ** 30, npm.pid], host: hostname() }),
    );
    const { code, talk } = await run(false);
    expect(code).toBe(0);
    expect(talk).toContain('waiting for it');
    expect(npm.exitCode).toBe(0);
  });

  it('says what to do when npm fails, and leaves no lock behind', async () => {
    const { code, talk } = await run(false, { NPM_FAILS: '1' });
    expect(code).toBe(1);
    expect(talk).toContain('npm ci ended with 7');
    expect(talk).toContain('check the network');
    expect(existsSync(join(root, '.install.lock'))).toBe(false);
  });

  it('says what to do when there is no npm', async () => {
    const { code, talk } = await run(false, { PATH: root });
    expect(code).toBe(1);
    expect(talk).toContain('npm was not found');
  });
});
