import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { PlanView } from '../../service/chat/retention/retaining.ts';
import { manualClock } from '../../service/clock.ts';
import type { Transaction } from '../../service/storage/transaction.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';

const clock = manualClock('2026-01-10T08:00:00.000Z');
const DAY = 86_400_000;

let service: TestService;
beforeAll(async () => {
  service = await startService({ engine: inject('engine'), clock });
});
afterAll(() => service.close());

const { call, begin, say, messages } = clientOf(() => service);
const PLANS = '/api/governance/retention-plans';

let kind = 0;
/** A class of the test's own. */
let own = '';
beforeEach(() => {
  own = `c${(kind += 1)}`;
});

const plan = async () => (await call<PlanView>('POST', PLANS, {})).body;
const apply = ({ id, digest }: Pick<PlanView, 'id' | 'digest'>) =>
  call<PlanView>('POST', `${PLANS}/${id}/apply`, { digest });

/** Of the test's class alone. */
async function keep(days: Partial<Record<'message' | 'toolOutput' | 'attachment', number>>, binDays = 14) {
  const { body } = await call<{ general: object; classes: Record<string, { retention: object }> }>(
    'GET',
    '/api/governance/policies',
  );
  const { general } = body.classes;
  const retention = Object.fromEntries(
    Object.entries(days).map(([name, value]) => [name, { days: value, binDays }]),
  );
  const policy = { ...general, retention: { ...general?.retention, ...retention } };
  const put = await call('PUT', '/api/governance/policies', {
    general: body.general,
    classes: { general, [own]: policy },
  });
  expect(put.status).toBe(200);
}

async function talk(count: number, input: object = {}) {
  const { id } = await begin({ class: own, title: 'Talk', ...input });
  for (let n = 1; n <= count; n += 1) await say(id, `m${n}`);
  return id;
}

const seqs = async (id: string) => (await messages(id)).messages.map(({ seq }) => seq);
const at = (path: string) => call('GET', path).then(({ status }) => status);

