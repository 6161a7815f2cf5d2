import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blobKey, blobListKey, isClaim, isShared } from '../../../scripts/lib/backup/blob-list.ts';
import {
  alone,
  backUp,
  blobPromises,
  FILES,
  Model,
  newBlobFigures,
  prune,
} from '../../acceptance/blob-histories.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const keyOf = (n: number): string => blobKey('factory', hash('sha256', FILES[n]?.bytes ?? ''));
const backup = (place: Model, ...files: number[]) => backUp(place, alone('backup', files));
const pruned = (place: Model) => prune(place, alone('prune', []));

/** A destination with three backups that have the first file; an older one had the second one as well. */
async function place(): Promise<Model> {
  const model = new Model(newBlobFigures(), async () => undefined);
  await backup(model, 0, 1);
  for (let n = 0; n < 3; n += 1) {
    model.now += 30 * HOUR;
    await backup(model, 0);
  }
  model.forget();
  expect(model.objects.has(keyOf(1))).toBe(true);
  return model;
}

const whole = (model: Model): string[] => {
  model.look();
  return [...model.broken];
};

describe('attachments in a destination', () => {
  it('go with their list when no backup names them, and not before', async () => {
    const model = await place();
    const before = new Set(model.objects.keys());
    const { gone, kept } = await pruned(model);
    expect([gone.filter((key) => key.endsWith('.sealed')), gone.length, kept]).toEqual([[keyOf(1)], 2, null]);
    expect([...before].filter((key) => !model.objects.has(key)).sort()).toEqual(gone.sort());
    expect((await pruned(model)).gone).toEqual([]);
    expect(whole(model)).toEqual([]);
  });

  it('are needed by a backup that lacks something else', async () => {
    const model = await place();
    await backup(model, 1);
    const [last = ''] = [...model.objects.keys()].filter((key) => key.includes('-000005.sqlite'));
    model.objects.delete(last);
    model.now += 25 * HOUR;
    await backup(model, 0);
    expect((await pruned(model)).gone.filter((key) => key === keyOf(1))).toEqual([]);
  });

  it('all stay for a day after they were sent', async () => {
    const model = await place();
    const stored = model.objects.get(keyOf(1));
    model.objects.set(keyOf(1), { body: stored?.body ?? Buffer.alloc(0), at: model.now - 23 * HOUR });
    expect((await pruned(model)).gone).not.toContain(keyOf(1));
  });

  const newest = (model: Model, end: string): string =>
    [...model.objects.keys()].filter((key) => key.startsWith('full/') && key.endsWith(end)).at(-1) ?? '';
  const change = (model: Model, key: string, body: Buffer): void =>
    void model.objects.set(key, { body, at: model.objects.get(key)?.at ?? 0 });
  const aList = blobListKey('factory', 'a'.repeat(64));

  it.each<[string, RegExp, (model: Model) => void | Promise<void>]>([
    [
      'a list was changed',
      /list of the attachments of .* cannot be read: .*bytes were changed/s,
      (model) => {
        const key = [...model.objects.keys()].filter((one) => one.endsWith('.list'));
        for (const one of key) change(model, one, Buffer.alloc(model.objects.get(one)?.body.length ?? 0));
      },
    ],
    [
      'a list is away',
      /cannot be read: .*missing/s,
      async (model) => {
        await backup(model, 2);
        const { blobs } = model.manifests().at(-1) ?? {};
        if (blobs !== undefined && 'list' in blobs) model.objects.delete(blobs.list.key);
        model.now += 25 * HOUR;
        await backup(model, 0);
      },
    ],
    [
      'a manifest was changed',
      /manifest\.json cannot be read, and may need them/,
      (model) => change(model, newest(model, '.manifest.json'), Buffer.from('{}')),
    ],
    [
      'a newer release made one',
      /cannot be read, and may need them/,
      (model) =>
        model.objects.set('full/factory/20260506T000000Z-000009.manifest.json', {
          ...{ body: Buffer.from('{"format":"build-factory/backup/9"}'), at: model.now - 5 * DAY },
        }),
    ],
    [
      'a backup is being made',
      /is being made, or was cut off less than a day ago: diff\/factory\/20260506T000000Z-000009/,
      (model) =>
        model.objects.set('diff/factory/20260506T000000Z-000009.key.age', {
          ...{ body: Buffer.from('key'), at: model.now },
        }),
    ],
    ['the newest backup is late', /older than twice/, (model) => void (model.now += 5 * DAY)],
  ])('all stay where %s, and the plan says so', async (_what, why, harm) => {
    const model = await place();
    model.objects.set(aList, { body: Buffer.from(''), at: model.now - 5 * DAY });
    await harm(model);
    const before = [...model.objects.keys()].filter(isShared);
    const { attachments, gone } = await pruned(model);
    expect([attachments.refused, gone]).toEqual([expect.stringMatching(why), []]);
    expect([...model.objects.keys()].filter(isShared)).toEqual(before);
  });
});

