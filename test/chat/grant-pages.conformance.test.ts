import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { manualClock } from '../../service/clock.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';

/** Grants and break-glass by their forms alone, as a browser without JavaScript sends them. */

const clock = manualClock('2026-05-01T08:00:00.000Z');
const HOUR = 3_600_000;
const DAY = 86_400;
const PAGE = '/governance/grants';

interface Somebody {
  id: string;
  name: string;
  cookie: string;
  token: string;
}

let service: TestService;
let people: Record<'first' | 'second' | 'mine' | 'guest' | 'auditor' | 'operator', Somebody>;

beforeAll(async () => {
  service = await startService({ engine: inject('engine'), clock });
  const somebody = async (role: 'owner' | 'planner' | 'reviewer' | 'auditor' | 'operator', name: string) => {
    const { id } = await service.context.people.invite(SYSTEM, { name, role });
    return { id, name, cookie: await service.cookie(id), token: await service.token({ role, personId: id }) };
  };
  people = {
    first: await somebody('owner', 'Olga'),
    second: await somebody('owner', 'Otto'),
    mine: await somebody('planner', 'Pia'),
    guest: await somebody('reviewer', 'Rolf'),
    auditor: await somebody('auditor', 'Anna'),
    operator: await somebody('operator', 'Oskar'),
  };
});
afterAll(() => service.close());

const { call, begin, say } = clientOf(() => service);

async function page(path: string, { cookie }: Pick<Somebody, 'cookie'>, at = service) {
  const headers = { Cookie: cookie, Accept: 'text/html' };
  const answer = await fetch(at.url + path, { headers, redirect: 'manual' });
  return { status: answer.status, text: await answer.text() };
}

async function submit(
  path: string,
  fields: Record<string, string>,
  who: Pick<Somebody, 'cookie'>,
  at = service,
) {
  const csrf = /name="_csrf" value="([^"]+)"/.exec((await page('/', who, at)).text)?.[1] ?? '';
  const answer = await fetch(at.url + path, {
    ...{ method: 'POST', redirect: 'manual', body: new URLSearchParams({ _csrf: csrf, ...fields }) },
    headers: { Cookie: who.cookie, Accept: 'text/html', Origin: at.url },
  });
  return { status: answer.status, to: answer.headers.get('location'), text: await answer.text() };
}

/** The fields of the form with which a plan is confirmed. */
function confirmed(text: string): Record<string, string> {
  const plan = text.slice(text.indexOf('id="plan"'));
  const form = plan.slice(plan.indexOf('<form'), plan.indexOf('</form>'));
  const fields = [...form.matchAll(/type="hidden" name="([a-zA-Z]+)" value="([^"]*)"/g)];
  return { ...Object.fromEntries(fields.map(([, name = '', value = '']) => [name, value])), step: 'apply' };
}

const reads = async (id: string, { token }: Pick<Somebody, 'token'>) =>
  (await call('GET', `/api/sessions/${id}/messages`, undefined, token)).status;

async function written(by: Somebody): Promise<string> {
  const { id } = await begin({ title: 'A plan of mine' }, by.token);
  await say(id, 'only for some', undefined, by.token);
  return id;
}

async function breakGlass(on: boolean, at = service): Promise<void> {
  const ask = clientOf(() => at).call;
  const { body } = await ask<{ general: object; classes: object }>('GET', '/api/governance/policies');
  await ask('PUT', '/api/governance/policies', {
    ...{ classes: body.classes, general: { ...body.general, breakGlass: on } },
  });
}

