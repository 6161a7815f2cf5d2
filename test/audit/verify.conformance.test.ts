import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listCheckpoints, readCheckpoints } from '../../service/audit/checkpoint-files.ts';
import type { AuditLeaf } from '../../service/audit/leaf.ts';
import { OUTSIDE_THE_LOG, verifyAudit, verifyStorage } from '../../service/audit/verify.ts';
import type { VerifyResult } from '../../service/audit/verify.ts';
import { statement } from '../../service/storage/statement.ts';
import type { Build } from '../../service/storage/statement.ts';
import type { Reader, Storage } from '../../service/storage/transaction.ts';
import { install, named, writeChange, writeChanges } from './fixture.ts';
import type { Installation } from './fixture.ts';

/** Two full tiles of entries and a part of a third; checkpoints at 300 and at 700. */
const SIZE = 700;
const FIRST_CHECKPOINT = 300;

let home: Installation;
beforeAll(async () => {
  home = await install();
  await writeChanges(home, named('wi', FIRST_CHECKPOINT));
  await home.log.integrate();
  await writeChanges(home, named('wi', SIZE - FIRST_CHECKPOINT, FIRST_CHECKPOINT + 1));
  await home.log.integrate();
});
afterAll(() => home.storage.close());

const verify = async (reader: Reader, installation = home): Promise<VerifyResult> =>
  verifyAudit({
    reader,
    vkey: installation.keys.vkey,
    commitmentKey: installation.keys.commitment,
    checkpoints: await readCheckpoints(installation.checkpoints),
  });

const verifyHome = (storage: Storage, { keys, checkpoints } = home): Promise<VerifyResult> =>
  verifyStorage(storage, { vkey: keys.vkey, commitmentKey: keys.commitment, checkpointDirs: [checkpoints] });

class Undo extends Error {}

/** What verification says after `changes`; the database is then as before. */
async function afterAttack(changes: Build<unknown>[]): Promise<VerifyResult> {
  let result: VerifyResult | undefined;
  const attack = home.storage.write(async (tx) => {
    for (const change of changes) await tx.run(statement()(change), {});
    result = await verify(tx);
    throw new Undo();
  });
  await expect(attack).rejects.toBeInstanceOf(Undo);
  return result!;
}

const codes = (result: VerifyResult): string[] =>
  [...new Set(result.problems.map((problem) => problem.code))].sort();
const setLeaf =
  (seq: number, leaf: string): Build<unknown> =>
  (db) =>
    db.updateTable('audit_entries').set({ leaf }).where('seq', '=', seq);
const moveLeaf =
  (from: number, to: number): Build<unknown> =>
  (db) =>
    db.updateTable('audit_entries').set({ seq: to }).where('seq', '=', from);
const dropLeaf =
  (seq: number): Build<unknown> =>
  (db) =>
    db.deleteFrom('audit_entries').where('seq', '=', seq);
const FORGED =
  '{"action":"work-item.cancel","actor":{"id":"p-9","kind":"person"},"at":"2026-03-01T10:00:00.000Z","object":null,' +
  '"outcome":"applied","project":"main","type":"build-factory/audit-leaf","v":1}';

const OUTSIDE = [
  'Tables that the log does not vouch for: login_links, sessions, token_uses, idempotency_keys, observations, outbox, meta, jobs, job_runs, backup_facts, drills, and those of conversations but for content, role and place of messages.',
  "Columns that follow the queue's files: work_items.attention, work_items.attention_rank.",
];

it('names the tables that it does not check, and no others', () => {
  const schema = readFileSync('service/storage/schema.sqlite.sql', 'utf8');
  const tables = [...schema.matchAll(/^CREATE TABLE (\w+)/gm)].map(([, name]) => name!);
  const log = ['audit_entries', 'audit_tiles', 'events', 'decisions'];
  const byChecks = ['work_items', 'history_snapshots', 'people', 'tokens', 'chat_messages'];
  expect([...OUTSIDE_THE_LOG, ...log, ...byChecks].sort()).toEqual(tables.sort());
});

it('finds nothing in a log that nobody touched', async () => {
  const result = await verifyHome(home.storage);
  expect(result).toMatchObject({
    ok: true,
    size: SIZE,
    signedSize: SIZE,
    problems: [],
    notChecked: OUTSIDE,
  });
  expect(result.root).toBe(home.log.checkpoint()?.root);
});

