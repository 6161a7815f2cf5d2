import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { detect } from '../service/chat/sensitive/detect.ts';
import { quantile } from './figures.ts';
import type { Figure, Options } from './figures.ts';

/** Looking for secrets in prose and code of this repository, cut to size: it holds none, and everything that resembles one. */

const KIB = 1024;
const TIMES = 1000;

export async function detection({ say }: Options): Promise<Figure[]> {
  const root = join(import.meta.dirname, '..');
  const files = [
    'CHANGELOG.md',
    'docs/cli.md',
    'service/chat/messages/append.ts',
    'scripts/lib/backup/make.ts',
  ];
  const text = files.map((file) => readFileSync(join(root, file), 'utf8')).join('\n');
  const cut = (bytes: number, from: number): string =>
    text.repeat(1 + Math.ceil((bytes + from) / text.length)).slice(from, from + bytes);
  const figures: Figure[] = [];
  for (const [what, bytes, times] of [
    ['a message of 400 B', 400, TIMES],
    ['10 KB', 10 * KIB, TIMES],
    ['2 MB', 2 * KIB * KIB, 20],
  ] as const) {
    say(`looking through ${what}, ${times} times`);
    const took = Array.from({ length: times }, (_, n) => {
      const one = cut(bytes, (n * 997) % text.length);
      const started = performance.now();
      detect(one, ['secrets']);
      return performance.now() - started;
    });
    const goal = bytes === 10 * KIB ? { goal: { most: 5 } } : {};
    figures.push({
      bench: 'detection',
      what: `${what}: p95`,
      value: quantile(took, 0.95),
      unit: 'ms',
      ...goal,
    });
  }
  return figures;
}
