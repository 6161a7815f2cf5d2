import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { queueFiles, record, startItems, type ItemsFixture } from './service.fixture.ts';

let open: ItemsFixture[] = [];
afterEach(async () => {
  for (const fixture of open) await fixture.close();
  open = [];
});

async function start(lanes: Record<string, string[]>) {
  const files = { ...queueFiles(lanes), 'policy.yaml': 'gatePack: strict\n' };
  const fixture = await startItems(files, { queueWrites: false });
  open.push(fixture);
  const { items, owner, queueDir } = fixture;
  return {
    ...fixture,
    act: async (identity: string) => (await items.act(owner, 'wi-A-1', identity)).result,
    item: () => items.show(owner, 'wi-A-1'),
    move: (from: string, to: string) => {
      mkdirSync(join(queueDir, to), { recursive: true });
      renameSync(join(queueDir, from, 'wi-A-1.md'), join(queueDir, to, 'wi-A-1.md'));
    },
  };
}

const BY_HAND =
  'Queue writes are off: move the record by git to ready/wi-A-1.md and set its status to ready.';

describe('with queue writes off', () => {
  it('an action says who moves the record, and its lag is no dead end', async () => {
    const { act, item, items, owner, storage, queueDir, move } = await start({ backlog: ['wi-A-1'] });
    const { effects } = await act('mark-ready');
    expect(effects.map(({ text }) => text)).toEqual([
      'The lane becomes ready.',
      'Queue writes are off: the record stays at backlog/wi-A-1.md. Move it by git to ready/wi-A-1.md and set its status to ready.',
    ]);
    await items.settle();
    expect(await storage.read.query((db) => db.selectFrom('outbox').selectAll())).toEqual([]);
    const { queueTruth, guidance } = await item();
    expect(queueTruth.drift).toMatchObject([{ code: 'queue-status-vs-lane', severity: 'warn' }]);
    expect(guidance.join(' ')).toContain(BY_HAND);
    const [listed] = (await items.list(owner, { attention: true })).items;
    expect(listed?.attention).toMatchObject({ kind: 'drift', step: { action: null } });

    const reconciled = await act('reconcile');
    expect(reconciled.effects.map(({ text }) => text)).toEqual([
      'queue-status-vs-lane stays open: queue writes are off. Move it by git to ready/wi-A-1.md and set its status to ready.',
    ]);
    await act('start-execution');

    move('backlog', 'ready');
    expect((await item()).queueTruth.drift).toMatchObject([{ field: 'status', severity: 'warn' }]);
    writeFileSync(join(queueDir, 'ready/wi-A-1.md'), record('wi-A-1', 'ready'));
    expect((await item()).queueTruth.drift).toEqual([]);
  });

  it('a record that was moved elsewhere is an error, and a person moves it back', async () => {
    const { act, item, move } = await start({ ready: ['wi-A-1'] });
    move('ready', 'done');
    expect((await item()).queueTruth.drift).toMatchObject([{ severity: 'error' }]);
    const refused: unknown = await act('start-execution').catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'action-blocked',
      details: {
        blockers: [
          { gate: 'drift-free', recovery: { nextStep: BY_HAND }, unblock: [{ action: 'refresh-truth' }] },
        ],
      },
    });
    move('done', 'ready');
    await act('start-execution');
  });
});
