import { expect, it } from 'vitest';
import { FolderCalls } from '../service/folder-calls.ts';

/** Calls below one folder: one at a time, each for a while. */

const { signal } = new AbortController();
const allowed = { signal, ms: 50 };
const late = { code: 'ETIMEDOUT' };

const begun = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A call that comes back when it is told to. */
function hanging() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { work: () => promise, comeBack: resolve };
}

it('makes one call at a time, in their order', async () => {
  const calls = new FolderCalls();
  const done: string[] = [];
  let running = 0;
  const step = (name: string) => async (): Promise<void> => {
    expect((running += 1)).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running -= 1;
    done.push(name);
  };
  await Promise.all(['a', 'b', 'c'].map((name) => calls.call(step(name), allowed)));
  expect(done).toEqual(['a', 'b', 'c']);
});

it('goes on after a call that failed', async () => {
  const calls = new FolderCalls();
  const fails = calls.call(() => Promise.reject(new Error('no')), allowed);
  const next = calls.call(async () => 'well', allowed);
  await expect(fails).rejects.toThrow('no');
  expect(await next).toBe('well');
});

it('gives up one that hangs with all that wait for it, makes no others, and goes on when it came back', async () => {
  const calls = new FolderCalls();
  const { work, comeBack } = hanging();
  let made = 0;
  const another = async (): Promise<number> => (made += 1);
  const first = calls.call(work, allowed);
  const waits = calls.call(another, { signal, ms: 60_000 });
  await expect(first).rejects.toMatchObject(late);
  await expect(waits).rejects.toMatchObject(late);
  await expect(calls.call(another, { signal, ms: 60_000 })).rejects.toMatchObject(late);
  expect([made, calls.hangs]).toEqual([0, true]);
  comeBack();
  await work();
  expect([await calls.call(another, allowed), calls.hangs]).toEqual([1, false]);
});

it('lets what is under way end when the run is stopped, and begins nothing', async () => {
  const calls = new FolderCalls();
  const stop = new AbortController();
  const { work, comeBack } = hanging();
  let made = 0;
  const first = calls.call(work, { signal: stop.signal, ms: 60_000 });
  const second = calls.call(async () => (made += 1), { signal: stop.signal, ms: 60_000 });
  second.catch(() => undefined);
  await begun();
  stop.abort(new Error('stopped'));
  comeBack();
  await expect(first).resolves.toBeUndefined();
  await expect(second).rejects.toMatchObject({ code: 'ABORT_ERR', cause: { message: 'stopped' } });
  expect([made, calls.hangs]).toEqual([0, false]);
});

it('does not wait long for one that hangs when the run is stopped', async () => {
  const calls = new FolderCalls();
  const stop = new AbortController();
  const first = calls.call(hanging().work, { signal: stop.signal, ms: 60_000 });
  await begun();
  stop.abort();
  await expect(first).rejects.toMatchObject({ code: 'ABORT_ERR' });
  expect(calls.hangs).toBe(true);
});
