import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { blocksOf, runScript } from './runbook.ts';
import './postgres-setup.ts';

const TEXT = [
  '# Title',
  '',
  '```sh',
  'echo one',
  '```',
  '## Look',
  '1. Indented:',
  '   ```sh exit=1,3',
  '   echo two',
  '   exit 3',
  '   ```',
  '```json',
  '{ "read": true }',
  '```',
].join('\n');

it('takes the commands of a document with their headings and how they may end', () => {
  expect(blocksOf(TEXT)).toEqual([
    { heading: 'Title', line: 3, script: 'echo one\n', exits: [0] },
    { heading: 'Look', line: 8, script: 'echo two\nexit 3\n', exits: [1, 3] },
  ]);
  expect(() => blocksOf('```sh\necho')).toThrow('does not end');
  expect(() => blocksOf('```sh exit=soon\n```')).toThrow('no exit code');
});

it('runs them as they are typed, and a failure in a pipe is one', async () => {
  const shell = { dir: mkdtempSync(join(inject('scratch'), 'runbook-')), env: { GIVEN: 'here' } };
  expect(await runScript('echo "$GIVEN"', shell)).toEqual({ code: 0, stdout: 'here\n', stderr: '' });
  expect((await runScript('false | cat', shell)).code).toBe(1);
  expect((await runScript('npx other', shell)).code).toBe(127);
});
