import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkpointName, listCheckpoints } from '../../service/audit/checkpoint-files.ts';
import { verifyCheckpoint } from '../../service/audit/checkpoint.ts';
import type { AuditEntry } from '../../service/audit/leaf.ts';
import { createAuditLog } from '../../service/audit/log.ts';
import { leafHash, verifyConsistency, verifyInclusion } from '../../service/audit/merkle.ts';
import { manualClock } from '../../service/clock.ts';
import { statement } from '../../service/storage/statement.ts';
import type { Build } from '../../service/storage/statement.ts';
import { install, named, writeChange, writeChanges } from './fixture.ts';
import type { Installation } from './fixture.ts';

let home: Installation;
let clock: ReturnType<typeof manualClock>;
beforeEach(async () => {
  clock = manualClock('2026-03-01T10:00:00.000Z');
  home = await install(clock);
});
afterEach(() => home.storage.close());

const hash = (text: string): Buffer => Buffer.from(text, 'base64');
const change = (build: Build<unknown>): Promise<unknown> =>
  home.storage.write((tx) => tx.run(statement()(build), {}));

/** A new log on the same database and folders, as after a restart. */
function restarted(folders = [home.checkpoints]) {
  const errors: string[] = [];
  const logger = { error: (_: object, message: string) => void errors.push(message) };
  const options = { storage: home.storage, keys: home.keys, clock: manualClock('2026-03-02T10:00:00.000Z') };
  return { log: createAuditLog({ ...options, checkpointDirs: folders, logger }), errors };
}

describe('append', () => {
  it('numbers leaves without gaps, in the transaction of the change', async () => {
    expect(await writeChange(home, 'wi-1')).toBe(1);
    const failing = home.storage.write(async (tx) => {
      await home.log.append(tx, {
        actor: { kind: 'system', id: 'system' },
        action: 'test',
        object: null,
        outcome: 'applied',
        project: 'main',
      });
      throw new Error('undone');
    });
    await expect(failing).rejects.toThrow('undone');
    expect(await writeChange(home, 'wi-2')).toBe(2);
    const { entries } = await home.log.entries({ limit: 10 });
    expect(entries.map(({ seq }) => seq)).toEqual([2, 1]);
    expect(entries.every(({ leaf }) => !leaf.includes('Title'))).toBe(true);
  });

  it('refuses content', async () => {
    const writing = home.storage.write((tx) =>
      home.log.append(tx, {
        actor: { kind: 'person', id: 'p-1' },
        action: 'x'.repeat(500),
        object: null,
        outcome: 'applied',
        project: 'main',
      }),
    );
    await expect(writing).rejects.toMatchObject({ code: 'audit-leaf-malformed' });
  });
});

