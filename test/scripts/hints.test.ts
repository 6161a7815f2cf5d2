import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { VERBS } from '../../scripts/lib/verbs.ts';

const ROOT = new URL('../../', import.meta.url);
const first = [...new Set(VERBS.map(({ path }) => path.split(' ')[0]))].join('|');
/** A command as nobody can type it: `factory` is on no PATH. */
const BARE = new RegExp(`(?<!npx )(?<![\\w/-])factory (?:${first})(?![\\w-])`);
/** Comments, and names of what runs, are no hints. */
const NO_HINT = /^\s*(\*|\/[/*])|\b(what|op): [`']/;

function bareIn(folder: string): string[] {
  const root = fileURLToPath(new URL(`${folder}/`, ROOT));
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) =>
      readFileSync(root + name, 'utf8')
        .split('\n')
        .filter((line) => BARE.test(line) && !NO_HINT.test(line))
        .map((line) => `${folder}/${name}: ${line.trim()}`),
    );
}

it('names every command as it can be typed, with npx', () => {
  expect(BARE.test('Look: `factory backups list`.')).toBe(true);
  expect([...bareIn('scripts'), ...bareIn('service')]).toEqual([]);
});
