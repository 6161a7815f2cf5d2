import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { fillDatabase } from '../../bench/database.ts';
import { runFactory } from '../../scripts/lib/program.ts';
import { newPlace } from '../process/service.ts';
import type { Outcome, Run } from './lab.ts';
import { createLedger, ledgerProblem, mover, startWriter } from './ledger.ts';
import { APP, NAMED, Sink } from './backup-lab.ts';

/** Transfers before the first backup. */
const BEFORE = 5_000;
const PER_SECOND = 100;

/**
 * Backups, one after the other, of a database that another process commits to all the time; each is restored, and its
 * rows have to belong together. Full ones and differentials, as it falls out;
 * `size`: of a database with other tables beside, which no longer fits into a moment.
 */
export async function snapshots({ below = tmpdir(), count, size, random, say }: Run): Promise<Outcome> {
  const place = newPlace({ below: mkdtempSync(join(below, 'factory-snapshots-')) });
  const path = join(place.dir, 'app.db');
  if (size !== undefined) fillDatabase(path, size * 2 ** 20);
  else fillLedger(path);
  const failures: string[] = [];
  const figures = { mebibytes: 0, restored: 0, full: 0, differential: 0, commits: 0 };
  const run = async (...argv: string[]) => {
    const stdout = new Sink();
    const surroundings = { cwd: place.dir, env: place.env, stdout, stderr: new Sink() };
    const exit = await runFactory([...argv, '--json'], surroundings);
    return { exit, text: stdout.text };
  };
  figures.mebibytes = Math.round(statSync(path).size / 2 ** 20);
  const writer = await startWriter(path, PER_SECOND);
  const started = performance.now();
  try {
    for (let n = 0; n < count; n += 1) {
      const made = await run('backup', ...APP, ...(random.chance(0.3) ? ['--full'] : []));
      const to = join(place.dir, `restored-${n}.db`);
      const restored = made.exit === 0 ? await run('restore', ...NAMED, '--to', to) : made;
      const problem = restored.exit === 0 ? ledgerProblem(to) : restored.text;
      if (problem !== null) failures.push(`backup ${n}: ${problem}`);
      else {
        figures.restored += 1;
        const { kind } = JSON.parse(made.text) as { kind: 'full' | 'differential' };
        figures[kind] += 1;
      }
      rmSync(to, { force: true });
      if (n % 10 === 9) say(`${n + 1} of ${count}`);
    }
    const { commits, p99Ms } = await writer.take();
    const perSecond = Math.round((1000 * commits) / (performance.now() - started));
    Object.assign(figures, { commits, perSecond, p99Ms: Math.round(p99Ms) });
  } finally {
    await writer.stop();
    rmSync(join(place.dir, '..'), { recursive: true, force: true });
  }
  return { failures, figures };
}

function fillLedger(path: string): void {
  const db = new Database(path);
  createLedger(db);
  const move = mover(db);
  db.transaction(() => {
    for (let n = 0; n < BEFORE; n += 1) move(n);
  })();
  db.close();
}
