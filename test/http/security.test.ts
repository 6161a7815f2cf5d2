import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { itemFiles, startService, type TestService } from '../helpers/service.ts';
import { auditText, clientOf, type Client } from './contract.ts';

/** What is refused at the door, and what the audit log then says. */

const ITEMS = '/api/control-plane/items';
const SECRET_TITLE = 'Zebra migration of the vault';
let service: TestService;
let owner: Client;

beforeAll(async () => {
  service = await startService({ workItems: itemFiles('wi-S-1', 'ready', { title: SECRET_TITLE }) });
  owner = clientOf(service.url, service.owner);
});
afterAll(() => service.close());

/** Codes of the refusals in the log, newest first. */
async function refusals(): Promise<string[]> {
  const page = await owner('GET /api/audit/entries?outcome=refused&limit=200');
  return (page.body['entries'] as { leaf: { code: string } }[]).map(({ leaf }) => leaf.code);
}

/** fetch sets `Host` itself; this does not. */
function withHost(host: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    request(`${service.url}/api/health`, { headers: { host } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    })
      .on('error', reject)
      .end();
  });
}

describe('host', () => {
  it.each(['evil.example', 'evil.example:8700', '127.0.0.1.evil.example', 'localhost'])(
    'refuses %s',
    async (host) => {
      const answer = await withHost(host);
      expect(answer.status).toBe(421);
      expect(JSON.parse(answer.text)).toMatchObject({ code: 'host-refused' });
      expect(await refusals()).toContain('host-refused');
    },
  );

  it('answers under its own names', async () => {
    const { port } = new URL(service.url);
    for (const host of ['127.0.0.1', 'localhost', 'LOCALHOST', '[::1]'])
      expect((await withHost(`${host}:${port}`)).status).toBe(200);
  });
});

describe('bodies', () => {
  it('refuses what is too large, before it is JSON', async () => {
    const answer = await owner(`POST ${ITEMS}`, { body: `"${'x'.repeat(1024 * 1024)}"` });
    expect([answer.status, answer.body['code']]).toEqual([413, 'body-too-large']);
  });

  it.each([
    ['text/plain', '{}'],
    ['application/x-www-form-urlencoded', 'title=x'],
    ['multipart/form-data; boundary=x', '--x--'],
    ['application/json; charset=utf-16', '{}'],
  ])('refuses %s', async (type, body) => {
    const answer = await owner(`POST ${ITEMS}`, { body, headers: { 'content-type': type } });
    expect([answer.status, answer.body['code']]).toEqual([415, 'content-type-unsupported']);
  });

  it('refuses JSON that is not UTF-8, or not whole', async () => {
    const bytes = await fetch(service.url + ITEMS, {
      method: 'POST',
      headers: { authorization: `Bearer ${service.owner}`, 'content-type': 'application/json' },
      body: Buffer.from([0x22, 0xff, 0xfe, 0x22]),
    });
    expect([bytes.status, ((await bytes.json()) as { code: string }).code]).toEqual([400, 'bad-json']);
    const cut = await owner(`POST ${ITEMS}`, { body: '{"title": "x"' });
    expect([cut.status, cut.body['code']]).toEqual([400, 'bad-json']);
  });

  it('does not look at the body of somebody it does not know', async () => {
    const answer = await clientOf(service.url, null)(`POST ${ITEMS}`, {
      body: `"${'x'.repeat(2 * 1024 * 1024)}"`,
    });
    expect(answer.status).toBe(401);
  });
});

describe('requests that a cookie signs', () => {
  const act = `POST ${ITEMS}/wi-S-1/actions/record-history`;

  it.each([
    ['another site', { origin: 'https://evil.example' }],
    ['a page that hides where it is from', { origin: 'null' }],
    ['another site, as the browser says', { 'sec-fetch-site': 'cross-site' }],
    ['another service of this machine', { 'sec-fetch-site': 'same-site' }],
  ])('are refused from %s', async (_, headers) => {
    const browser = clientOf(service.url, null, { cookie: await service.cookie() });
    const answer = await browser(act, { headers });
    expect([answer.status, answer.body['code']]).toEqual([403, 'origin-refused']);
    expect(await refusals()).toContain('origin-refused');
  });

  it('are done for our own pages', async () => {
    const browser = clientOf(service.url, null, { cookie: await service.cookie() });
    const headers = { origin: service.url, 'sec-fetch-site': 'same-origin' };
    expect((await browser(act, { headers })).status).toBe(200);
  });

  it('need the token of the form on pages', async () => {
    const answer = await fetch(`${service.url}/logout`, {
      method: 'POST',
      redirect: 'manual',
      headers: { cookie: await service.cookie(), 'content-type': 'application/x-www-form-urlencoded' },
      body: 'everywhere=1',
    });
    expect(answer.status).toBe(403);
    expect(await refusals()).toContain('csrf-token-missing');
  });
});

