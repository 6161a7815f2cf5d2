import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { takeSnapshot } from '../scripts/lib/backup/snapshot.ts';
import { ledgerProblem, startWriter } from '../test/acceptance/ledger.ts';
import { fillDatabase } from './database.ts';
import { median } from './figures.ts';
import type { Figure, Options } from './figures.ts';

/** The copy of a database that another process commits to 100 times a second, and what that process feels of it. */

const PER_SECOND = 100;

export async function snapshot({ bytes, rounds, seconds, say }: Options): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'factory-bench-snapshot-'));
  const database = join(folder, 'app.db');
  try {
    say(`filling a database of ${Math.round(bytes / 2 ** 20)} MiB`);
    fillDatabase(database, bytes);
    const writer = await startWriter(database, PER_SECOND);
    const [copy, during, alone] = [[] as number[], [] as number[], [] as number[]];
    let walBytes = 0;
    try {
      await sleep(1000);
      for (let turn = 0; turn < rounds; turn += 1) {
        await writer.take();
        await sleep(seconds * 1000);
        alone.push((await writer.take()).p99Ms);
        const target = join(folder, 'copy.db');
        const taken = await takeSnapshot(database, target, { signal: new AbortController().signal });
        const felt = await writer.take();
        copy.push(taken.seconds);
        during.push(felt.p99Ms);
        walBytes = Math.max(walBytes, felt.walBytes);
        await taken.checked;
        const problem = ledgerProblem(target);
        if (problem !== null) throw new Error(`The copy is no committed state: ${problem}`);
        say(
          `  ${taken.seconds.toFixed(1)} s, ${felt.commits} commits meanwhile, p99 ${felt.p99Ms.toFixed(1)} ms`,
        );
        rmSync(target);
      }
    } finally {
      await writer.stop();
    }
    const bench = 'snapshot';
    return [
      { bench, what: 'copy under 100 commits/s', value: median(copy), unit: 's', goal: { most: 10 } },
      {
        ...{ bench, what: 'commits meanwhile: p99', value: median(during), unit: 'ms', goal: { most: 5 } },
        ...{ peer: median(alone), ratio: median(during) / median(alone) },
      },
      { bench, what: 'write-ahead log, at most', value: walBytes / 2 ** 20, unit: 'MiB', goal: { most: 64 } },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