describe('checkpoints', () => {
  it('are written within a second of the commit, and when stopped', async () => {
    home.log.start();
    const waits: number[] = [];
    for (let size = 1; size <= 3; size++) {
      await writeChange(home, `wi-${size}`);
      const committed = Date.now();
      while (!(await listCheckpoints(home.checkpoints)).includes(checkpointName(size))) await sleep(10);
      waits.push(Date.now() - committed);
    }
    // The best of three: the machine that runs this may be busy with something else.
    expect(Math.min(...waits)).toBeLessThan(1_000);
    await writeChange(home, 'wi-4');
    await home.log.stop();
    expect(await listCheckpoints(home.checkpoints)).toEqual([1, 2, 3, 4].map(checkpointName));
    expect(home.log.health()).toEqual({ status: 'ok', size: 4, signedSize: 4, problem: null });
  });

  it('say size, root and time, signed', async () => {
    await writeChanges(home, named('wi', 3));
    await home.log.integrate();
    const text = readFileSync(join(home.checkpoints, checkpointName(3)), 'utf8');
    const checkpoint = verifyCheckpoint(text, home.log.vkey);
    expect(checkpoint).toMatchObject({ size: 3, at: '2026-03-01T10:00:00.000Z' });
    expect(home.log.checkpoint()).toEqual({
      size: 3,
      root: checkpoint.root.toString('hex'),
      at: '2026-03-01T10:00:00.000Z',
      text,
    });
  });

  it('are not written twice for one size, nor for nothing', async () => {
    await home.log.integrate();
    expect(await listCheckpoints(home.checkpoints)).toEqual([]);
    await writeChange(home, 'wi-1');
    await home.log.integrate();
    const text = readFileSync(join(home.checkpoints, checkpointName(1)), 'utf8');
    const { log } = restarted();
    await log.integrate();
    expect(readFileSync(join(home.checkpoints, checkpointName(1)), 'utf8')).toBe(text);
    expect(log.checkpoint()?.text).toBe(text);
  });

  it('go on after a restart, at every place of a tile', async () => {
    for (const size of [255, 256, 257, 600]) {
      await writeChanges(home, named(`upto-${size}`, size - home.log.health().size));
      const { log, errors } = restarted();
      await log.integrate();
      await home.log.integrate();
      expect(log.health()).toMatchObject({ status: 'ok', size, signedSize: size });
      expect(log.checkpoint()?.root).toBe(home.log.checkpoint()?.root);
      expect(errors).toEqual([]);
    }
  });

  it('reach the other folder where one fails, and the failing one later', async () => {
    const broken = join(home.checkpoints, '..', 'broken');
    writeFileSync(broken, 'a file where the folder should be');
    const { log, errors } = restarted([home.checkpoints]);
    await writeChange(home, 'wi-1');
    await log.integrate();
    const both = restarted([home.checkpoints, broken]);
    await both.log.integrate();
    expect(both.log.health()).toMatchObject({
      status: 'failing',
      problem: { code: 'checkpoints-unreadable' },
    });
    expect(both.errors).toHaveLength(1);
    rmSync(broken);
    await both.log.integrate();
    expect(both.log.health().status).toBe('ok');
    writeFileSync(join(broken, '..', 'x'), '');
    rmSync(broken, { recursive: true });
    writeFileSync(broken, 'again');
    await writeChange(home, 'wi-2');
    await both.log.integrate();
    await both.log.integrate();
    expect(both.log.health()).toMatchObject({
      status: 'failing',
      problem: { code: 'checkpoints-unwritable' },
    });
    expect(both.errors).toHaveLength(2);
    expect(await listCheckpoints(home.checkpoints)).toContain(checkpointName(2));
    rmSync(broken);
    await both.log.integrate();
    expect(both.log.health().status).toBe('ok');
    expect(await listCheckpoints(broken)).toEqual([checkpointName(2)]);
    expect(errors).toEqual([]);
  });
});

describe('no checkpoint is signed over a log', () => {
  const SIZE = 300;
  beforeEach(async () => {
    await writeChanges(home, named('wi', SIZE));
    await home.log.integrate();
  });

  const forged = (db: Parameters<Build<unknown>>[0], seq: number) =>
    db.updateTable('audit_entries').set({ leaf: '{}' }).where('seq', '=', seq);

  it.each<[string, Build<unknown>[]]>([
    ['that was cut', [(db) => db.deleteFrom('audit_entries').where('seq', '>', 290)]],
    ['whose last entry was changed', [(db) => forged(db, SIZE)]],
    [
      'whose last entry was replaced by others',
      [(db) => db.deleteFrom('audit_entries').where('seq', '=', SIZE)],
    ],
  ])('%s while it runs', async (_, attacks) => {
    for (const attack of attacks) await change(attack);
    // The next writer takes the number that was freed.
    await writeChange(home, 'next').catch(() => undefined);
    await home.log.integrate();
    expect(home.log.health()).toMatchObject({ status: 'failing', problem: { code: 'audit-log-altered' } });
    expect(home.errors).toHaveLength(1);
    await home.log.integrate();
    expect(home.errors).toHaveLength(1);
    expect(await listCheckpoints(home.checkpoints)).toEqual([checkpointName(SIZE)]);
  });

  it.each<[string, Build<unknown>[]]>([
    ['that was cut', [(db) => db.deleteFrom('audit_entries').where('seq', '>', 290)]],
    ['that was cut below its tiles', [(db) => db.deleteFrom('audit_entries').where('seq', '>', 100)]],
    ['whose open end was changed', [(db) => forged(db, 280)]],
    [
      'whose hashes were changed',
      [(db) => db.updateTable('audit_tiles').set({ hashes: Buffer.alloc(8192) })],
    ],
    [
      'that was changed before it was hashed anew',
      [(db) => forged(db, 5), (db) => db.deleteFrom('audit_tiles')],
    ],
    ['with a hole', [(db) => db.deleteFrom('audit_entries').where('seq', '=', 270)]],
  ])('%s before a restart', async (_, attacks) => {
    for (const attack of attacks) await change(attack);
    const { log, errors } = restarted();
    await log.integrate();
    await log.stop();
    expect(log.health()).toMatchObject({ status: 'failing', problem: { code: 'audit-log-altered' } });
    expect(errors).toHaveLength(1);
    expect(await listCheckpoints(home.checkpoints)).toEqual([checkpointName(SIZE)]);
  });

  it('whose newest checkpoint another key signed', async () => {
    const other = await install();
    await writeChanges(other, named('other', SIZE + 1));
    await other.log.integrate();
    writeFileSync(join(home.checkpoints, checkpointName(SIZE + 1)), other.log.checkpoint()!.text);
    const { log } = restarted();
    await log.integrate();
    expect(log.health()).toMatchObject({ status: 'failing', problem: { code: 'checkpoint-unsigned' } });
    await other.storage.close();
  });
});

