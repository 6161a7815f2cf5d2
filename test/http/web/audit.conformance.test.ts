import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM } from '../../../service/audit/events.ts';
import { createEngineDatabase } from '../../helpers/postgres.ts';
import { itemFiles, startService, type TestService } from '../../helpers/service.ts';
import { clientOf } from '../contract.ts';
import { textOf } from './text.ts';

let service: TestService;
let cookie: string;

beforeAll(async () => {
  service = await startService({
    databaseUrl: await createEngineDatabase(),
    workItems: { ...itemFiles('wi-A-1', 'ready'), ...itemFiles('wi-A-2', 'ready') },
  });
  cookie = await service.cookie();
});
afterAll(() => service.close());

async function found(actor: string): Promise<string> {
  const answer = await fetch(`${service.url}/audit?actor=${encodeURIComponent(actor)}`, {
    headers: { cookie },
  });
  expect(answer.status).toBe(200);
  return textOf(await answer.text()).join('\n');
}

const refresh = (token: string, id: string) =>
  clientOf(service.url, token)(`POST /api/control-plane/items/${id}/actions/refresh-truth`, {
    headers: { 'if-match': '*', 'idempotency-key': id },
  });

describe('the actor filter of the audit page', () => {
  it('finds by a person what their tokens did, revoked ones too, and nothing of others', async () => {
    const { people, tokens } = service.context;
    const { id } = await people.invite(SYSTEM, { name: 'Grace', role: 'planner' });
    const input = { personId: id, roles: ['planner'], expires: null };
    const desk = await tokens.create(SYSTEM, { ...input, name: 'desk' });
    const agent = await tokens.create(SYSTEM, { ...input, name: 'night shift' });
    expect((await refresh(desk.token, 'wi-A-1')).status).toBe(200);
    expect((await refresh(agent.token, 'wi-A-2')).status).toBe(200);
    await tokens.revoke(SYSTEM, agent.id);

    for (const actor of ['Grace', id]) {
      const text = await found(actor);
      expect(text).toContain('Entries by Grace, desk, night shift');
      expect(text).toMatch(/^desk\nwork-item.refresh-truth truth refreshed\nwi-A-1$/m);
      expect(text).toMatch(/^night shift\nwork-item.refresh-truth truth refreshed\nwi-A-2$/m);
      expect(text).not.toContain('session.signed-in');
    }
    const one = await found('desk');
    expect(one).toContain('wi-A-1');
    expect(one).not.toContain('wi-A-2');
    expect(await found('Owner')).not.toContain('work-item.refresh-truth');
  });
});

describe('an action of several events', () => {
  it('has an entry for each, named by its kind and without what it says', async () => {
    const owner = clientOf(service.url, service.owner);
    for (const action of ['start-execution', 'claim'])
      expect(
        (
          await owner(`POST /api/control-plane/items/wi-A-1/actions/${action}`, {
            body: { input: { note: 'Hush.' } },
          })
        ).status,
      ).toBe(200);
    const answer = await fetch(`${service.url}/audit?action=claim`, { headers: { cookie } });
    const lines = textOf(await answer.text());
    expect(lines.filter((line) => line.startsWith('work-item.claim')).sort()).toEqual([
      'work-item.claim handoff claimed',
      'work-item.claim lane moved',
    ]);
    expect(lines.join()).not.toContain('Hush.');
  });
});