describe('those who may no longer', () => {
  it('a revoked token', async () => {
    const token = await service.token({ role: 'reviewer' });
    const { body: me } = await clientOf(service.url, token)('GET /api/me');
    await owner(`DELETE /api/tokens/${me['id'] as string}`);
    expect((await clientOf(service.url, token)(`GET ${ITEMS}`)).status).toBe(401);
    expect(await refusals()).toContain('token-revoked');
  });

  describe('a removed person', () => {
    const ITEM = `${ITEMS}/wi-S-1`;
    let gone: { id: string; cookie: string; token: string };
    beforeEach(async () => {
      const { id } = await service.context.people.invite(SYSTEM, { name: 'Gone Person', role: 'planner' });
      const token = await service.token({ role: 'planner', personId: id });
      gone = { id, token, cookie: await service.cookie(id) };
      expect((await asking()('GET /api/me')).body).toMatchObject({ id });
      await owner(`DELETE /api/people/${id}`);
    });

    const asking = () => clientOf(service.url, null, { cookie: gone.cookie });

    /** Refusals that `actor` left in the log. */
    async function refusedOf(actor: string): Promise<unknown[]> {
      const { body } = await owner(`GET /api/audit/entries?outcome=refused&actor=${actor}&limit=200`);
      return (body['entries'] as { leaf: object }[]).map(({ leaf }) => leaf);
    }
    const refusal = (kind: string, id: string) => ({ code: 'person-removed', actor: { kind, id } });

    it.each([
      ['a read', () => asking()(`GET ${ITEM}`), 401],
      ['an action', () => asking()(`POST ${ITEM}/actions/cancel`), 401],
      [
        'a page',
        () => fetch(`${service.url}/items/wi-S-1`, { redirect: 'manual', headers: { cookie: gone.cookie } }),
        303,
      ],
    ])('by cookie, %s', async (_, ask, status) => {
      expect((await ask()).status).toBe(status);
      expect(await refusedOf(gone.id)).toMatchObject([refusal('person', gone.id)]);
    });

    it('by token', async () => {
      expect((await clientOf(service.url, gone.token)(`GET ${ITEM}`)).status).toBe(401);
      const { tokens } = (await service.context.people.list()).find(({ id }) => id === gone.id)!;
      expect(await refusedOf(tokens[0]!.id)).toMatchObject([refusal('token', tokens[0]!.id)]);
    });

    it('by a page that goes on asking, some of which is enough', async () => {
      const browser = asking();
      for (let n = 0; n < 30; n += 1) expect((await browser(`GET ${ITEM}`)).status).toBe(401);
      // 10 a minute; a minute may end in between.
      expect((await refusedOf(gone.id)).length).toBeLessThanOrEqual(20);
    });

    it('whose browser keeps what tells by whom it is', async () => {
      const answer = await fetch(`${service.url}/`, { redirect: 'manual', headers: { cookie: gone.cookie } });
      expect(answer.headers.get('set-cookie')).toBeNull();
    });
  });

  it('a wrong token, whose cookie does not help it', async () => {
    const answer = await clientOf(service.url, 'bf_wrong', { cookie: await service.cookie() })('GET /api/me');
    expect(answer.status).toBe(401);
    expect(await refusals()).toContain('token-unknown');
  });
});

describe('the audit log of all this', () => {
  it('holds no content and no secret', async () => {
    const act = `POST ${ITEMS}/wi-S-1/actions/complete`;
    await owner(act, { body: { input: { note: 'a very private note' } } });
    await owner(`POST ${ITEMS}`, { body: { title: 'Hidden title' } });
    const text = await auditText(service.url, service.owner);
    expect(text).toContain('wi-S-1');
    for (const hidden of [
      SECRET_TITLE,
      'private note',
      'Hidden title',
      'Gone Person',
      'evil.example',
      service.owner,
    ]) {
      expect(text).not.toContain(hidden);
    }
  });

  it('names an unknown address of an item no more than a real one', async () => {
    const nobody = clientOf(service.url, null);
    const [real, unreal] = [await nobody(`GET ${ITEMS}/wi-S-1`), await nobody(`GET ${ITEMS}/wi-S-999`)];
    const bare = ({ body }: typeof real) => ({ ...body, requestId: '' });
    expect(bare(real)).toEqual(bare(unreal));
  });
});

describe('rate limits', () => {
  it('costs those who guess, and nobody else', async () => {
    const guesser = clientOf(service.url, 'bf_guess');
    const statuses: number[] = [];
    const began = performance.now();
    for (let round = 0; round < 310; round += 1) statuses.push((await guesser('GET /api/me')).status);
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
    expect(statuses.at(-1)).toBe(429);
    expect((await guesser('GET /api/me')).headers.get('retry-after')).toMatch(/^\d+$/);
    expect((await owner('GET /api/me')).status).toBe(200);
    const written = (await refusals()).filter((code) => code === 'token-unknown').length;
    // A minute's share; a slow machine may need more than one minute.
    expect(written).toBeLessThan(125 * (1 + Math.floor((performance.now() - began) / 60_000)));
  });
});