describe('two processes', () => {
  it('append to one log and sign the same one', async () => {
    const other = await home.another();
    await Promise.all([
      writeChanges(home, named('a', 300)),
      writeChanges(other, named('b', 300)),
      home.log.integrate(),
      other.log.integrate(),
    ]);
    await Promise.all([home.log.integrate(), other.log.integrate()]);
    expect(home.log.checkpoint()).toMatchObject({ size: 600 });
    expect(home.log.checkpoint()?.root).toBe(other.log.checkpoint()?.root);
    expect([...home.errors, ...other.errors]).toEqual([]);
    await other.storage.close();
  });
});

describe('proofs', () => {
  it('hold against the checkpoint', async () => {
    await writeChanges(home, named('wi', 520));
    await home.log.integrate();
    for (const seq of [1, 256, 257, 519, 520]) {
      const proof = await home.log.inclusionProof(seq);
      const { size, root } = verifyCheckpoint(proof.checkpoint, home.log.vkey);
      expect(proof).toMatchObject({ seq, index: seq - 1, size: 520, root: root.toString('base64') });
      expect(verifyInclusion(leafHash(proof.leaf), proof.index, size, proof.hashes.map(hash), root)).toBe(
        true,
      );
    }
    for (const [from, to] of [
      [0, 520],
      [1, 2],
      [255, 256],
      [300, 520],
      [520, 520],
    ] as const) {
      const { fromRoot, toRoot, hashes } = await home.log.consistencyProof(from, to);
      expect(verifyConsistency(from, to, hash(fromRoot), hash(toRoot), hashes.map(hash))).toBe(true);
    }
  });

  it('are not given for what is unknown, not signed yet, or changed', async () => {
    await writeChange(home, 'wi-1');
    await expect(home.log.inclusionProof(1)).rejects.toMatchObject({
      code: 'audit-not-signed-yet',
      retryable: true,
    });
    await expect(home.log.inclusionProof(2)).rejects.toMatchObject({ code: 'audit-entry-unknown' });
    await expect(home.log.inclusionProof(0)).rejects.toMatchObject({ code: 'audit-entry-unknown' });
    await home.log.integrate();
    await expect(home.log.consistencyProof(0, 2)).rejects.toMatchObject({ code: 'audit-not-signed-yet' });
    await expect(home.log.consistencyProof(2, 1)).rejects.toMatchObject({ code: 'audit-size-unknown' });
    await change((db) => db.updateTable('audit_entries').set({ leaf: '{}' }));
    await expect(home.log.inclusionProof(1)).rejects.toMatchObject({ code: 'audit-log-altered' });
  });
});

