import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import type { PolicyDocument } from '../../service/chat/policies.ts';
import { manualClock } from '../../service/clock.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';
import { formsOf } from './forms.ts';

/** One owner alone must not switch break-glass off and read on the spot. */

const HOUR = 3_600_000;
const clock = manualClock('2026-05-01T08:00:00.000Z');
const POLICIES = '/api/governance/policies';
const PAGE = '/governance/policies';

let service: TestService;
interface Somebody {
  id: string;
  token: string;
  cookie: string;
}
let [first, second, mine, auditor] = [] as unknown as [Somebody, Somebody, Somebody, Somebody];
let session: string;

beforeAll(async () => {
  service = await startService({ engine: inject('engine'), clock });
  first = await person('Olga', 'owner');
  second = await person('Otto', 'owner');
  mine = await person('Pia', 'planner');
  auditor = await person('Au', 'auditor');
  session = (await begin({ title: 'Mine' }, mine.token)).id;
  await say(session, 'private', undefined, mine.token);
});
afterAll(() => service.close());

const { call, begin, say } = clientOf(() => service);
const { page, submit, fieldsOf } = formsOf(
  () => service,
  () => first.cookie,
);

async function person(name: string, role: 'owner' | 'planner' | 'auditor'): Promise<Somebody> {
  const { id } = await service.context.people.invite(SYSTEM, { name, role });
  return { id, token: await service.token({ role, personId: id }), cookie: await service.cookie(id) };
}

const policies = async (as = first) =>
  (await call<PolicyDocument>('GET', POLICIES, undefined, as.token)).body;
async function put(breakGlass: boolean, as = first) {
  const present = await policies(as);
  return call<PolicyDocument>(
    ...(['PUT', POLICIES, { ...present, general: { ...present.general, breakGlass } }, as.token] as const),
  );
}
const reads = async ({ token }: Somebody) =>
  (await call('GET', `/api/sessions/${session}/messages`, undefined, token)).status;
const steps = async () =>
  (
    await service.context.storage.read.query((db) =>
      db.selectFrom('events').select('type').where('type', 'like', 'break-glass-off-%').orderBy('seq'),
    )
  ).map(({ type }) => type.replace('break-glass-off-', ''));

describe('break-glass that is switched off', () => {
  it('stays in force for a day, as often as the same owner asks', async () => {
    expect((await put(true)).body).toMatchObject({ general: { breakGlass: true }, pending: null });
    const asked = await put(false);
    expect(asked).toMatchObject({
      status: 200,
      body: {
        general: { breakGlass: true },
        pending: { breakGlass: false, askedBy: first.id, effectiveAt: '2026-05-02T08:00:00.000Z' },
      },
    });
    expect(await reads(first)).toBe(404);
    clock.advance(HOUR);
    expect((await put(false)).body.pending).toEqual(asked.body.pending);
    // What a form sends with another change.
    expect((await put(true, second)).body.pending).toEqual(asked.body.pending);
    clock.advance(22 * HOUR);
    expect(await reads(first)).toBe(404);
    clock.advance(HOUR);
    expect(await reads(first)).toBe(200);
    expect(await policies()).toMatchObject({ general: { breakGlass: false }, pending: null });
    expect((await put(true)).body).toMatchObject({ general: { breakGlass: true }, pending: null });
    expect(await reads(first)).toBe(404);
    expect(await steps()).toEqual(['asked']);
  });

  it('goes off at once when another owner asks for the same', async () => {
    await put(false);
    expect((await put(false, mine)).status).toBe(403);
    expect((await put(false, second)).body).toMatchObject({ general: { breakGlass: false }, pending: null });
    expect(await reads(first)).toBe(200);
    expect((await steps()).at(-1)).toBe('confirmed');
  });

  it('is taken back by any owner', async () => {
    await put(true);
    await put(false);
    const back = (as: Somebody) => call<PolicyDocument>('DELETE', `${POLICIES}/pending`, undefined, as.token);
    expect((await back(auditor)).status).toBe(403);
    expect(await back(second)).toMatchObject({
      status: 200,
      body: { general: { breakGlass: true }, pending: null },
    });
    const { version } = await policies();
    expect((await back(second)).body.version).toBe(version);
    clock.advance(25 * HOUR);
    expect(await reads(first)).toBe(404);
    expect((await steps()).at(-1)).toBe('taken-back');
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('waits on the pages, where it is confirmed and taken back', async () => {
    [first, second, auditor] = (await Promise.all(
      [first, second, auditor].map(async (one) => ({ ...one, cookie: await service.cookie(one.id) })),
    )) as [Somebody, Somebody, Somebody];
    const form = fieldsOf((await page(PAGE)).text, PAGE);
    delete form['breakGlass'];
    const planned = await submit(PAGE, { ...form, step: 'plan' });
    expect(planned.text).toMatch(/Break-glass stays in force until[^]*Another owner who asks for the same/);
    const asked = await submit(PAGE, { ...fieldsOf(planned.text, PAGE), step: 'apply' });
    expect(asked.location).toBe(`${PAGE}?done=asked#result`);
    for (const path of [PAGE, '/governance']) {
      const own = (await page(path)).text;
      expect(own).toMatch(/Break-glass goes off: [^]*Olga asked for it/);
      expect(own).toContain('break-glass/take-back"');
      expect(own).not.toContain('break-glass/confirm"');
      expect((await page(path, second.cookie)).text).toContain('break-glass/confirm"');
      const seen = (await page(path, auditor.cookie)).text;
      expect(seen).toContain('Break-glass goes off: ');
      expect(seen).not.toContain('/break-glass/');
    }
    expect((await page(PAGE)).text).toMatch(/Break-glass goes off: no → 2026-/);
    const kept = await submit(`${PAGE}/break-glass/take-back`, {}, second.cookie);
    expect(kept.location).toBe(`${PAGE}?done=kept#result`);
    expect((await policies()).pending).toBeNull();

    await put(false);
    const confirm = `${PAGE}/break-glass/confirm`;
    const again = await submit(confirm, { step: 'plan' });
    expect(again.text).toContain('It was asked for already');
    const sure = await submit(confirm, { step: 'plan' }, second.cookie);
    expect(sure.text).toMatch(/Break-glass is then off at once[^]*Olga asked for it[^]*this confirms it/);
    expect((await policies()).pending).not.toBeNull();
    await submit(confirm, { ...fieldsOf(sure.text, confirm), step: 'apply' }, second.cookie);
    expect(await policies()).toMatchObject({ general: { breakGlass: false }, pending: null });
  });
});
