import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import type { PlanView } from '../../service/chat/retention/retaining.ts';
import { plans } from '../../service/chat/retention/store-retention.ts';
import { manualClock } from '../../service/clock.ts';
import type { Transaction } from '../../service/storage/transaction.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';
import { formsOf } from './forms.ts';

const clock = manualClock('2026-01-10T08:00:00.000Z');
const DAY = 86_400_000;
const URL = '/governance/retention';

let service: TestService;
let cookie: string;
beforeAll(async () => {
  service = await startService({ engine: inject('engine'), clock });
  cookie = await service.cookie();
});
afterAll(() => service.close());

const { call, begin, say } = clientOf(() => service);
const { page, submit } = formsOf(
  () => service,
  () => cookie,
);

let kind = 0;
/** A class of the test's own. */
let own = '';
beforeEach(() => {
  own = `c${(kind += 1)}`;
});

/** Whoever was signed in is not any more by then. */
async function later(days: number): Promise<void> {
  clock.advance(days * DAY);
  cookie = await service.cookie();
}

/** Of the test's class alone. */
async function keep(
  days: Partial<Record<'message' | 'toolOutput' | 'attachment', number>>,
  binDays = 14,
): Promise<void> {
  const { body } = await call<{ general: object; classes: Record<string, { retention: object }> }>(
    ...(['GET', '/api/governance/policies'] as const),
  );
  const { general } = body.classes;
  const retention = Object.fromEntries(
    Object.entries(days).map(([name, value]) => [name, { days: value, binDays }]),
  );
  const policy = { ...general, retention: { ...general?.retention, ...retention } };
  const classes = { general, [own]: policy };
  expect((await call('PUT', '/api/governance/policies', { general: body.general, classes })).status).toBe(
    200,
  );
}

async function talk(count: number, input: object = {}): Promise<string> {
  const { id } = await begin({ class: own, title: 'Talk', ...input });
  for (let n = 1; n <= count; n += 1) await say(id, `m${n}`);
  return id;
}

/** The day after so many days. */
const day = (days: number) => new Date(clock.now() + days * DAY).toISOString().slice(0, 10);
const at = (path: string) => call('GET', path).then(({ status }) => status);
const plan = async () => (await submit(URL, {})).location;
const shown = (path: string) => call<PlanView>('GET', path.replace(URL, '/api/governance/retention-plans'));
const digestIn = (text: string) => /name="digest" value="([0-9a-f]{64})"/.exec(text)?.[1] ?? '';

/** Through the step that shows the plan. */
async function apply(path: string): Promise<void> {
  const confirm = await submit(`${path}/apply`, { step: 'plan' });
  const done = await submit(`${path}/apply`, { step: 'apply', digest: digestIn(confirm.text) });
  expect(done).toMatchObject({ status: 303, location: path });
  await service.context.chat.governance.retention.idle();
}

describe('the page of retention', () => {
  it('says what a new installation keeps, that nothing was planned, and that the bin is empty', async () => {
    const { status, text } = await page(URL);
    expect(status).toBe(200);
    expect(text).toContain('Messages are kept for ever.');
    expect(text).toContain('No plan was made yet');
    expect(text).toContain('The bin is empty');
    for (const path of ['/governance', '/governance/holds'])
      expect((await page(path)).text).toContain(`href="${URL}"`);
  });

  it('says how long something is kept within the limits for all', async () => {
    await keep({ message: 30 });
    const { body } = await call<{ general: { retention: object }; classes: object }>(
      ...(['GET', '/api/governance/policies'] as const),
    );
    const message = { floorDays: 60, ceilingDays: null };
    const general = { ...body.general, retention: { ...body.general.retention, message } };
    await call('PUT', '/api/governance/policies', { general, classes: body.classes });
    expect((await page(URL)).text).toContain('Messages are kept 60 days, then 14 days in the bin.');
    await call('PUT', '/api/governance/policies', { general: body.general, classes: body.classes });
    expect((await page(URL)).text).toContain('Messages are kept 30 days, then 14 days in the bin.');
  });

  it('offers nothing to apply where nothing expires', async () => {
    await keep({ message: 30 });
    await talk(1);
    const { text } = await page(await plan());
    expect(text).toContain('Nothing expires');
    expect(text).not.toContain('/apply"');
  });
});

