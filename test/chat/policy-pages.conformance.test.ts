import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { DEFAULT_CLASS, DEFAULT_GENERAL, type ClassPolicy } from '../../service/chat/policy.ts';
import type { PolicyDocument } from '../../service/chat/policies.ts';
import { manualClock } from '../../service/clock.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';
import { formsOf } from './forms.ts';

const clock = manualClock('2026-01-10T08:00:00.000Z');
const URL = '/governance/policies';
const classUrl = (name: string) => `${URL}/classes/${name}`;

let service: TestService;
let cookie: string;
beforeAll(async () => {
  service = await startService({ engine: inject('engine'), clock });
  cookie = await service.cookie();
});
afterAll(() => service.close());

const { call, begin, say } = clientOf(() => service);
const { page, submit, fieldsOf } = formsOf(
  () => service,
  () => cookie,
);

const policies = async () => (await call<PolicyDocument>('GET', '/api/governance/policies')).body;

/** Before each test: what a new installation has. */
async function reset(classes: Record<string, ClassPolicy> = {}): Promise<void> {
  const document = { general: DEFAULT_GENERAL, classes: { general: DEFAULT_CLASS, ...classes } };
  const put = await call<PolicyDocument>('PUT', '/api/governance/policies', document);
  expect(put.status).toBe(200);
  if (put.body.pending === null) return;
  clock.advance(86_400_000);
  cookie = await service.cookie();
}

/** The form as it stands, with some fields changed; sent to be planned, and then as the plan's own form sends it. */
async function edit(url: string, fields: Record<string, string>, without: string[] = []) {
  const form = { ...fieldsOf((await page(url)).text, url), ...fields };
  for (const name of without) delete form[name];
  const planned = await submit(url, { ...form, step: 'plan' });
  const apply = () => submit(url, { ...fieldsOf(planned.text, url), step: 'apply' });
  return { planned, apply };
}

const rowOf = (text: string, what: string) =>
  text.split('<tr>').find((row) => row.includes(`"What">${what}<`)) ?? '';

describe('a new installation', () => {
  it('has no history, and every policy as a field', async () => {
    const { status, text } = await page(URL);
    expect(status).toBe(200);
    expect(text).toContain('as installed');
    expect(text).toContain('Each change stands here');
    expect((await page('/governance')).text).toContain(`href="${URL}"`);
    expect(Object.keys(fieldsOf(text, URL)).sort()).toEqual([
      ...['quotas.bytesPerSession', 'quotas.bytesPerSubjectAndDay', 'quotas.messagesPerSession'],
      'quotas.messagesPerSubjectAndDay',
      ...['attachment', 'export', 'message', 'toolOutput'].flatMap((kind) => [
        ...[`retention.${kind}.ceilingDays`, `retention.${kind}.floorDays`],
      ]),
      'version',
    ]);
    expect(text).toContain('name="breakGlass"');
    const fields = fieldsOf((await page(classUrl('general'))).text, classUrl('general'));
    expect(fields).toMatchObject({
      ...{ 'retention.message.days': '', 'retention.export.binDays': '14' },
      ...{ 'sensitive.secrets': 'redact', 'sensitive.nationalIds': 'allow' },
      ...{ 'sensitive.roles.tool.personal': '', 'sensitive.roles.system.nationalIds': '' },
    });
    expect(Object.keys(fields)).toHaveLength(8 + 3 + 12 + 1);
  });
});