describe('finds in the entries', () => {
  it.each<[string, Build<unknown>[], string[], number]>([
    ['an edit', [setLeaf(400, FORGED)], ['root-mismatch', 'tile-mismatch'], 400],
    ['an edit in the first tile', [setLeaf(7, FORGED)], ['root-mismatch', 'tile-mismatch'], 7],
    ['an edit after the last tile', [setLeaf(690, FORGED)], ['root-mismatch'], FIRST_CHECKPOINT + 1],
    [
      'white space',
      [setLeaf(3, `${FORGED} `)],
      ['audit-leaf-malformed', 'root-mismatch', 'tile-mismatch'],
      3,
    ],
    ['a deletion', [dropLeaf(400)], ['root-mismatch', 'seq-gap', 'tile-mismatch'], 400],
    ['a deletion of the first', [dropLeaf(1)], ['root-mismatch', 'seq-gap', 'tile-mismatch'], 1],
    [
      'a swap',
      [moveLeaf(10, 5000), moveLeaf(11, 10), moveLeaf(5000, 11)],
      ['root-mismatch', 'tile-mismatch'],
      10,
    ],
    ['an entry before the first', [moveLeaf(700, 0)], ['log-shorter-than-checkpoint', 'seq-out-of-order'], 0],
    [
      'a truncation',
      [(db) => db.deleteFrom('audit_entries').where('seq', '>', 650)],
      ['log-shorter-than-checkpoint'],
      651,
    ],
    [
      'a truncation below a tile',
      [(db) => db.deleteFrom('audit_entries').where('seq', '>', 500)],
      ['log-shorter-than-checkpoint', 'tile-unexpected'],
      501,
    ],
    [
      'all of them gone',
      [(db) => db.deleteFrom('audit_entries')],
      ['log-shorter-than-checkpoint', 'tile-unexpected'],
      1,
    ],
    ['a number far away', [moveLeaf(700, 2 ** 52)], ['log-shorter-than-checkpoint', 'seq-gap'], 700],
  ])('%s', async (_, changes, expected, seq) => {
    const result = await afterAttack(changes);
    expect(result.ok).toBe(false);
    const ofTree = codes(result).filter((code) => !/^(event|decision)-/.test(code));
    expect(ofTree).toEqual(expected);
    expect(result.problems.some((problem) => problem.seq === seq)).toBe(true);
    expect(result.problems.every((problem) => problem.message && problem.hint)).toBe(true);
  });

  it('an insertion that pushes the others on', async () => {
    const result = await afterAttack([
      (db) => db.deleteFrom('audit_tiles'),
      // In steps, because neither engine moves a primary key through its neighbour.
      (db) =>
        db
          .updateTable('audit_entries')
          .set((row) => ({ seq: row('seq', '+', 10_000) }))
          .where('seq', '>=', 350),
      (db) =>
        db
          .updateTable('audit_entries')
          .set((row) => ({ seq: row('seq', '-', 9_999) }))
          .where('seq', '>', 10_000),
      (db) => db.insertInto('audit_entries').values({ seq: 350, leaf: FORGED }),
    ]);
    expect(codes(result)).toEqual(['root-mismatch', 'tile-missing']);
  });

  const leafAt = async (seq: number): Promise<string> =>
    (await home.log.entries({ after: seq + 1, limit: 1 })).entries[0]!.leaf;
  const addLeaf =
    (leaf: string): Build<unknown> =>
    (db) =>
      db.insertInto('audit_entries').values({ seq: SIZE + 1, leaf });

  it.each([7, 300, SIZE])('a copy of entry %i behind the last checkpoint', async (seq) => {
    const result = await afterAttack([addLeaf(await leafAt(seq))]);
    expect(codes(result)).toEqual(['decision-recorded-twice', 'event-recorded-twice']);
    expect(result.problems.map((problem) => problem.seq)).toEqual([SIZE + 1, SIZE + 1]);
    expect(result.signedSize).toBe(SIZE);
  });

  it('an entry that speaks of a decision alone a second time', async () => {
    const leaf = { ...(JSON.parse(await leafAt(SIZE)) as AuditLeaf), event: undefined };
    const result = await afterAttack([addLeaf(JSON.stringify(leaf))]);
    expect(codes(result)).toEqual(['decision-recorded-twice']);
    expect(result.problems[0]!.message).toContain(`which entry ${SIZE} records already`);
  });

  it('but takes commitments that only begin alike for two', async () => {
    const leaf = JSON.parse(await leafAt(9)) as AuditLeaf;
    const { id, commitment } = leaf.decision!;
    const decision = { commitment: `${commitment.slice(0, 8)}${'A'.repeat(35)}`, id };
    const result = await afterAttack([addLeaf(JSON.stringify({ ...leaf, event: undefined, decision }))]);
    expect(codes(result)).toEqual([]);
  });
});

