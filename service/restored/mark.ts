import { userInfo, hostname } from 'node:os';
import type { Config } from '../config.ts';
import { readCheckpoints } from '../audit/checkpoint-files.ts';
import { parseCheckpoint, verifyCheckpoint } from '../audit/checkpoint.ts';
import type { Checkpoint } from '../audit/checkpoint.ts';
import type { AuditKeys } from '../audit/keys.ts';
import type { AuditEntry, LogState } from '../audit/leaf.ts';
import { createAuditLog } from '../audit/log.ts';
import { leafHash } from '../audit/merkle.ts';
import { TreeEdge } from '../audit/tiles.ts';
import { leafPages } from '../audit/verify-tree.ts';
import { systemClock } from '../clock.ts';
import { readEpoch } from '../epoch.ts';
import { asFactoryError } from '../errors.ts';
import { createLogger } from '../logger.ts';
import { giveUpRuns } from '../jobs/leases.ts';
import { checkpointDirs, PROJECT } from '../offline.ts';
import type { Reader, Storage } from '../storage/transaction.ts';
import { pauseAfterRestore } from './pause.ts';

/** What is written into a database that is about to be put back, before it takes the place of the one that is there. */

export interface Restoring {
  backupId: string;
  sequence: number;
  takenAt: string;
  epoch: number;
  why: 'restore' | 'undo';
  /** The keys of before are lost. */
  newKey: boolean;
}

export interface Marked {
  /** Number of the `restored` entry. */
  entry: number;
  shared: LogState | null;
  givenUp: LogState[];
}

/** Who restores, as the system names them. */
export const operator = (): string => `${userInfo().username}@${hostname()}`.slice(0, 200);

/**
 * Writes the signed `restored` entry and the pause in one transaction. Errors: `checkpoints-unreadable`, and those of
 * the database.
 */
export async function markRestored(
  storage: Storage,
  keys: AuditKeys,
  config: Config,
  restoring: Restoring,
): Promise<Marked> {
  const dirs = checkpointDirs(config);
  const known = await knownCheckpoints(dirs, keys.vkey, restoring.newKey);
  const { shared, givenUp } = await compare(storage.read, known);
  const logger = createLogger('silent');
  const audit = createAuditLog({ storage, keys, clock: systemClock, checkpointDirs: dirs, logger });
  const { backupId, sequence, takenAt, epoch, why, newKey } = restoring;
  const by = operator();
  const entry = await storage.write(async (tx) => {
    const seq = await audit.appendRestored(
      tx,
      {
        project: PROJECT,
        actor: { kind: 'system', id: 'system' },
        action: why === 'undo' ? 'database.restore-undone' : 'database.restored',
        object: { kind: 'backup', id: backupId },
        outcome: 'applied',
      },
      { backup: backupId, sequence, takenAt, shared, givenUp, epoch, by, why, newKey },
    );
    const restoredAt = systemClock.iso();
    await giveUpRuns(tx, restoredAt);
    await pauseAfterRestore(tx, { backupId, takenAt, restoredAt, epoch, by, why });
    return seq;
  });
  return { entry, shared, givenUp };
}

/**
 * Writes the signed entry that says from where on the log has other keys, although its database is the one that it was.
 * Errors: as of `markRestored`.
 */
export async function markKeysLost(storage: Storage, keys: AuditKeys, config: Config, at: string) {
  const dirs = checkpointDirs(config);
  const known = await knownCheckpoints(dirs, keys.vkey, true);
  const { shared } = await compare(storage.read, known);
  // Nobody can check them any more, and no new one can be set beside them.
  const givenUp = known.map(({ size, root }) => ({ size, root: root.toString('base64') }));
  const audit = createAuditLog({
    ...{ storage, keys, clock: systemClock, checkpointDirs: dirs, logger: createLogger('silent') },
  });
  const entry: AuditEntry = {
    ...{ project: PROJECT, actor: { kind: 'system', id: 'system' }, action: 'database.keys-lost' },
    ...{ object: { kind: 'backup', id: NO_BACKUP }, outcome: 'applied' },
  };
  const statement = {
    ...{
      backup: NO_BACKUP,
      sequence: 0,
      takenAt: at,
      shared,
      givenUp,
      epoch: Math.max(1, readEpoch(config).epoch),
    },
    ...{ by: operator(), why: 'restore' as const, newKey: true },
  } as const;
  await storage.write((tx) => audit.appendRestored(tx, entry, statement));
}

/** Stands where the statement names a backup. */
const NO_BACKUP = 'none';

/** Checkpoints of this log that lie here. One that nobody signed is left for verification to name. */
async function knownCheckpoints(
  dirs: readonly string[],
  vkey: string,
  newKey: boolean,
): Promise<Checkpoint[]> {
  const found = new Map<string, Checkpoint>();
  for (const dir of dirs) {
    for (const { text } of await readCheckpoints(dir, Infinity)) {
      const checkpoint = checkpointIn(text, vkey, newKey);
      if (checkpoint) found.set(`${checkpoint.size} ${checkpoint.root.toString('hex')}`, checkpoint);
    }
  }
  return [...found.values()].sort((a, b) => a.size - b.size);
}

function checkpointIn(text: string, vkey: string, newKey: boolean): Checkpoint | null {
  try {
    return verifyCheckpoint(text, vkey);
  } catch (error) {
    // The key that could have checked it is lost; whoever starts with a new one gives up what it vouched for.
    return newKey && asFactoryError(error, 'read checkpoint').code === 'checkpoint-unsigned'
      ? parseCheckpoint(text)
      : null;
  }
}

/** Which checkpoints the log continues: every leaf is read and hashed again. */
async function compare(
  reader: Reader,
  known: readonly Checkpoint[],
): Promise<{ shared: LogState | null; givenUp: LogState[] }> {
  const roots = new Map<number, string>();
  const sizes = new Set(known.map(({ size }) => size));
  const edge = new TreeEdge();
  for await (const page of leafPages(reader)) {
    for (const { leaf } of page) {
      edge.append(leafHash(leaf));
      if (sizes.has(edge.size)) roots.set(edge.size, edge.root().toString('base64'));
    }
  }
  const states = known.map(({ size, root }) => ({ size, root: root.toString('base64') }));
  const agrees = ({ size, root }: LogState): boolean => roots.get(size) === root;
  return { shared: states.filter(agrees).at(-1) ?? null, givenUp: states.filter((one) => !agrees(one)) };
}