describe('the page of a session', () => {
  it('lets whose it is share it after a plan, and end that after a question', async () => {
    const { mine, guest } = people;
    const id = await written(mine);
    const access = `/sessions/${id}/access`;
    expect((await page(`/sessions/${id}`, mine)).text).toContain(`href="${access}">Share`);
    expect((await page(access, mine)).text).toContain('Nobody was let in');
    expect((await page(access, mine)).text).toMatch(
      /<option value="team"[^]*Olga · owner[^]*Rolf · reviewer/,
    );
    expect((await page(access, mine)).text).not.toMatch(/<option[^>]*>(?:Anna|Oskar|Pia) /);

    const fields = { grantee: guest.id, lasts: String(7 * DAY), reason: 'pairing <now>' };
    const planned = await submit(access, { ...fields, step: 'plan' }, mine);
    expect(planned.status).toBe(200);
    expect(planned.text).toMatch(
      /Plan: Let in[^]*Rolf[^]*2026-05-08 08:00 UTC \(in 7 d\)[^]*pairing &lt;now&gt;/,
    );
    expect(await reads(id, guest)).toBe(404);
    const made = await submit(access, { ...confirmed(planned.text), reason: 'pairing <now>' }, mine);
    expect([made.status, made.to]).toEqual([303, `${access}?done=made`]);
    expect(await reads(id, guest)).toBe(200);

    const listed = (await page(`${access}?done=made`, mine)).text;
    expect(listed).toMatch(/They are let in\.[^]*in force[^]*Rolf[^]*pairing &lt;now&gt;[^]*given by Pia/);
    expect((await page(`/sessions/${id}`, guest)).text).not.toContain('>Share<');
    expect((await page(access, guest)).text).toMatch(/given by Pia/);
    expect((await page(access, guest)).text).not.toContain('name="lasts"');

    const end = /action="([^"]+\/end)"/.exec(listed)?.[1] ?? '';
    expect((await submit(end, {}, mine)).text).toContain('End this grant?');
    expect(await reads(id, guest)).toBe(200);
    expect((await submit(end, { step: 'apply' }, mine)).to).toBe(`${access}?done=ended`);
    expect(await reads(id, guest)).toBe(404);
    expect((await page(access, mine)).text).toMatch(/dash"\/><\/svg>ended<[^]*ended by Pia/);
  });

  it.each([
    ['nobody who belongs here', { grantee: 'nobody' }, 'grantee'],
    ['no reason', { reason: '' }, 'reason'],
    ['no time of the list', { lasts: '1' }, 'lasts'],
  ])('says beside the field what is wrong: %s', async (_what, wrong, field) => {
    const id = await written(people.mine);
    const fields = { grantee: 'team', lasts: String(DAY), reason: 'typed before', step: 'apply', ...wrong };
    const answer = await submit(`/sessions/${id}/access`, fields, people.mine);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(`id="share-${field}-problem"`);
    expect(answer.text).not.toContain('id="plan"');
    expect(await reads(id, people.guest)).toBe(404);
  });

  it('says how to ask to whoever does not see it, whether it is there or not', async () => {
    const { mine, guest, operator } = people;
    const id = await written(mine);
    const nowhere = '01890a5d-ac96-774b-bcce-b302099a8057';
    const said = async (path: string, who: Somebody) => {
      const { status, text } = await page(path, who);
      expect(status).toBe(404);
      const main = text.slice(text.indexOf('<main'), text.indexOf('</main>'));
      return main.replaceAll(/<p class="muted small aside">[^]*?<\/p>/g, '').replaceAll(/\s+/g, ' ');
    };
    const there = await said(`/sessions/${id}`, guest);
    expect(there).toContain('ask them to let you in: on the page of their session by Share');
    for (const path of [`/sessions/${nowhere}`, `/sessions/${id}/access`, '/sessions/no-id'])
      expect(await said(path, guest)).toBe(there);
    expect(await said(`/sessions/${id}`, operator)).toContain('ask an owner for such a role');
    expect((await submit(`/sessions/${id}/access`, { grantee: 'team' }, guest)).status).toBe(404);
  });

  it('takes no form without its token, and shows an auditor no content and no form', async () => {
    const id = await written(people.mine);
    const fields = { _csrf: 'x', grantee: 'team', lasts: String(DAY), reason: 'no', step: 'apply' };
    expect((await submit(`/sessions/${id}/access`, fields, people.mine)).status).toBe(403);
    const { text } = await page(`/sessions/${id}`, people.auditor);
    expect(text).toContain('not for your role, and no grant changes that');
    expect((await page(`/sessions/${id}/access`, people.auditor)).text).not.toContain('name="lasts"');
  });
});

