import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSessions } from '../../service/access/sessions.ts';
import { SYSTEM } from '../../service/audit/events.ts';
import { PROJECT, startItems, type ItemsFixture } from '../work-items/service.fixture.ts';

let fixture: ItemsFixture;
let sessions: ReturnType<typeof createSessions>;

beforeEach(async () => {
  fixture = await startItems({});
  const { storage, audit, clock, people } = fixture;
  sessions = createSessions({ storage, audit, clock, people, projectId: PROJECT, baseUrl: () => 'http://x' });
});
afterEach(() => fixture.close());

const secretOf = ({ url }: { url: string }) => new URL(url).searchParams.get('link') ?? '';
const signIn = (link: { url: string }) => sessions.signInWithLink(secretOf(link));

async function signedIn(role: string): Promise<{ id: string; cookie: string }> {
  const link = await fixture.people.invite(SYSTEM, { name: 'Ada', role });
  const answer = await signIn(link);
  return { id: link.id, cookie: 'secret' in answer ? answer.secret : '' };
}

const rolesBy = async (cookie: string) => {
  const answer = await sessions.authenticate(cookie);
  return answer && 'principal' in answer ? answer.principal.roles : null;
};

describe('a new link for somebody who is there', () => {
  it('lets them in again after a sign-out, once, and ends the links that nobody used', async () => {
    const { people } = fixture;
    const ada = await signedIn('planner');
    const cookie = await sessions.authenticate(ada.cookie);
    if (!cookie || !('principal' in cookie)) throw new Error('Ada is not signed in.');
    await sessions.signOut(cookie);
    const lost = await people.link(SYSTEM, ada.id);
    const link = await people.link(SYSTEM, ada.id);
    expect(await signIn(lost)).toMatchObject({ refused: 'link-unknown' });
    expect(await signIn(link)).toMatchObject({ secret: expect.any(String) });
    expect(await signIn(link)).toMatchObject({ refused: 'link-used', personId: ada.id });
    expect(Date.parse(link.expiresAt) - fixture.clock.now()).toBe(86_400_000);
    expect(await fixture.verify()).toMatchObject({ ok: true, problems: [] });
  });

  it('keeps their sign-ins unless it is told to end them', async () => {
    const ada = await signedIn('planner');
    await fixture.people.link(SYSTEM, ada.id);
    expect(await rolesBy(ada.cookie)).toEqual(['planner']);
    await fixture.people.link(SYSTEM, ada.id, { signOut: true });
    expect(await rolesBy(ada.cookie)).toBeNull();
  });

  it('holds for a week for somebody who never came, and is none for who was removed', async () => {
    const { people, clock } = fixture;
    const { id } = await people.invite(SYSTEM, { name: 'Ben', role: 'planner' });
    const link = await people.link(SYSTEM, id);
    expect(Date.parse(link.expiresAt) - clock.now()).toBe(7 * 86_400_000);
    await people.remove(SYSTEM, id);
    for (const gone of [id, 'nobody'])
      await expect(people.link(SYSTEM, gone)).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('another role', () => {
  it('counts from the next request on, by cookie and by token, and is an event', async () => {
    const { people, tokens } = fixture;
    const ada = await signedIn('owner');
    const input = { name: 'desk', roles: ['owner', 'agent'], personId: ada.id, expires: null };
    const { token } = await tokens.create(SYSTEM, input);
    const rolesByToken = async () => {
      const answer = await tokens.authenticate(token);
      return 'principal' in answer ? [answer.principal.roles, [...answer.principal.permissions]] : null;
    };
    expect(await rolesByToken()).toMatchObject([['owner', 'agent'], expect.any(Array)]);

    await people.setRole(SYSTEM, ada.id, 'auditor');
    expect(await rolesBy(ada.cookie)).toEqual(['auditor']);
    expect(await rolesByToken()).toEqual([[], []]);
    expect((await people.active()).find(({ id }) => id === ada.id)?.roles).toEqual(['auditor']);
    await expect(tokens.create(SYSTEM, input)).rejects.toMatchObject({ code: 'bad-input' });
    expect(await fixture.verify()).toMatchObject({ ok: true, problems: [] });

    await people.setRole(SYSTEM, ada.id, 'planner');
    const [roles, permissions] = (await rolesByToken()) ?? [];
    expect(roles).toEqual(['agent']);
    expect(permissions).not.toContain('factory.people.manage');

    await people.setRole(SYSTEM, ada.id, 'owner');
    expect(await rolesByToken()).toMatchObject([['owner', 'agent'], expect.any(Array)]);
  });

  it.each([
    ['auditor', 'agent', false],
    ['operator', 'ci', false],
    ['auditor', 'auditor', true],
    ['planner', 'agent', true],
    ['reviewer', 'ci', true],
    ['planner', 'reviewer', false],
  ])('lets of a person who is %s a token be %s: %s', async (role, tokenRole, isAllowed) => {
    const { people, tokens } = fixture;
    const { id: personId } = await people.invite(SYSTEM, { name: 'Ada', role });
    const created = tokens.create(SYSTEM, { name: 'T', roles: [tokenRole], personId, expires: null });
    if (isAllowed) expect((await created).roles).toEqual([tokenRole]);
    else {
      const message = `Ada is ${role}: no token of theirs can have the role ${tokenRole}.`;
      await expect(created).rejects.toMatchObject({ code: 'bad-input', message });
    }
  });

  it('leaves an entry in the log, and none where nothing changes', async () => {
    const { audit, people } = fixture;
    const ada = await signedIn('planner');
    for (const role of ['reviewer', 'reviewer']) await people.setRole(SYSTEM, ada.id, role);
    const filters = { action: 'person.role-changed' };
    const { entries } = await audit.entries({ after: null, limit: 9, filters });
    expect(entries).toHaveLength(1);
    expect(JSON.parse(entries[0]?.leaf ?? '')).toMatchObject({
      ...{ object: { kind: 'person', id: ada.id }, event: {} },
    });
  });

  it('protects the last owner, and nobody who is gone', async () => {
    const { people, owner } = fixture;
    const change = (id: string, role: string) => people.setRole(SYSTEM, id, role);
    await expect(change(owner.personId, 'planner')).rejects.toMatchObject({ code: 'last-owner' });
    const { id } = await people.invite(SYSTEM, { name: 'Ben', role: 'owner' });
    await expect(change(owner.personId, 'planner')).rejects.toMatchObject({ code: 'last-owner' });
    await signIn(await people.link(SYSTEM, id));
    await change(owner.personId, 'planner');
    await expect(people.remove(SYSTEM, id)).rejects.toMatchObject({ code: 'last-owner' });
    await expect(change('nobody', 'planner')).rejects.toMatchObject({ code: 'not-found' });
    await expect(change(id, 'king')).rejects.toMatchObject({ code: 'bad-input' });
    await people.remove(SYSTEM, owner.personId);
    await expect(change(owner.personId, 'owner')).rejects.toMatchObject({ code: 'not-found' });
  });
});

it('knows to the minute when somebody was last seen', async () => {
  const ada = await signedIn('planner');
  fixture.clock.advance(60_000);
  await rolesBy(ada.cookie);
  const seen = (await fixture.people.list()).find(({ id }) => id === ada.id)?.lastSeenAt;
  expect(Date.parse(seen ?? '')).toBe(fixture.clock.now());
});
