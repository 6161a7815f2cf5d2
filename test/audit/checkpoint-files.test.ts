import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  checkpointName,
  listCheckpoints,
  pruneCheckpoints,
  readCheckpoints,
  surplus,
  writeCheckpoint,
} from '../../service/audit/checkpoint-files.ts';
import { signCheckpoint } from '../../service/audit/checkpoint.ts';
import { EMPTY_ROOT } from '../../service/audit/merkle.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'checkpoints-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const { privateKey } = generateKeyPairSync('ed25519');
const note = (size: number, at: string): string =>
  signCheckpoint('test', privateKey, { size, root: EMPTY_ROOT, at });

describe('the folder of checkpoints', () => {
  it('lists the newest last, whatever the number of digits', async () => {
    for (const size of [9, 10, 2_000_000_000_000, 100]) await writeCheckpoint(join(dir, 'new'), size, 'text');
    writeFileSync(join(dir, 'new', 'other.txt'), '');
    expect(await listCheckpoints(join(dir, 'new'))).toEqual(
      [9, 10, 100, 2_000_000_000_000].map(checkpointName),
    );
    const last = await readCheckpoints(join(dir, 'new'), 1);
    expect(last).toEqual([{ path: join(dir, 'new', '2000000000000.checkpoint'), text: 'text' }]);
  });

  it('is empty where there is none', async () => {
    expect(await listCheckpoints(join(dir, 'absent'))).toEqual([]);
  });

  it('leaves nothing beside, also after a failure', async () => {
    await writeCheckpoint(dir, 1, 'one');
    writeFileSync(join(dir, 'file'), '');
    const writing = writeCheckpoint(join(dir, 'file'), 1, 'one');
    await expect(writing).rejects.toMatchObject({ code: 'checkpoints-unwritable', retryable: true });
    expect(readdirSync(dir).sort()).toEqual([checkpointName(1), 'file']);
  });

  it('keeps the newest and the first of each day', async () => {
    const days = ['01', '01', '01', '02', '02', '03', '03', '03', '03'];
    for (const [i, day] of days.entries()) {
      await writeCheckpoint(dir, i + 1, note(i + 1, `2026-03-${day}T0${i}:00:00.000Z`));
    }
    writeFileSync(join(dir, checkpointName(0)), 'not ours');
    await pruneCheckpoints(dir, 2);
    const kept = [0, 1, 4, 6, 8, 9].map(checkpointName);
    expect(await listCheckpoints(dir)).toEqual(kept);
    await pruneCheckpoints(dir, 2);
    expect(await listCheckpoints(dir)).toEqual(kept);
  });
});

describe('surplus', () => {
  it.each<[string, [string, string | null][], string[]]>([
    ['nothing', [], []],
    ['one', [['a', '1']], []],
    [
      'two of a day',
      [
        ['a', '1'],
        ['b', '1'],
      ],
      ['b'],
    ],
    [
      'a day that comes back',
      [
        ['a', '1'],
        ['b', '2'],
        ['c', '1'],
      ],
      ['c'],
    ],
    [
      'undated ones',
      [
        ['a', null],
        ['b', null],
      ],
      [],
    ],
  ])('of %s', (_, files, expected) => {
    expect(surplus(files.map(([name, day]) => ({ name, day })))).toEqual(expected);
  });
});
