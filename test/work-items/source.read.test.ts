import nodeFs, { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { renderRecord } from '../../service/work-items/record-write.ts';
import type { FileStamp, Queue, ScanBatch, ScanItem } from '../../service/work-items/source.ts';
import type { QueueObservation } from '../../service/work-items/types.ts';
import { countingFs, fieldsOf, fsWith, queueFolder } from './queue-folder.ts';

function codes(observation: QueueObservation): string[] {
  return observation.problems.map((problem) => `${problem.file} ${problem.code}`);
}

async function scanAll(queue: Queue, known = new Map<string, FileStamp[]>()) {
  const batches: ScanBatch[] = [];
  for await (const batch of queue.scan((id) => known.get(id) ?? [])) batches.push(batch);
  const items = new Map<string, ScanItem>(
    batches.flatMap((batch) => batch.items).map((item) => [item.id, item]),
  );
  return {
    items,
    batches,
    problems: batches.flatMap((batch) => batch.problems.map((problem) => `${problem.file} ${problem.code}`)),
    unreadable: batches.flatMap((batch) => batch.unreadable),
    stamps: new Map([...items.values()].map((item) => [item.id, item.unchanged ? [] : item.stamps])),
  };
}

describe('one item', () => {
  it('is its record and its prompt, with the ids that git gives them', () => {
    const folder = queueFolder({ 'prompts/wi-A-1.prompt.md': '\uFEFFDo it.\r\nWell.\n' });
    folder.record('wi-A-1', 'review');
    const git = (path: string): string =>
      execFileSync('git', ['hash-object', join(folder.dir, path)])
        .toString()
        .trim();
    expect(folder.open().readItem('wi-A-1')).toEqual({
      observedAt: folder.clock.iso(),
      record: {
        fields: fieldsOf('wi-A-1', { status: 'review' }),
        collection: 'review',
        path: 'review/wi-A-1.md',
        revision: git('review/wi-A-1.md'),
      },
      prompt: {
        path: 'prompts/wi-A-1.prompt.md',
        revision: git('prompts/wi-A-1.prompt.md'),
        excerpt: 'Do it.\nWell.\n',
        empty: false,
      },
      problems: [],
      duplicates: [],
    });
  });

  it('without any file is nothing, and no problem', () => {
    const nothing = { record: null, prompt: null, problems: [], duplicates: [] };
    expect(queueFolder().open().readItem('wi-A-1')).toMatchObject(nothing);
  });

  it('is read again as soon as a file differs, and not before', () => {
    const folder = queueFolder({ 'prompts/wi-A-1.prompt.md': 'x' });
    folder.record('wi-A-1');
    const setTime = (): void => utimesSync(join(folder.dir, 'ready/wi-A-1.md'), 1_700_000_000, 1_700_000_000);
    setTime();
    const { fs, calls } = countingFs();
    const queue = folder.open(fs);
    const first = queue.readItem('wi-A-1');
    folder.clock.advance(1000);
    const opened = calls.get('openSync');
    expect(queue.readItem('wi-A-1')).toEqual({ ...first, observedAt: folder.clock.iso() });
    expect(calls.get('openSync')).toBe(opened);
    // The same size, and the old time put back: the inode's change time tells.
    folder.record('wi-A-1', 'ready', { title: 'TITLE of wi-A-1' });
    setTime();
    expect(queue.readItem('wi-A-1').record?.fields.title).toBe('TITLE of wi-A-1');
  });

  it('is read every time while its file is younger than a time stamp can tell', () => {
    const folder = queueFolder();
    folder.record('wi-A-1');
    folder.clock.set(new Date().toISOString());
    const { fs, calls } = countingFs();
    const queue = folder.open(fs);
    queue.readItem('wi-A-1');
    const opened = calls.get('openSync') ?? 0;
    expect(queue.look('wi-A-1').stamps).toEqual([]);
    expect(calls.get('openSync')).toBeGreaterThan(opened);
  });

  it('keeps its record as last readable while the file has problems', () => {
    const folder = queueFolder();
    folder.record('wi-A-1');
    const queue = folder.open();
    const last = queue.readItem('wi-A-1').record;
    folder.put('ready/wi-A-1.md', '---\ntitle: x\n');
    const observation = queue.readItem('wi-A-1', last);
    expect(observation.record).toEqual(last);
    expect(codes(observation)).toEqual(['ready/wi-A-1.md front-matter-unclosed']);
  });

  it.each([
    [
      'an excerpt ends between characters',
      `${'a'.repeat(1999)}🚀`,
      { excerpt: 'a'.repeat(1999), empty: false },
    ],
    [
      'an excerpt has 2,000 characters at most',
      'b'.repeat(5000),
      { excerpt: 'b'.repeat(2000), empty: false },
    ],
    ['white space is an empty prompt', ' \n\t\n', { empty: true }],
  ])('%s', (_name, text, prompt) => {
    expect(queueFolder({ 'prompts/wi-A-1.prompt.md': text }).open().readItem('wi-A-1').prompt).toMatchObject(
      prompt,
    );
  });

  it.each([
    ['NUL', 'a\n\0', 'nul-byte', 2],
    ['not UTF-8', Buffer.from([0x61, 0x0a, 0xff]), 'not-utf8', 2],
    ['too big', 'x'.repeat(1024 * 1024 + 1), 'file-too-big', 1],
  ])('a prompt that is %s is a problem of the item', (_name, content, code, line) => {
    const folder = queueFolder({ 'prompts/other': '' });
    writeFileSync(join(folder.dir, 'prompts/wi-A-1.prompt.md'), content);
    const { prompt, problems } = folder.open().readItem('wi-A-1');
    expect(prompt).toBeNull();
    expect(problems).toMatchObject([{ file: 'prompts/wi-A-1.prompt.md', code, line, itemId: 'wi-A-1' }]);
  });

  it('of 50 MB is named and not read', () => {
    const folder = queueFolder({ 'ready/wi-A-1.md': '' });
    nodeFs.truncateSync(join(folder.dir, 'ready/wi-A-1.md'), 50 * 1024 * 1024);
    const { fs, calls } = countingFs();
    expect(codes(folder.open(fs).readItem('wi-A-1'))).toEqual(['ready/wi-A-1.md file-too-big']);
    expect(calls.get('openSync')).toBeUndefined();
  });

  it('that grows while it is read is read up to the limit', () => {
    const folder = queueFolder();
    folder.record('wi-A-1');
    const path = join(folder.dir, 'ready/wi-A-1.md');
    const fs = fsWith({
      fstatSync: () => {
        nodeFs.truncateSync(path, 3 * 1024 * 1024);
        return nodeFs.statSync(path);
      },
    });
    expect(codes(folder.open(fs).readItem('wi-A-1'))).toEqual(['ready/wi-A-1.md file-too-big']);
  });
});

describe('links', () => {
  function outside() {
    const folder = queueFolder({ 'prompts/.keep': '', 'ready/.keep': '' });
    const other = queueFolder({ 'wi-A-1.prompt.md': 'secret' });
    other.record('wi-A-1');
    return { folder, other };
  }

  it('to a record or a prompt are not followed', () => {
    const { folder, other } = outside();
    symlinkSync(join(other.dir, 'ready/wi-A-1.md'), join(folder.dir, 'ready/wi-A-1.md'));
    symlinkSync(join(other.dir, 'wi-A-1.prompt.md'), join(folder.dir, 'prompts/wi-A-1.prompt.md'));
    const observation = folder.open().readItem('wi-A-1');
    expect(observation).toMatchObject({ record: null, prompt: null });
    expect(codes(observation)).toEqual([
      'ready/wi-A-1.md link-not-followed',
      'prompts/wi-A-1.prompt.md link-not-followed',
    ]);
  });

  it('in place of a folder are not followed', async () => {
    const { folder, other } = outside();
    rmSync(join(folder.dir, 'ready'), { recursive: true });
    symlinkSync(join(other.dir, 'ready'), join(folder.dir, 'ready'));
    const queue = folder.open();
    expect(queue.readItem('wi-A-1').record).toBeNull();
    expect(codes(queue.readItem('wi-A-1'))).toEqual(['ready link-not-followed']);
    const scanned = await scanAll(queue);
    expect([...scanned.items.keys()]).toEqual([]);
    expect(scanned).toMatchObject({ problems: ['ready link-not-followed'], unreadable: ['ready'] });
  });

  it.each([
    ['the file', 'openSync', 'ready/wi-A-1.md'],
    ['its folder', 'openSync', 'ready'],
  ] as const)('that replace %s between look and read are not followed', (_name, at, path) => {
    const { folder, other } = outside();
    folder.record('wi-A-1', 'ready', { title: 'mine' });
    const fs = fsWith({
      [at]: (...args: Parameters<typeof nodeFs.openSync>) => {
        rmSync(join(folder.dir, path), { recursive: true });
        symlinkSync(join(other.dir, path), join(folder.dir, path));
        return nodeFs.openSync(...args);
      },
    });
    const observation = folder.open(fs).readItem('wi-A-1');
    expect(observation.record).toBeNull();
    expect(codes(observation)).toEqual(['ready/wi-A-1.md link-not-followed']);
  });

  it('to the queue folder itself are the choice of the operator', () => {
    const { folder, other } = outside();
    symlinkSync(other.dir, join(folder.dir, 'link'));
    const queue = queueFolder().open();
    expect(queue.readItem('wi-A-1').record).toBeNull();
    renameSync(join(folder.dir, 'link'), `${folder.dir}/queue`);
    const linked = queueFolder();
    rmSync(linked.dir, { recursive: true });
    symlinkSync(other.dir, linked.dir);
    expect(linked.open().readItem('wi-A-1').record?.collection).toBe('ready');
  });
});

describe('one id in several files', () => {
  it('is the file in the earliest lane; the others are problems', () => {
    const folder = queueFolder();
    for (const collection of ['done', 'ready', 'cancelled']) folder.record('wi-A-1', collection);
    const observation = folder.open().readItem('wi-A-1');
    expect(observation.record?.path).toBe('ready/wi-A-1.md');
    expect(observation.duplicates).toEqual(['done/wi-A-1.md', 'cancelled/wi-A-1.md']);
    expect(codes(observation)).toEqual(['done/wi-A-1.md duplicate-id', 'cancelled/wi-A-1.md duplicate-id']);
  });

  it('is the file of that name, whatever another one claims, in a scan in either order', async () => {
    for (const [own, other] of [
      ['wi-A-1', 'wi-B-1'],
      ['wi-B-1', 'wi-A-1'],
    ] as const) {
      const folder = queueFolder();
      folder.record(own);
      folder.put(`done/${other}.md`, renderRecord(fieldsOf(own, { title: 'imposter' })));
      const queue = folder.open();
      const { items } = await scanAll(queue);
      expect(items.get(own)).toMatchObject({
        observation: { record: { fields: { title: `Title of ${own}` } }, duplicates: [`done/${other}.md`] },
        stamps: [],
      });
      expect(items.get(other)).toMatchObject({
        observation: { record: null, problems: [{ code: 'duplicate-id', file: `done/${other}.md` }] },
      });
      rmSync(join(folder.dir, `done/${other}.md`));
      expect(queue.readItem(own)).toMatchObject({ duplicates: [], problems: [] });
    }
  });

  it('is nobody where only files of other names claim it', () => {
    const folder = queueFolder({ 'done/wi-B-1.md': renderRecord(fieldsOf('wi-A-1')) });
    const queue = folder.open();
    expect(codes(queue.readItem('wi-B-1'))).toEqual(['done/wi-B-1.md id-mismatch']);
    expect(queue.readItem('wi-A-1')).toMatchObject({ record: null, problems: [] });
  });
});

describe('a scan', () => {
  it('names what belongs to no item', async () => {
    const folder = queueFolder({
      'ready/notes.md': 'x',
      'ready/wi-\u202Ekcol.md': 'x',
      'ready/README.md': 'x',
      'ready/wi-A-1.md~': 'x',
      'ready/.wi-A-1.md.swp': 'x',
      'prompts/wi-A-1.md': 'x',
      done: 'a file where a folder is expected',
    });
    folder.record('wi-A-1');
    mkdirSync(join(folder.dir, 'ready/wi-A-2.md'));
    const { problems, unreadable, items } = await scanAll(folder.open());
    expect(problems.sort()).toEqual([
      'done folder-unreadable',
      'prompts/wi-A-1.md name-invalid',
      'ready/notes.md name-invalid',
      'ready/wi-\\u{202e}kcol.md name-invalid',
    ]);
    expect(unreadable).toEqual(['done']);
    expect([...items.keys()]).toEqual(['wi-A-1', 'wi-A-2']);
    expect(items.get('wi-A-2')).toMatchObject({ observation: { problems: [{ code: 'not-a-file' }] } });
  });

  it.each(['EACCES', 'EIO'])('goes on past a folder that fails with %s', async (code) => {
    const folder = queueFolder();
    folder.record('wi-A-1');
    folder.record('wi-A-2', 'done');
    const fs = fsWith({
      readdirSync: (path: string) => {
        if (path.endsWith('done')) throw Object.assign(new Error(code), { code });
        return nodeFs.readdirSync(path);
      },
    });
    const { items, problems, unreadable } = await scanAll(folder.open(fs));
    expect([...items.keys()]).toEqual(['wi-A-1']);
    expect({ problems, unreadable }).toEqual({ problems: ['done folder-unreadable'], unreadable: ['done'] });
  });

  it('of a folder that does not exist says how to make one', async () => {
    const folder = queueFolder();
    rmSync(folder.dir, { recursive: true });
    expect((await scanAll(folder.open())).problems).toEqual(['. queue-missing']);
  });

  it('reads nothing that is as it was, and everything that is not', async () => {
    const folder = queueFolder();
    for (let i = 1; i <= 6; i++) {
      folder.record(`wi-A-${i}`);
      folder.put(`prompts/wi-A-${i}.prompt.md`, 'x');
    }
    const { stamps } = await scanAll(folder.open());
    const { fs, calls } = countingFs();
    const queue = folder.open(fs);
    expect([...(await scanAll(queue, stamps)).items.values()].every((item) => item.unchanged)).toBe(true);
    expect(calls.get('openSync')).toBeUndefined();

    folder.record('wi-A-1', 'ready', { title: 'new' });
    folder.put('prompts/wi-A-2.prompt.md', 'y');
    rmSync(join(folder.dir, 'prompts/wi-A-3.prompt.md'));
    folder.record('wi-A-4', 'done');
    renameSync(join(folder.dir, 'ready/wi-A-5.md'), join(folder.dir, 'review/../done/wi-A-5.md'));
    const changed = [...(await scanAll(queue, stamps)).items.values()].filter((item) => !item.unchanged);
    expect(changed.map((item) => item.id)).toEqual(['wi-A-1', 'wi-A-2', 'wi-A-3', 'wi-A-4', 'wi-A-5']);
  });

  it('of 2,000 items lets the event loop turn', async () => {
    const folder = queueFolder();
    const text = renderRecord(
      fieldsOf('wi-A-1', { criteria: Array.from({ length: 20 }, (_, i) => `Criterion ${i}.`) }),
    );
    folder.record('wi-A-1');
    for (let i = 2; i <= 2000; i++)
      writeFileSync(join(folder.dir, `ready/wi-A-${i}.md`), text.replace('wi-A-1', `wi-A-${i}`));
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    const { items, batches } = await scanAll(folder.open());
    clearInterval(timer);
    expect(items.size).toBe(2000);
    expect(turns).toBeGreaterThan(5);
    expect(turns).toBeGreaterThan(batches.length / 4);
  });
});

describe('the watcher', () => {
  function watched(folder: ReturnType<typeof queueFolder>, queue = folder.open()) {
    const changes: (string[] | 'all')[] = [];
    queue.watch((change) => changes.push(change));
    const next = async (wanted: (change: string[] | 'all') => boolean): Promise<void> => {
      for (let i = 0; i < 500; i++) {
        if (changes.some(wanted)) return;
        await sleep(10);
      }
      throw new Error(`not told within 5 s: ${JSON.stringify(changes)}`);
    };
    return { changes, next };
  }

  it('tells the ids of changed records and prompts, together', async () => {
    const folder = queueFolder({ 'prompts/x': '', 'ready/x': '' });
    const { next } = watched(folder);
    folder.record('wi-A-1');
    folder.put('prompts/wi-A-2.prompt.md', 'x');
    await next((change) => change.includes('wi-A-1') && change.includes('wi-A-2'));
  });

  it('asks for a scan when a collection or the policy appears', async () => {
    const folder = queueFolder({ 'ready/x': '' });
    const { next, changes } = watched(folder);
    folder.record('wi-A-1', 'done');
    await next((change) => change === 'all');
    changes.length = 0;
    folder.record('wi-A-2', 'done');
    await next((change) => change.includes('wi-A-2'));
  });

  it('asks for a scan from time to time where watching fails, and says so once, in a line', async () => {
    const folder = queueFolder({ 'ready/x': '' });
    const fs = fsWith({
      watch: () => {
        throw Object.assign(new Error('no watches left'), { code: 'ENOSPC' });
      },
    });
    const { next } = watched(folder, folder.open(fs));
    await next((change) => change === 'all');
    await next((change) => change === 'all');
    const ofReady = { folder: 'ready', code: 'ENOSPC' };
    expect(folder.warnings).toEqual([{ folder: '.', code: 'ENOSPC' }, ofReady]);
  });

  it('is silent after close', async () => {
    const folder = queueFolder({ 'ready/x': '' });
    const queue = folder.open();
    const { changes } = watched(folder, queue);
    await queue.close();
    folder.record('wi-A-1');
    await sleep(600);
    expect(changes).toEqual([]);
  });

  it('uses one watcher a folder, whatever it holds', async () => {
    const folder = queueFolder({ 'ready/x': '', 'done/x': '', 'prompts/x': '' });
    for (let i = 0; i < 50; i++) folder.record(`wi-A-${i}`);
    const { fs, calls } = countingFs();
    const { next } = watched(folder, folder.open(fs));
    await next((change) => change === 'all');
    expect(calls.get('watch')).toBe(4);
  });
});

it('the policy is read as safely as a record', () => {
  const folder = queueFolder({ 'policy.yaml': 'preset: team\n' });
  const queue = folder.open();
  expect(queue.readPolicy()).toEqual({ text: 'preset: team\n', problems: [] });
  rmSync(join(folder.dir, 'policy.yaml'));
  expect(queue.readPolicy()).toEqual({ text: null, problems: [] });
  symlinkSync('/etc/hostname', join(folder.dir, 'policy.yaml'));
  expect(queue.readPolicy()).toMatchObject({ text: null, problems: [{ code: 'link-not-followed' }] });
});
