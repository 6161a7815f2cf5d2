import nodeFs, { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blobId } from '../../service/work-items/record-text.ts';
import { renderRecord, rewriteStatus } from '../../service/work-items/record-write.ts';
import { parseRecord } from '../../service/work-items/record.ts';
import { fieldsOf, fsUntil, fsWith, queueFolder } from './queue-folder.ts';

const FROM = 'executing/wi-A-1.md';
const TO = 'review/wi-A-1.md';
const TEXT = `\uFEFF${renderRecord(fieldsOf('wi-A-1', { status: 'executing' }))}`
  .replace('status: executing', "mine: kept # why\nstatus:  'executing' # now")
  .replaceAll('\n', '\r\n');
const MOVED = rewriteStatus(TEXT, 'review');

/** More steps than any write takes; the tables below stop where a double is no longer reached. */
const STEPS = Array.from({ length: 40 }, (_, step) => step);

function visible(tree: string[]): string[] {
  return tree.filter((path) => !path.includes('/.'));
}

describe('moving a record', () => {
  it('changes its folder and its status, and no other byte', async () => {
    const folder = queueFolder({ [FROM]: TEXT });
    const moved = await folder.open().moveRecord('wi-A-1', FROM, 'review');
    expect(moved).toEqual({ path: TO, revision: blobId(MOVED) });
    expect(folder.text(TO)).toBe(MOVED);
    expect(folder.tree()).toEqual([TO]);
  });

  it.each([
    ['again', FROM],
    ['from where it is', TO],
    ['from where it never was', 'ready/wi-A-1.md'],
  ])('%s ends in the same state', async (_name, from) => {
    const folder = queueFolder({ [FROM]: TEXT });
    const queue = folder.open();
    const first = await queue.moveRecord('wi-A-1', FROM, 'review');
    expect(await queue.moveRecord('wi-A-1', from, 'review')).toEqual(first);
    expect(folder.tree()).toEqual([TO]);
  });

  it('only corrects the status where a person has moved the file already', async () => {
    const folder = queueFolder({ [TO]: TEXT });
    await folder.open().moveRecord('wi-A-1', FROM, 'review');
    expect(folder.text(TO)).toBe(MOVED);
    expect(folder.tree()).toEqual([TO]);
  });

  it('works where the file system has no links', async () => {
    const folder = queueFolder({ [FROM]: TEXT });
    const fs = fsWith({
      linkSync: () => {
        throw Object.assign(new Error('no links'), { code: 'EPERM' });
      },
    });
    await folder.open(fs).moveRecord('wi-A-1', FROM, 'review');
    expect(folder.tree()).toEqual([TO]);
    folder.put('ready/wi-A-2.md', renderRecord(fieldsOf('wi-A-2')));
    folder.put('done/wi-A-2.md', 'foreign');
    await expect(folder.open(fs).moveRecord('wi-A-2', 'ready/wi-A-2.md', 'done')).rejects.toThrow();
    expect(folder.text('done/wi-A-2.md')).toBe('foreign');
  });

  it.each(['dead', 'once'] as const)(
    'replayed after a failure (%s) at any step ends in the same state',
    async (then) => {
      let failures = 0;
      for (const step of STEPS) {
        const folder = queueFolder({ [FROM]: TEXT });
        const { fs, reached } = fsUntil(step, then);
        const attempt = await folder
          .open(fs)
          .moveRecord('wi-A-1', FROM, 'review')
          .catch((error: unknown) => error);
        const found = visible(folder.tree());
        expect(found.length, `step ${step}: the record has a visible name`).toBeGreaterThan(0);
        for (const path of found) expect([TEXT, MOVED]).toContain(folder.text(path));
        if (!reached()) break;
        failures += 1;
        expect(attempt).toMatchObject({ code: expect.stringMatching(/^queue-/), retryable: true });
        // The caller may name the place that it sees now.
        const from = folder.open().readItem('wi-A-1').record?.path ?? FROM;
        expect(await folder.open().moveRecord('wi-A-1', from, 'review')).toEqual({
          path: TO,
          revision: blobId(MOVED),
        });
        expect(folder.tree()).toEqual([TO]);
      }
      expect(failures).toBeGreaterThan(8);
    },
  );

  it.each([
    ['backwards', 'executing', 'ready'],
    ['to the side', 'review', 'cancelled'],
  ] as const)('%s leaves no second file after a crash at any step', async (_name, from, to) => {
    for (const step of STEPS) {
      const folder = queueFolder();
      folder.record('wi-A-1', from);
      const { fs, reached } = fsUntil(step, 'dead');
      await folder
        .open(fs)
        .moveRecord('wi-A-1', `${from}/wi-A-1.md`, to)
        .catch(() => undefined);
      if (!reached()) break;
      const seen = folder.open().readItem('wi-A-1').record?.path ?? `${from}/wi-A-1.md`;
      await folder.open().moveRecord('wi-A-1', seen, to);
      expect(folder.tree()).toEqual([`${to}/wi-A-1.md`]);
    }
  });

  const EDITED = TEXT.replace('A summary.', 'A summary that somebody has just improved.');

  it.each([
    ['in place', (path: string) => writeFileSync(path, EDITED)],
    [
      'by a rename, as editors save',
      (path: string) => {
        writeFileSync(`${path}.new`, EDITED);
        renameSync(`${path}.new`, path);
      },
    ],
  ])('loses no edit that is saved %s at any step', async (_name, save) => {
    for (const step of STEPS) {
      const folder = queueFolder({ [FROM]: TEXT });
      const { fs, reached } = fsUntil(step, () => save(join(folder.dir, FROM)));
      const outcome = await folder
        .open(fs)
        .moveRecord('wi-A-1', FROM, 'review')
        .catch((error: unknown) => error);
      if (!reached()) break;
      const texts = visible(folder.tree()).map((path) => folder.text(path) ?? '');
      expect(
        texts.filter((text) => text.includes('just improved')),
        `step ${step}: ${String(outcome)}`,
      ).toHaveLength(1);
    }
  });

  it.each([
    ['while the old one goes', FROM],
    ['while its status is corrected', TO],
  ])('loses no edit of the new file that is saved %s', async (_name, start) => {
    let edits = 0;
    for (const step of STEPS) {
      const folder = queueFolder({ [start]: TEXT });
      let edited = false;
      const { fs, reached } = fsUntil(step, (call) => {
        const text = folder.text(TO);
        // Between the last comparison and the rename there is no time to look once more.
        if (text === null || (call === 'renameSync' && start === TO)) return;
        edited = true;
        folder.put(TO, text.replace('A summary.', 'An improved summary.'));
      });
      await folder
        .open(fs)
        .moveRecord('wi-A-1', FROM, 'review')
        .catch(() => undefined);
      if (!reached()) break;
      const texts = visible(folder.tree()).map((path) => folder.text(path) ?? '');
      expect(texts.some((text) => text.includes('An improved summary.'))).toBe(edited);
      edits += Number(edited);
    }
    expect(edits).toBeGreaterThan(2);
  });

  it.each([
    ['a foreign text', 'foreign'],
    ['a record of another id', renderRecord(fieldsOf('wi-B-1'))],
    ['another version of it', MOVED.replace('A summary.', 'Another summary.')],
  ])('overwrites nothing: %s in its way stays, and so does the record', async (_name, text) => {
    const folder = queueFolder({ [FROM]: TEXT, [TO]: text });
    await expect(folder.open().moveRecord('wi-A-1', FROM, 'review')).rejects.toMatchObject({
      code: 'queue-target-exists',
    });
    expect([folder.text(FROM), folder.text(TO), folder.tree()]).toEqual([TEXT, text, [FROM, TO]]);
  });

  it.each<[string, (dir: string) => void, string]>([
    ['it is nowhere', (dir) => rmSync(join(dir, FROM)), 'record-missing'],
    ['its status cannot be found', (dir) => writeFileSync(join(dir, FROM), 'x'), 'record-unreadable'],
    [
      'the collection is a link',
      (dir) => symlinkSync(nodeFs.mkdtempSync(`${dir}/x`), join(dir, 'review')),
      'queue-folder-unusable',
    ],
    ['the collection is a file', (dir) => writeFileSync(join(dir, 'review'), ''), 'queue-file-unreadable'],
    [
      'the target is a folder',
      (dir) => mkdirSync(join(dir, TO), { recursive: true }),
      'queue-file-unreadable',
    ],
  ])('is refused where %s', async (_name, prepare, code) => {
    const folder = queueFolder({ [FROM]: TEXT });
    prepare(folder.dir);
    const before = folder.tree();
    const error = await folder
      .open()
      .moveRecord('wi-A-1', FROM, 'review')
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ hint: expect.stringMatching(/\w/) });
    expect([code, 'queue-file-unreadable']).toContain((error as { code: string }).code);
    expect(folder.tree()).toEqual(before);
  });

  it.each([
    ['../../etc/passwd', 'wi-A-1'],
    ['ready/wi-B-1.md', 'wi-A-1'],
    ['prompts/wi-A-1.md', 'wi-A-1'],
    ['ready/../x.md', '../x'],
  ])('refuses %s as the path of %s', async (path, id) => {
    await expect(queueFolder().open().moveRecord(id, path, 'done')).rejects.toMatchObject({
      code: 'record-path-invalid',
    });
  });

  it('in turn, where two are asked for at once', async () => {
    const folder = queueFolder({ [FROM]: TEXT });
    const queue = folder.open();
    await Promise.all([queue.moveRecord('wi-A-1', FROM, 'review'), queue.moveRecord('wi-A-1', TO, 'done')]);
    expect(folder.tree()).toEqual(['done/wi-A-1.md']);
  });
});