describe('a plan of retention', () => {
  it('shows what goes by class, samples, and what is held and why; the digest applies it, and it is taken back', async () => {
    await keep({ message: 30 });
    const [whole, held] = [await talk(3), await talk(2, { subjectId: `held ${own}` })];
    await later(40);
    const reason = `Dispute <${own}>`;
    await call('POST', '/api/governance/holds', { subjectId: `held ${own}`, reason });
    const path = await plan();
    const { text } = await page(path);
    const { digest } = (await shown(path)).body;
    expect(text).toMatch(
      new RegExp(`<code>${own}</code>[^]*?into the bin[^]*?"Sessions">1<[^]*?"Messages">3<`),
    );
    expect(text).toMatch(new RegExp(`<code>${own}</code>[^]*?held[^]*?2 things that would go`));
    expect(text).toContain(`href="/sessions/${whole}"`);
    expect(text).not.toContain(`href="/sessions/${held}"`);
    expect(text).toContain(`Dispute &lt;${own}&gt;`);
    expect(text).toMatch(/href="\/governance\/holds#hold-[0-9a-f-]{36}"/);
    expect(text).toContain(digest);

    const confirm = await submit(`${path}/apply`, { step: 'plan' });
    expect(confirm.text).toContain('Plan: Apply plan');
    expect(confirm.text).toContain('<b>1 session, 3 messages</b>');
    expect(digestIn(confirm.text)).toBe(digest);
    expect(await at(`/api/sessions/${whole}`)).toBe(200);

    await apply(path);
    expect(await at(`/api/sessions/${whole}`)).toBe(410);
    expect(await at(`/api/sessions/${held}`)).toBe(200);
    const done = (await page(path)).text;
    expect(done).toContain('What was done');
    expect(done).not.toContain('hx-get');
    expect(done).toContain(`href="${path}/record"`);
    const { signature } = (await shown(path)).body.record!;
    expect(done).toContain(signature);
    const bin = (await page(URL)).text;
    expect(bin).toMatch(/>Plan of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC</);
    expect(bin).toContain(`1 session with 3 messages of class <code>${own}</code>`);
    expect(bin).toContain(`a plan can purge it from ${day(15)} on`);

    const asked = await submit(`${path}/undo`, { step: 'plan' });
    expect(asked.text).toContain('<b>1 session, 3 messages</b> come out of the bin');
    expect(await at(`/api/sessions/${whole}`)).toBe(410);
    expect(await submit(`${path}/undo`, { step: 'apply' })).toMatchObject({ status: 303, location: path });
    expect(await at(`/api/sessions/${whole}`)).toBe(200);
    const back = (await page(path)).text;
    expect(back).toContain('taken back');
    expect(back).not.toContain('/undo"');
    expect((await page(URL)).text).not.toContain(`of class <code>${own}</code>`);
    expect((await submit(`${path}/undo`, { step: 'apply' })).status).toBe(409);
  });

  it('gives the signed record, which one file checks anywhere', async () => {
    await keep({ message: 30 });
    await talk(1);
    await later(40);
    const path = await plan();
    expect((await page(`${path}/record`)).status).toBe(404);
    await apply(path);
    const answer = await fetch(`${service.url}${path}/record`, { headers: { Cookie: cookie } });
    expect(answer.headers.get('content-disposition')).toContain('attachment; filename="retention-run-');
    const record: unknown = await answer.json();
    expect(record).toEqual((await shown(path)).body.record);
    const file = join(service.dataDir, 'run.json');
    writeFileSync(file, JSON.stringify(record));
    const script = join(import.meta.dirname, '../../scripts/verify-certificate.mjs');
    const args = [script, file, '--key', service.context.audit.vkey];
    expect(spawnSync(process.execPath, args).status).toBe(0);
  });

  it('purges by a later plan, after which nothing of it lies in the bin', async () => {
    await keep({ message: 30 }, 5);
    const part = await talk(2);
    await later(40);
    await say(part, 'new');
    const first = await plan();
    await apply(first);
    expect((await page(URL)).text).toContain(`2 messages of class <code>${own}</code>`);
    expect((await page(first)).text).toContain('Still in the bin');
    await later(7);
    const second = await plan();
    const confirm = await submit(`${second}/apply`, { step: 'plan' });
    expect(confirm.text).toMatch(/Purged<\/dt>\s*<dd><b>[^<]*2 messages/);
    expect(confirm.text).toContain('gone for ever');
    await apply(second);
    expect((await page(URL)).text).not.toContain(`of class <code>${own}</code>`);
    const { text } = await page(first);
    expect(text).toContain('Nothing any more');
    expect(text).not.toContain('/undo"');
  });

  it('counts what each run put into the bin apart, also of one session', async () => {
    await keep({ message: 30 }, 100);
    const id = await talk(2);
    await later(20);
    await say(id, 'later');
    await later(20);
    await apply(await plan());
    await say(id, 'new');
    await later(20);
    await apply(await plan());
    const { text } = await page(URL);
    expect(text).toContain(`2 messages of class <code>${own}</code>`);
    expect(text).toContain(`1 message of class <code>${own}</code>`);
  });

  it('counts outputs of tools and files in the bin by their kind', async () => {
    await keep({ toolOutput: 10, attachment: 10 });
    const id = await talk(1);
    const tool = { type: 'tool-result', toolCallId: 'c', name: 'run', output: 'long' };
    await call('POST', `/api/sessions/${id}/messages`, { role: 'tool', parts: [tool] });
    const headers = { Authorization: `Bearer ${service.owner}`, 'Content-Type': 'text/plain' };
    const sent = await fetch(`${service.url}/api/sessions/${id}/attachments?name=a.txt`, {
      ...{ method: 'POST', headers, body: '12345' },
    });
    const { id: attachmentId } = (await sent.json()) as { id: string };
    const part = { type: 'attachment', attachmentId };
    await call('POST', `/api/sessions/${id}/messages`, { role: 'user', parts: [part] });
    await later(20);
    const path = await plan();
    expect((await page(path)).text).toMatch(/Tool output 2 of session[^]*An attachment of session/);
    await apply(path);
    const { text } = await page(URL);
    expect(text).toContain(`1 tool output of class <code>${own}</code>`);
    expect(text).toMatch(new RegExp(`1 attachment of class <code>${own}</code>, 5 B:`));
  });

  it('is refused where something else expires by now, and leads to a new one', async () => {
    await keep({ message: 30 });
    const id = await talk(2);
    await later(40);
    const path = await plan();
    const { text } = await submit(`${path}/apply`, { step: 'plan' });
    expect(await submit(`${path}/apply`, { step: 'apply', digest: '0'.repeat(64) })).toMatchObject({
      ...{ status: 409, text: expect.stringContaining('Its digest is another one') },
    });
    await say(id, 'alive again');
    const refused = await submit(`${path}/apply`, { step: 'apply', digest: digestIn(text) });
    expect(refused.status).toBe(409);
    expect(refused.text).toContain('is not what it was when this was planned');
    expect(refused.text).toContain(`action="${URL}"`);
    expect(await at(`/api/sessions/${id}/messages/${id}.1`)).toBe(200);
  });

  it('shows how far its run is, also after an interruption, and what came of it in the end', async () => {
    await keep({ message: 30 });
    const ids = [await talk(1), await talk(1)];
    await later(40);
    const path = await plan();
    const confirm = await submit(`${path}/apply`, { step: 'plan' });
    const { storage, chat } = service.context;
    const write = storage.write.bind(storage);
    let steps = 0;
    storage.write = (unit) =>
      write((tx) => {
        const failing: Transaction = {
          ...tx,
          run: (statement, params) => {
            const moves =
              (statement as unknown) === plans.move && (params as { from?: string }).from === 'applying';
            if (moves && (steps += 1) === 2) throw new Error('interrupted');
            return tx.run(statement, params);
          },
        };
        return unit(failing);
      });
    const begun = await submit(`${path}/apply`, { step: 'apply', digest: digestIn(confirm.text) });
    expect(begun).toMatchObject({ status: 303, location: path });
    await chat.governance.retention.idle();
    storage.write = write;
    const of = (await shown(path)).body.progress.of;
    const { text } = await page(path);
    expect(text).toContain('Under way');
    expect(text).toContain(`<progress max="${of}" value="1"`);
    expect(text).toContain(`hx-get="${path}"`);
    expect((await page(URL)).text).toContain('under way');
    await chat.governance.start();
    await chat.governance.retention.idle();
    expect((await page(path)).text).toContain('What was done');
    expect(await Promise.all(ids.map((id) => at(`/api/sessions/${id}`)))).toEqual([410, 410]);
  });

  it('is for an auditor to read, who gets no form and can send none', async () => {
    await keep({ message: 30 });
    await talk(1);
    await later(40);
    const path = await plan();
    const auditor = await service.cookie(
      (await service.context.people.invite(SYSTEM, { name: 'Au', role: 'auditor' })).id,
    );
    for (const one of [URL, path]) {
      const { status, text } = await page(one, auditor);
      expect(status).toBe(200);
      expect(text).not.toMatch(/<form[^>]*action="\/governance\/retention/);
    }
    const { digest } = (await shown(path)).body;
    for (const [to, fields] of [
      [URL, {}],
      [`${path}/apply`, { step: 'apply', digest }],
      [`${path}/undo`, { step: 'apply' }],
    ] as const)
      expect((await submit(to, fields, auditor)).status).toBe(403);
    expect((await submit(URL, { _csrf: 'x' })).status).toBe(403);
    expect((await shown(path)).body.state).toBe('planned');
  });

  it('that is not there is not found, whatever its id', async () => {
    for (const id of ['00000000-0000-7000-8000-000000000000', 'one', '%20'])
      expect((await page(`${URL}/${id}`)).status).toBe(404);
  });
});