describe('finds in the stored hashes', () => {
  it('an edit', async () => {
    const result = await afterAttack([
      (db) =>
        db
          .updateTable('audit_tiles')
          .set({ hashes: Buffer.alloc(8192, 1) })
          .where('tile_index', '=', 1),
    ]);
    expect(result.problems).toHaveLength(1);
    expect(result.problems[0]).toMatchObject({ code: 'tile-mismatch', seq: 257 });
    expect(result.problems[0]!.message).toContain('Entries 257 to 512');
  });

  it('a deletion', async () => {
    const result = await afterAttack([(db) => db.deleteFrom('audit_tiles').where('tile_index', '=', 0)]);
    expect(codes(result)).toEqual(['tile-missing']);
  });
});

describe('finds in the events', () => {
  it.each<[string, Build<unknown>[], string[]]>([
    [
      'an edit',
      [(db) => db.updateTable('events').set({ payload: '{}' }).where('seq', '=', 20)],
      ['event-altered'],
    ],
    [
      'another actor',
      [(db) => db.updateTable('events').set({ actor: '{}' }).where('seq', '=', 20)],
      ['event-altered'],
    ],
    ['a deletion', [(db) => db.deleteFrom('events').where('seq', '=', 20)], ['event-missing']],
    ['a truncation', [(db) => db.deleteFrom('events').where('seq', '>', 690)], ['event-missing']],
    [
      'a swap',
      [
        (db) => db.updateTable('events').set({ seq: 9000 }).where('seq', '=', 20),
        (db) => db.updateTable('events').set({ seq: 20 }).where('seq', '=', 30),
        (db) => db.updateTable('events').set({ seq: 30 }).where('seq', '=', 9000),
      ],
      ['event-altered'],
    ],
    [
      'an insertion',
      [
        (db) =>
          db
            .insertInto('events')
            .columns([
              'seq',
              'project_id',
              'stream',
              'stream_id',
              'version',
              'type',
              'payload',
              'actor',
              'at',
            ])
            .expression((from) =>
              from
                .selectFrom('events')
                .select((row) => row.lit(701).as('seq'))
                .select(['project_id', 'stream', 'stream_id', 'version', 'type', 'payload', 'actor', 'at'])
                .where('seq', '=', 1),
            ),
      ],
      ['event-without-leaf'],
    ],
    [
      'an event and its entry gone',
      [(db) => db.deleteFrom('events').where('seq', '=', 700), dropLeaf(700)],
      ['decision-without-leaf', 'log-shorter-than-checkpoint'],
    ],
  ])('%s', async (_, changes, expected) => {
    expect(codes(await afterAttack(changes))).toEqual(expected);
  });
});

describe('finds in the decisions', () => {
  const one = (db: Parameters<Build<unknown>>[0]) =>
    db.updateTable('decisions').where('id', '=', 'decision-wi-20');
  it.each<[string, Build<unknown>[], string[]]>([
    ['an edit', [(db) => one(db).set({ body: '{"gates":[1]}' })], ['decision-altered']],
    ['another outcome', [(db) => one(db).set({ outcome: 'planned' })], ['decision-altered']],
    [
      'an edit with another commitment',
      [(db) => one(db).set({ body: '{}', commitment: 'B'.repeat(43) })],
      ['decision-altered', 'decision-missing', 'decision-without-leaf'],
    ],
    [
      'a deletion',
      [(db) => db.deleteFrom('decisions').where('id', '=', 'decision-wi-20')],
      ['decision-missing'],
    ],
    [
      'a swap',
      [
        (db) => one(db).set({ id: 'x' }),
        (db) => db.updateTable('decisions').where('id', '=', 'decision-wi-21').set({ id: 'decision-wi-20' }),
        (db) => db.updateTable('decisions').where('id', '=', 'x').set({ id: 'decision-wi-21' }),
      ],
      ['decision-altered'],
    ],
  ])('%s', async (_, changes, expected) => {
    expect(codes(await afterAttack(changes))).toEqual(expected);
  });
});

