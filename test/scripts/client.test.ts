import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { itemId } from '../../scripts/items.ts';
import { INPUT_HELP } from '../../scripts/lib/action-input.ts';
import { INPUT_SCHEMAS } from '../../service/work-items/actions-input.ts';
import { ACTION_IDENTITIES } from '../../service/work-items/types.ts';
import { localAddress, serviceAddress } from '../../scripts/lib/settings.ts';
import { emptyFolder, factory, FACTORY } from './cli.ts';

interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body?: unknown;
}
interface Seen {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
}

const running: Server[] = [];
afterEach(() => running.splice(0).forEach((server) => server.close()));

/** A service that gives these answers, by `METHOD /path`, and remembers what it was asked. */
async function service(
  replies: Record<string, Reply>,
  socket?: string,
): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((req, res) => {
    void text(req).then((body) => {
      const { method = '', url: path = '', headers } = req;
      seen.push({ method, path, headers, body });
      const reply = replies[`${method} ${path}`] ?? {
        status: 404,
        body: { detail: 'Nothing here.', code: 'not-found' },
      };
      res.writeHead(reply.status ?? 200, reply.headers);
      res.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body));
    });
  });
  running.push(server);
  await new Promise<void>((resolve) =>
    socket ? server.listen(socket, resolve) : server.listen(0, '127.0.0.1', resolve),
  );
  const url = socket ? '' : `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, seen };
}

const HEALTH = { release: null, schema: 1, startedAt: '2026-01-01T00:00:00.000Z', checks: {} };
const ITEM = '/api/control-plane/items/wi-A';

describe('health', () => {
  it.each([
    ['ok', 200, 0],
    ['degraded', 200, 3],
    ['failing', 503, 1],
  ])('%s with %i ends with %i', async (status, code, exit) => {
    const { url } = await service({ 'GET /api/health': { status: code, body: { ...HEALTH, status } } });
    const ran = await factory(emptyFolder(), ['health', '--json'], { FACTORY_URL: url });
    expect(ran.exit).toBe(exit);
    expect(ran.json()).toMatchObject({ status });
  });

  it('goes to the socket, unless FACTORY_URL names another place', async () => {
    const folder = emptyFolder();
    await service({ 'GET /api/health': { body: { ...HEALTH, status: 'ok' } } }, join(folder, 's'));
    expect((await factory(folder, ['health'], { FACTORY_SOCKET: 's' })).exit).toBe(0);
    const { url } = await service({ 'GET /api/health': { body: { ...HEALTH, status: 'degraded' } } });
    expect((await factory(folder, ['health'], { FACTORY_SOCKET: 's', FACTORY_URL: url })).exit).toBe(3);
  });

  it('says who answers where it is not the service', async () => {
    const { url } = await service({ 'GET /api/health': { body: '<html>' } });
    const ran = await factory(emptyFolder(), ['health', '--json'], { FACTORY_URL: url });
    expect(ran.exit).toBe(1);
    expect(ran.json()).toMatchObject({ error: { code: 'not-our-service', target: url } });
  });
});

describe('nothing to call', () => {
  it('is told with the address and the way out', async () => {
    const { url } = await service({});
    running.splice(0).forEach((server) => server.close());
    const ran = await factory(emptyFolder(), ['health', '--json'], { FACTORY_URL: url });
    expect(ran.exit).toBe(1);
    expect(ran.json()).toMatchObject({ error: { code: 'unreachable', target: url, retryable: true } });
    expect(ran.stderr).toContain(`${FACTORY} serve`);
  });

  it.each([
    [['items', 'list'], {}, 'token-missing'],
    [['items', 'list'], { FACTORY_PORT: '0', FACTORY_TOKEN: 't' }, 'address-unknown'],
    [['health'], { FACTORY_PORT: '0' }, 'address-unknown'],
  ])('%j with %j: %s', async (argv, env, code) => {
    const ran = await factory(emptyFolder(), [...argv, '--json'], { ...env });
    expect(ran.exit).toBe(2);
    expect(ran.json()).toMatchObject({ error: { code } });
  });

  it.each([
    ['127.0.0.1', 'http://127.0.0.1:1'],
    ['0.0.0.0', 'http://127.0.0.1:1'],
    ['::', 'http://[::1]:1'],
    ['::1', 'http://[::1]:1'],
  ])('host %s is called at %s', (host, origin) => {
    expect(localAddress({ listen: { host, port: 1 } })).toEqual({ origin });
    const client = { url: 'https://f.example.org', token: null };
    expect(serviceAddress({ listen: { host, port: 0 }, client })).toEqual({ origin: client.url });
  });
});

it.each([
  ['GET /api/control-plane/items lists them.', `\`${FACTORY} items list\` lists them.`],
  [
    'GET /api/control-plane/items/wi-A/actions?all=true lists them.',
    `\`${FACTORY} items actions wi-A --all\` lists them.`,
  ],
])('the hint %j names a verb', async (hint, told) => {
  const body = { code: 'not-found', detail: 'There is no such thing.', hint };
  const { url } = await service({ [`GET ${ITEM}`]: { status: 404, body } });
  const env = { FACTORY_URL: url, FACTORY_TOKEN: 't' };
  const ran = await factory(emptyFolder(), ['items', 'show', 'wi-A', '--json'], env);
  expect([ran.exit, ran.json()]).toEqual([1, { error: expect.objectContaining({ hint: told }) }]);
});