describe('retention', () => {
  it('lets nothing expire by default, whatever the clock says', async () => {
    const id = await talk(2);
    clock.advance(3650 * DAY);
    const empty = await plan();
    expect(empty).toMatchObject({
      counts: { session: 0, message: 0 },
      bytes: 0,
      sample: [],
      held: 0,
      record: null,
    });
    clock.advance(-3650 * DAY);
    expect(await seqs(id)).toEqual([1, 2]);
  });

  it('bins by one plan and purges by another; nothing goes by the clock alone', async () => {
    await keep({ message: 30 });
    const id = await talk(3);
    clock.advance(40 * DAY);
    expect(await seqs(id)).toEqual([1, 2, 3]);
    const first = await plan();
    expect(first).toMatchObject({
      counts: { session: 1, message: 3 },
      bin: { session: 1 },
      purge: { session: 0 },
    });
    expect(first.sample).toContainEqual({ act: 'bin', kind: 'session', class: own, sessionId: id, id: null });
    expect(await seqs(id)).toEqual([1, 2, 3]);
    const applied = await apply(first);
    expect(applied).toMatchObject({
      status: 200,
      body: { state: 'applied', record: { binned: { message: 3 }, left: 0 } },
    });
    expect(await call('GET', `/api/sessions/${id}`)).toMatchObject({
      status: 410,
      body: {
        ...{ code: 'gone', title: 'In the bin', plan: first.id },
        detail: expect.stringMatching(
          /lies in the bin since \d{4}-\d\d-\d\d: retention [^]*can purge it for good/,
        ),
        hint: expect.stringContaining(`governance retention ${first.id} --undo`),
      },
    });
    const shown = await fetch(`${service.url}/sessions/${id}`, {
      headers: { Cookie: await service.cookie() },
    });
    expect([shown.status, await shown.text()]).toEqual([410, expect.stringMatching(/In the bin<[^]*--undo/)]);
    expect(await at(`/api/sessions/${id}/messages`)).toBe(410);
    expect((await say(id, 'late')).status).toBe(410);
    clock.advance(3650 * DAY);
    const stored = await service.context.storage.read.query((db) =>
      db.selectFrom('chat_sessions').selectAll().where('id', '=', id),
    );
    expect(stored).toMatchObject([{ deleted_at: null, last_seq: 3 }]);
    const second = await plan();
    expect(second).toMatchObject({ purge: { session: 1, message: 3 } });
    expect((await apply(second)).body).toMatchObject({ record: { purged: { session: 1, message: 3 } } });
    clock.advance(-3650 * DAY);
    const gone = await service.context.storage.read.query((db) =>
      db.selectFrom('chat_sessions').selectAll().where('id', '=', id),
    );
    expect(gone).toMatchObject([{ deleted_by: 'retention', title: null }]);
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('takes old messages, outputs of tools and leaves the rest', async () => {
    await keep({ message: 60, toolOutput: 10 });
    const id = await talk(1);
    const tool = {
      role: 'tool',
      parts: [{ type: 'tool-result', toolCallId: 'c', name: 'run', output: 'long' }],
    };
    await call('POST', `/api/sessions/${id}/messages`, tool);
    clock.advance(20 * DAY);
    await say(id, 'new');
    const outputs = await plan();
    expect(outputs.counts).toMatchObject({ session: 0, message: 0, toolOutput: 1 });
    await apply(outputs);
    expect((await messages(id)).messages[1]?.parts).toEqual([
      { type: 'tool-result', toolCallId: 'c', name: 'run' },
    ]);
    clock.advance(45 * DAY);
    const old = await plan();
    expect(old.bin).toMatchObject({ session: 0, message: 2 });
    await apply(old);
    expect(await seqs(id)).toEqual([3]);
    expect((await call('GET', `/api/sessions/${id}`)).body).toMatchObject({ messages: 1, lastSeq: 3 });
    expect((await call('GET', `/api/sessions/${id}/messages/${id}.1`)).body).toMatchObject({
      ...{ title: 'In the bin', plan: old.id },
    });
    clock.advance(15 * DAY);
    await keep({ message: 85, toolOutput: 10 });
    const purge = await plan();
    // What the policy keeps longer now is not purged; the new message has no output.
    expect(purge.purge).toMatchObject({ message: 0, toolOutput: 1 });
    await keep({ message: 60, toolOutput: 10 });
    const all = await plan();
    await apply(all);
    const rows = await service.context.storage.read.query((db) =>
      db
        .selectFrom('chat_messages as m')
        .innerJoin('chat_sessions as s', 's.number', 'm.session')
        .select(['m.seq', 'm.body', 'm.tool_output', 'm.deleted_by'])
        .where('s.id', '=', id)
        .orderBy('seq'),
    );
    expect(rows.map(({ body, deleted_by }) => [body === null, deleted_by])).toEqual([
      [true, 'retention'],
      [true, 'retention'],
      [false, null],
    ]);
    expect((await call('GET', `/api/sessions/${id}`)).body).toMatchObject({ messages: 1 });
  });

  it('refuses a plan whose set has grown, shrunk, or is another one', async () => {
    await keep({ message: 30 });
    const id = await talk(2);
    clock.advance(40 * DAY);
    const planned = await plan();
    expect(await apply({ ...planned, digest: '0'.repeat(64) })).toMatchObject({
      status: 409,
      body: { code: 'plan-outdated' },
    });
    await say(id, 'alive again');
    expect(await apply(planned)).toMatchObject({ status: 409, body: { code: 'plan-outdated' } });
    const other = await plan();
    await call('DELETE', `/api/sessions/${id}/messages/${id}.1`);
    expect((await apply(other)).status).toBe(409);
    const third = await plan();
    clock.advance(3650 * DAY);
    expect((await apply(third)).status).toBe(409);
    clock.advance(-3650 * DAY);
    expect((await apply(third)).status).toBe(200);
    expect((await apply(third)).status).toBe(409);
    expect(await seqs(id)).toEqual([3]);
    expect(
      (await call('POST', `${PLANS}/00000000-0000-7000-8000-000000000000/apply`, { digest: third.digest }))
        .status,
    ).toBe(404);
  });

  it('leaves what is held, before and while it is applied', async () => {
    await keep({ message: 30 }, 0);
    const held = await talk(2, { subjectId: `held ${own}` });
    const free = await talk(2);
    clock.advance(40 * DAY);
    const unheld = await plan();
    expect(unheld.purge).toMatchObject({ session: 2 });
    const hold = await call<{ id: string }>('POST', '/api/governance/holds', {
      subjectId: `held ${own}`,
      reason: 'x',
    });
    expect((await apply(unheld)).status).toBe(409);
    const planned = await plan();
    expect(planned).toMatchObject({ purge: { session: 1 }, held: 2 });
    await apply(planned);
    expect(await seqs(held)).toEqual([1, 2]);
    expect(await at(`/api/sessions/${free}`)).toBe(410);
    await call('DELETE', `/api/governance/holds/${hold.body.id}`);
    expect(await seqs(held)).toEqual([1, 2]);
    await apply(await plan());
    expect(await at(`/api/sessions/${held}`)).toBe(410);
  });

  it('gives back what lies in the bin', async () => {
    await keep({ message: 30 });
    const whole = await talk(2);
    const part = await talk(2);
    clock.advance(40 * DAY);
    await say(part, 'new');
    const planned = await plan();
    await apply(planned);
    expect(await seqs(part)).toEqual([3]);
    const undone = await call<PlanView>('POST', `${PLANS}/${planned.id}/undo`, undefined);
    expect(undone).toMatchObject({ status: 200, body: { state: 'undone' } });
    expect(await seqs(whole)).toEqual([1, 2]);
    expect(await seqs(part)).toEqual([1, 2, 3]);
    expect((await call('GET', `/api/sessions/${part}`)).body).toMatchObject({ messages: 3 });
    expect((await call('POST', `${PLANS}/${planned.id}/undo`, undefined)).status).toBe(409);
    await apply(await plan());
  });

  it('leaves a record that one file checks anywhere', async () => {
    await keep({ message: 30 });
    await talk(1);
    clock.advance(40 * DAY);
    const { body } = await apply(await plan());
    const path = join(service.dataDir, 'run.json');
    const script = join(import.meta.dirname, '../../scripts/verify-certificate.mjs');
    const check = (what: unknown) => {
      writeFileSync(path, JSON.stringify(what));
      return spawnSync(process.execPath, [script, path, '--key', service.context.audit.vkey]).status;
    };
    expect(check(body)).toBe(0);
    expect(check({ ...body, record: { ...body.record, left: 7 } })).toBe(1);
  });

  it('is whole after an interruption at any statement, and goes on', async () => {
    const { storage, chat } = service.context;
    const write = storage.write.bind(storage);
    for (let fail = 1, failed = true; failed; fail += 1) {
      own = `i${fail}`;
      await keep({ message: 30, toolOutput: 5 }, 0);
      const ids = [await talk(2), await talk(2)];
      const tool = {
        role: 'tool',
        parts: [{ type: 'tool-result', toolCallId: 'c', name: 'run', output: 'long' }],
      };
      await call('POST', `/api/sessions/${ids[1]}/messages`, tool);
      clock.advance(20 * DAY);
      await call('POST', `/api/sessions/${ids[0]}/messages`, tool);
      clock.advance(15 * DAY);
      const planned = await plan();
      let statements = 0;
      failed = false;
      storage.write = (unit) =>
        write((tx) => {
          const counted: Transaction = {
            ...tx,
            run: (statement, params) => {
              statements += 1;
              if (statements === fail) failed = true;
              if (statements >= fail) throw new Error('interrupted');
              return tx.run(statement, params);
            },
          };
          return unit(counted);
        });
      await apply(planned);
      storage.write = write;
      await wholeState(ids);
      // As a start does.
      await chat.replay();
      await chat.governance.start();
      await expect
        .poll(async () => (await call<PlanView>('GET', `${PLANS}/${planned.id}`)).body.state)
        .not.toBe('applying');
      if (statements > 1) expect(await at(`/api/sessions/${ids[1]}`)).toBe(410);
      await apply(await plan());
      expect((await messages(ids[0]!)).messages.map(({ seq, parts }) => [seq, parts])).toEqual([
        [3, [{ type: 'tool-result', toolCallId: 'c', name: 'run' }]],
      ]);
    }
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  }, 60_000);

  /** What a session says of itself is what is there. */
  async function wholeState(ids: string[]): Promise<void> {
    for (const id of ids) {
      const [row] = await service.context.storage.read.query((db) =>
        db.selectFrom('chat_sessions').selectAll().where('id', '=', id),
      );
      const live = await service.context.storage.read.query((db) =>
        db
          .selectFrom('chat_messages')
          .select(['body', 'deleted_at'])
          .where('session', '=', row!.number)
          .where('deleted_at', 'is', null),
      );
      expect(live.length).toBe(row!.messages);
      expect(live.every(({ body }) => body !== null)).toBe(true);
    }
  }
});