it('counts what it finds too often to name', async () => {
  const result = await afterAttack([(db) => db.updateTable('events').set({ payload: '{}' })]);
  const found = result.problems.filter(({ code }) => code === 'event-altered');
  expect(found).toHaveLength(21);
  expect(found.at(-1)!.message).toBe('680 more of these.');
});

it('has found nothing once all is as it was', async () => {
  expect((await verifyHome(home.storage)).ok).toBe(true);
});

describe('checkpoints from outside', () => {
  it('show a log that was replaced as a whole, with a key of its own', async () => {
    const forger = await install();
    await writeChanges(forger, named('other', SIZE));
    await forger.log.integrate();
    expect((await verifyHome(forger.storage, forger)).ok).toBe(true);

    const [first, newest] = await readCheckpoints(home.checkpoints);
    const known = {
      vkey: home.keys.vkey,
      commitmentKey: forger.keys.commitment,
      checkpointDirs: [forger.checkpoints],
    };
    expect(codes(await verifyStorage(forger.storage, known))).toEqual(['checkpoint-unsigned']);
    const kept = await verifyStorage(forger.storage, { ...known, checkpoints: [first!, newest!] });
    expect(codes(kept)).toEqual(['checkpoint-unsigned', 'root-mismatch']);
    const replacedKey = await verifyStorage(forger.storage, {
      ...known,
      vkey: forger.keys.vkey,
      checkpoints: [newest!],
    });
    expect(codes(replacedKey)).toEqual(['checkpoint-unsigned']);
    await forger.storage.close();
  });

  it('that are older prove their part', async () => {
    const [first] = await readCheckpoints(home.checkpoints);
    const options = { vkey: home.keys.vkey, commitmentKey: null, checkpointDirs: [], checkpoints: [first!] };
    const result = await verifyStorage(home.storage, options);
    expect(result).toMatchObject({ ok: true, size: SIZE, signedSize: FIRST_CHECKPOINT });
    expect(result.notChecked).toEqual([...OUTSIDE, expect.stringContaining('commitment key')]);
  });

  it('are missed', async () => {
    const result = await verifyStorage(home.storage, {
      vkey: home.keys.vkey,
      commitmentKey: null,
      checkpointDirs: [],
    });
    expect(result).toMatchObject({ ok: true, signedSize: 0 });
    expect(result.notChecked).toHaveLength(4);
  });
});

it('adds the checks that it is given', async () => {
  const problem = { code: 'projection-differs', message: 'wi-1 differs.', hint: 'Rebuild it.' };
  const result = await verifyStorage(home.storage, {
    vkey: home.keys.vkey,
    commitmentKey: home.keys.commitment,
    checkpointDirs: [home.checkpoints],
    checks: [async () => [], async () => [problem]],
  });
  expect(result).toMatchObject({ ok: false, problems: [problem] });
});

it('raises no false alarm beside eight writers', async () => {
  const busy = await install();
  const other = await busy.another();
  busy.log.start();
  other.log.start();
  let done = false;
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    const place = writer % 2 === 0 ? busy : other;
    for (let i = 0; !done; i++) await writeChange(place, `w${writer}-${i}`);
  });
  const sizes: number[] = [];
  const enough = Date.now() + 2_500;
  while (Date.now() < enough) {
    const result = await verifyHome(busy.storage, busy);
    expect(result.problems).toEqual([]);
    sizes.push(result.size);
  }
  done = true;
  await Promise.all(writers);
  await other.log.stop();
  await busy.log.stop();
  const last = await verifyHome(busy.storage, busy);
  expect(last).toMatchObject({ ok: true, problems: [], signedSize: last.size });
  expect(last.size).toBeGreaterThan(sizes[0]!);
  expect([...busy.errors, ...other.errors]).toEqual([]);
  const newest = (await listCheckpoints(busy.checkpoints)).at(-1)!;
  expect(readFileSync(join(busy.checkpoints, newest), 'utf8').split('\n')[1]).toBe(String(last.size));
  await other.storage.close();
  await busy.storage.close();
});
