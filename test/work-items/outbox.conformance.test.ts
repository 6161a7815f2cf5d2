import { existsSync, linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { acceptRestore, driftReport, pauseAfterRestore, reportDigest } from '../../service/restored/pause.ts';
import { fsWith } from './queue-folder.ts';
import { queueFiles, record, startItems, type ItemsFixture } from './service.fixture.ts';

let open: ItemsFixture[] = [];
afterEach(async () => {
  for (const fixture of open) await fixture.close();
  open = [];
});

/** A strict project on a disk that takes no new file while `full` says so. */
async function start(lanes: Record<string, string[]>) {
  const disk = { full: false };
  const link = (from: string, to: string) => {
    if (disk.full) throw Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' });
    linkSync(from, to);
  };
  const files = { ...queueFiles(lanes), 'policy.yaml': 'gatePack: strict\n' };
  const fixture = await startItems(files, { fs: fsWith({ linkSync: link }) });
  open.push(fixture);
  return { ...fixture, disk };
}

const driftFree = async ({ items, owner }: ItemsFixture, identity: string) => {
  const { actions } = await items.actions(owner, 'wi-A-1', { all: true });
  const action = actions.find((one) => one.identity === identity);
  return action?.gates.find(({ gate }) => gate === 'drift-free');
};

it('waits after a restore until somebody accepted what drifted', async () => {
  const fixture = await start({ backlog: ['wi-A-1'] });
  const { items, owner, storage, audit } = fixture;
  await storage.write((tx) =>
    pauseAfterRestore(tx, {
      ...{ backupId: 'full/factory/x', takenAt: '2026-05-01T00:00:00.000Z', epoch: 1, by: 'someone@host' },
      ...{ restoredAt: '2026-05-01T01:00:00.000Z', why: 'restore' },
    }),
  );
  await items.act(owner, 'wi-A-1', 'mark-ready');
  await items.settle();
  expect((await items.show(owner, 'wi-A-1')).source).toBe('backlog');
  const report = await driftReport(storage.read, 'main');
  expect(report).toMatchObject({ owed: [{ itemId: 'wi-A-1', kind: 'move' }] });

  const accept = (digest: string) => acceptRestore({ storage, audit, projectId: 'main' }, SYSTEM, digest);
  await expect(accept('0000000000000000')).rejects.toMatchObject({ code: 'report-outdated' });
  await accept(reportDigest(report!));
  await items.settle();
  expect((await items.show(owner, 'wi-A-1')).source).toBe('ready');
  const { entries } = await audit.entries({ limit: 1, filters: { action: 'database.restore-accepted' } });
  expect(entries).toHaveLength(1);
  await expect(accept(reportDigest(report!))).rejects.toMatchObject({ code: 'restore-not-paused' });
});

describe('a queue write that fails', () => {
  it('leaves the drift in sight, with the failure, until it succeeds', async () => {
    const fixture = await start({ backlog: ['wi-A-1'] });
    const { items, owner, disk } = fixture;
    disk.full = true;
    await items.act(owner, 'wi-A-1', 'mark-ready');
    await items.settle();
    const stuck = await items.show(owner, 'wi-A-1');
    expect(stuck.queueTruth.drift.map(({ code }) => code)).toEqual(['queue-status-vs-lane']);
    expect(stuck.problems.map(({ code }) => code)).toEqual(['queue-write-failed']);
    expect(await driftFree(fixture, 'start-execution')).toMatchObject({ verdict: 'blocked' });
    const [listed] = (await items.list(owner, { attention: true })).items;
    expect(listed?.attention?.kind).toBe('drift');
    expect(items.queueHealth().failing).toBe(1);

    const { result: plan } = await items.act(owner, 'wi-A-1', 'reconcile', { dryRun: true });
    expect(plan.effects.map(({ kind }) => kind)).toEqual(['drift-stays', 'queue-write-fails']);
    expect(plan.effects[1]?.text).toContain('ENOSPC');

    disk.full = false;
    await items.settle();
    const moved = await items.show(owner, 'wi-A-1');
    expect([moved.queueTruth.drift, moved.problems, moved.source]).toEqual([[], [], 'ready']);
    expect(await driftFree(fixture, 'start-execution')).toMatchObject({ verdict: 'pass' });
    expect((await items.list(owner, { attention: true })).items).toEqual([]);
    expect(items.queueHealth().failing).toBe(0);
  });

  it('is not owed again by each further action', async () => {
    const { items, owner, disk, queueDir, storage } = await start({ ready: ['wi-A-1'] });
    mkdirSync(join(queueDir, 'backlog'));
    renameSync(join(queueDir, 'ready/wi-A-1.md'), join(queueDir, 'backlog/wi-A-1.md'));
    disk.full = true;
    await items.act(owner, 'wi-A-1', 'reconcile');
    await items.settle();
    for (let n = 0; n < 3; n += 1) await items.act(owner, 'wi-A-1', 'reconcile');
    await items.settle();
    const rows = await storage.read.query((db) => db.selectFrom('outbox').selectAll());
    expect(rows).toHaveLength(1);
  });

  it('gives way where the record is lost and written again', async () => {
    const { items, owner, queueDir, disk, verify } = await start({ backlog: ['wi-A-1'] });
    disk.full = true;
    await items.act(owner, 'wi-A-1', 'mark-ready');
    await items.settle();
    rmSync(join(queueDir, 'backlog/wi-A-1.md'));
    await items.settle();
    disk.full = false;
    await items.settle();
    expect((await items.show(owner, 'wi-A-1')).problems[0]?.message).toContain('in neither place');
    await items.act(owner, 'wi-A-1', 'reconcile');
    await items.settle();
    expect(existsSync(join(queueDir, 'ready/wi-A-1.md'))).toBe(true);
    const item = await items.show(owner, 'wi-A-1');
    expect([item.queueTruth.drift, item.problems]).toEqual([[], []]);
    expect(await verify()).toMatchObject({ ok: true });
  });

  it('holds up no other, however many fail', async () => {
    const ids = Array.from({ length: 60 }, (_, n) => `wi-A-${n + 1}`);
    const { items, owner, disk, queueDir } = await start({ backlog: [...ids, 'wi-Z-1'] });
    disk.full = true;
    for (const id of ids) await items.act(owner, id, 'mark-ready');
    await items.settle();
    for (const id of ids) rmSync(join(queueDir, `backlog/${id}.md`));
    disk.full = false;
    await items.act(owner, 'wi-Z-1', 'mark-ready');
    await items.settle();
    expect(existsSync(join(queueDir, 'ready/wi-Z-1.md'))).toBe(true);
  }, 60_000);
});

describe('drift that is not computed', () => {
  it('only warns while the record is on its way', async () => {
    const fixture = await start({ backlog: ['wi-A-1'] });
    const { result } = await fixture.items.act(fixture.owner, 'wi-A-1', 'mark-ready');
    expect(result.item.queueTruth.notComputed).toContainEqual({
      code: 'duplicate-id',
      reason: 'queue write pending',
    });
    await fixture.items.settle();
  });

  it('does not pass for a record that cannot be read', async () => {
    const fixture = await start({ ready: ['wi-A-1'] });
    writeFileSync(
      join(fixture.queueDir, 'ready/wi-A-1.md'),
      record('wi-A-1', 'ready').replace('title:', 'title'),
    );
    const gate = await driftFree(fixture, 'start-execution');
    expect(gate).toMatchObject({ verdict: 'unknown', code: 'drift-unknown' });
    expect(gate?.recovery?.nextStep).toMatch(/^ready\/wi-A-1\.md:\d+: /);
  });
});