describe('the page of policies', () => {
  beforeEach(() => reset());

  it('shows the difference before a change, makes it only when asked again, and keeps its history', async () => {
    const { version } = await policies();
    const { planned, apply } = await edit(URL, {
      ...{ breakGlass: 'on', 'quotas.messagesPerSession': '500' },
      ...{ 'retention.message.floorDays': '7' },
    });
    expect(planned.status).toBe(200);
    expect(rowOf(planned.text, 'Break-glass')).toMatch(/>off<[^]*>on</);
    expect(rowOf(planned.text, 'Messages of one session')).toMatch(/no limit[^]*500 messages/);
    expect(rowOf(planned.text, 'Messages: kept at least')).toMatch(/no limit[^]*7 days/);
    expect(planned.text.match(/"What"/g)).toHaveLength(3);
    expect((await policies()).version).toBe(version);

    expect(await apply()).toMatchObject({ status: 303, location: `${URL}?done=changed#result` });
    const { general } = await policies();
    expect(general).toMatchObject({
      ...{ breakGlass: true, quotas: { messagesPerSession: 500, bytesPerSession: null } },
      retention: { message: { floorDays: 7, ceilingDays: null } },
    });
    const { text } = await page(`${URL}?done=changed`);
    expect(text).toContain('The policies are changed.');
    const history = text.slice(text.indexOf(`id="version-${version + 1}"`));
    expect(history.slice(0, history.indexOf('</li>\n<li id'))).toMatch(
      /Break-glass: off → on[^]*Messages of one session: no limit → 500 messages/,
    );
    const off = await edit(URL, {}, ['breakGlass']);
    expect(rowOf(off.planned.text, 'Break-glass')).toMatch(/>on<[^]*>off</);
  });

  it('goes back from the difference to the form as it was filled in', async () => {
    for (const [url, name, value] of [
      [URL, 'quotas.messagesPerSession', '500'],
      [classUrl('general'), 'retention.message.days', '77'],
    ] as const) {
      const { planned } = await edit(url, { [name]: value });
      expect(planned.text).toContain('name="step" value="edit"');
      const again = await submit(url, { ...fieldsOf(planned.text, url), step: 'edit' });
      expect(again.status).toBe(200);
      expect(fieldsOf(again.text, url)[name]).toBe(value);
      expect(again.text).not.toMatch(/Nothing was changed\.|id="plan"/);
    }
    expect((await policies()).general).toEqual(DEFAULT_GENERAL);
  });

  it('says that nothing would change', async () => {
    const { planned } = await edit(URL, {});
    expect(planned.text).toContain('nothing would be changed');
    expect(planned.text).not.toContain('value="apply"');
  });

  it('lists who changed what, from what to what, for those who may read policies', async () => {
    interface Versions {
      versions: { version: number; at: string; by: string; changes: object[]; general: object }[];
      nextCursor: string | null;
    }
    const versions = async (query = '', as?: string) =>
      call<Versions>('GET', `/api/governance/policies/versions${query}`, undefined, as);
    await reset();
    const of = DEFAULT_CLASS.retention.message;
    const shorter = { ...DEFAULT_CLASS.retention, message: { ...of, days: 30 } };
    await reset({ 'legal.team': DEFAULT_CLASS });
    await reset({ 'legal.team': { ...DEFAULT_CLASS, retention: shorter } });
    const { body } = await versions('?limit=2');
    expect(body.versions).toEqual([
      {
        ...{ version: (await policies()).version, at: clock.iso(), by: expect.any(String) as string },
        changes: [{ path: '/classes/legal.team/retention/message/days', before: of.days, after: 30 }],
        general: DEFAULT_GENERAL,
        classes: expect.objectContaining({ 'legal.team': expect.anything() as object }) as object,
      },
      expect.objectContaining({ changes: [{ path: '/classes/legal.team', after: DEFAULT_CLASS }] }),
    ]);
    await reset();
    expect((await versions('?limit=1')).body.versions[0]?.changes).toMatchObject([
      { path: '/classes/legal.team', before: {} },
    ]);
    const next = await versions(`?cursor=${(await versions('?limit=1')).body.nextCursor}&limit=1`);
    expect(next.body.versions[0]?.version).toBe(body.versions[0]?.version);
    expect((await versions('?cursor=made-up')).status).toBe(400);
    const as = async (role: 'auditor' | 'planner' | 'operator') =>
      (await versions('', await service.token({ role }))).status;
    expect([await as('auditor'), await as('planner'), await as('operator')]).toEqual([200, 403, 403]);
  });

  it('pages its history', async () => {
    for (let n = 0; n < 10; n += 1) await reset();
    const { text } = await page(URL);
    const older = /href="(\/governance\/policies\?cursor=[^"#]+)/.exec(text)?.[1] ?? '';
    const oldest = (await page(older)).text;
    expect(oldest).toContain('id="version-1"');
    expect(text).not.toContain('id="version-1"');
  });

  it.each([
    ['retention.message.days', '0', 'A whole number from 1 to 36,500, or empty.'],
    ['retention.toolOutput.days', 'ten', 'A whole number from 1 to 36,500, or empty.'],
    ['retention.attachment.binDays', '', 'A whole number from 0 to 36,500.'],
    ['sensitive.secrets', 'forget', 'Invalid option'],
  ])('says what the service refuses at the field of a class: %s %s', async (field, value, words) => {
    const url = classUrl('general');
    const { planned } = await edit(url, { [field]: value, 'retention.export.days': '77' });
    expect(planned.status).toBe(400);
    const at = `policy-${field.replaceAll('.', '-')}`;
    expect(planned.text).toMatch(new RegExp(`id="${at}"[^>]*aria-describedby="${at}-problem"`));
    expect(planned.text).toMatch(new RegExp(`id="${at}-problem">${words}`));
    expect(fieldsOf(planned.text, url)['retention.export.days']).toBe('77');
  });

  it.each([
    [{ 'quotas.bytesPerSession': '12x' }, 'quotas-bytesPerSession', 'A whole number from 1 on, or empty.'],
    [
      { 'retention.message.floorDays': '9', 'retention.message.ceilingDays': '8' },
      ...(['retention-message-ceilingDays', 'Must not be less than what it is kept at least.'] as const),
    ],
  ])('and at the field of the document for all: %j', async (fields, at, words) => {
    const { planned } = await edit(URL, fields);
    expect(planned.status).toBe(400);
    expect(planned.text).toContain(`id="policy-${at}-problem">${words}`);
    expect((await policies()).general).toEqual(DEFAULT_GENERAL);
  });

  it('does nothing where somebody else changed them meanwhile, and shows the difference from then', async () => {
    const { apply } = await edit(URL, { 'quotas.messagesPerSession': '500' });
    const breakGlass = { ...DEFAULT_GENERAL, breakGlass: true };
    await call('PUT', '/api/governance/policies', { general: breakGlass, classes: {} });
    const late = await apply();
    expect(late.status).toBe(412);
    expect(late.text).toContain('nothing was done');
    expect(rowOf(late.text, 'Break-glass')).toMatch(/>on<[^]*>off</);
    expect((await policies()).general).toEqual(breakGlass);
    const again = await submit(URL, { ...fieldsOf(late.text, URL), step: 'apply' });
    expect(again.status).toBe(303);
    expect((await policies()).general.quotas.messagesPerSession).toBe(500);
  });

  it('takes no change that nobody saw the plan of', async () => {
    const fields = fieldsOf((await page(URL)).text, URL);
    delete fields['version'];
    const straight = await submit(URL, { ...fields, breakGlass: 'on', step: 'apply' });
    expect(straight.status).toBe(412);
    expect((await policies()).general.breakGlass).toBe(false);
  });

  it('shows an auditor what is in force in words, and takes no form', async () => {
    const auditor = await service.cookie(
      (await service.context.people.invite(SYSTEM, { name: 'Au', role: 'auditor' })).id,
    );
    for (const path of [URL, classUrl('general')]) {
      const { status, text } = await page(path, auditor);
      expect(status).toBe(200);
      expect(text).toContain('Secrets: taken out.');
      expect(text).not.toMatch(/<form[^>]*action="\/governance\/policies/);
    }
    for (const path of [URL, `${URL}/classes`, classUrl('general'), `${classUrl('general')}/remove`])
      expect((await submit(path, { name: 'x', step: 'apply' }, auditor)).status).toBe(403);
    expect((await submit(URL, { _csrf: 'x', step: 'apply' })).status).toBe(403);
    expect((await policies()).general).toEqual(DEFAULT_GENERAL);
  });
});

describe('the policy of a class', () => {
  beforeEach(() => reset());

  it('is given to a class by its name, is its own from then on, and removed again', async () => {
    expect(await submit(`${URL}/classes`, { name: 'support' })).toMatchObject({
      ...{ status: 303, location: classUrl('support') },
    });
    const bad = await submit(`${URL}/classes`, { name: '1 bad' });
    expect(bad).toMatchObject({ status: 400, text: expect.stringContaining('id="policy-name-problem"') });
    expect((await page(classUrl('1%20bad'))).status).toBe(404);
    expect((await page(classUrl('support'))).text).toContain('no policy of its own');

    const { planned, apply } = await edit(classUrl('support'), {
      ...{ 'sensitive.personal': 'quarantine', 'sensitive.roles.tool.secrets': 'block' },
    });
    expect(rowOf(planned.text, 'Class support')).toMatch(/as class general[^]*a policy of its own/);
    expect(rowOf(planned.text, 'Class support, personal data')).toMatch(/let in[^]*held back/);
    expect(rowOf(planned.text, 'Class support, secrets in messages of role tool')).toMatch(
      /as for all roles[^]*refused/,
    );
    expect(planned.text).not.toContain('The next plan');
    expect((await apply()).status).toBe(303);
    const sensitive = {
      ...({ secrets: 'redact', personal: 'quarantine', nationalIds: 'allow' } as const),
      roles: { tool: { secrets: 'block' } },
    } as const;
    const { classes } = await policies();
    expect(classes).toEqual({ general: DEFAULT_CLASS, support: { ...DEFAULT_CLASS, sensitive } });
    const general = await edit(classUrl('general'), { 'sensitive.nationalIds': 'block' });
    expect((await general.apply()).status).toBe(303);
    expect((await policies()).classes).toMatchObject({
      ...{ general: { sensitive: { nationalIds: 'block' } }, support: { sensitive } },
    });
    await reset({ support: { ...DEFAULT_CLASS, sensitive } });
    const { text } = await page(URL);
    expect(text).toContain('Secrets in messages of role tool: refused.');
    expect(text).toContain(`href="${classUrl('support')}"`);

    const remove = `${classUrl('support')}/remove`;
    expect((await page(classUrl('support'))).text).toContain(`action="${remove}"`);
    expect((await page(classUrl('general'))).text).not.toContain('/remove"');
    const asked = await submit(remove, { step: 'plan' });
    expect(rowOf(asked.text, 'Class support')).toMatch(/a policy of its own[^]*as class general/);
    expect(Object.keys((await policies()).classes)).toContain('support');
    expect((await submit(remove, { ...fieldsOf(asked.text, remove), step: 'apply' })).status).toBe(303);
    expect((await policies()).classes).toEqual({ general: DEFAULT_CLASS });
  });

  it('shows what the next plan would take by it, beside what it takes now, and nothing goes by that', async () => {
    const { id } = await begin({ class: 'brief', title: 'Old' });
    await say(id, 'one');
    await say(id, 'two');
    const held = await begin({ class: 'brief', subjectId: 'kept' });
    await say(held.id, 'held');
    await call('POST', '/api/governance/holds', { subjectId: 'kept', reason: 'x' });
    clock.advance(40 * 86_400_000);
    cookie = await service.cookie();
    const { planned, apply } = await edit(classUrl('brief'), { 'retention.message.days': '30' });
    expect(rowOf(planned.text, 'Class brief, messages: kept')).toMatch(/for ever[^]*30 days/);
    const taking = planned.text.slice(planned.text.indexOf('id="taking"'));
    expect(taking).toMatch(
      /The next plan<\/dt>\s*<dd><b>would put into the bin: 1 session, 2 messages; purge: nothing [^<]*holds keep 1 that would go/,
    );
    expect(taking).toMatch(/As it is now<\/dt>\s*<dd>would take nothing</);
    expect((await apply()).status).toBe(303);
    expect((await call('GET', `/api/sessions/${id}`)).status).toBe(200);
  });
});
