import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { openSqliteHandle } from '../../service/storage/sqlite.ts';
import { emptyFolder, factory, FACTORY } from './cli.ts';

const ENTRY = fileURLToPath(new URL('../../scripts/factory.ts', import.meta.url));
/** As the launcher sets it: compiled once, all starts are quick. */
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/compile', import.meta.url));
const VERIFIER = fileURLToPath(new URL('../../scripts/verify-log.mjs', import.meta.url));

const children: ChildProcess[] = [];
afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')));

interface Serving {
  child: ChildProcess;
  /** All of stdout so far. */
  stdout: () => string;
  stderr: () => string;
  /** Resolves once stdout holds the pattern, or the process ended. */
  until(pattern: RegExp): Promise<string>;
  ended: Promise<{ code: number | null; signal: string | null }>;
}

function serve(cwd: string, env: Record<string, string> = {}, ...more: string[]): Serving {
  const child = spawn(process.execPath, [ENTRY, 'serve', ...more], {
    cwd,
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: CACHE,
      FACTORY_PORT: '0',
      FACTORY_JOBS: 'off',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
  }));
  const until = async (pattern: RegExp): Promise<string> => {
    while (!pattern.test(stdout)) {
      const gone = await Promise.race([ended.then(() => true), once(child.stdout, 'data').then(() => false)]);
      if (gone && !pattern.test(stdout)) throw new Error(`serve ended: ${stdout}${stderr}`);
    }
    return stdout;
  };
  return { child, stdout: () => stdout, stderr: () => stderr, until, ended };
}

interface Ready {
  listening: string;
  loginLink: string | null;
}

async function ready(serving: Serving): Promise<Ready> {
  return JSON.parse(await serving.until(/\n/)) as Ready;
}

async function stop({
  child,
  ended,
}: Serving): Promise<{ code: number | null; signal: string | null; ms: number }> {
  const from = performance.now();
  child.kill('SIGTERM');
  return { ...(await ended), ms: performance.now() - from };
}

describe('serve --json', () => {
  it('prints one line when it is ready, answers the other verbs, and stops with everything signed', async () => {
    const folder = emptyFolder();
    await factory(folder, ['init']);
    const serving = serve(folder, {}, '--json');
    const { listening, loginLink } = await ready(serving);
    expect(listening).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(loginLink?.startsWith(`${listening}/login?link=`)).toBe(true);

    const token = (
      await factory(folder, ['token', 'create', '--name', 't', '--role', 'owner'])
    ).stdout.trim();
    const env = { FACTORY_URL: listening, FACTORY_TOKEN: token };
    expect((await factory(folder, ['health'], env)).exit).toBe(0);
    const shown = await factory(folder, ['items', 'show', 'wi-START-1'], env);
    expect(shown.stdout).toMatch(/^Backlog Work Item\n[^]*Available Actions\n\n- Start execution: Blocked/);
    const acted = await factory(folder, ['items', 'act', 'wi-START-1', 'mark-ready', '--json'], env);
    expect(acted.json()).toMatchObject({ lane: { from: 'backlog', to: 'ready' } });
    const refused = await factory(folder, ['items', 'act', 'wi-START-1', 'complete'], env);
    expect(refused.exit).toBe(4);
    for (const label of ['Cause', 'Policy context', 'Next step', 'Safe retry'])
      expect(refused.stderr).toContain(label);

    // An open stream must not keep the service from stopping.
    const events = get(`${listening}/api/events`, { headers: { Authorization: `Bearer ${token}` } });
    events.on('error', () => undefined);
    events.on('response', (response) => response.resume());
    await once(events, 'response');
    const { code, ms } = await stop(serving);
    expect({ code, lines: serving.stdout().trimEnd().split('\n').length }).toEqual({ code: 0, lines: 1 });
    expect(ms).toBeLessThan(5000);

    const checkpoints = join(folder, 'data/checkpoints');
    const newest = join(checkpoints, readdirSync(checkpoints).sort().at(-1) ?? '');
    const verified = await factory(folder, ['verify-audit', '--checkpoint', newest, '--json']);
    const result = verified.json<{ ok: boolean; size: number; signedSize: number }>();
    expect(result).toMatchObject({ ok: true, signedSize: result.size });

    const exported = await factory(folder, ['audit', 'export', '--output', 'log.jsonl', '--json']);
    expect(exported.json()).toMatchObject({ entries: result.size });
    const vkey = join(folder, 'data/keyring/audit-log.vkey');
    const outside = spawnSync(
      process.execPath,
      [VERIFIER, join(folder, 'log.jsonl'), newest, '--key', vkey, '--json'],
      {
        encoding: 'utf8',
      },
    );
    expect(JSON.parse(outside.stdout)).toMatchObject({ ok: true, size: result.size });

    const tampered = openSqliteHandle(join(folder, 'data/factory.db'));
    tampered.exec('delete from audit_entries where seq = (select max(seq) from audit_entries)');
    tampered.close();
    const found = await factory(folder, ['verify-audit', '--json']);
    expect(found.exit).toBe(1);
    expect(found.json()).toMatchObject({ ok: false });
  });
});

