import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTokenUses } from '../../service/access/token-uses.ts';
import { SYSTEM } from '../../service/audit/events.ts';
import { createLogger } from '../../service/logger.ts';
import { rawSql } from '../storage/engine.ts';
import { PROJECT, startItems, type ItemsFixture } from '../work-items/service.fixture.ts';

let fixture: ItemsFixture;
let token: { id: string; token: string };

beforeEach(async () => {
  fixture = await startItems({});
  const { tokens, owner } = fixture;
  const input = { name: 'desk', roles: ['agent'], personId: owner.personId, expires: '1d' };
  token = await tokens.create(SYSTEM, input);
});
afterEach(() => fixture.close());

const use = () => fixture.tokens.authenticate(token.token);

/** As lists show it, once what was written before has its commit. */
async function lastUsedAt(): Promise<string | null | undefined> {
  await fixture.storage.write(async () => undefined);
  const [listed] = await fixture.tokens.list();
  const [person] = await fixture.people.list();
  expect(person?.tokens[0]?.lastUsedAt).toBe(listed?.lastUsedAt);
  return listed?.lastUsedAt;
}

describe('the last use of a token', () => {
  it('is never, then the first use, then known to the minute', async () => {
    expect(await lastUsedAt()).toBeNull();
    await use();
    expect(await lastUsedAt()).toBe('2026-05-04T10:00:00.000Z');
    fixture.clock.advance(59_999);
    await use();
    expect(await lastUsedAt()).toBe('2026-05-04T10:00:00.000Z');
    fixture.clock.advance(1);
    await use();
    expect(await lastUsedAt()).toBe('2026-05-04T10:01:00.000Z');
  });

  it('follows a clock that was set back', async () => {
    await use();
    fixture.clock.advance(-3_600_000);
    await use();
    expect(await lastUsedAt()).toBe('2026-05-04T09:00:00.000Z');
  });

  it('is no use that was refused', async () => {
    await use();
    fixture.clock.advance(86_400_000);
    expect(await use()).toMatchObject({ refused: 'token-expired' });
    await fixture.tokens.revoke(SYSTEM, token.id);
    expect(await use()).toMatchObject({ refused: 'token-revoked' });
    expect(await lastUsedAt()).toBe('2026-05-04T10:00:00.000Z');
  });

  it('is no change: no event, no entry, nothing for verification to find', async () => {
    const counts = () =>
      rawSql(
        fixture.databaseUrl,
        'select (select count(*) from events) as events, (select count(*) from audit_entries) as entries',
      );
    const before = await counts();
    await use();
    expect(await lastUsedAt()).not.toBeNull();
    expect(await counts()).toEqual(before);
    expect(await fixture.verify()).toMatchObject({ ok: true, problems: [] });
  });

  it('neither holds up nor fails its request where it cannot be written', async () => {
    const lines: string[] = [];
    const logger = createLogger('warn', { write: (line) => void lines.push(line) });
    let writes = 0;
    const write = () => {
      writes += 1;
      return Promise.reject(new Error('The disk is full.'));
    };
    const { storage, clock } = fixture;
    const uses = createTokenUses({
      ...{ storage: { ...storage, write }, clock, projectId: PROJECT, logger },
    });
    for (let n = 0; n < 10; n += 1) uses.note(token.id);
    await expect.poll(() => lines).toHaveLength(1);
    expect(writes).toBe(1);
    expect(lines[0]).toContain('The disk is full.');
  });
});
