import { randomInt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { auditFailures } from '../acceptance/lab.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { actionPath, callerOf, eventually, newToken, signIn } from './client.ts';
import { itemFiles } from './queue.ts';
import { newPlace, serve, startAndKill, tryServe } from './service.ts';
import type { Place, PlaceOptions, Service } from './service.ts';

const running: Service[] = [];
afterEach(async () => {
  for (const service of running.splice(0)) await service.kill();
});

const place = (options: PlaceOptions = {}): Place => newPlace({ below: inject('scratch'), ...options });

async function started(at: Place): Promise<Service> {
  const service = await serve(at);
  running.push(service);
  return service;
}

const STACK = /^\s+at .+:\d+/m;

describe('start', () => {
  it('begins in an empty folder, prints one line of JSON and shows a start page behind the link', async () => {
    const at = place();
    const service = await started(at);
    expect(service.stdout().trimEnd().split('\n')).toHaveLength(1);
    expect(JSON.parse(service.stdout())).toEqual({
      listening: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      loginLink: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/login\?/),
    });
    const nobody = callerOf(() => service.url);
    expect((await nobody.get('/api/health')).body).toMatchObject({
      status: 'ok',
      schema: expect.any(Number),
    });
    expect((await nobody.get('/')).status).toBe(303);
    const cookie = await signIn(service.loginLink);
    expect((await nobody.get('/', { cookie })).status).toBe(200);
    // The folder is looked at after the first answers.
    await expect
      .poll(async () => (await nobody.get('/', { cookie })).text, { timeout: 5000 })
      .toContain('factory init');
    expect((await fetch(service.loginLink, { redirect: 'manual' })).status, 'a link works once').toBe(401);
    expect(await service.stop()).toMatchObject({ code: 0 });
    expect(service.stderr()).not.toMatch(STACK);
  });

  it('keeps what it knows over a stop and a start', async () => {
    const at = place({ files: itemFiles('wi-K-1', 'backlog') });
    const first = await started(at);
    const { token } = await newToken(at, 'owner');
    await eventually(
      () => callerOf(() => first.url, token).get('/api/control-plane/items/wi-K-1'),
      ({ status }) => status === 200,
    );
    await callerOf(() => first.url, token).post(actionPath('wi-K-1', 'mark-ready'));
    await first.stop();
    const second = await started(at);
    expect(
      (await callerOf(() => second.url, token).get('/api/control-plane/items/wi-K-1')).body,
    ).toMatchObject({ lane: 'ready' });
    expect(await auditFailures(at)).toEqual([]);
  });

  it('says who is in the way when the port is taken, and leaves that one alone', async () => {
    const first = await started(place());
    const port = new URL(first.url).port;
    const second = await tryServe(place({ env: { FACTORY_PORT: port } }));
    expect(second).toMatchObject({ code: 1 });
    expect(
      'stdout' in second && typeof second.stdout === 'string' && JSON.parse(second.stdout),
    ).toMatchObject({
      error: {
        code: 'port-in-use',
        message: expect.stringContaining(port),
        hint: expect.stringContaining('FACTORY_PORT'),
      },
    });
    expect((await callerOf(() => first.url).get('/api/health')).status).toBe(200);
  });

  it.each(['sqlite', 'postgres'] as const)(
    'survives kill -9 at any moment of its first starts on %s',
    async (engine) => {
      const databaseUrl = engine === 'postgres' ? await createDatabase() : undefined;
      const at = place({ files: itemFiles('wi-F-1', 'ready'), databaseUrl });
      for (let n = 0; n < 6; n += 1) await startAndKill(at, randomInt(60, 700));
      const service = await started(at);
      const { token } = await newToken(at, 'owner');
      await eventually(
        () => callerOf(() => service.url, token).get('/api/control-plane/items/wi-F-1'),
        ({ status }) => status === 200,
      );
      expect(await auditFailures(at)).toEqual([]);
    },
  );
});

