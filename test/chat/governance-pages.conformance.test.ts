import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';

let service: TestService;
let cookie: string;
beforeAll(async () => {
  service = await startService({ engine: inject('engine') });
  cookie = await service.cookie();
});
afterAll(() => service.close());

const { begin, say, call } = clientOf(() => service);

async function page(path: string, as = cookie): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${service.url}${path}`, {
    headers: { Cookie: as, Accept: 'text/html' },
    redirect: 'manual',
  });
  return { status: answer.status, text: await answer.text() };
}

/** Sends a form of a page as a browser does; where it leads. */
async function submit(path: string, fields: Record<string, string>, as = cookie) {
  const csrf = /name="_csrf" value="([^"]+)"/.exec((await page('/sessions', as)).text)?.[1] ?? '';
  const answer = await fetch(`${service.url}${path}`, {
    method: 'POST',
    headers: { Cookie: as, Accept: 'text/html', Origin: service.url },
    body: new URLSearchParams({ _csrf: csrf, ...fields }),
    redirect: 'manual',
  });
  const [location, text] = [answer.headers.get('location') ?? '', await answer.text()];
  return { status: answer.status, location, text };
}

async function as(role: string): Promise<string> {
  const system = { kind: 'system', id: 'system', personId: null, roles: [] } as const;
  const person = await service.context.people.invite({ ...system, roles: [] }, { name: `A ${role}`, role });
  return service.cookie(person.id);
}

describe('the page of governance', () => {
  it('shows the policies of a new installation in words, and that nobody was let in', async () => {
    const { status, text } = await page('/governance');
    expect(status).toBe(200);
    expect(text).toContain('Messages are kept for ever.');
    expect(text).toContain('Secrets are taken out, personal data are let in');
    expect(text).toContain('Nobody was let into a session');
    expect(text).toMatch(/Holds in force<\/span><b>0<\/b>/);
  });

  it('says a policy that expires with its days and its bin', async () => {
    const { body } = await call<{ general: object; classes: { general: { retention: object } } }>(
      ...(['GET', '/api/governance/policies'] as const),
    );
    const { general } = body.classes;
    const toolOutput = { days: 90, binDays: 14 };
    const classes = { support: { ...general, retention: { ...general.retention, toolOutput } } };
    const put = await call('PUT', '/api/governance/policies', { general: body.general, classes });
    expect(put.status).toBe(200);
    expect((await page('/governance')).text).toContain(
      'Tool output is kept 90 days, then 14 days in the bin.',
    );
  });

  it('is not for people without a part in it', async () => {
    const planner = await as('planner');
    for (const path of ['/governance', '/governance/holds', '/governance/erasures']) {
      expect(await page(path, planner)).toMatchObject({
        ...{ status: 403, text: expect.stringContaining('factory.governance.read') },
      });
    }
    expect((await page('/sessions', planner)).text).not.toContain('href="/governance"');
    expect((await page('/sessions')).text).toContain('href="/governance"');
  });
});

describe('the page of holds', () => {
  it('shows what a hold would cover, places it only when asked again, and releases it after a question', async () => {
    expect((await page('/governance/holds')).text).toContain('Nothing is held');
    const { id } = await begin({ title: 'Kept', class: 'support', subjectId: 'customer 17' });
    await say(id, 'one');
    await say(id, 'two');
    await say((await begin({ class: 'support', subjectId: 'customer 18' })).id, 'of somebody else');

    const fields = {
      reason: 'Dispute <4711>',
      subjectId: 'customer 17',
      class: 'support',
      from: '2020-01-01',
    };
    const planned = await submit('/governance/holds', { ...fields, step: 'plan' });
    expect(planned.status).toBe(200);
    expect(planned.text).toMatch(/<b>2 messages<\/b> of 1 session /);
    expect(planned.text).toContain('name="from" value="2020-01-01"');
    expect((await page('/governance/holds')).text).toContain('Nothing is held');

    const typo = await submit('/governance/holds', { ...fields, subjectId: 'custmer 17', step: 'plan' });
    expect(typo.text).toContain('Nothing that is here now is covered. Is the name right?');
    const later = await submit('/governance/holds', {
      ...fields,
      subjectId: '',
      class: 'later',
      step: 'plan',
    });
    expect(later.text).toMatch(/Nothing that is here now is covered\.</);
    expect((await submit('/governance/holds', { ...fields, step: 'apply' })).status).toBe(303);
    const list = (await page('/governance/holds')).text;
    expect(list).toContain('Dispute &lt;4711&gt;');
    expect(list).toContain('about customer 17');
    expect((await call('DELETE', `/api/sessions/${id}`)).status).toBe(409);
    expect((await page('/governance')).text).toMatch(/Holds in force<\/span><b>1<\/b>/);

    const hold = /action="(\/governance\/holds\/[^"]+\/release)"/.exec(list)?.[1] ?? '';
    expect((await submit(hold, {})).text).toContain('Release this hold?');
    expect((await call('DELETE', `/api/sessions/${id}`)).status).toBe(409);
    expect((await submit(hold, { step: 'apply' })).status).toBe(303);
    expect((await page('/governance/holds')).text).not.toContain('4711');
    expect((await page('/governance/holds?released=true')).text).toContain('released');
    expect((await call('DELETE', `/api/sessions/${id}`)).status).toBe(204);
  });

  it.each([
    ['a last day before the first', { from: '2026-02-02', to: '2026-02-01' }, 'to'],
    ['a session that is not there', { sessionId: '01890a5d-ac96-774b-bcce-b302099a8057' }, 'sessionId'],
    ['a session that is no id', { sessionId: 'one' }, 'sessionId'],
    ['no reason', { reason: '' }, 'reason'],
  ])('says beside the field what is wrong: %s', async (_what, wrong, field) => {
    const answer = await submit('/governance/holds', { reason: 'Typed before', class: 'kept', ...wrong });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(`id="hold-${field}-problem"`);
    expect(answer.text).toContain('value="kept"');
    expect(answer.text).not.toContain('Plan: Place hold');
  });

  it('shows holds to an auditor without the names of subjects and without buttons, and takes no form', async () => {
    const made = await call('POST', '/api/governance/holds', { reason: 'Inquiry', subjectId: 'Erika M.' });
    expect(made.status).toBe(201);
    const auditor = await as('auditor');
    const { text } = await page('/governance/holds', auditor);
    expect(text).toContain('Inquiry');
    expect(text).not.toContain('Erika M.');
    expect(text).not.toContain('/release"');
    expect(text).not.toContain('action="/governance/holds"');
    const refused = await submit('/governance/holds', { reason: 'no', step: 'apply' }, auditor);
    expect(refused.status).toBe(403);
  });

  it('takes no form without its token', async () => {
    expect((await submit('/governance/holds', { _csrf: 'x', reason: 'no', step: 'apply' })).status).toBe(403);
  });
});

describe('the page of erasures', () => {
  it('erases only what was named twice, follows it, and gives the certificate', async () => {
    expect((await page('/governance/erasures')).text).toContain('Nobody was erased yet');
    const { id } = await begin({ title: 'About her', subjectId: 'Anna Erasable' });
    await say(id, 'personal words');
    const fields = { subjectId: 'Anna Erasable', reason: 'Asked by Anna Erasable' };
    const planned = await submit('/governance/erasures', { ...fields, step: 'plan' });
    expect(planned.text).toMatch(
      /<b>1 session<\/b> as a whole[^]*<b>1 message<\/b> \(\d+ B\)[^]*<b>0 attachments<\/b>[^]*<b>1 title<\/b>/,
    );
    expect(planned.text).toMatch(/Held back<\/dt>\s*<dd>nothing</);
    const mistyped = await submit('/governance/erasures', {
      ...fields,
      step: 'apply',
      typed: 'anna erasable',
    });
    expect(mistyped).toMatchObject({ status: 400, text: expect.stringContaining('Nothing was erased.') });
    const untyped = await submit('/governance/erasures', { ...fields, step: 'apply' });
    expect(untyped.status).toBe(400);
    expect((await page('/governance/erasures')).text).toContain('Nobody was erased yet');
    expect((await page(`/sessions/${id}`)).text).toContain('personal words');

    const { status, location } = await submit('/governance/erasures', {
      ...{ ...fields, step: 'apply', typed: 'Anna Erasable' },
    });
    expect(status).toBe(303);
    await service.context.chat.governance.erasures.idle();
    const ended = (await page(location)).text;
    expect(ended).toContain('Erased: 1 session, 1 message');
    expect(ended).not.toContain('Anna Erasable');
    expect(ended).not.toContain('hx-get');
    const answer = await fetch(`${service.url}${location}/certificate`, { headers: { Cookie: cookie } });
    expect(answer.headers.get('content-disposition')).toContain('attachment; filename="erasure-certificate-');
    const shown = await call<{ certificate: object }>('GET', `/api${location}`);
    expect(await answer.json()).toEqual(shown.body.certificate);
    expect((await page(`/sessions/${id}`)).status).toBe(410);
    expect((await page('/governance/erasures')).text).toContain(`href="${location}"`);
  });

  it('says that an erasure waits where a hold keeps something', async () => {
    await say((await begin({ title: 'Kept', subjectId: 'Held Erasable' })).id, 'kept words');
    await call('POST', '/api/governance/holds', { reason: 'Keep it', subjectId: 'Held Erasable' });
    const typed = { subjectId: 'Held Erasable', typed: 'Held Erasable', reason: 'asked for', step: 'apply' };
    const planned = (await submit('/governance/erasures', { ...typed, step: 'plan' })).text;
    expect(planned).toMatch(
      /<b>0 messages<\/b>[^]*<b>1 message, 1 session[^<]*<\/b> until the release of [^]*#hold-[^]*Keep it</,
    );
    const { location } = await submit('/governance/erasures', typed);
    await service.context.chat.governance.erasures.idle();
    expect((await page(location)).text).toContain('waits for a hold');
    expect((await page('/governance')).text).toContain('1 waiting for a hold, 0 running');
    const again = (await submit('/governance/erasures', { ...typed, step: 'plan' })).text;
    expect(again).toContain(`href="${location}">Look at it`);
    expect(again).not.toContain('id="erase-typed"');
  });

  it.each(['plan', 'apply'])('says beside the field that nothing is about a subject: %s', async (step) => {
    const answer = await submit('/governance/erasures', {
      ...{ subjectId: 'Nobody at all', typed: 'Nobody at all', reason: 'asked for', step },
    });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('id="erase-subjectId-problem"');
    expect(answer.text).not.toContain('Plan: Erase subject');
  });

  it('shows an auditor the list and no form, and takes none', async () => {
    const auditor = await as('auditor');
    const { status, text } = await page('/governance/erasures', auditor);
    expect(status).toBe(200);
    expect(text).not.toContain('Erase a subject');
    expect(text).not.toContain('Subject access report');
    const fields = { subjectId: 'a', typed: 'a', reason: 'no', step: 'apply' };
    expect((await submit('/governance/erasures', fields, auditor)).status).toBe(403);
  });
});
