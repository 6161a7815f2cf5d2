import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { canonicalJson } from '../../service/canonical-json.ts';
import { rawSql } from '../storage/engine.ts';
import { queueFiles, record, startItems, type ItemsFixture } from './service.fixture.ts';

let open: ItemsFixture[] = [];
afterEach(async () => {
  for (const fixture of open) await fixture.close();
  open = [];
});

async function start(...args: Parameters<typeof startItems>): Promise<ItemsFixture> {
  const fixture = await startItems(...args);
  open.push(fixture);
  return fixture;
}

const SHA = '4f1c2d9e8b7a6c5d4f1c2d9e8b7a6c5d4f1c2d9e';

describe('the way of an item', () => {
  it('goes from backlog to done, and the queue record follows', async () => {
    const { items, owner, queueDir, verify } = await start(queueFiles({ backlog: ['wi-A-1'] }));
    const step = async (identity: string, input?: object) => {
      const { result } = await items.act(owner, 'wi-A-1', identity, { input });
      await items.settle();
      return result.lane.to;
    };
    expect(await step('mark-ready')).toBe('ready');
    expect(await step('start-execution')).toBe('ready');
    expect(await step('claim')).toBe('executing');
    expect(await step('request-review')).toBe('review');
    expect(await step('submit-evidence', { kind: 'attestation', commit: SHA, result: 'passed' })).toBe(
      'review',
    );
    expect(await step('complete')).toBe('done');
    expect(existsSync(join(queueDir, 'backlog/wi-A-1.md'))).toBe(false);
    expect(readFileSync(join(queueDir, 'done/wi-A-1.md'), 'utf8')).toBe(record('wi-A-1', 'done'));
    const item = await items.show(owner, 'wi-A-1');
    expect(item).toMatchObject({ lane: 'done', source: 'done', status: 'done', state: 'done' });
    expect(item.queueTruth.drift).toEqual([]);
    expect(await verify()).toMatchObject({ ok: true, problems: [] });
  });

  it('blocks with four texts and records the refusal', async () => {
    const { items, owner, audit } = await start(queueFiles({ done: ['wi-A-1'] }));
    const refused = await items.act(owner, 'wi-A-1', 'start-execution').catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'action-blocked',
      details: { blockers: [{ gate: 'lane-transition' }] },
    });
    const { entries } = await audit.entries({ limit: 1 });
    expect(JSON.parse(entries[0]?.leaf ?? '')).toMatchObject({ outcome: 'refused', code: 'action-blocked' });
  });
});

describe('plan, then apply', () => {
  it('writes nothing but the decision, and applies exactly that', async () => {
    const { items, owner, storage } = await start(queueFiles({ backlog: ['wi-A-1'] }));
    const rows = async () =>
      Promise.all(
        (['events', 'audit_entries', 'work_items', 'outbox'] as const).map((table) =>
          storage.read.query((db) => db.selectFrom(table).selectAll()),
        ),
      );
    const before = await rows();
    const { result: plan } = await items.act(owner, 'wi-A-1', 'mark-ready', { dryRun: true });
    expect(plan).toMatchObject({
      dryRun: true,
      lane: { from: 'backlog', to: 'ready' },
      item: { lane: 'backlog', version: 1 },
    });
    expect(plan.diff).toContainEqual({ field: 'lane', before: 'backlog', after: 'ready' });
    expect(await rows()).toEqual(before);
    const { result } = await items.act(owner, 'wi-A-1', 'mark-ready', { decisionId: plan.decisionId });
    expect(result).toMatchObject({ dryRun: false, item: { lane: 'ready', version: 2 } });
  });

  it('gives what it makes the ids that the plan showed, and names the plan in the decision', async () => {
    const { items, owner } = await start(queueFiles({ ready: ['wi-A-1'] }));
    const { result: plan } = await items.act(owner, 'wi-A-1', 'start-execution', { dryRun: true });
    const { result } = await items.act(owner, 'wi-A-1', 'start-execution', { decisionId: plan.decisionId });
    expect(result.effects).toEqual(plan.effects);
    expect(plan.effects[0]?.text).toContain(result.item.handoff?.id);
    expect(await items.decision(owner, 'wi-A-1', result.decisionId)).toMatchObject({ plan: plan.decisionId });
  });

  it('refuses a plan whose facts changed', async () => {
    const { items, owner } = await start(queueFiles({ backlog: ['wi-A-1'] }));
    const { result: plan } = await items.act(owner, 'wi-A-1', 'mark-ready', { dryRun: true });
    await items.act(owner, 'wi-A-1', 'cancel');
    const refused = await items
      .act(owner, 'wi-A-1', 'mark-ready', { decisionId: plan.decisionId })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'decision-outdated',
      details: { changedGates: [{ gate: 'lane-transition' }] },
    });
  });
});

