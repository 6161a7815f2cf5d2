import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { completionScript, completionSteps } from '../../scripts/lib/completion.ts';
import { SHELLS } from '../../scripts/lib/verb.ts';
import { VERBS } from '../../scripts/lib/verbs.ts';
import { emptyFolder, factory } from './cli.ts';

/** What bash offers for a line whose last word is being typed. */
function offered(line: string): string[] {
  const words = line.split(' ');
  const script = `${completionScript('bash', VERBS)}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
_factory; printf '%s\\n' "\${COMPREPLY[@]}"`;
  // A bash whose stdin is a pipe may take itself for one that was started over the network, and read the machine's bashrc.
  const args = ['--norc', '-u', '-c', script];
  const { status, stdout, stderr } = spawnSync('bash', args, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.split('\n').filter(Boolean);
}

describe('in bash', () => {
  it.each([
    ['factory it', ['items']],
    ['factory items a', ['actions', 'act']],
    ['factory items list --la', ['--lane']],
    ['factory items list --lane re', ['ready', 'review']],
    ['factory items act wi-A cl', ['claim']],
    ['factory items act wi-A claim --dry', ['--dry-run']],
    ['factory completion ', ['bash', 'zsh', 'fish', '--json', '--help']],
    ['factory people invite --role pl', ['planner']],
    ['factory nothing x', []],
  ])('%j offers %j', (line, words) => {
    expect(offered(line)).toEqual(words);
  });
});

describe('the steps', () => {
  it('hold every verb and every option', () => {
    const steps = new Map(completionSteps(VERBS).map(({ after, words }) => [after, words]));
    for (const { path, options = [] } of VERBS) {
      const [first = '', second] = path.split(' ');
      expect(steps.get('')).toContain(first);
      if (second !== undefined) expect(steps.get(first)).toContain(second);
      for (const { flags } of options) expect(steps.get(path)).toContain(flags.split(' ')[0]);
    }
  });

  it('hold words that no shell reads as anything else', () => {
    for (const { words } of completionSteps(VERBS))
      for (const word of words) expect(word).toMatch(/^[a-z-]+$/);
  });
});

it.each(SHELLS)(
  '%s: the verb prints the script, and it parses where that shell is installed',
  async (shell) => {
    const script = completionScript(shell, VERBS);
    const folder = emptyFolder();
    expect((await factory(folder, ['completion', shell])).stdout).toBe(`${script}\n`);
    expect((await factory(folder, ['completion', shell, '--json'])).json()).toEqual({ shell, script });
    const path = ['/bin', '/usr/bin', '/usr/local/bin']
      .map((dir) => `${dir}/${shell}`)
      .find((one) => existsSync(one));
    if (path)
      expect(spawnSync(path, ['-n'], { input: script, encoding: 'utf8' })).toMatchObject({
        status: 0,
        stderr: '',
      });
    for (const { path: verb } of VERBS) expect(script).toContain(`'${verb}'`);
  },
);
