import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { queueFiles, record, startItems, type ItemsFixture } from './service.fixture.ts';

let open: ItemsFixture[] = [];
afterEach(async () => {
  for (const fixture of open) await fixture.close();
  open = [];
});

async function start(pack: string, lanes: Record<string, string[]>, blockedBy: Record<string, string> = {}) {
  const files: Record<string, string> = { ...queueFiles(lanes), 'policy.yaml': `gatePack: ${pack}\n` };
  for (const [path, id] of Object.entries(blockedBy)) {
    const [lane, name] = path.split('/') as [string, string];
    files[`${path}.md`] = record(name, lane, `blockedBy: [${id}]\n`);
  }
  const fixture = await startItems(files, { attentionRefreshMs: 0 });
  open.push(fixture);
  const { items, owner } = fixture;
  return {
    ...fixture,
    needs: async () => {
      const { attention } = await items.board(owner);
      return attention.filter(({ lane }) => lane !== 'review').map((item) => [item.id, item.attention]);
    },
  };
}

describe('a queued handoff that waits for other items', () => {
  const lanes = { ready: ['wi-A-1'], review: ['wi-B-1'] };

  it('needs attention until they are done, and leads to the first of them', async () => {
    const { items, owner, needs } = await start('strict', lanes, { 'ready/wi-A-1': 'wi-B-1' });
    expect(await needs()).toEqual([]);
    const { result } = await items.act(owner, 'wi-A-1', 'start-execution');
    const line = 'Waiting for wi-B-1: nobody can claim the queued handoff.';
    expect(result.item.guidance.join(' ')).toContain(`${line} Finish wi-B-1, or unlink it`);
    const step = { label: 'Open wi-B-1', action: null, url: '/items/wi-B-1' };
    expect(await needs()).toEqual([['wi-A-1', { kind: 'blocked', cause: line, step }]]);
    await items.act(owner, 'wi-B-1', 'cancel');
    expect(await needs()).toMatchObject([
      ['wi-A-1', { cause: 'Unlink wi-B-1 from blockedBy in the record: it is cancelled.' }],
    ]);
  });

  it('needs none where the policy lets it be claimed, and does once the policy says otherwise', async () => {
    const { items, owner, needs, queueDir } = await start('baseline', lanes, { 'ready/wi-A-1': 'wi-B-1' });
    await items.act(owner, 'wi-A-1', 'start-execution');
    expect(await needs()).toEqual([]);
    writeFileSync(join(queueDir, 'policy.yaml'), 'gatePack: strict\n');
    await expect.poll(needs, { timeout: 5000 }).toMatchObject([['wi-A-1', { kind: 'blocked' }]]);
  });

  it('needs none once they are done', async () => {
    const done = { ready: ['wi-A-1'], done: ['wi-B-1'] };
    const { items, owner, needs } = await start('strict', done, { 'ready/wi-A-1': 'wi-B-1' });
    await items.act(owner, 'wi-A-1', 'start-execution');
    expect(await needs()).toEqual([]);
  });
});

describe('a handoff whose holder is gone', () => {
  const hold = async (end: 'revoke' | 'remove' | 'expire' | 'demote') => {
    const fixture = await start('baseline', { ready: ['wi-A-1'] });
    const { items, owner, tokens, people, principal, clock } = fixture;
    const { id: person } = await people.invite(SYSTEM, { name: 'Cy', role: 'planner' });
    const expires = end === 'expire' ? '1d' : null;
    const { id } = await tokens.create(SYSTEM, { name: 'bot', roles: ['agent'], personId: person, expires });
    await items.act(owner, 'wi-A-1', 'start-execution');
    const agent = principal(id, 'bot', ['agent'], 'token', person);
    const { version } = await items.show(owner, 'wi-A-1');
    await items.act(agent, 'wi-A-1', 'claim', { idempotencyKey: 'k', ifMatch: version });
    expect(await fixture.needs()).toEqual([]);
    if (end === 'revoke') await tokens.revoke(SYSTEM, id);
    else if (end === 'remove') await people.remove(SYSTEM, person);
    else if (end === 'demote') await people.setRole(SYSTEM, person, 'auditor');
    else clock.advance(2 * 86_400_000);
    return fixture;
  };

  it.each([
    ['revoke', 'bot (token of Cy), which was revoked'],
    ['remove', 'bot (token of Cy), whose owner was removed'],
    ['expire', 'bot (token of Cy), which has expired'],
    ['demote', 'bot (token of Cy), which may not submit evidence any more'],
  ] as const)('by %s needs attention and is released', async (end, holder) => {
    const { items, owner, needs } = await hold(end);
    const { handoff, guidance } = await items.show(owner, 'wi-A-1');
    expect(guidance).toEqual([
      `Handoff ${handoff?.id} is held by ${holder}; nobody goes on with it. Send the item back to ready with Release handoff.`,
    ]);
    const step = { label: 'Release handoff', action: 'release-handoff', url: '/items/wi-A-1' };
    const cause = `Handoff ${handoff?.id} is held by ${holder}.`;
    expect(await needs()).toEqual([['wi-A-1', { kind: 'blocked', cause, step }]]);
    await items.act(owner, 'wi-A-1', 'release-handoff');
    expect(await needs()).toEqual([]);
  });
});
