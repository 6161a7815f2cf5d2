import { afterEach, describe, expect, it } from 'vitest';
import { startPages, type Running, type World } from './context.ts';
import { minutesAgo, principal } from './fixtures.ts';
import { textOf } from './text.ts';

let running: Running | null = null;

afterEach(async () => {
  await running?.close();
  running = null;
});

async function ask(path: string, form?: Record<string, string>, world: World = {}) {
  running ??= await startPages(world);
  const body = form && new URLSearchParams({ _csrf: 'csrf-of-the-session', ...form });
  const call = body ? { method: 'POST', body } : {};
  const response = await fetch(running.url + path, { ...call, redirect: 'manual' });
  const text = await response.text();
  return { status: response.status, location: response.headers.get('location'), text, lines: textOf(text) };
}

describe('who is there already', () => {
  it('gets a new link, after a question, shown once', async () => {
    expect((await ask('/people')).text).toContain('action="/people/person-ben/link"');
    const asked = await ask('/people/person-ben/link', {});
    expect(asked.lines).toContain('Make a new link for Ben?');
    expect(asked.text).toContain('name="signOut"');
    const made = await ask('/people/person-ben/link', { step: 'apply' });
    expect(made.lines).toContain('The link for Ben is ready.');
    expect(made.text).toContain('link=again<');
    const alone = await ask('/people/person-ben/link', { step: 'apply', signOut: 'yes' });
    expect(alone.text).toContain('link=again-alone<');
    expect((await ask('/people/person-ben/link')).location).toBe('/people');
    expect((await ask('/people/nobody/link', { step: 'apply' })).status).toBe(404);
  });

  it('gets another role, after a question that says what becomes of their tokens', async () => {
    const asked = await ask('/people/person-ben/role', { role: 'planner' });
    expect(asked.lines).toContain('Make Ben planner instead of reviewer?');
    expect(asked.text).toContain('Their tokens stay as they are.');
    expect((await ask('/people/person-ben/role', { role: 'planner', step: 'apply' })).location).toBe(
      '/people',
    );
    expect((await ask('/people/person-ben/role', { role: 'reviewer' })).location).toBe('/people');
  });

  it('keeps the role where nobody else could manage people', async () => {
    expect((await ask('/people')).text).not.toContain('action="/people/person-ada/role"');
    for (const form of [{ role: 'planner' }, { role: 'planner', step: 'apply' }]) {
      const refused = await ask('/people/person-ada/role', form as Record<string, string>);
      expect([refused.status, refused.text.includes('href="#invite"')]).toEqual([409, true]);
    }
  });

  it('is not invited again by a slip', async () => {
    const asked = await ask('/people/invite', { name: ' ben', role: 'planner' });
    expect(asked.lines).toContain('There is a person Ben already (invited).');
    expect(asked.text).toContain('action="/people/person-ben/link"');
    const another = await ask('/people/invite', { name: 'Ben', role: 'planner', step: 'apply' });
    expect(another.lines).toContain('The invitation is ready.');
  });

  it('is managed by owners', async () => {
    const planner = principal('Pia', 'planner');
    const { text } = await ask('/people', undefined, { principal: planner });
    expect(text).not.toMatch(/action="\/people\/[^"]*\/(link|role)"/);
    for (const path of ['link', 'role'])
      expect((await ask(`/people/person-ben/${path}`, { role: 'owner', step: 'apply' })).status).toBe(403);
  });
});

it('shows which roles of a token its person has not', async () => {
  const token = { id: 't', name: 'desk', createdAt: minutesAgo(9), lastUsedAt: null, expiresAt: null };
  const person = { id: 'p', name: 'Cem', createdAt: minutesAgo(60), lastSeenAt: null };
  const people = [
    {
      ...person,
      roles: ['planner'],
      status: 'active' as const,
      tokens: [{ ...token, roles: ['owner', 'agent'], revokedAt: null }],
    },
  ];
  expect((await ask('/people', undefined, { people })).text).toContain('agent · held back: owner');
});

it('does not say of the viewer when they were last seen: they are here', async () => {
  const { lines } = await ask('/people');
  expect(lines.filter((line) => line.endsWith('here now'))).toHaveLength(1);
  expect(lines.join('\n')).not.toContain('last seen');
});
