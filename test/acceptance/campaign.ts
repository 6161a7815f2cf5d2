/**
 * `npm run campaign -- <name> [--seed N] [--count N] [--engine sqlite|postgres] [--size MIB]`: long random runs against the real
 * service. The talk and the seed to repeat a run go to stderr, a JSON summary to stdout; exit 1 if anything failed,
 * 2 for a wrong call.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { findPostgres, POSTGRES_HINT, startPostgres } from '../helpers/postgres-server.ts';
import { appendKills } from './append-kills.ts';
import { auditAttacks } from './audit-attacks.ts';
import { backupFlips } from './backup-flips.ts';
import { backupKills } from './backup-kills.ts';
import { blobHistories } from './blob-histories.ts';
import { governance } from './governance.ts';
import { killActions } from './kill-actions.ts';
import type { Outcome, Run } from './lab.ts';
import { portAnswers } from './port-answers.ts';
import { portKills } from './port-kills.ts';
import { pruneHistories } from './prune-histories.ts';
import { queueChaos } from './queue-chaos.ts';
import { createRandom } from './random.ts';
import { randomWalk } from './random-walk.ts';
import { snapshots } from './snapshots.ts';

interface Campaign {
  run: (run: Run) => Promise<Outcome>;
  count: number;
  /** Those that it is about; default: both. */
  engines?: Run['engine'][];
  /** It takes a size. */
  sized?: true;
}

const CAMPAIGNS: Record<string, Campaign> = {
  'kill-actions': { run: killActions, count: 2000 },
  'append-kills': { run: appendKills, count: 40_000 },
  'random-walk': { run: randomWalk, count: 2000 },
  'queue-chaos': { run: queueChaos, count: 1000 },
  'audit-attacks': { run: auditAttacks, count: 60 },
  'backup-flips': { run: backupFlips, count: 1000, engines: ['sqlite'] },
  'backup-kills': { run: backupKills, count: 1000 },
  'prune-histories': { run: pruneHistories, count: 10_000, engines: ['sqlite'] },
  'blob-histories': { run: blobHistories, count: 1000, engines: ['sqlite'] },
  // Messages of the database that is ported.
  'port-answers': { run: portAnswers, count: 100_000, engines: ['postgres'] },
  'port-kills': { run: portKills, count: 200, engines: ['postgres'] },
  governance: { run: governance, count: 10_000 },
  snapshots: { run: snapshots, count: 100, engines: ['sqlite'], sized: true },
};

function usage(problem: string): void {
  process.stderr.write(
    `campaign: ${problem}\nTry: npm run campaign -- ${Object.keys(CAMPAIGNS).join('|')} [--seed N]\n`,
  );
  process.exitCode = 2;
}

const isWhole = (text: string): boolean => /^\d+$/.test(text) && Number.isSafeInteger(Number(text));

async function runOn(
  engine: Run['engine'],
  name: string,
  numbers: Pick<Run, 'seed' | 'count' | 'size'>,
): Promise<Outcome> {
  const bin = engine === 'postgres' ? findPostgres() : null;
  if (engine === 'postgres' && bin === null)
    throw new Error(`Postgres is not on this machine. ${POSTGRES_HINT}`);
  const server = bin === null ? null : await startPostgres(bin);
  const say = (text: string): void => void process.stderr.write(`${name} on ${engine}: ${text}\n`);
  try {
    const outcome = await CAMPAIGNS[name]!.run({
      engine,
      postgresUrl: server?.url,
      ...numbers,
      random: createRandom(numbers.seed),
      say,
    });
    for (const failure of outcome.failures) say(`FAILED ${failure}`);
    return outcome;
  } finally {
    await server?.stop();
  }
}

const read = () =>
  parseArgs({
    allowPositionals: true,
    options: {
      ...{ seed: { type: 'string' }, count: { type: 'string' } },
      ...{ engine: { type: 'string' }, size: { type: 'string' } },
    },
  });

async function main({ values, positionals }: ReturnType<typeof read>): Promise<void> {
  const [name, ...more] = positionals;
  const campaign = name === undefined ? undefined : CAMPAIGNS[name];
  if (name === undefined || campaign === undefined)
    return usage(name === undefined ? 'no campaign was named' : `there is no campaign ${name}`);
  // An option that was read as a plain word would be passed over in silence.
  if (more.length > 0) return usage(`one campaign at a time, and not also ${more.join(' ')}`);
  const { engine: only } = values;
  if (only !== undefined && only !== 'sqlite' && only !== 'postgres')
    return usage(`there is no engine ${only}`);
  if (values.size !== undefined && !campaign.sized) return usage(`${name} takes no size`);
  const wrong = [values.seed, values.count, values.size].find((text) => text !== undefined && !isWhole(text));
  if (wrong !== undefined) return usage(`${wrong} is no whole number`);
  const seed = Number(values.seed ?? randomInt(2 ** 31));
  const count = Number(values.count ?? campaign.count);
  const size = values.size === undefined ? undefined : Number(values.size);
  const results: Record<string, Outcome & { seconds: number }> = {};
  const engines: Run['engine'][] = only === undefined ? (campaign.engines ?? ['sqlite', 'postgres']) : [only];
  for (const engine of engines) {
    process.stderr.write(
      `${name} on ${engine}, repeat with: npm run campaign -- ${name} --engine ${engine} --seed ${seed} --count ${count}${size === undefined ? '' : ` --size ${size}`}\n`,
    );
    const started = performance.now();
    const outcome = await runOn(engine, name, { seed, count, size });
    results[engine] = { ...outcome, seconds: Math.round((performance.now() - started) / 100) / 10 };
  }
  const ok = Object.values(results).every(({ failures }) => failures.length === 0);
  process.stdout.write(`${JSON.stringify({ campaign: name, seed, count, ok, engines: results })}\n`);
  process.exitCode = ok ? 0 : 1;
}

let given: ReturnType<typeof read> | null = null;
try {
  given = read();
} catch (error) {
  usage((error as Error).message);
}
if (given !== null) await main(given);