describe('items act', () => {
  const result = {
    ...{ decisionId: 'd1', dryRun: false, identity: 'claim', lane: { from: 'ready', to: 'executing' } },
    ...{ diff: [], effects: [{ kind: 'lane', text: 'The lane becomes executing.' }], gates: [] },
    item: { id: 'wi-A', version: 8 },
  };
  const act = (url: string, ...more: string[]) =>
    factory(emptyFolder(), ['items', 'act', 'wi-A', 'claim', ...more], {
      FACTORY_URL: url,
      FACTORY_TOKEN: 'bf_t',
    });

  it('sends the version of now and a new key, as the owner of the token', async () => {
    const { url, seen } = await service({
      [`GET ${ITEM}`]: { headers: { ETag: '"7"' }, body: { id: 'wi-A' } },
      [`POST ${ITEM}/actions/claim`]: { body: result },
    });
    const ran = await act(url);
    expect(ran).toMatchObject({ exit: 0, stdout: expect.stringContaining('ready -> executing') });
    await act(url);
    const posts = seen.filter(({ method }) => method === 'POST');
    expect(posts.map(({ headers }) => [headers['if-match'], headers.authorization])).toEqual([
      ['"7"', 'Bearer bf_t'],
      ['"7"', 'Bearer bf_t'],
    ]);
    expect(new Set(posts.map(({ headers }) => headers['idempotency-key'])).size).toBe(2);
    expect(posts[0]?.body).toBe('{}');
  });

  it('says in a line what changes of a field, as the page does; --json has all of it', async () => {
    const long = Array.from({ length: 9 }, (_, number) => ({ number, text: 'Evidence of some length.' }));
    const diff = [
      { field: 'evidence', before: long.slice(1), after: long },
      { field: 'handoff', before: null, after: { state: 'queued', queuedBy: 'Ada', holder: null } },
      { field: 'status', before: 'ready', after: 'executing' },
    ];
    const { url } = await service({
      [`GET ${ITEM}`]: { headers: { ETag: '"7"' }, body: { id: 'wi-A' } },
      [`POST ${ITEM}/actions/claim`]: { body: { ...result, diff } },
    });
    const { stdout } = await act(url);
    expect(stdout).not.toMatch(/[[{]/);
    for (const [field, words] of [
      ['evidence', '+1'],
      ['handoff', 'none → queued by Ada'],
      ['status', 'ready → executing'],
    ])
      expect(stdout).toMatch(new RegExp(`^  ${field} +${words?.replace('+', '\\+')}$`, 'm'));
    expect((await act(url, '--json')).json()).toMatchObject({ diff });
  });

  it('sends what it was given', async () => {
    const path = `${ITEM}/actions/claim?dryRun=true`;
    const { url, seen } = await service({ [`POST ${path}`]: { body: { ...result, dryRun: true } } });
    const folder = emptyFolder();
    writeFileSync(join(folder, 'in.json'), '{"note":"ü"}');
    const ran = await factory(
      folder,
      [
        ...['items', 'act', 'wi-A', 'claim', '--dry-run', '--input', '@in.json', '--decision', 'd0'],
        ...['--if-match', '3', '--idempotency-key', 'k'],
      ],
      { FACTORY_URL: url, FACTORY_TOKEN: 'bf_t' },
    );
    expect(ran.stdout).toMatch(/^Plan: .*nothing was changed[^]*--decision d1 and the same --input\n$/);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ headers: { 'if-match': '"3"', 'idempotency-key': 'k' } });
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({ decisionId: 'd0', input: { note: 'ü' } });
  });

  it.each([
    [['--input', '{'], /--input is no JSON/],
    [['--input', '@nowhere'], /--input @nowhere cannot be read/],
  ])('%j is a mistake in the call', async (more, message) => {
    const ran = await act('http://127.0.0.1:9', ...more);
    expect(ran.exit).toBe(2);
    expect(ran.stderr).toMatch(message);
    expect(ran.stderr).toContain(`Try: ${FACTORY} items act --help\n`);
  });

  it.each(Object.entries(INPUT_HELP))(
    '%s says what it needs before anything is called',
    async (action, help) => {
      const argv = ['items', 'act', 'A', action];
      const { exit, stderr } = await factory(emptyFolder(), argv, {
        FACTORY_URL: 'http://127.0.0.1:9',
        FACTORY_TOKEN: 't',
      });
      expect(exit).toBe(2);
      const schema = INPUT_SCHEMAS[action as keyof typeof INPUT_HELP];
      for (const field of Object.keys(schema.shape)) expect(stderr).toContain(field);
      const [, example = ''] = /launch\.mjs items act wi-A \S+ --input '(.*)'/.exec(stderr) ?? [];
      expect(schema.safeParse(JSON.parse(example))).toMatchObject({ success: true, data: help.example });
    },
  );

  it('asks for input of exactly the actions that cannot do without', () => {
    const demanding = ACTION_IDENTITIES.filter((action) => !INPUT_SCHEMAS[action].safeParse({}).success);
    expect(Object.keys(INPUT_HELP).sort()).toEqual(demanding.sort());
  });

  it('tells the key that repeats a request without an answer', async () => {
    const server = createServer((req, res) => {
      if (req.method === 'GET') res.setHeader('ETag', '"1"').end('{}');
      else req.socket.destroy();
    });
    running.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const ran = await act(
      `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      '--idempotency-key',
      'k1',
    );
    expect(ran.exit).toBe(1);
    expect(ran.stderr).toContain('repeat it with --idempotency-key k1');
  });

  it('passes the refusal on as it came', async () => {
    const problem = {
      ...{
        type: 'urn:x',
        title: 'Refused',
        status: 409,
        detail: 'Claim is blocked.',
        code: 'decision-outdated',
      },
      ...{ hint: 'Plan it again.', retryable: false, requestId: 'r1', changedGates: [] },
    };
    const { url } = await service({
      [`GET ${ITEM}`]: { headers: { ETag: '"7"' }, body: {} },
      [`POST ${ITEM}/actions/claim`]: { status: 409, body: problem },
    });
    const ran = await act(url, '--json');
    expect(ran.exit).toBe(4);
    expect(ran.json()).toEqual({
      error: {
        ...{
          code: 'decision-outdated',
          op: `POST ${ITEM}/actions/claim`,
          target: null,
          message: 'Claim is blocked.',
        },
        ...{ hint: 'Plan it again.', retryable: false, status: 409, requestId: 'r1', changedGates: [] },
      },
    });
  });
});

it.each([
  ['wi-BF-106', 'wi-BF-106'],
  ['BF-106', 'wi-BF-106'],
  ['wi-', 'wi-'],
  ['../x', '../x'],
])('%s names the item %s', (named, id) => {
  expect(itemId([named])).toBe(id);
});

it.each([['show'], ['actions']])('items %s takes the key that the board prints', async (verb) => {
  const { url, seen } = await service({});
  await factory(emptyFolder(), ['items', verb, 'BF-7'], { FACTORY_URL: url, FACTORY_TOKEN: 't' });
  expect(seen[0]?.path).toMatch(/^\/api\/control-plane\/items\/wi-BF-7/);
});

it('lists with the filters that were given', async () => {
  const { url, seen } = await service({
    'GET /api/control-plane/items?lane=ready&q=a+%26b&limit=5&cursor=c': {
      body: { items: [], nextCursor: 'next' },
    },
  });
  const ran = await factory(
    emptyFolder(),
    ['items', 'list', '--lane', 'ready', '--query', 'a &b', '--limit', '5', '--cursor', 'c'],
    { FACTORY_URL: url, FACTORY_TOKEN: 't' },
  );
  expect(seen).toHaveLength(1);
  expect(ran).toMatchObject({
    exit: 0,
    stdout: 'No work items.\n',
    stderr: 'There are more: --cursor next\n',
  });
});