describe('the page of grants', () => {
  it('says what grants are where there are none, and is for those who govern', async () => {
    const empty = await startService({ engine: inject('engine'), clock });
    const { status, text } = await page(PAGE, { cookie: await empty.cookie() }, empty);
    expect(status).toBe(200);
    expect(text).toContain('Nobody is let into a session that is not theirs');
    expect(text).toContain('there is no glass to break');
    await empty.close();
    expect((await page(PAGE, people.mine)).status).toBe(403);
    const auditor = await page(PAGE, people.auditor);
    expect(auditor.status).toBe(200);
    expect(auditor.text).not.toMatch(/name="lasts"|<button class="btn small"/);
    expect((await submit(PAGE, { grantee: 'team' }, people.auditor)).status).toBe(403);
  });

  it('lists who reads which session, until when and by whom, and ended ones on demand', async () => {
    const { first, mine, guest, auditor } = people;
    const id = await written(mine);
    const given = {
      kind: 'session',
      sessionId: id,
      grantee: 'team',
      lasts: String(HOUR / 1000),
      reason: 'release 7',
    };
    const planned = await submit(PAGE, { ...given, step: 'plan' }, first);
    expect(planned.text).toMatch(/Plan: Let in[^]*The team/);
    expect((await submit(PAGE, confirmed(planned.text), first)).to).toBe(`${PAGE}?done=made`);
    expect(await reads(id, guest)).toBe(200);
    const row = /in force[^]*The team[^]*release 7[^]*given by Olga[^]*ends <time [^>]*>09:00 UTC \(in 1 h\)/;
    expect((await page(`${PAGE}?session=${id}`, first)).text).toMatch(row);
    const audit = new RegExp(
      `href="/audit\\?action=session.read&amp;object=${id}&amp;from=[^"]*">What was read`,
    );
    expect((await page(`${PAGE}?session=${id}`, auditor)).text).toMatch(audit);
    expect((await page('/governance', first)).text).toMatch(/Grants in force<\/span><b>1<\/b>/);
    clock.advance(2 * HOUR);
    expect((await page(PAGE, first)).text).not.toContain('release 7');
    expect((await page(`${PAGE}?all=true&session=${id}`, first)).text).toMatch(/expired[^]*release 7/);
    expect((await page('/governance', first)).text).toMatch(/Grants in force<\/span><b>0<\/b>/);
    const wrong = { ...given, sessionId: '01890a5d-ac96-774b-bcce-b302099a8057', step: 'plan' };
    expect((await submit(PAGE, wrong, first)).text).toContain('id="share-sessionId-problem"');
  });
});

