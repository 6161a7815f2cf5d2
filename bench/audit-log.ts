/**
 * The audit log under load: `node bench/audit-log.ts [--leaves 1000000] [--json]`. Goals (issue 3): 2,000 leaves a
 * second while being read; a log of 1,000,000 leaves verified in 20 s or less. Runs on SQLite in a folder of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { loadAuditKeys } from '../service/audit/keys.ts';
import { eventCommitment } from '../service/audit/leaf.ts';
import { createAuditLog } from '../service/audit/log.ts';
import type { AuditLog } from '../service/audit/log.ts';
import { verifyStorage } from '../service/audit/verify.ts';
import { systemClock } from '../service/clock.ts';
import { openStorage } from '../service/storage/open.ts';
import { param, statement } from '../service/storage/statement.ts';
import type { Storage, Transaction } from '../service/storage/transaction.ts';
import type { Tables } from '../service/storage/tables.ts';

const CLIENTS = 32;
const LOADED_SECONDS = 10;
/** Leaves per transaction while the large log is filled; only the filling's own speed depends on it. */
const FILL_BATCH = 5_000;

const insertEvent = statement<Tables['events']>()((db) =>
  db.insertInto('events').values({
    seq: param<number>('seq'),
    project_id: param<string>('project_id'),
    stream: param<string>('stream'),
    stream_id: param<string>('stream_id'),
    version: param<number>('version'),
    type: param<string>('type'),
    payload: param<string>('payload'),
    actor: param<string>('actor'),
    at: param<string>('at'),
  }),
);

/** An event of usual size and its leaf. */
async function change(tx: Transaction, log: AuditLog, n: number): Promise<void> {
  const id = `wi-BF-${n % 10_000}`;
  const event: Tables['events'] = {
    seq: await tx.nextSeq('events'),
    project_id: 'main',
    stream: 'item',
    stream_id: id,
    version: n,
    type: 'lane-moved',
    payload: `{"from":"review","note":${JSON.stringify('All criteria hold. '.repeat(8))},"to":"done","type":"lane-moved"}`,
    actor: '{"id":"01890000-0000-7000-8000-000000000000","kind":"person","personId":null,"roles":["owner"]}',
    at: systemClock.iso(),
  };
  await tx.run(insertEvent, event);
  await log.append(tx, {
    actor: { kind: 'person', id: '01890000-0000-7000-8000-000000000000' },
    action: 'work-item.complete',
    object: { kind: 'item', id },
    outcome: 'applied',
    project: 'main',
    event: { seq: event.seq, commitment: eventCommitment(log.commitmentKey, event) },
  });
}

/** Writers beside readers of entries, proofs and a checkpoint; all of it durable, signed and integrated. */
async function underLoad(storage: Storage, log: AuditLog) {
  let written = 0;
  let read = 0;
  let done = false;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  log.start();
  delay.enable();
  const started = performance.now();
  const writers = Array.from({ length: CLIENTS }, async () => {
    while (!done) await storage.write((tx) => change(tx, log, ++written));
  });
  const reader = (async () => {
    for (; !done; read++) {
      await log.entries({ limit: 50, filters: { object: 'wi-BF-7' } });
      const size = log.checkpoint()?.size ?? 0;
      if (size > 0) await log.inclusionProof(1 + ((read * 7919) % size));
      await sleep(2);
    }
  })();
  await sleep(LOADED_SECONDS * 1_000);
  done = true;
  await Promise.all([...writers, reader]);
  const behind = written - log.health().signedSize;
  await log.stop();
  delay.disable();
  const seconds = (performance.now() - started) / 1_000;
  const ms = (nanoseconds: number): number => Math.round(nanoseconds / 1e4) / 100;
  return {
    leavesPerSecond: Math.round(written / seconds),
    reads: read,
    unsignedAtTheEnd: behind,
    loopDelayP99Ms: ms(delay.percentile(99)),
    loopDelayMaxMs: ms(delay.max),
  };
}

/** Fills the log up to `size` leaves; then how long the integration and the verification of all of them take. */
async function large(
  storage: Storage,
  log: AuditLog,
  size: number,
  verify: () => Promise<{ ok: boolean; size: number }>,
) {
  for (let at = log.health().size; at < size; at += FILL_BATCH) {
    await storage.write(async (tx) => {
      for (let n = at; n < Math.min(at + FILL_BATCH, size); n++) await change(tx, log, n);
    });
  }
  const integrating = performance.now();
  await log.integrate();
  const verifying = performance.now();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const result = await verify();
  delay.disable();
  const ended = performance.now();
  if (!result.ok) throw new Error('The log that was just written does not verify.');
  return {
    leaves: result.size,
    integrateSeconds: (verifying - integrating) / 1_000,
    verifySeconds: (ended - verifying) / 1_000,
    verifyLoopDelayP99Ms: delay.percentile(99) / 1e6,
    verifyLoopDelayMaxMs: delay.max / 1e6,
    rssMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { leaves: { type: 'string', default: '1000000' }, json: { type: 'boolean' } },
  });
  const folder = mkdtempSync(join(tmpdir(), 'audit-bench-'));
  const storage = await openStorage(`sqlite:${join(folder, 'factory.db')}`);
  try {
    const keys = loadAuditKeys(join(folder, 'keyring'), 'bench', false);
    const checkpointDirs = [join(folder, 'checkpoints')];
    const logger = {
      error: (fields: object, message: string) =>
        void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
    };
    const log = createAuditLog({ storage, keys, clock: systemClock, checkpointDirs, logger });
    const verify = () =>
      verifyStorage(storage, { vkey: keys.vkey, commitmentKey: keys.commitment, checkpointDirs });
    const loaded = await underLoad(storage, log);
    const figures = { loaded, large: await large(storage, log, Number(values.leaves), verify) };
    process.stdout.write(
      values.json ? `${JSON.stringify(figures)}\n` : `${JSON.stringify(figures, null, 2)}\n`,
    );
  } finally {
    await storage.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