describe('stop', () => {
  it('ends with 0 within 5 s although a stream is open and a request never ends', async () => {
    const at = place();
    const service = await started(at);
    const { token } = await newToken(at, 'owner');
    const stream = await fetch(`${service.url}/api/events`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const streamed = stream.text();
    const slow = connect(Number(new URL(service.url).port), '127.0.0.1');
    slow.on('error', () => undefined);
    slow.write(`POST /api/control-plane/items HTTP/1.1\r\nHost: ${new URL(service.url).host}\r\n`);
    slow.write(
      `Authorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"title":`,
    );
    await sleep(200);
    const { code, signal, ms } = await service.stop();
    slow.destroy();
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(ms).toBeLessThan(5000);
    await expect(streamed, 'the stream was closed, not cut').resolves.toEqual(expect.any(String));
    expect(await auditFailures(at)).toEqual([]);
  });

  it('answers the request that is under way', async () => {
    const at = place({ files: itemFiles('wi-D-1', 'backlog') });
    const service = await started(at);
    const { token } = await newToken(at, 'owner');
    const { host, port } = new URL(service.url);
    await eventually(
      () => callerOf(() => service.url, token).get('/api/control-plane/items/wi-D-1'),
      ({ status }) => status === 200,
    );
    const body = '{"input":{"note":"late"}}';
    const socket = connect(Number(port), '127.0.0.1');
    const answer = text(socket);
    socket.write(
      `POST ${actionPath('wi-D-1', 'mark-ready')} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n`,
    );
    socket.write(
      `Content-Type: application/json\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
    );
    await sleep(200);
    const stopped = service.stop();
    await sleep(300);
    socket.write(body.slice(5));
    expect(await answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(await stopped).toMatchObject({ code: 0 });
    const again = await started(at);
    expect(
      (await callerOf(() => again.url, token).get('/api/control-plane/items/wi-D-1')).body,
    ).toMatchObject({ lane: 'ready' });
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('takes %s as a wish to stop', async (signal) => {
    const service = await started(place());
    expect(await service.stop(signal)).toMatchObject({ code: 0, signal: null });
  });
});

describe('unix socket', () => {
  const overSocket = (socketPath: string, path: string): Promise<{ status: number; body: string }> =>
    new Promise((resolve, reject) => {
      request({ socketPath, path, headers: { host: 'localhost' } }, (response) => {
        text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
      })
        .on('error', reject)
        .end();
    });

  it('serves there, is not taken by a second process, and starts again after kill -9', async () => {
    const at = place();
    const socket = join(at.dir, 's.sock');
    at.env = { FACTORY_SOCKET: socket };
    const first = await started(at);
    expect(await overSocket(socket, '/api/health')).toMatchObject({ status: 200 });
    const second = await tryServe({ ...at, env: { ...at.env, FACTORY_DATA_DIR: join(at.dir, 'other') } });
    expect(
      'stdout' in second && typeof second.stdout === 'string' && JSON.parse(second.stdout),
    ).toMatchObject({
      error: { code: 'socket-in-use', hint: expect.stringContaining('FACTORY_SOCKET') },
    });
    await first.kill();
    expect(existsSync(socket), 'the killed process left its file').toBe(true);
    const third = await started(at);
    expect(await overSocket(socket, '/api/health')).toMatchObject({ status: 200 });
    expect(await third.stop()).toMatchObject({ code: 0 });
  });
});

describe('logs', () => {
  it('hold no link, token, cookie, title or query, whatever was asked', async () => {
    const at = place({ files: itemFiles('wi-S-1', 'ready'), env: { FACTORY_LOG_LEVEL: 'trace' } });
    const service = await started(at);
    const { token } = await newToken(at, 'owner');
    const cookie = await signIn(service.loginLink);
    const owner = callerOf(() => service.url, token);
    await eventually(
      () => owner.get('/api/control-plane/items/wi-S-1'),
      ({ status }) => status === 200,
    );
    const nobody = callerOf(() => service.url);
    await owner.get('/api/control-plane/items?q=secret-in-a-query');
    await owner.post(
      actionPath('wi-S-1', 'record-history'),
      { input: { note: 'secret-in-a-note' } },
      { 'idempotency-key': 'secret-key' },
    );
    await owner.post(actionPath('wi-S-1', 'complete'), { nonsense: 'secret-in-a-body' });
    await nobody.get('/', { cookie });
    await nobody.get('/login?link=secret-link-that-is-wrong');
    await nobody.get('/api/control-plane/items', { authorization: 'Bearer bf_secret-token-that-is-wrong' });
    await nobody.get('/api/health', { host: 'evil.example' }).catch(() => undefined);
    await service.stop();
    const log = service.stderr();
    expect(log.split('\n').length, 'trace logs every request').toBeGreaterThan(8);
    const link = new URL(service.loginLink).searchParams.get('link') ?? service.loginLink;
    for (const secret of [link, token, cookie.split('=')[1] ?? cookie, 'secret-', 'Title of wi-S-1'])
      expect(log).not.toContain(secret);
    expect(log).not.toMatch(STACK);
  });

  it('leave nothing of a token but its hash on disk', async () => {
    const at = place();
    const service = await started(at);
    const { token } = await newToken(at, 'owner');
    const cookie = await signIn(service.loginLink);
    await callerOf(() => service.url, token).get('/api/control-plane/items');
    await service.stop();
    const database = readFileSync(join(at.data, 'factory.db')).toString('latin1');
    for (const secret of [token, cookie.split('=')[1] ?? cookie]) expect(database).not.toContain(secret);
  });
});
