import {
  mkdirSync,
  openSync,
  closeSync,
  ftruncateSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { auditFailures } from '../acceptance/lab.ts';
import { actionPath, callerOf, eventually, itemPath, newToken, signIn } from './client.ts';
import type { Answer, Caller } from './client.ts';
import { itemFiles, recordText } from './queue.ts';
import { factoryJson, newPlace, serve } from './service.ts';
import type { Place, Service } from './service.ts';

/** A queue folder with everything wrong that can be, beside items that are right. */

const SECRET = 'What lies outside is nobody’s business.';

interface Damage {
  name: string;
  file: string;
  code: string;
  /** The item that the file would describe, where another file gives it or did before. */
  item?: string;
  make(place: Place): void;
}

const inQueue = (place: Place, path: string): string => join(place.queue, path);
const write = (path: string, text: string) => (place: Place) => writeFileSync(inQueue(place, path), text);
const record = (id: string, lane: string, summary = 'x'): string =>
  recordText(
    { id, title: `Title of ${id}`, status: lane, workType: 'implementation', criteria: ['One'] },
    summary,
  );

const DAMAGES: Damage[] = [
  {
    name: 'a record of 50 MB',
    file: 'ready/wi-HUGE-1.md',
    code: 'file-too-big',
    make(place) {
      const file = openSync(inQueue(place, 'ready/wi-HUGE-1.md'), 'w');
      ftruncateSync(file, 50_000_000);
      closeSync(file);
    },
  },
  {
    name: 'a NUL byte',
    file: 'ready/wi-NUL-1.md',
    code: 'nul-byte',
    make: write('ready/wi-NUL-1.md', record('wi-NUL-1', 'ready', 'a\0b')),
  },
  {
    name: 'bytes that are no UTF-8',
    file: 'ready/wi-BYTES-1.md',
    code: 'not-utf8',
    make: (place) =>
      writeFileSync(inQueue(place, 'ready/wi-BYTES-1.md'), Buffer.from([0x2d, 0x2d, 0x2d, 0x0a, 0xff, 0xfe])),
  },
  {
    name: 'a record that is a link out of the folder',
    file: 'ready/wi-LINK-1.md',
    code: 'link-not-followed',
    make: (place) => symlinkSync(join(place.dir, 'outside.md'), inQueue(place, 'ready/wi-LINK-1.md')),
  },
  {
    name: 'a prompt that is a link out of the folder',
    file: 'prompts/wi-GOOD-2.prompt.md',
    code: 'link-not-followed',
    item: 'wi-GOOD-2',
    make(place) {
      rmSync(inQueue(place, 'prompts/wi-GOOD-2.prompt.md'));
      symlinkSync(join(place.dir, 'outside.md'), inQueue(place, 'prompts/wi-GOOD-2.prompt.md'));
    },
  },
  {
    name: 'a collection that is a link out of the folder',
    file: 'cancelled',
    code: 'link-not-followed',
    make: (place) => symlinkSync(join(place.dir, 'outside'), inQueue(place, 'cancelled')),
  },
  {
    name: 'a collection that is a file',
    file: 'executing',
    code: 'folder-unreadable',
    make: write('executing', 'not a folder'),
  },
  {
    name: 'a second file with the same id',
    file: 'ready/copy.md',
    code: 'name-invalid',
    make: write('ready/copy.md', record('wi-GOOD-1', 'ready')),
  },
  {
    name: 'another item’s file with the same id',
    file: 'ready/wi-GOOD-9.md',
    code: 'duplicate-id',
    make: write('ready/wi-GOOD-9.md', record('wi-GOOD-1', 'ready')),
  },
  {
    name: 'the same id in two collections',
    file: 'review/wi-GOOD-3.md',
    code: 'duplicate-id',
    item: 'wi-GOOD-3',
    make: write('review/wi-GOOD-3.md', record('wi-GOOD-3', 'review')),
  },
  {
    name: 'malformed front matter',
    file: 'ready/wi-YAML-1.md',
    code: 'yaml-malformed',
    make: write('ready/wi-YAML-1.md', '---\nid: wi-YAML-1\ntitle: [\n---\n'),
  },
  {
    name: 'no front matter',
    file: 'ready/wi-NONE-1.md',
    code: 'front-matter-missing',
    make: write('ready/wi-NONE-1.md', 'Just text.\n'),
  },
  {
    name: 'front matter without an end',
    file: 'ready/wi-OPEN-1.md',
    code: 'front-matter-unclosed',
    make: write('ready/wi-OPEN-1.md', '---\nid: wi-OPEN-1\n'),
  },
  {
    name: 'missing fields',
    file: 'ready/wi-LESS-1.md',
    code: 'field-missing',
    make: write('ready/wi-LESS-1.md', '---\nid: wi-LESS-1\n---\nText.\n'),
  },
  {
    name: 'a folder where a record should be',
    file: 'ready/wi-DIR-1.md',
    code: 'not-a-file',
    make: (place) => void mkdirSync(inQueue(place, 'ready/wi-DIR-1.md')),
  },
];

describe.each(['at the start', 'while the service runs'] as const)('damage %s', (when) => {
  let place: Place;
  let service: Service;
  let owner: Caller;
  let cookie: string;

  const damage = (): void => {
    mkdirSync(join(place.dir, 'outside'));
    writeFileSync(join(place.dir, 'outside.md'), SECRET);
    writeFileSync(join(place.dir, 'outside', 'wi-OUT-1.md'), record('wi-OUT-1', 'cancelled', SECRET));
    for (const { make } of DAMAGES) make(place);
  };

  beforeAll(async () => {
    const good = ['wi-GOOD-1', 'wi-GOOD-2', 'wi-GOOD-3'].map((id) => itemFiles(id, 'ready'));
    place = newPlace({
      below: inject('scratch'),
      files: { ...good[0], ...good[1], ...good[2], ...itemFiles('wi-REV-1', 'review') },
    });
    if (when === 'at the start') damage();
    service = await serve(place);
    owner = callerOf(() => service.url, (await newToken(place, 'owner')).token);
    cookie = await signIn(service.loginLink);
    await eventually(
      () => owner.get(itemPath('wi-GOOD-1')),
      ({ status }) => status === 200,
    );
    if (when === 'while the service runs') damage();
  });

  afterAll(async () => {
    expect(await service.stop()).toMatchObject({ code: 0 });
    expect(service.stderr()).not.toMatch(/^\s+at .+:\d+/m);
  });

  it.each(DAMAGES)('`validate` tells $name with file, line and next step', async ({ file, code }) => {
    const { code: exit, answer } = await factoryJson<{ problems: Record<string, unknown>[] }>(
      place,
      'validate',
    );
    expect(exit).toBe(1);
    expect(answer.problems.filter((problem) => problem.file === file)).toContainEqual(
      expect.objectContaining({
        code,
        line: expect.any(Number),
        message: expect.stringMatching(/\S/),
        hint: expect.stringMatching(/\S/),
      }),
    );
  });

  it.each(DAMAGES)('a page shows $name', async ({ file, item }) => {
    const path = item === undefined ? '/' : `/items/${item}`;
    const page = await eventually(
      () => owner.get(path, { cookie }),
      ({ text }) => text.includes(file),
    );
    expect(page.status).toBe(200);
  });

  it('imports what is right, and acts on it', async () => {
    for (const id of ['wi-GOOD-1', 'wi-GOOD-2', 'wi-GOOD-3', 'wi-REV-1']) {
      expect((await owner.get(itemPath(id))).body).toMatchObject({ id, title: `Title of ${id}` });
    }
    expect((await owner.post(actionPath('wi-GOOD-1', 'start-execution'))).status).toBe(200);
    expect((await owner.post(actionPath('wi-GOOD-1', 'record-history'))).status).toBe(200);
  });

  it('shows nothing that a link points to', async () => {
    const list = await owner.get('/api/control-plane/items?limit=200');
    expect(list.text).toContain('wi-GOOD-1');
    expect(list.text).not.toContain('wi-OUT-1');
    const paths = [
      '/',
      '/items/wi-GOOD-2',
      '/items/wi-LINK-1',
      itemPath('wi-GOOD-2'),
      itemPath('wi-LINK-1'),
      itemPath('wi-OUT-1'),
    ];
    for (const path of paths) expect((await owner.get(path, { cookie })).text).not.toContain(SECRET);
    const { answer } = await factoryJson<unknown>(place, 'validate');
    expect(JSON.stringify(answer)).not.toContain(SECRET);
  });

  it('overwrites none of the broken files and stays healthy', async () => {
    expect(readFileSync(inQueue(place, 'ready/wi-NONE-1.md'), 'utf8')).toBe('Just text.\n');
    expect(readFileSync(join(place.dir, 'outside.md'), 'utf8')).toBe(SECRET);
    expect((await owner.get('/api/health')).status).toBe(200);
    expect(await auditFailures(place)).toEqual([]);
  });
});

it('keeps an item whose record breaks, says so, and takes it back when it is mended', async () => {
  const place = newPlace({ below: inject('scratch'), files: itemFiles('wi-B-1', 'ready') });
  const service = await serve(place);
  const owner = callerOf(() => service.url, (await newToken(place, 'owner')).token);
  const look = () => owner.get(itemPath('wi-B-1'));
  await eventually(look, ({ status }) => status === 200);
  const good = readFileSync(inQueue(place, 'ready/wi-B-1.md'), 'utf8');
  write('ready/wi-B-1.md', '---\nid: wi-B-1\ntitle: "\n---\n')(place);
  const broken = await eventually(look, ({ body }) => body.problems.length > 0);
  expect(broken.body).toMatchObject({ title: 'Title of wi-B-1', lane: 'ready' });
  expect(broken.body.problems[0]).toMatchObject({
    file: 'ready/wi-B-1.md',
    line: expect.any(Number),
    hint: expect.stringMatching(/\S/),
  });
  write('beside', good.replace('Title of', 'New title of'))(place);
  renameSync(inQueue(place, 'beside'), inQueue(place, 'ready/wi-B-1.md'));
  expect((await eventually(look, ({ body }) => body.problems.length === 0)).body).toMatchObject({
    title: 'New title of wi-B-1',
  });
  await service.stop();
  expect(await auditFailures(place)).toEqual([]);
});

it('keeps every item while the whole folder is away, lets what it knows age, and goes on when it is back', async () => {
  const place = newPlace({
    below: inject('scratch'),
    files: { ...itemFiles('wi-A-1', 'ready'), ...itemFiles('wi-A-2', 'backlog') },
  });
  const service = await serve(place);
  const owner = callerOf(() => service.url, (await newToken(place, 'owner')).token);
  const look = () => owner.get(itemPath('wi-A-1'));
  const age = ({ body }: Answer): number => body.queueTruth.freshness.ageSeconds as number;
  await eventually(look, ({ status }) => status === 200);
  renameSync(place.queue, `${place.queue}-away`);
  const away = await eventually(look, (answer) => age(answer) >= 2);
  expect(away.body).toMatchObject({ title: 'Title of wi-A-1', lane: 'ready', queueTruth: { drift: [] } });
  const { answer: told } = await factoryJson<{ problems: { code: string; hint: string }[] }>(
    place,
    'validate',
  );
  expect(told.problems).toContainEqual(
    expect.objectContaining({ code: 'queue-missing', hint: expect.stringMatching(/init/) }),
  );
  renameSync(`${place.queue}-away`, place.queue);
  const back = await eventually(look, (answer) => age(answer) === 0);
  expect(back.body).toMatchObject({ title: 'Title of wi-A-1', queueTruth: { drift: [] } });
  const { answer } = await factoryJson<{ problems: unknown[] }>(place, 'validate');
  expect(answer.problems).toEqual([]);
  await service.stop();
  expect(await auditFailures(place)).toEqual([]);
});
