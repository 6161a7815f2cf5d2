import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** How campaigns are called, told by the shortest of them. */

const LAUNCH = fileURLToPath(new URL('../../scripts/launch.mjs', import.meta.url));

const campaign = (...words: string[]) =>
  new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) =>
    execFile(process.execPath, [LAUNCH, 'campaign', ...words], (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    ),
  );

describe('a campaign', () => {
  it.each([
    ['as npm calls it', []],
    ['with the -- that npm takes away', ['--']],
  ])('takes its options, %s', async (_how, before) => {
    const words = [...before, 'prune-histories', '--count', '200', '--seed', '7'];
    const { code, stdout } = await campaign(...words);
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      expect.objectContaining({
        ...{ campaign: 'prune-histories', seed: 7, count: 200, ok: true },
        engines: {
          sqlite: expect.objectContaining({ figures: expect.objectContaining({ histories: 200 }) }),
        },
      }),
    ]);
  });

  it.each([
    ['another word', ['prune-histories', '200'], 'and not also 200'],
    ['an option that there is not', ['prune-histories', '--cuont', '200'], '--cuont'],
    ['what is no number', ['prune-histories', '--count', 'many'], 'many is no whole number'],
    ['no name', [], 'no campaign was named'],
  ])('is not begun with %s', async (_what, words, said) => {
    const { code, stdout, stderr } = await campaign(...words);
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(said)]);
    expect(stderr).toContain('Try: npm run campaign');
  });
});