describe('serve', () => {
  it('tells a person what they need, and a second signal does not wait', async () => {
    const folder = emptyFolder();
    const serving = serve(folder);
    const text = await serving.until(/Stop .*\n/);
    const [address = ''] = /http:\S+/.exec(text) ?? [];
    expect(text).toContain(`Sign in     ${address}/login?link=`);
    expect(text).toContain(join(folder, 'data'));
    expect(text).toContain('Ctrl-C');
    // A request that never ends keeps the service from closing until its time for that is over.
    const { hostname, port } = new URL(address);
    const half = connect(Number(port), hostname);
    half.on('error', () => undefined);
    half.write(`POST /login HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Length: 9\r\n\r\n`);
    await setTimeout(200);
    const from = performance.now();
    serving.child.kill('SIGTERM');
    while (!serving.stderr().includes('Stopping')) await setTimeout(10);
    serving.child.kill('SIGINT');
    expect(await serving.ended).toEqual({ code: 130, signal: null });
    expect(performance.now() - from).toBeLessThan(2500);
    expect(serving.stderr()).not.toMatch(/ at .*\.ts:\d+/);
  });

  it('prints no link in production once an owner has signed in, whatever became of the session', async () => {
    const folder = emptyFolder();
    const env = { FACTORY_ENV: 'production' };
    const first = serve(folder, env, '--json');
    const { listening, loginLink } = await ready(first);
    const page = await fetch(loginLink ?? '', { redirect: 'manual' });
    const form = new URLSearchParams({ link: new URL(loginLink ?? '').searchParams.get('link') ?? '' });
    const headers = { Origin: listening };
    if (page.status === 200)
      await fetch(`${listening}/login`, { method: 'POST', body: form, headers, redirect: 'manual' });
    await stop(first);

    const database = openSqliteHandle(join(folder, 'data/factory.db'));
    expect(database.prepare('delete from sessions').run().changes).toBe(1);
    database.close();
    const second = serve(folder, env, '--json');
    expect((await ready(second)).loginLink).toBeNull();
    await stop(second);
    const third = serve(folder, env);
    expect(await third.until(/Stop .*\n/)).toContain(`Sign in     ${FACTORY} login-link`);
    await stop(third);
  });

  it('listens on a socket, where health finds it', async () => {
    const folder = emptyFolder();
    const env = { FACTORY_SOCKET: 'f.sock' };
    const child = serve(folder, { ...env, FACTORY_PORT: '' }, '--json');
    await ready(child);
    expect((await factory(folder, ['health'], env)).exit).toBe(0);
    const { checks } = (await factory(folder, ['doctor', '--json'], env)).json<{
      checks: { name: string; detail: string }[];
    }>();
    expect(checks.find(({ name }) => name === 'address')?.detail).toContain('The service runs at unix:');
    expect((await stop(child)).code).toBe(0);
  });
});

