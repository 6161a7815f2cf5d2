import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { copy } from '../service/storage/port/copy.ts';
import { openSource } from '../service/storage/port/source.ts';
import { verify } from '../service/storage/port/verify.ts';
import { createDatabase } from '../test/acceptance/lab.ts';
import { discard, useAtRandom } from '../test/acceptance/port/random-use.ts';
import { createRandom } from '../test/acceptance/random.ts';
import { findPostgres, POSTGRES_HINT, startPostgres } from '../test/helpers/postgres-server.ts';
import { median } from './figures.ts';
import type { Figure, Options } from './figures.ts';

/**
 * A database of random use to Postgres: copied by us, with watermarks and into a schema with its constraints, and compared row by
 * row; and copied by pgloader, where it is installed, into tables of its own, in the same run, in turn. The peer compares nothing.
 */

const MOST_MESSAGES = 100_000;
const GOAL = 60_000;

interface Ran {
  rows: number;
  seconds: number;
}

export async function port({ messages, rounds, say }: Options): Promise<Figure[]> {
  const bin = findPostgres();
  if (bin === null) throw new Error(`Postgres is not on this machine. ${POSTGRES_HINT}`);
  const server = await startPostgres(bin);
  const count = Math.min(messages, MOST_MESSAGES);
  say(`${count} messages of random use`);
  const used = await useAtRandom({ random: createRandom(7), messages: count });
  const path = join(used.place.data, 'factory.db');
  const rows = Object.values(used.counts).reduce((sum, one) => sum + one, 0);
  try {
    const rates: Record<'copy' | 'verify' | 'pgloader', number[]> = { copy: [], verify: [], pgloader: [] };
    for (let round = 0; round < rounds; round += 1) {
      const ours = await runOurs(path, await createDatabase(server.url));
      const peer = runPgloader(path, await createDatabase(server.url), rows);
      for (const [name, ran] of [...Object.entries(ours), ['pgloader', peer] as const]) {
        if (ran === null) continue;
        say(`${name}: ${ran.rows} rows in ${ran.seconds.toFixed(2)} s`);
        rates[name as keyof typeof rates].push(ran.rows / ran.seconds);
      }
    }
    const bench = 'port';
    const [ours, peer] = [median(rates.copy), median(rates.pgloader)];
    const copied: Figure = { bench, what: 'rows copied', value: ours, unit: '/s', goal: { least: GOAL } };
    return [
      Number.isNaN(peer) ? copied : { ...copied, peer, ratio: ours / peer },
      { bench, what: 'rows compared', value: median(rates.verify), unit: '/s' },
    ];
  } finally {
    discard(used);
    await server.stop();
  }
}

async function runOurs(path: string, to: string): Promise<{ copy: Ran; verify: Ran }> {
  const source = openSource(path, { alone: true });
  const timed = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
    const started = performance.now();
    return [await work(), (performance.now() - started) / 1000];
  };
  try {
    const progress = (): void => undefined;
    const [copied, took] = await timed(() => copy(source, to, { again: false, progress }));
    const rows = copied.tables.reduce((sum, one) => sum + one.rows, 0);
    const [verified, seconds] = await timed(() =>
      verify(source, to, { progress, further: async () => true }),
    );
    if (!verified.same) throw new Error('The copy differs.');
    return { copy: { rows, seconds: took }, verify: { rows, seconds } };
  } finally {
    source.close();
  }
}

/** Null: it is not installed. */
function runPgloader(path: string, to: string, rows: number): Ran | null {
  const started = performance.now();
  const ran = spawnSync('pgloader', ['--quiet', `sqlite://${path}`, to], { encoding: 'utf8' });
  if (ran.error) return null;
  if (ran.status !== 0) throw new Error(`pgloader ended with ${ran.status}: ${ran.stderr}${ran.stdout}`);
  return { rows, seconds: (performance.now() - started) / 1000 };
}
