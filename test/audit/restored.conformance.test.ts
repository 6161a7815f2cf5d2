import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readCheckpoints } from '../../service/audit/checkpoint-files.ts';
import { formatVkey, parseCheckpoint } from '../../service/audit/checkpoint.ts';
import type { AuditKeys } from '../../service/audit/keys.ts';
import type { LogState, Restored } from '../../service/audit/leaf.ts';
import { createAuditLog } from '../../service/audit/log.ts';
import { verifyStorage } from '../../service/audit/verify.ts';
import { systemClock } from '../../service/clock.ts';
import { param, statement } from '../../service/storage/statement.ts';
import { install, named, writeChanges } from './fixture.ts';
import type { Installation } from './fixture.ts';

/** A log that a restore made shorter than the checkpoints that were signed before. */

const cut = {
  entries: statement<{ seq: number }>()((db) =>
    db.deleteFrom('audit_entries').where('seq', '>', param('seq')),
  ),
  events: statement<{ seq: number }>()((db) => db.deleteFrom('events').where('seq', '>', param('seq'))),
  decisions: statement<{ seq: number }>()((db) =>
    db.deleteFrom('decisions').where('item_seq', '>', param('seq')),
  ),
};
const setLeaf = statement<{ seq: number; leaf: string }>()((db) =>
  db
    .updateTable('audit_entries')
    .set({ leaf: param('leaf') })
    .where('seq', '=', param('seq')),
);

const ENTRY = {
  actor: { kind: 'system', id: 'system' },
  action: 'database.restored',
  object: null,
  outcome: 'applied' as const,
  project: 'main',
};

async function logOf(count: number): Promise<Installation> {
  const installation = await install();
  await writeChanges(installation, named('item', count));
  await installation.log.integrate();
  return installation;
}

/** The database as it was at an earlier size, as a restore leaves it: the checkpoints stay. */
async function backTo({ storage }: Installation, seq: number): Promise<void> {
  await storage.write(async (tx) => {
    for (const one of Object.values(cut)) await tx.run(one, { seq });
  });
}

async function states({ checkpoints }: Installation): Promise<LogState[]> {
  return (await readCheckpoints(checkpoints)).map(({ text }) => {
    const { size, root } = parseCheckpoint(text);
    return { size, root: root.toString('base64') };
  });
}

type Stated = Omit<Restored, 'entry' | 'signature'>;

function stated(givenUp: LogState[], change: Partial<Stated> = {}): Stated {
  return {
    ...{ backup: 'full/factory/20260501T000000Z-000003', sequence: 3, takenAt: '2026-05-01T00:00:00.000Z' },
    ...{ shared: null, givenUp, epoch: 1, by: 'someone@host', why: 'restore', newKey: false },
    ...change,
  };
}

function logWith(installation: Installation, keys: AuditKeys = installation.keys) {
  const errors: string[] = [];
  const logger = { error: (_fields: object, message: string) => void errors.push(message) };
  const { storage, checkpoints } = installation;
  return createAuditLog({ storage, keys, clock: systemClock, checkpointDirs: [checkpoints], logger });
}

async function state(
  installation: Installation,
  givenUp: LogState[],
  keys = installation.keys,
  newKey = false,
) {
  const log = logWith(installation, keys);
  await installation.storage.write((tx) => log.appendRestored(tx, ENTRY, stated(givenUp, { newKey })));
  return log;
}

async function found(installation: Installation, keys = installation.keys): Promise<string[]> {
  const { storage, checkpoints } = installation;
  const result = await verifyStorage(storage, {
    ...{ vkey: keys.vkey, commitmentKey: keys.commitment, checkpointDirs: [checkpoints] },
  });
  expect(result.ok).toBe(result.problems.length === 0);
  return [...new Set(result.problems.map(({ code }) => code))].sort();
}

const otherKeys = ({ keys: { origin } }: Installation): AuditKeys => {
  const signing = generateKeyPairSync('ed25519').privateKey;
  return { origin, signing, vkey: formatVkey(origin, signing), commitment: randomBytes(32) };
};