describe('what a start says beside its address', () => {
  const said = async (serving: Serving, pattern: RegExp): Promise<void> => {
    while (!pattern.test(serving.stderr())) {
      const gone = await Promise.race([serving.ended.then(() => true), setTimeout(20, false)]);
      if (gone) throw new Error(`serve ended: ${serving.stderr()}`);
    }
  };

  it('names a missing folder and the gate pack', async () => {
    const serving = serve(emptyFolder());
    expect(await serving.until(/Stop .*\n/)).toMatch(/Gates +pack baseline;/);
    await said(serving, /work-items does not exist: `node \S+ init` makes it/);
  });

  it('counts the problems of the folder, in JSON form on stderr', async () => {
    const folder = emptyFolder();
    await factory(folder, ['init']);
    writeFileSync(join(folder, 'work-items/policy.yaml'), 'gatePack: strict\npreset: nobody\n');
    writeFileSync(join(folder, 'work-items/backlog/wi-BAD.md'), 'no front matter');
    const serving = serve(folder, {}, '--json');
    await said(serving, /work-items has 2 problems: `node \S+ validate` names each/);
    await ready(serving);
    expect(serving.stdout().trimEnd().split('\n')).toHaveLength(1);
  });

  it('names the service that is there: on the port, and on the data', async () => {
    const folder = emptyFolder();
    const first = serve(folder, {}, '--json');
    const { listening } = await ready(first);
    const taken = await factory(folder, ['serve', '--json'], { FACTORY_PORT: new URL(listening).port });
    expect(taken.exit).toBe(1);
    expect(taken.json()).toMatchObject({
      error: {
        code: 'port-in-use',
        message: expect.stringContaining(`Build Factory runs at ${listening} already`),
        hint: expect.stringContaining(`${FACTORY} login-link`),
      },
    });
    const second = serve(folder, {}, '--json');
    await ready(second);
    if (existsSync('/proc/locks')) expect(second.stderr()).toContain(`Process ${first.child.pid} has this`);
    expect(first.stderr()).not.toContain('has this database open');
  });
});

it('a port that another installation has is told as that, and the start leaves nothing behind', async () => {
  const { listening } = await ready(serve(emptyFolder(), {}, '--json'));
  const folder = emptyFolder();
  const env = { FACTORY_PORT: new URL(listening).port };
  for (const made of [false, true]) {
    if (made) await factory(folder, ['login-link']);
    const { error } = (await factory(folder, ['serve', '--json'], env)).json<{
      error: { code: string; message: string; hint: string };
    }>();
    expect(error.code).toBe('port-in-use');
    expect(error.message).toContain(`Another installation of Build Factory runs at ${listening}`);
    expect(error.hint).not.toContain('login-link');
    expect(error.hint).toContain('FACTORY_PORT');
    expect(existsSync(join(folder, 'data'))).toBe(made);
  }
  const { checks } = (await factory(folder, ['doctor', '--json'], env)).json<{
    checks: { name: string; status: string; detail: string }[];
  }>();
  expect(checks.find(({ name }) => name === 'address')).toMatchObject({
    ...{ status: 'fail', detail: expect.stringContaining('Another installation') },
  });
});

describe('a start that cannot be', () => {
  const refused = async (folder: string, env: Record<string, string> = { FACTORY_PORT: '0' }) => {
    const listeners = process.listenerCount('SIGTERM');
    const ran = await factory(folder, ['serve', '--json'], env);
    const { error } = ran.json<{ error: { code: string; message: string; hint: string } }>();
    expect(ran.stderr).toBe(`factory serve: ${error.message}\n  ${error.hint}\n`);
    expect(process.listenerCount('SIGTERM')).toBe(listeners);
    return { exit: ran.exit, code: error.code };
  };

  it('names a wrong configuration', async () => {
    expect(await refused(emptyFolder(), { FACTORY_BACKUP_SCHEDULE: 'daily' })).toEqual({
      exit: 2,
      code: 'config-invalid',
    });
  });

  it('names a foreign database', async () => {
    const folder = emptyFolder();
    mkdirSync(join(folder, 'data'));
    writeFileSync(join(folder, 'data/factory.db'), 'no database '.repeat(500));
    expect(await refused(folder)).toEqual({ exit: 1, code: 'database-foreign' });
  });

  it('names a data folder that cannot be', async () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, 'data'), '');
    expect(await refused(folder)).toEqual({ exit: 1, code: 'database-unwritable' });
  });

  it('names a port in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const folder = emptyFolder();
    expect(await refused(folder, { FACTORY_PORT: String(port) })).toEqual({
      exit: 1,
      code: 'port-in-use',
    });
    expect(existsSync(join(folder, 'data'))).toBe(false);
    other.close();
  });

  it('names missing keys, and makes no new ones', async () => {
    const folder = emptyFolder();
    await factory(folder, ['login-link']);
    rmSync(join(folder, 'data/keyring'), { recursive: true });
    expect(await refused(folder)).toEqual({ exit: 1, code: 'audit-key-missing' });
    expect(existsSync(join(folder, 'data/keyring'))).toBe(false);
  });

  it('names a database of a newer release', async () => {
    const folder = emptyFolder();
    await factory(folder, ['login-link']);
    const database = openSqliteHandle(join(folder, 'data/factory.db'));
    database.exec(`update meta set value = '99' where key = 'min_reader'`);
    database.close();
    expect(await refused(folder)).toEqual({ exit: 1, code: 'database-newer' });
  });
});