describe('entries', () => {
  const entry = (action: string, id: string, extra: { code?: string; object?: string } = {}): AuditEntry => ({
    actor: { kind: 'person', id },
    action,
    object: extra.object === undefined ? null : { kind: 'item', id: extra.object },
    outcome: extra.code === undefined ? 'applied' : 'refused',
    ...(extra.code === undefined ? {} : { code: extra.code }),
    project: 'main',
  });
  const append = (...fields: Parameters<typeof entry>) =>
    home.storage.write((tx) => home.log.append(tx, entry(...fields)));

  it.each([
    [{ actor: 'p-1' }, [4, 2, 1]],
    [{ actor: 'P-1' }, []],
    [{ actor: 'p_1' }, [5]],
    [{ actor: 'a"\\b%' }, [6]],
    [{ object: 'wi-1' }, [3, 2]],
    [{ object: 'p-1' }, []],
    [{ action: 'complete' }, [3, 2]],
    [{ outcome: 'refused' as const }, [4]],
    [{ code: 'permission-missing' }, [4]],
    [{ project: 'other' }, []],
    [{ actor: 'p-1', action: 'complete' }, [2]],
    [{ actors: ['p-1'] }, [4, 2, 1]],
    [{ actors: ['p_1', 'p-2', 'nobody'] }, [5, 3]],
    [{ actors: ['p-1', 'a"\\b%'] }, [6, 4, 2, 1]],
    [{ actors: ['p-1', 'p-2'], action: 'complete' }, [3, 2]],
    [{ actors: [] }, []],
    [{}, [6, 5, 4, 3, 2, 1]],
  ])('are filtered by %j', async (filters, expected) => {
    await append('claim', 'p-1');
    await append('complete', 'p-1', { object: 'wi-1' });
    await append('complete', 'p-2', { object: 'wi-1' });
    await append('claim', 'p-1', { code: 'permission-missing' });
    await append('claim', 'p_1');
    await append('claim', 'a"\\b%');
    const { entries, next } = await home.log.entries({ limit: 10, filters });
    expect(entries.map(({ seq }) => seq)).toEqual(expected);
    expect(next).toBeNull();
  });

  it.each([
    [{ from: '2026-03-01T10:01:00.000Z' }, [4, 3, 2]],
    [{ to: '2026-03-01T10:01:00.000Z' }, [2, 1]],
    [{ from: '2026-03-01T10:00:30.000Z', to: '2026-03-01T10:02:30.000Z' }, [3, 2]],
    [{ from: '2026-03-01T10:00:30.000Z', action: 'claim', actors: ['p-1', 'p-2'] }, [3]],
    [{ from: '2027-01-01T00:00:00.000Z' }, []],
  ])('are filtered by when they were written: %j', async (filters, expected) => {
    for (const [action, id] of [
      ['claim', 'p-1'],
      ['complete', 'a","at":"2027-02-02T00:00:00.000Z",'],
      ['claim', 'p-2'],
      ['claim', 'p-3'],
    ] as const) {
      await append(action, id);
      clock.advance(60_000);
    }
    const { entries, next } = await home.log.entries({ limit: 10, filters });
    expect(entries.map(({ seq }) => seq)).toEqual(expected);
    expect(next).toBeNull();
  });

  it('come in pages, each once, also beside writers', async () => {
    await writeChanges(home, named('wi', 25));
    const seen: number[] = [];
    for (let after: number | null | undefined; after !== null;) {
      const page = await home.log.entries({ limit: 10, after });
      seen.push(...page.entries.map(({ seq }) => seq));
      after = page.next;
      await writeChange(home, `later-${seen.length}`);
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => 25 - i));
  });

  it('of several actors come in pages, each once, across many steps', async () => {
    await home.storage.write(async (tx) => {
      for (let i = 1; i <= 4_500; i++) await home.log.append(tx, entry('claim', `p-${i % 9}`));
    });
    const filters = { actors: ['p-0', 'p-4', 't-none'] };
    const seen: number[] = [];
    for (let after: number | null | undefined; after !== null;) {
      const page = await home.log.entries({ limit: 70, after, filters });
      expect(page.entries.length).toBeLessThanOrEqual(70);
      seen.push(...page.entries.map(({ seq }) => seq));
      after = page.next;
    }
    const all = Array.from({ length: 4_500 }, (_, i) => 4_500 - i);
    expect(seen).toEqual(all.filter((seq) => seq % 9 === 0 || seq % 9 === 4));
  });

  it('are found across many steps', async () => {
    await append('claim', 'rare');
    await home.storage.write(async (tx) => {
      for (let i = 0; i < 4_500; i++) await home.log.append(tx, entry('claim', 'p-1'));
    });
    const { entries, next } = await home.log.entries({ limit: 5, filters: { actor: 'rare' } });
    expect(entries.map(({ seq }) => seq)).toEqual([1]);
    expect(next).toBeNull();
  });
});