describe('writing a net-new item', () => {
  const fields = fieldsOf('wi-N-1', {
    status: 'backlog',
    title: 'Ein neues Stück: 測量',
    criteria: ['a: b', '- c'],
  });

  it('makes both files, and they read back', async () => {
    const folder = queueFolder();
    const queue = folder.open();
    const written = await queue.writeNew(fields, 'Do this.\r\n');
    const { record, prompt, problems } = queue.readItem('wi-N-1');
    expect({ record, problems }).toMatchObject({ record: { ...written.record, fields }, problems: [] });
    expect(prompt).toMatchObject({ ...written.prompt, excerpt: 'Do this.\n' });
    expect(folder.tree()).toEqual(['backlog/wi-N-1.md', 'prompts/wi-N-1.prompt.md']);
  });

  it('replayed after a crash at any step ends in the same state, and no record stands without its prompt', async () => {
    let crashes = 0;
    for (const step of STEPS) {
      const folder = queueFolder();
      const { fs, reached } = fsUntil(step, 'dead');
      await folder
        .open(fs)
        .writeNew(fields, 'Do this.')
        .catch(() => undefined);
      if (folder.text('backlog/wi-N-1.md') !== null)
        expect(folder.text('prompts/wi-N-1.prompt.md')).toBe('Do this.\n');
      if (!reached()) break;
      crashes += 1;
      await folder.open().writeNew(fields, 'Do this.');
      expect(folder.tree()).toEqual(['backlog/wi-N-1.md', 'prompts/wi-N-1.prompt.md']);
    }
    expect(crashes).toBeGreaterThan(8);
  });

  it.each(['backlog/wi-N-1.md', 'done/wi-N-1.md', 'prompts/wi-N-1.prompt.md'])(
    'refuses to touch %s',
    async (path) => {
      const folder = queueFolder({ [path]: 'mine' });
      await expect(folder.open().writeNew(fields, 'x')).rejects.toMatchObject({
        code: 'queue-target-exists',
      });
      expect([folder.text(path), folder.tree()]).toEqual(['mine', [path]]);
    },
  );

  it.each([
    ['no title', { ...fields, title: ' ' }, 'x'],
    ['an id that leads elsewhere', { ...fields, id: '../x' }, 'x'],
    ['a NUL', { ...fields, summary: 'a\0' }, 'x'],
    ['half a character', { ...fields, title: '\ud800' }, 'x'],
    ['half a character in the prompt', fields, 'a\ud800'],
    ['2 MB of prompt', fields, 'x'.repeat(2_000_000)],
  ])('refuses %s', async (_name, unfit, prompt) => {
    const folder = queueFolder();
    await expect(folder.open().writeNew(unfit, prompt)).rejects.toMatchObject({ code: 'record-invalid' });
    expect(folder.tree()).toEqual([]);
  });
});

describe('writing a record anew', () => {
  const fields = fieldsOf('wi-A-1', { status: 'done' });

  it('brings a lost one back and leaves the prompt alone', async () => {
    const folder = queueFolder({ 'prompts/wi-A-1.prompt.md': 'mine' });
    await folder.open().writeRecord(fields, 'done');
    const at = { path: 'done/wi-A-1.md', collection: 'done' } as const;
    expect(parseRecord(folder.text(at.path) ?? '', at).fields).toEqual(fields);
    expect(folder.text('prompts/wi-A-1.prompt.md')).toBe('mine');
  });

  it('refuses where the record is there after all', async () => {
    const folder = queueFolder();
    folder.record('wi-A-1', 'review');
    await expect(folder.open().writeRecord(fields, 'done')).rejects.toMatchObject({
      code: 'queue-target-exists',
    });
    expect(folder.tree()).toEqual(['review/wi-A-1.md']);
  });
});