describe('a backup and a prune at the same time', () => {
  it('is refused what is going, and sends it again afterwards', async () => {
    const model = await place();
    const codes: (string | undefined)[] = [];
    model.before = async (method, key) => {
      if (method !== 'delete' || key !== keyOf(1)) return;
      model.before = async () => undefined;
      codes.push((await backup(model, 0, 1))?.code);
    };
    expect((await pruned(model)).gone).toContain(keyOf(1));
    expect([codes, whole(model)]).toEqual([['attachments-going'], []]);
    expect(await backup(model, 0, 1)).toBe(null);
    expect([model.objects.has(keyOf(1)), whole(model)]).toEqual([true, []]);
  });

  it('keeps what it has begun to rely on', async () => {
    for (const point of ['begun', 'ended']) {
      const model = await place();
      let other: Promise<unknown> = Promise.resolve();
      const reached = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      model.before = async (method, key) => {
        if (method === 'put' && isClaim(key)) {
          model.before = async (then, what) => {
            if (point !== 'begun' || then !== 'put' || !what.endsWith('manifest.json')) return;
            reached.resolve();
            await goOn.promise;
          };
          other = backup(model, 0, 1);
          await (point === 'begun' ? reached.promise : other);
        }
      };
      const { gone, kept } = await pruned(model);
      goOn.resolve();
      await other;
      expect([gone.includes(keyOf(1)), kept], point).toEqual([
        false,
        expect.stringContaining(point === 'begun' ? 'a backup is being made' : 'needs 2 of them'),
      ]);
      expect([model.manifests().length, whole(model)]).toEqual([4, []]);
    }
  });

  it('looks again where the prune ends just then', async () => {
    const model = await place();
    model.before = async (method, key) => {
      if (method !== 'delete' || key !== keyOf(1)) return;
      model.before = async (then, what) => {
        if (then !== 'get' || !isClaim(what)) return;
        model.before = async () => undefined;
        for (const one of [...model.objects.keys()].filter((each) => isClaim(each) || each === keyOf(1)))
          model.objects.delete(one);
      };
      expect(await backup(model, 0, 1)).toBe(null);
      throw new Error('killed');
    };
    await expect(pruned(model)).rejects.toThrow('killed');
    expect([model.objects.has(keyOf(1)), whole(model)]).toEqual([true, []]);
  });

  it('waits two hours for a prune that was killed, and the next prune tidies up', async () => {
    const model = await place();
    model.before = async (method) => {
      if (method === 'delete') throw new Error('killed');
    };
    await expect(pruned(model)).rejects.toThrow('killed');
    model.before = async () => undefined;
    const claims = () => [...model.objects.keys()].filter(isClaim).length;
    expect([claims(), model.objects.has(keyOf(1))]).toEqual([1, true]);
    expect((await backup(model, 0, 1))?.code).toBe('attachments-going');
    model.now += 2 * HOUR;
    expect((await backup(model, 0, 1))?.code).toBe('attachments-going');
    expect(await backup(model, 0, 1)).toBe(null);
    expect(whole(model)).toEqual([]);
    model.now += 25 * HOUR;
    await backup(model, 0);
    await pruned(model);
    expect(claims()).toBe(0);
  });
});

it('every backup that is listed has its attachments, however backups and prunes meet and end', async () => {
  const figures = newBlobFigures();
  // A sample; `npm run campaign -- blob-histories` tries more.
  await fc.assert(blobPromises(figures), { numRuns: 25 });
  expect(figures.gone).toBeGreaterThan(25);
});
