import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM } from '../../../service/audit/events.ts';
import { DEFAULT_CLASS } from '../../../service/chat/policy.ts';
import { clientOf } from '../../chat/client.ts';
import { startService, type TestService } from '../../helpers/service.ts';

/** The queue of quarantine by its forms alone, as a browser without JavaScript sends them. */

const PAGE = '/governance/quarantine';
const SECRET = 'password=S3cr3t!horse9';

let service: TestService;
let cookies: { first: string; second: string; auditor: string; planner: string };

beforeAll(async () => {
  service = await startService();
  const cookie = async (role: 'owner' | 'auditor' | 'planner') =>
    service.cookie((await service.context.people.invite(SYSTEM, { name: `A ${role}`, role })).id);
  cookies = {
    ...{ first: await cookie('owner'), second: await cookie('owner') },
    ...{ auditor: await cookie('auditor'), planner: await cookie('planner') },
  };
  const { body } = await call<{ general: object; classes: object }>('GET', '/api/governance/policies');
  const sensitive = { ...DEFAULT_CLASS.sensitive, secrets: 'quarantine' };
  const classes = { ...body.classes, held: { ...DEFAULT_CLASS, sensitive } };
  await call('PUT', '/api/governance/policies', { general: body.general, classes });
});
afterAll(() => service.close());

const { call, begin, messages } = clientOf(() => service);

async function page(path: string, cookie = cookies.first) {
  const answer = await fetch(service.url + path, { headers: { Cookie: cookie }, redirect: 'manual' });
  return { status: answer.status, text: await answer.text() };
}

async function submit(path: string, fields: Record<string, string> = {}, cookie = cookies.first) {
  const csrf = /name="_csrf" value="([^"]+)"/.exec((await page('/', cookie)).text)?.[1] ?? '';
  const answer = await fetch(service.url + path, {
    ...{ method: 'POST', redirect: 'manual', body: new URLSearchParams({ _csrf: csrf, ...fields }) },
    headers: { Cookie: cookie, Origin: service.url },
  });
  return { status: answer.status, to: answer.headers.get('location'), text: await answer.text() };
}

async function held(): Promise<{ session: string; id: string }> {
  const { id: session } = await begin({ class: 'held' });
  const { body } = await call<{ quarantineId: string }>(
    ...(['POST', `/api/sessions/${session}/messages`] as const),
    { role: 'user', parts: [{ type: 'text', text: SECRET }] },
  );
  return { session, id: body.quarantineId };
}

describe('the page of the quarantine', () => {
  it('says what it is for where nothing waits, and is for those who govern', async () => {
    expect((await page(PAGE)).text).toContain('Nothing waits for a decision');
    expect((await page('/governance')).text).toContain(`href="${PAGE}"`);
    expect((await page(PAGE, cookies.planner)).status).toBe(403);
    expect((await page('/', cookies.planner)).text).not.toContain('href="/governance"');
  });

  it('shows who, when, rules and places, and the content only to who asks for it', async () => {
    const { session, id } = await held();
    const { text } = await page(PAGE);
    expect(text).toMatch(/waits<[^]*message 1[^]*of class held[^]*password[^]*part 0: \d+ to \d+/);
    expect(text).toContain(`/sessions/${session}#m1`);
    expect(text).toMatch(
      new RegExp(`href="/sessions/${session}">session <span class="mono">${session.slice(-12)}<`),
    );
    expect(text).not.toContain('S3cr3t');
    expect((await page(PAGE, cookies.auditor)).text).not.toContain(`${PAGE}/${id}/`);
    expect((await submit(`${PAGE}/${id}/read`, {}, cookies.auditor)).status).toBe(403);
    expect((await submit(`${PAGE}/${id}/read`)).text).toContain('S3cr3t!horse9');
    const transcript = (await page(`/sessions/${session}`)).text;
    expect(transcript).toMatch(/\[withheld: [\w-]+\][^]*Held back until people decide/);
  });

  it('asks before it does anything, takes a reason, and a second person', async () => {
    const { session, id } = await held();
    const release = `${PAGE}/${id}/release`;
    expect((await submit(release)).text).toContain('Ask to let message 1 in?');
    expect((await submit(release, { step: 'apply', reason: ' ' })).status).toBe(400);
    expect((await page(PAGE)).text).not.toContain('waits for a second person');
    const asked = await submit(release, { step: 'apply', reason: 'a test account' });
    expect([asked.status, asked.to]).toEqual([303, `${PAGE}?done=asked`]);
    expect((await page(PAGE)).text).toMatch(/waits for a second person[^]*a test account/);
    expect((await page('/governance')).text).toMatch(
      /Quarantine<\/span><b>\d+<\/b><span [^>]*>waiting, 1 for a second person</,
    );
    const alone = await submit(release, { step: 'apply', reason: 'again' });
    expect(alone.status).toBe(409);
    expect(alone.text).toContain('Who asked for the release cannot agree to it.');
    expect((await submit(release, {}, cookies.second)).text).toMatch(/Let message 1 in\?[^]*a test account/);
    const agreed = await submit(release, { step: 'apply', reason: 'agreed' }, cookies.second);
    expect(agreed.to).toBe(`${PAGE}?done=released`);
    expect((await messages(session)).messages[0]?.parts[0]?.text).toBe(SECRET);
    expect((await page(`/sessions/${session}`)).text).toContain('Let in after a decision');
    expect((await submit(release)).status).toBe(404);
  });

  it('removes an original after a question, unless it is held', async () => {
    const { session, id } = await held();
    const reject = `${PAGE}/${id}/reject`;
    const hold = await call<{ id: string }>('POST', '/api/governance/holds', {
      reason: 'r',
      sessionId: session,
    });
    expect((await submit(reject)).text).toContain('Remove the original of message 1 for good?');
    const kept = await submit(reject, { step: 'apply', reason: 'a real one' });
    expect([kept.status, kept.text]).toEqual([409, expect.stringContaining('A hold keeps content')]);
    await call('DELETE', `/api/governance/holds/${hold.body.id}`);
    expect((await submit(reject, { step: 'apply', reason: 'a real one' })).to).toBe(`${PAGE}?done=rejected`);
    expect((await page(PAGE)).text).not.toContain(id);
    expect((await page(`/sessions/${session}`)).text).toContain('Held back, and not let in');
  });
});
