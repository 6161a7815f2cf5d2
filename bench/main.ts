/**
 * `npm run bench [-- name…] [--json] [--seconds N] [--rounds N] [--items N] [--messages N] [--engine postgres] [--size 1GiB]`: ours and the peer in one run, side by
 * side, as a table or as JSON. Ends with 0 whatever the figures are; goals that are not met are marked.
 */
import { spawn } from 'node:child_process';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { actions } from './actions.ts';
import { appends } from './appends.ts';
import { backup } from './backup.ts';
import { conversations } from './conversations.ts';
import { detection } from './detection.ts';
import { exports } from './export.ts';
import { isMet, table } from './figures.ts';
import type { Figure, Options } from './figures.ts';
import { pages } from './pages.ts';
import { port } from './port.ts';
import { search } from './search.ts';
import { snapshot } from './snapshot.ts';
import { start } from './start.ts';

interface AuditFigures {
  loaded: { leavesPerSecond: number; loopDelayP99Ms: number };
  large: { leaves: number; verifySeconds: number; rssMiB: number };
}

/** In a process of its own: its memory is one of the figures. */
async function auditLog(): Promise<Figure[]> {
  const entry = fileURLToPath(new URL('audit-log.ts', import.meta.url));
  const child = spawn(process.execPath, [entry, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const { loaded, large } = (await json(child.stdout)) as AuditFigures;
  const bench = 'audit-log';
  return [
    {
      bench,
      what: 'leaves while being read',
      value: loaded.leavesPerSecond,
      unit: '/s',
      goal: { least: 2000 },
    },
    { bench, what: 'event loop delay meanwhile: p99', value: loaded.loopDelayP99Ms, unit: 'ms' },
    {
      bench,
      what: `verification of ${large.leaves.toLocaleString('en')} leaves`,
      value: large.verifySeconds,
      unit: 's',
      goal: { most: 20 },
    },
    { bench, what: 'RSS of the verification', value: large.rssMiB, unit: 'MiB' },
  ];
}

const BENCHES: Record<string, (options: Options) => Promise<Figure[]>> = {
  actions,
  appends,
  conversations,
  detection,
  export: exports,
  pages,
  'audit-log': auditLog,
  start,
  backup,
  snapshot,
  port,
  search,
};

function bytesOf(size: string): number {
  const [, number = '', unit = ''] = /^(\d+)(MiB|GiB)$/.exec(size) ?? [];
  if (number === '') throw new RangeError(`--size: "${size}" is no size. For example 256MiB or 1GiB.`);
  return Number(number) * (unit === 'GiB' ? 2 ** 30 : 2 ** 20);
}

function engineOf(name: string): Options['engine'] {
  if (name === 'sqlite' || name === 'postgres') return name;
  throw new RangeError(`--engine: "${name}" is none. sqlite or postgres.`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '5' },
      rounds: { type: 'string', default: '3' },
      items: { type: 'string', default: '10000' },
      messages: { type: 'string', default: '300000' },
      engine: { type: 'string', default: 'sqlite' },
      size: { type: 'string', default: '1GiB' },
    },
  });
  const names = positionals.length > 0 ? positionals : Object.keys(BENCHES);
  const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
  if (unknown.length > 0) {
    process.stderr.write(
      `bench: there is no ${unknown.join(', ')}\nTry: npm run bench -- ${Object.keys(BENCHES).join('|')}\n`,
    );
    process.exitCode = 2;
    return;
  }
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const options = {
    seconds: Number(values.seconds),
    rounds: Number(values.rounds),
    items: Number(values.items),
    messages: Number(values.messages),
    engine: engineOf(values.engine),
    bytes: bytesOf(values.size),
    say,
  };
  const figures: Figure[] = [];
  for (const name of names) {
    say(`${name} …`);
    figures.push(...((await BENCHES[name]?.(options)) ?? []));
  }
  const document = figures.map((figure) => ({ ...figure, met: isMet(figure) }));
  process.stdout.write(values.json ? `${JSON.stringify({ figures: document })}\n` : `${table(figures)}\n`);
}

await main();