describe('a plan binds what is applied', () => {
  const dry = async ({ items, owner }: ItemsFixture, identity: string, input?: object) =>
    (await items.act(owner, 'wi-A-1', identity, { dryRun: true, input })).result.decisionId;
  const outdated = { code: 'decision-outdated' };

  it('to its input', async () => {
    const fixture = await start(queueFiles({ executing: ['wi-A-1'] }));
    const evidence = { kind: 'criterion', criterion: 1, result: 'failed', commit: SHA };
    const decisionId = await dry(fixture, 'submit-evidence', evidence);
    const { items, owner } = fixture;
    const other = { decisionId, input: { ...evidence, criterion: 2, result: 'passed' } };
    await expect(items.act(owner, 'wi-A-1', 'submit-evidence', other)).rejects.toMatchObject(outdated);
    await items.act(owner, 'wi-A-1', 'submit-evidence', { decisionId, input: evidence });
  });

  it('to the prompt that was pinned', async () => {
    const fixture = await start(queueFiles({ ready: ['wi-A-1'] }));
    const decisionId = await dry(fixture, 'start-execution');
    writeFileSync(join(fixture.queueDir, 'prompts/wi-A-1.prompt.md'), 'Another prompt.\n');
    await expect(
      fixture.items.act(fixture.owner, 'wi-A-1', 'start-execution', { decisionId }),
    ).rejects.toMatchObject(outdated);
  });

  it('to what reconcile would do', async () => {
    const fixture = await start(queueFiles({ ready: ['wi-A-1'] }));
    const at = (lane: string) => join(fixture.queueDir, lane, 'wi-A-1.md');
    mkdirSync(join(fixture.queueDir, 'backlog'));
    renameSync(at('ready'), at('backlog'));
    const decisionId = await dry(fixture, 'reconcile');
    rmSync(at('backlog'));
    await expect(
      fixture.items.act(fixture.owner, 'wi-A-1', 'reconcile', { decisionId }),
    ).rejects.toMatchObject(outdated);
    await fixture.items.act(fixture.owner, 'wi-A-1', 'reconcile', {
      decisionId: await dry(fixture, 'reconcile'),
    });
    await fixture.items.settle();
    expect(existsSync(at('ready'))).toBe(true);
  });

  it('once, and a note may be added while confirming', async () => {
    const fixture = await start(queueFiles({ ready: ['wi-A-1'] }));
    const decisionId = await dry(fixture, 'record-history');
    const confirm = () =>
      fixture.items.act(fixture.owner, 'wi-A-1', 'record-history', { decisionId, input: { note: 'Now.' } });
    await confirm();
    await expect(confirm()).rejects.toMatchObject({ ...outdated, details: { changedGates: [] } });
  });
});

describe('the queue folder goes away', () => {
  it('loses nothing, ages, and recovers', async () => {
    const { items, owner, queueDir, clock } = await start(queueFiles({ ready: ['wi-A-1'] }));
    renameSync(queueDir, `${queueDir}.gone`);
    await items.rescan();
    clock.advance(300_000);
    const away = await items.show(owner, 'wi-A-1');
    expect(away.queueTruth).toMatchObject({ freshness: { verdict: 'Unknown', ageSeconds: 300 }, drift: [] });
    expect(away.source).toBe('ready');
    renameSync(`${queueDir}.gone`, queueDir);
    await items.rescan();
    expect((await items.show(owner, 'wi-A-1')).queueTruth).toMatchObject({
      freshness: { verdict: 'Fresh' },
      drift: [],
    });
  });
});