describe('break-glass on the page', () => {
  it('takes a reason, a plan, and the consent of another owner, and says what was read', async () => {
    const { first, second, mine, auditor } = people;
    const id = await written(mine);
    await breakGlass(true);
    const hidden = (await page(`/sessions/${id}`, first)).text;
    expect(hidden).not.toContain('only for some');
    expect(hidden).toContain(`href="${PAGE}?session=${id}#break-glass"`);
    expect((await page(`${PAGE}?session=${id}`, first)).text).toMatch(
      new RegExp(`id="glass-sessionId"[^>]*value="${id}"`),
    );
    const asked = { kind: 'break-glass', sessionId: id, lasts: String(HOUR / 1000), reason: 'incident 9' };
    expect((await submit(PAGE, { ...asked, reason: '' }, first)).text).toContain('id="glass-reason-problem"');
    const planned = await submit(PAGE, { ...asked, step: 'plan' }, first);
    expect(planned.text).toMatch(/Plan: Ask for break-glass[^]*the approval of another owner on/);
    expect((await submit(PAGE, confirmed(planned.text), first)).to).toBe(`${PAGE}?done=asked`);
    expect(await reads(id, first)).toBe(404);

    const own = (await page(PAGE, first)).text;
    expect(own).toMatch(/Waiting for another owner[^]*Olga[^]*incident 9/);
    expect(own).toContain('>Take back<');
    expect(own).not.toContain('/approve"');
    expect((await page('/governance', second)).text).toContain('1 waiting for another owner');
    const approve = /action="([^"]+\/approve)"/.exec((await page(PAGE, second)).text)?.[1] ?? '';
    const alone = await submit(approve, { step: 'apply' }, first);
    expect([alone.status, alone.text]).toEqual([409, expect.stringContaining('cannot approve it')]);
    expect((await submit(approve, {}, second)).text).toMatch(/Approve break-glass\?[^]*Olga[^]*incident 9/);
    expect(await reads(id, first)).toBe(404);
    expect((await submit(approve, { step: 'apply' }, auditor)).status).toBe(403);
    expect((await submit(approve, { step: 'apply' }, second)).to).toBe(`${PAGE}?done=approved`);
    expect((await page(`/sessions/${id}`, first)).text).toContain('only for some');
    expect((await submit(approve, { step: 'apply' }, second)).status).toBe(409);

    const seen = (await page(PAGE, auditor)).text;
    expect(seen).toMatch(/in force[^]*Olga[^]*break-glass[^]*approved by Otto/);
    const audit =
      /href="(\/audit\?actor=[^"]+)">What was read/.exec(seen)?.[1]?.replaceAll('&amp;', '&') ?? '';
    expect((await page(audit, auditor)).text).toMatch(/session\.read<\/code>/);
    expect((await page(`/sessions/${id}/access`, mine)).text).toMatch(/Olga[^]*break-glass[^]*incident 9/);
    clock.advance(60_000);
    const end = /action="([^"]+\/end)"/.exec((await page(PAGE, second)).text)?.[1] ?? '';
    await submit(end, { step: 'apply' }, second);
    const ended = clock.iso();
    clock.advance(60_000);
    const over = (await page(`${PAGE}?all=true&session=${id}`, auditor)).text;
    expect(over).toMatch(/ended by Otto <time/);
    expect(/[?;]to=([^"&]+)[^"]*">What was read/.exec(over)?.[1]).toBe(encodeURIComponent(ended));
    clock.advance(2 * HOUR - 120_000);
    expect(await reads(id, first)).toBe(404);
    await breakGlass(false);
  });

  it('can be refused, and taken back by whoever asked', async () => {
    const { first, second } = people;
    await breakGlass(true);
    const ask = async (reason: string) => {
      const asked = { kind: 'break-glass', lasts: String(HOUR / 1000), reason, step: 'plan' };
      const planned = await submit(PAGE, asked, first);
      expect(planned.text).toContain('every session');
      await submit(PAGE, confirmed(planned.text), first);
    };
    await ask('curious');
    const refuse = /action="([^"]+\/refuse)"/.exec((await page(PAGE, second)).text)?.[1] ?? '';
    expect((await submit(refuse, {}, second)).text).toContain('Refuse break-glass?');
    expect((await submit(refuse, { step: 'apply' }, second)).to).toBe(`${PAGE}?done=refused`);
    expect((await page(`${PAGE}?all=true`, first)).text).toMatch(/refused[^]*curious[^]*refused by Otto/);
    await ask('by mistake');
    const back = /action="([^"]+\/end)"/.exec((await page(PAGE, first)).text)?.[1] ?? '';
    expect((await submit(back, {}, first)).text).toContain('Take this request back?');
    expect((await submit(back, { step: 'apply' }, first)).to).toBe(`${PAGE}?done=ended`);
    expect((await page(PAGE, first)).text).not.toContain('by mistake');
    await breakGlass(false);
  });

  it('shows the waiting time of somebody who is alone', async () => {
    const alone = await startService({
      ...{ engine: inject('engine'), clock, policy: 'gatePack: baseline\nsoloWait: 30h\n' },
    });
    const owner = { cookie: await alone.cookie() };
    await breakGlass(true, alone);
    expect((await page(PAGE, owner, alone)).text).toContain('a waiting time of 30 h stands in');
    const asked = { kind: 'break-glass', lasts: String(DAY), reason: 'nobody else', step: 'plan' };
    const planned = await submit(PAGE, asked, owner, alone);
    expect(planned.text).toMatch(/From<\/dt>\s*<dd><time [^>]*>2026-05-0\d 1\d:00 UTC \(in 30 h\)/);
    expect((await submit(PAGE, confirmed(planned.text), owner, alone)).to).toBe(`${PAGE}?done=asked`);
    const waits = (await page(PAGE, owner, alone)).text;
    expect(waits).toMatch(/waiting time<[^]*counts from <time [^>]*>[^<]*\(in 30 h\)/);
    expect(waits).not.toContain('What was read meanwhile');
    clock.advance(31 * HOUR);
    const counts = (await page(PAGE, owner, alone)).text;
    expect(counts).toMatch(/in force<[^]*What was read meanwhile/);
    await alone.close();
  });
});