describe('a log that a restore made shorter', () => {
  it('is a truncation where nothing says that it was one', async () => {
    const installation = await logOf(20);
    await backTo(installation, 12);
    expect(await found(installation)).toEqual(['log-shorter-than-checkpoint']);
    const log = logWith(installation);
    await log.integrate();
    expect(log.health()).toMatchObject({ status: 'failing', problem: { code: 'audit-log-altered' } });
  });

  it('verifies and goes on where a signed entry gives up what is not there any more', async () => {
    const installation = await logOf(20);
    const givenUp = await states(installation);
    await backTo(installation, 12);
    const log = await state(installation, givenUp);
    expect(await found(installation)).toEqual([]);
    await log.integrate();
    expect(log.health()).toMatchObject({ status: 'ok', size: 13, signedSize: 13 });
    expect(readdirSync(`${installation.checkpoints}/.given-up`)).toHaveLength(1);
    await writeChanges({ storage: installation.storage, log }, named('later', 20));
    await log.integrate();
    expect(log.health()).toMatchObject({ status: 'ok', signedSize: 33 });
    expect(await found(installation)).toEqual([]);
  });

  it('is found by who keeps a checkpoint elsewhere that the entry does not name', async () => {
    const installation = await logOf(20);
    await writeChanges(installation, named('more', 5));
    await installation.log.integrate();
    const [first] = await states(installation);
    await backTo(installation, 12);
    await state(installation, [first!]);
    expect(await found(installation)).toEqual(['log-shorter-than-checkpoint']);
  });

  it.each<[string, (installation: Installation, givenUp: LogState[]) => Promise<unknown>]>([
    ['another key', (installation, givenUp) => state(installation, givenUp, otherKeys(installation))],
    [
      'another root',
      (installation, [one]) => state(installation, [{ ...one!, root: randomBytes(32).toString('base64') }]),
    ],
    ['another size', (installation, [one]) => state(installation, [{ ...one!, size: 19 }])],
    [
      'another place in the log',
      async (installation, givenUp) => {
        const log = await state(installation, givenUp);
        const { entries } = await log.entries({ limit: 1 });
        await backTo(installation, 11);
        await writeChanges({ storage: installation.storage, log: installation.log }, ['x', 'y']);
        await installation.storage.write((tx) => tx.run(setLeaf, { seq: 12, leaf: entries[0]!.leaf }));
      },
    ],
    [
      'another time',
      async (installation, givenUp) => {
        const log = await state(installation, givenUp);
        const { seq, leaf } = (await log.entries({ limit: 1 })).entries[0]!;
        const later = leaf.replace(/"at":"\d{4}/, '"at":"2020');
        await installation.storage.write((tx) => tx.run(setLeaf, { seq, leaf: later }));
      },
    ],
  ])('is found where the entry is of %s', async (_what, forge) => {
    const installation = await logOf(20);
    const givenUp = await states(installation);
    await backTo(installation, 12);
    await forge(installation, givenUp);
    expect(await found(installation)).toContain('log-shorter-than-checkpoint');
  });

  it('is watched as before: what comes after the restore cannot be changed', async () => {
    const installation = await logOf(20);
    const givenUp = await states(installation);
    await backTo(installation, 12);
    const log = await state(installation, givenUp);
    await writeChanges({ storage: installation.storage, log }, named('later', 3));
    await log.integrate();
    await backTo(installation, 13);
    expect(await found(installation)).toContain('log-shorter-than-checkpoint');
  });

  it('goes on with a new key, and says from where on the old one is missing', async () => {
    const installation = await logOf(20);
    const givenUp = await states(installation);
    const keys = otherKeys(installation);
    await backTo(installation, 12);
    expect(await found(installation, keys)).toEqual([
      'checkpoint-unsigned',
      'decision-altered',
      'event-altered',
    ]);
    const log = await state(installation, givenUp, keys, true);
    await writeChanges({ storage: installation.storage, log }, named('later', 3));
    expect(await found(installation, keys)).toEqual([]);
    await log.integrate();
    expect(log.health()).toMatchObject({ status: 'ok', signedSize: 16 });
    expect(await found(installation, keys)).toEqual([]);
  });
});