describe('exactly once', () => {
  it('runs once for 100 identical concurrent requests and gives 100 equal answers', async () => {
    const { items, owner, storage } = await start(queueFiles({ backlog: ['wi-A-1'] }));
    const request = { idempotencyKey: 'k1', input: { note: 'go' } };
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => items.act(owner, 'wi-A-1', 'mark-ready', request)),
    );
    expect(new Set(answers.map(({ result }) => JSON.stringify(result))).size).toBe(1);
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
    const moved = await storage.read.query((db) =>
      db.selectFrom('events').selectAll().where('type', '=', 'lane-moved'),
    );
    expect(moved).toHaveLength(1);
    await expect(
      items.act(owner, 'wi-A-1', 'mark-ready', { idempotencyKey: 'k1', input: {} }),
    ).rejects.toMatchObject({
      code: 'idempotency-key-reused',
    });
  });

  it.each(['mark-ready', 'start-execution'])(
    'lets one of 50 different concurrent movers win: %s',
    async (identity) => {
      const lane = identity === 'mark-ready' ? 'backlog' : 'ready';
      const { items, owner } = await start(queueFiles({ [lane]: ['wi-A-1'] }));
      const outcomes = await Promise.allSettled(
        Array.from({ length: 50 }, (_, index) =>
          items.act(owner, 'wi-A-1', identity, { idempotencyKey: `k${index}`, input: { note: `n${index}` } }),
        ),
      );
      const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(lost).toHaveLength(49);
      for (const { reason } of lost) expect((reason as { code: string }).code).toBe('action-blocked');
    },
  );
});

describe('evidence', () => {
  it('takes a short commit for the one that it begins', async () => {
    const { items, owner } = await start(queueFiles({ review: ['wi-A-1'] }));
    const submit = (kind: string, commit: string) =>
      items.act(owner, 'wi-A-1', 'submit-evidence', { input: { kind, commit, result: 'passed' } });
    await submit('validation', SHA);
    const { result } = await submit('attestation', SHA.slice(0, 12));
    expect(result.item.evidence.map(({ commit }) => commit)).toEqual([SHA, SHA]);
    expect((await items.act(owner, 'wi-A-1', 'complete')).result.lane.to).toBe('done');
  });
});

describe('optimistic concurrency', () => {
  it('refuses an old version with the current one and the difference', async () => {
    const { items, owner } = await start(queueFiles({ backlog: ['wi-A-1'] }));
    await items.act(owner, 'wi-A-1', 'mark-ready', { ifMatch: 1 });
    const refused = await items
      .act(owner, 'wi-A-1', 'cancel', { ifMatch: 1 })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'version-mismatch', details: { etag: '"2"' } });
    const { diff } = (refused as { details: { diff: { field: string }[] } }).details;
    expect(diff).toContainEqual({ field: 'lane', before: 'backlog', after: 'ready' });
    expect(diff.map(({ field }) => field).sort()).toEqual(['lane', 'version']);
  });

  it('asks agents for key and version, in that order', async () => {
    const { items, owner, principal } = await start(queueFiles({ ready: ['wi-A-1'] }));
    await items.act(owner, 'wi-A-1', 'start-execution');
    const agent = principal('0195-agent', 'Agent', ['agent'], 'token', owner.personId);
    await expect(items.act(agent, 'wi-A-1', 'claim')).rejects.toMatchObject({
      code: 'idempotency-key-missing',
    });
    await expect(items.act(agent, 'wi-A-1', 'claim', { idempotencyKey: 'a' })).rejects.toMatchObject({
      code: 'version-required',
    });
    await expect(
      items.act(agent, 'wi-A-1', 'mark-ready', { idempotencyKey: 'a', ifMatch: 9 }),
    ).rejects.toMatchObject({
      code: 'permission-missing',
    });
    const { result } = await items.act(agent, 'wi-A-1', 'claim', { idempotencyKey: 'a', ifMatch: 2 });
    expect(result.item).toMatchObject({ lane: 'executing', handoff: { state: 'claimed' } });
  });
});

