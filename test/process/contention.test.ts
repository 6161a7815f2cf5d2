import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { readRows } from '../acceptance/database.ts';
import { auditFailures, verifyAudit } from '../acceptance/lab.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { actionPath, callerOf, eventually, itemPath, newToken, signIn } from './client.ts';
import type { Answer, Caller } from './client.ts';
import { itemFiles } from './queue.ts';
import { factoryJson, newPlace, serve } from './service.ts';
import type { Place, Service } from './service.ts';

const IDS = Array.from({ length: 12 }, (_, n) => `wi-CO-${n + 1}`);

describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  let place: Place;
  let service: Service;
  let owner: Caller;
  const base = (): string => service.url;

  beforeAll(async () => {
    const databaseUrl = engine === 'postgres' ? await createDatabase() : undefined;
    const files = Object.assign({}, ...IDS.map((id) => itemFiles(id, 'backlog')));
    place = newPlace({ below: inject('scratch'), databaseUrl, files });
    service = await serve(place);
    owner = callerOf(base, (await newToken(place, 'owner')).token);
    await eventually(
      () => owner.get('/api/control-plane/items'),
      ({ body }) => body.items.length === IDS.length,
    );
  });
  afterAll(async () => {
    expect(await service.stop()).toMatchObject({ code: 0 });
    expect(await auditFailures(place)).toEqual([]);
  });

  it('answers 100 identical concurrent POSTs with one key 100 times alike, and acts once', async () => {
    const key = randomUUID();
    const post = () =>
      owner.post(
        actionPath('wi-CO-1', 'mark-ready'),
        { input: { note: 'once' } },
        { 'idempotency-key': key },
      );
    const answers = await Promise.all(Array.from({ length: 100 }, post));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    const applied = await readRows<{ id: string }>(
      place,
      `select id from decisions where item_id = 'wi-CO-1' and outcome = 'applied'`,
    );
    expect(applied).toEqual([{ id: answers[0]?.body.decisionId }]);
  });

  it('lets one of 50 concurrent movers win and tells 49 why not', async () => {
    const movers = Array.from({ length: 50 }, (_, n) => (n % 2 ? 'mark-ready' : 'cancel'));
    const answers = await Promise.all(
      movers.map((identity) => owner.post(actionPath('wi-CO-2', identity), {}, { 'if-match': '"1"' })),
    );
    const byStatus = Object.groupBy(answers, ({ status }) => String(status));
    expect(byStatus['200']).toHaveLength(1);
    const losers = answers.filter(({ status }) => status !== 200);
    for (const { status, body } of losers) {
      expect([409, 412]).toContain(status);
      expect(body).toMatchObject({ code: expect.any(String), hint: expect.any(String) });
    }
    const { lane } = byStatus['200']?.[0]?.body as { lane: { to: string } };
    expect((await owner.get(itemPath('wi-CO-2'))).body).toMatchObject({ lane: lane.to });
  });

  it('lets one of 50 concurrent movers win that name no version', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => owner.post(actionPath('wi-CO-3', 'mark-ready'))),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(
      answers.filter(({ status, body }) => status === 409 && body.code === 'action-blocked'),
    ).toHaveLength(49);
  });

  it('raises no false alarm while 8 writers write', async () => {
    const state = { done: false, written: 0 };
    const writers = IDS.slice(0, 8).map(async (id) => {
      while (!state.done) {
        const { status } = await owner.post(actionPath(id, 'record-history'));
        expect(status).toBe(200);
        state.written += 1;
      }
    });
    const sizes: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      const { code, answer } = await verifyAudit(place);
      expect(answer.problems).toEqual([]);
      expect(code).toBe(0);
      sizes.push(answer.size);
    }
    state.done = true;
    await Promise.all(writers);
    expect(state.written).toBeGreaterThan(8);
    expect(sizes.at(-1)).toBeGreaterThan(sizes[0] ?? 0);
  });

  describe('refuses, and the log knows it', () => {
    /** Refusals of a kind in the log, as the API gives them. */
    const entries = async (code: string): Promise<Record<string, unknown>[]> => {
      const found: Record<string, unknown>[] = [];
      let cursor = '';
      do {
        const { body } = await owner.get(`/api/audit/entries?limit=200${cursor}`);
        found.push(...(body.entries as Record<string, unknown>[]));
        cursor = body.nextCursor ? `&cursor=${encodeURIComponent(body.nextCursor as string)}` : '';
      } while (cursor);
      return found.filter((entry) => JSON.stringify(entry).includes(`"${code}"`));
    };
    const foreignHost = (): Promise<number> =>
      new Promise((resolve, reject) => {
        request(`${base()}/api/health`, { headers: { host: 'evil.example' } }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        })
          .on('error', reject)
          .end();
      });

    it('a foreign Host', async () => {
      expect(await foreignHost()).toBe(421);
      expect(await entries('host-refused')).toHaveLength(1);
    });

    it('a form without its CSRF token, and one of another site', async () => {
      const cookie = await signIn(service.loginLink);
      const form = (headers: Record<string, string>): Promise<Answer> =>
        callerOf(base).send('POST', `/items/wi-CO-4/actions/mark-ready`, {
          headers: { cookie, 'content-type': 'application/x-www-form-urlencoded', ...headers },
          body: 'note=x',
        });
      expect((await form({ origin: base() })).status).toBe(403);
      expect((await form({ origin: 'http://evil.example' })).status).toBe(403);
      expect((await owner.get(itemPath('wi-CO-4'))).body).toMatchObject({ lane: 'backlog' });
      expect(await entries('csrf-token-missing')).toHaveLength(1);
      expect(await entries('origin-refused')).toHaveLength(1);
    });

    it('a revoked token, an unknown one, and those of a removed person', async () => {
      const revoked = await newToken(place, 'planner', 'short-lived');
      expect((await callerOf(base, revoked.token).get('/api/control-plane/items')).status).toBe(200);
      expect((await factoryJson(place, 'token', 'revoke', revoked.id)).code).toBe(0);
      const { answer: gone } = await factoryJson<{ id: string; url: string }>(
        place,
        'people',
        'invite',
        '--name',
        'Gone',
        '--role',
        'planner',
      );
      const cookie = await signIn(`${base()}/login?link=${new URL(gone.url).searchParams.get('link')}`);
      const { answer: theirs } = await factoryJson<{ token: string }>(
        place,
        ...['token', 'create', '--name', 'theirs', '--role', 'planner', '--owner', gone.id],
      );
      expect((await callerOf(base, theirs.token).get('/api/control-plane/items')).status).toBe(200);
      expect((await factoryJson(place, 'people', 'remove', gone.id)).code).toBe(0);
      for (const token of [revoked.token, theirs.token, 'bf_nobody-ever-had-this']) {
        const { status, body } = await callerOf(base, token).post(actionPath('wi-CO-5', 'mark-ready'));
        expect(status).toBe(401);
        expect(body).toMatchObject({ code: 'unauthenticated', hint: expect.any(String) });
      }
      expect((await callerOf(base).get('/', { cookie })).status).toBe(303);
      expect((await callerOf(base).post(actionPath('wi-CO-5', 'mark-ready'), {}, { cookie })).status).toBe(
        401,
      );
      for (const code of ['token-revoked', 'token-unknown']) expect(await entries(code)).toHaveLength(1);
      const kinds = (await entries('person-removed')).map(
        ({ leaf }) => (leaf as { actor: { kind: string } }).actor.kind,
      );
      expect(kinds.sort()).toEqual(['person', 'person', 'token']);
    });

    it('with no title or other content in any entry', async () => {
      await owner.post(actionPath('wi-CO-6', 'mark-ready'), { input: { note: 'A note that tells a lot.' } });
      const leaves = await readRows<{ leaf: string }>(place, 'select leaf from audit_entries');
      const text = leaves.map(({ leaf }) => leaf).join('\n');
      for (const content of ['Title of', 'Summary of', 'tells a lot', 'First', 'Gone', 'Owner'])
        expect(text).not.toContain(content);
    });
  });
});
