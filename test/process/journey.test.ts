import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { auditFailures } from '../acceptance/lab.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { actionPath, callerOf, eventually, itemPath, newToken, signIn } from './client.ts';
import type { Answer, Caller } from './client.ts';
import { factory, factoryJson, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';

const COMMIT = '8f1c2d3e4b5a69788f1c2d3e4b5a69788f1c2d3e';

/** An item from the backlog to done, by people with cookies and an agent with a token; nothing on the way is a dead end. */
describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  it('goes from backlog to done by people and an agent, and its record follows', async () => {
    const databaseUrl = engine === 'postgres' ? await createDatabase() : undefined;
    const place = newPlace({ below: inject('scratch'), databaseUrl });
    expect(await factory(place, 'init')).toMatchObject({ code: 0 });
    const service = await serve(place, []);
    const base = (): string => service.url;
    place.env.FACTORY_BASE_URL = service.url;
    const owner = await person(base, service.loginLink);
    const planner = await person(base, await invite(place, 'Pia', 'planner'));
    const reviewer = await person(base, await invite(place, 'Rui', 'reviewer'));
    const agent = callerOf(base, (await newToken(place, 'agent')).token);

    const created = await planner.post('/api/control-plane/items', {
      ...{ title: 'Zähle die Bäume 🌳', summary: 'Trees are counted.', workType: 'implementation' },
      ...{ criteria: ['Every tree counts once.'], prompt: 'Count the trees.', branch: 'bf/trees' },
    });
    expect(created.status).toBe(201);
    const id = created.body.id as string;
    const act = (caller: Caller, identity: string, input: unknown = {}) =>
      caller.post(actionPath(id, identity), { input });
    const byAgent = async (identity: string, input: unknown = {}): Promise<Answer> => {
      const { headers } = await agent.get(itemPath(id));
      const asked = { 'idempotency-key': `${identity}-1`, 'if-match': headers.get('etag') ?? '' };
      return agent.post(actionPath(id, identity), { input }, asked);
    };
    const lies = async (lane: string): Promise<void> => {
      const path = join(place.queue, lane, `${id}.md`);
      await eventually(
        async () => existsSync(path) && readFileSync(path, 'utf8'),
        (text) => text !== false && text.includes(`status: ${lane}`),
      );
    };
    await lies('backlog');

    expect((await act(reviewer, 'mark-ready')).body).toMatchObject({
      status: 403,
      code: 'permission-missing',
    });
    expect((await act(planner, 'mark-ready')).body.lane).toEqual({ from: 'backlog', to: 'ready' });
    await lies('ready');
    expect((await act(planner, 'start-execution')).status).toBe(200);
    expect((await byAgent('claim')).body.lane).toEqual({ from: 'ready', to: 'executing' });
    await lies('executing');
    expect(
      (await byAgent('submit-evidence', { kind: 'validation', result: 'passed', commit: COMMIT })).status,
    ).toBe(200);
    expect((await byAgent('request-review')).body.lane).toEqual({ from: 'executing', to: 'review' });
    await lies('review');

    const early = await act(reviewer, 'complete');
    expect(early.body).toMatchObject({ status: 409, code: 'action-blocked' });
    expect(early.body.blockers[0].unblock).toContainEqual(
      expect.objectContaining({ action: 'submit-evidence' }),
    );
    expect(
      (await act(reviewer, 'submit-evidence', { kind: 'attestation', result: 'passed', commit: COMMIT }))
        .status,
    ).toBe(200);
    expect((await act(reviewer, 'complete')).body.lane).toEqual({ from: 'review', to: 'done' });
    await lies('done');
    expect((await act(owner, 'record-history')).status).toBe(200);

    const done = await owner.get(itemPath(id));
    expect(done.body).toMatchObject({
      lane: 'done',
      source: 'done',
      status: 'done',
      state: 'done',
      title: 'Zähle die Bäume 🌳',
    });
    for (const lane of ['backlog', 'ready', 'executing', 'review'])
      expect(existsSync(join(place.queue, lane, `${id}.md`))).toBe(false);
    const { answer } = await factoryJson<{ problems: { severity?: string }[] }>(place, 'validate');
    expect(answer.problems).toEqual([]);
    expect(await service.stop()).toMatchObject({ code: 0 });
    expect(await auditFailures(place)).toEqual([]);
  });
});

async function invite(place: Place, name: string, role: string): Promise<string> {
  const { code, answer } = await factoryJson<{ url: string }>(
    place,
    'people',
    'invite',
    '--name',
    name,
    '--role',
    role,
  );
  expect(code).toBe(0);
  return answer.url;
}

/** A signed-in person who calls the API as the pages do. */
async function person(base: () => string, link: string): Promise<Caller> {
  const cookie = await signIn(link);
  const nobody = callerOf(base);
  return {
    get: (path, headers) => nobody.get(path, { cookie, ...headers }),
    post: (path, body, headers) => nobody.post(path, body, { cookie, origin: base(), ...headers }),
    send: (method, path, init) =>
      nobody.send(method, path, {
        ...init,
        headers: { cookie, ...(init?.headers as Record<string, string>) },
      }),
  };
}