async function storedSnapshots(storage: ItemsFixture['storage']): Promise<string[]> {
  const rows = await storage.read.query((db) =>
    db.selectFrom('history_snapshots').select('content').orderBy('seq'),
  );
  return rows.map((row) => row.content);
}

describe('history', () => {
  it('chains content-addressed snapshots', async () => {
    const { items, owner, storage } = await start(queueFiles({ done: ['wi-A-1'] }));
    await items.act(owner, 'wi-A-1', 'record-history');
    await items.act(owner, 'wi-A-1', 'prepare-release').catch(() => undefined);
    await items.act(owner, 'wi-A-1', 'refresh-truth');
    await items.act(owner, 'wi-A-1', 'record-history');
    const history = await items.history(owner, 'wi-A-1');
    const [second, first] = history.snapshots;
    expect(history.snapshots).toHaveLength(2);
    const content = (await items.snapshot(owner, 'wi-A-1', second?.digest ?? '')).content as {
      previous: string;
      decisions: unknown[];
    };
    expect(content.previous).toBe(first?.digest);
    expect(canonicalJson(content)).toBe((await storedSnapshots(storage)).at(-1));
    expect(content.decisions).toMatchObject([{ identity: 'refresh-truth' }]);
    const decision = await items.decision(owner, 'wi-A-1', history.decisions[0]?.id ?? '');
    expect(decision).toMatchObject({ identity: 'record-history', outcome: 'applied', by: 'Owner' });
    expect(await items.reevaluate(owner, 'wi-A-1', decision.id)).toMatchObject({ enabled: true });
  });
});

describe('tampering past the service', () => {
  it.each([
    [`update work_items set lane = 'done' where id = 'wi-A-1'`, 'projection-differs'],
    [
      `update work_items set document = replace(document, 'Summary', 'Forged') where id = 'wi-A-1'`,
      'projection-differs',
    ],
    [`delete from work_items where id = 'wi-A-1'`, 'projection-missing'],
    [`update history_snapshots set content = replace(content, 'Summary', 'Forged')`, 'snapshot-differs'],
    [`delete from history_snapshots`, 'snapshot-differs'],
    [`update people set roles = 'auditor'`, 'person-differs'],
    [
      `insert into tokens select project_id, 'forged', 'x', id, 'owner', 'abc', null, null, 1, created_at, updated_at from people`,
      'token-differs',
    ],
  ])('%s is %s', async (statement, code) => {
    const { items, owner, databaseUrl, verify } = await start(queueFiles({ ready: ['wi-A-1'] }));
    await items.act(owner, 'wi-A-1', 'record-history');
    expect(await verify()).toMatchObject({ ok: true });
    await rawSql(databaseUrl, statement);
    expect((await verify()).problems.map((problem) => problem.code)).toContain(code);
  });
});

describe('net-new items', () => {
  it('get the next key, a record and a prompt', async () => {
    const { items, owner, queueDir } = await start(queueFiles({ done: ['wi-A-7', 'wi-A-9'] }));
    const { item } = await items.create(owner, {
      ...{ title: 'Größer – 中文', summary: 'More.', workType: 'implementation', criteria: ['Shown'] },
      ...{ prompt: 'Do it.\n', supersedes: 'wi-A-9' },
    });
    expect(item).toMatchObject({
      id: 'wi-A-10',
      lane: 'backlog',
      supersedes: 'wi-A-9',
      prompt: { missing: false, excerpt: 'Do it.\n' },
    });
    expect(readFileSync(join(queueDir, 'backlog/wi-A-10.md'), 'utf8')).toContain('Größer – 中文');
    expect((await items.show(owner, 'wi-A-9')).supersededBy).toEqual(['wi-A-10']);
    await items.rescan();
    expect(await items.show(owner, 'wi-A-10')).toMatchObject({ version: 1, queueTruth: { drift: [] } });
  });
});
