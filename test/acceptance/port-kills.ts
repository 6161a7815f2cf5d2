import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { factoryJson, launch } from '../process/service.ts';
import type { Place } from '../process/service.ts';
import { createDatabase } from './lab.ts';
import type { Outcome, Run } from './lab.ts';
import { discard, useAtRandom } from './port/random-use.ts';
import type { Random } from './random.ts';

/**
 * kill -9 at random moments of a port: while it copies, between that, and while it compares, several times on the way of the
 * same port. Then both are run to their end: everything is there, once, the log verifies on both, and the old database has not
 * changed by a byte.
 */

const MESSAGES = 1500;
/** Of one port, at most. */
const KILLS = 4;
const POLL_MS = 5;
const TRIES = 600;

interface Copied {
  rows: number;
  before: number;
  again: string | null;
  quarantined: unknown[];
  error?: { code: string };
}
interface Verified {
  same: boolean;
  tables: { name: string; source: number; target: number; digest: string; targetDigest: string }[];
  audit: { same: boolean; source: { ok: boolean }; target: { ok: boolean } } | null;
  error?: { code: string };
}

export async function portKills({ random, count, below, postgresUrl, say }: Run): Promise<Outcome> {
  const used = await useAtRandom({ random, messages: MESSAGES, below });
  const { place } = used;
  const failures: string[] = [];
  const figures = { kills: 0, ports: 0, midway: 0, wentOn: 0, whileComparing: 0 };
  const before = bytesOf(place);
  try {
    while (figures.kills < count && failures.length < 10) {
      const to = await createDatabase(postgresUrl ?? '');
      const kills = Math.min(1 + random.below(KILLS), count - figures.kills);
      for (let n = 0; n < kills; n += 1) {
        // Most of the way is copying; a port that was copied is compared.
        const verb = n === kills - 1 && random.chance(0.4) ? 'verify' : 'copy';
        if (verb === 'verify') await toItsEnd(place, 'copy', to);
        const killed = await killIn(random, place, verb, to);
        figures.kills += 1;
        if (killed) figures[verb === 'copy' ? 'midway' : 'whileComparing'] += 1;
      }
      const found = await finish(place, to);
      if (found.wentOn) figures.wentOn += 1;
      if (bytesOf(place) !== before) found.failures.push('the old database is another one');
      failures.push(...found.failures.map((text) => `port ${figures.ports}: ${text}`));
      figures.ports += 1;
      say(`${figures.kills} kills, ${figures.ports} ports, ${failures.length} failures`);
    }
  } finally {
    discard(used);
  }
  return { failures, figures };
}

/** Every byte of the old database, and of what SQLite keeps beside it; the index of the log in memory is none of it. */
function bytesOf({ data }: Place): string {
  const hash = createHash('sha256');
  for (const end of ['', '-wal']) {
    const path = `${data}/factory.db${end}`;
    hash.update(`${end}\0`).update(existsSync(path) ? readFileSync(path) : '');
  }
  return hash.digest('hex');
}

/** Once so many tables have rows there, which is a draw, and then at some moment. Answers whether it was at work. */
async function killIn(random: Random, place: Place, verb: 'copy' | 'verify', to: string): Promise<boolean> {
  const tables = verb === 'verify' ? 0 : random.below(40);
  const later = verb === 'verify' ? 300 + random.below(1500) : random.below(60);
  const child = launch(place, ['port', verb, '--to', to]);
  const ended = new Promise<boolean>((resolve) =>
    child.once('close', (_, signal) => resolve(signal !== null)),
  );
  const client = new pg.Client({ connectionString: to });
  await client.connect();
  try {
    while ((await tablesBegun(client)) < tables && child.exitCode === null) await sleep(POLL_MS);
    await sleep(later);
    child.kill('SIGKILL');
    return await ended;
  } finally {
    await client.end();
  }
}

/** How many tables have a committed watermark; 0 before the port has begun. */
async function tablesBegun(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ found: string | null }>(
    `select to_regclass('factory_port.watermarks')::text as found`,
  );
  if (!rows[0]?.found) return 0;
  const count = await client.query<{ n: number }>('select count(*)::int as n from factory_port.watermarks');
  return count.rows[0]?.n ?? 0;
}

/** The server frees what a killed one held when it sees that it is gone: refused until then. */
async function toItsEnd<T extends { error?: { code: string } }>(
  place: Place,
  verb: 'copy' | 'verify',
  to: string,
): Promise<{ code: number | null; answer: T }> {
  for (let tries = 0; ; tries += 1) {
    const ran = await factoryJson<T>(place, 'port', verb, '--to', to);
    if (ran.answer.error?.code !== 'database-in-use' || tries === TRIES) return ran;
    await sleep(POLL_MS);
  }
}

async function finish(place: Place, to: string): Promise<{ failures: string[]; wentOn: boolean }> {
  const failures: string[] = [];
  const copied = await toItsEnd<Copied>(place, 'copy', to);
  const { again, quarantined, before } = copied.answer;
  // One that was compared and found to be the same is no port any more.
  const finished = copied.answer.error?.code === 'port-finished';
  if (!finished && (copied.code !== 0 || again !== null || quarantined.length > 0))
    failures.push(`copy ended with ${copied.code}: ${JSON.stringify(copied.answer).slice(0, 500)}`);
  const { code, answer } = await toItsEnd<Verified>(place, 'verify', to);
  const differing = (answer.tables ?? []).filter(
    (one) => one.digest !== one.targetDigest || one.source !== one.target,
  );
  const logs = answer.audit?.same && answer.audit.source.ok && answer.audit.target.ok;
  if (code !== 0 || !answer.same || differing.length > 0 || !logs)
    failures.push(
      `verify ended with ${code}: ${JSON.stringify({ ...answer, tables: differing }).slice(0, 800)}`,
    );
  return { failures, wentOn: finished || before > 0 };
}
