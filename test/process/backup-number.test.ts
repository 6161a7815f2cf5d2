import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FactoryError } from '../../service/errors.ts';
import type { Destination } from '../../scripts/lib/destinations/destination.ts';
import { folderAt, newApp, transfersIn } from './backup-app.ts';
import type { App } from './backup-app.ts';

/** A newer backup never gets a lower number than an older one, whatever this machine has forgotten. */

const away = (destination: Destination): Destination => ({
  ...destination,
  list: () =>
    Promise.reject(
      new FactoryError({ code: 'destination-failed', op: 'list', message: 'It is away.', hint: 'Wait.' }),
    ),
});
const slow = (destination: Destination): Destination => ({
  ...destination,
  list: async (...asked) => {
    await sleep(5_200);
    return destination.list(...asked);
  },
});

const state = (app: App): string => join(app.dir, 'state', 'state.json');
const remembered = (app: App): number => {
  try {
    return (JSON.parse(readFileSync(state(app), 'utf8')) as { sequence: number }).sequence;
  } catch {
    return 0;
  }
};
const forget = (app: App): void => rmSync(join(app.dir, 'state'), { recursive: true });

/** Three backups in the first destination. */
async function begun(): Promise<{ app: App; first: Destination; second: Destination }> {
  const app = newApp();
  for (let n = 0; n < 3; n += 1) {
    app.transfer();
    await app.backup({ full: true });
  }
  return { app, first: app.destination, second: folderAt(join(app.dir, 'second')) };
}

async function newestIs(app: App, transfers: number, destination = app.destination): Promise<void> {
  expect(transfersIn(await app.restore('newest', { destination }))).toBe(transfers);
}

describe('where what was remembered is lost', () => {
  it('and no destination answers, the number of that run is not known in the next one', async () => {
    const { app, first } = await begun();
    forget(app);
    app.transfer();
    const made = await app.backup({ destinations: [away(first)] });
    expect([made.destinations[0]?.status, remembered(app)]).toEqual(['failed', 0]);
    expect((await app.backup()).sequence).toBe(4);
    await newestIs(app, 4);
  });

  it('and one of two destinations is away, the next run that reaches it is above all that it has', async () => {
    const { app, first, second } = await begun();
    forget(app);
    app.transfer();
    // What the other one has is not known: this one comes after all of it, also before the next run.
    expect((await app.backup({ destinations: [away(first), second] })).sequence).toBe(1001);
    app.transfer();
    const made = await app.backup({ destinations: [first, second] });
    expect([made.sequence, made.destinations.map(({ status }) => status)]).toEqual([1002, ['ok', 'ok']]);
    await newestIs(app, 5);
    await newestIs(app, 5, second);
  });

  it('or cannot be read, or is of an older copy of the folder, the destinations say what is next', async () => {
    const { app } = await begun();
    const old = readFileSync(state(app), 'utf8').replace('"sequence":3', '"sequence":1');
    for (const [n, text] of ['{"seq', old].entries()) {
      writeFileSync(state(app), text);
      app.transfer();
      expect((await app.backup()).sequence).toBe(4 + n);
      await newestIs(app, 4 + n);
    }
  });

  it('and a destination answers late, it gets nothing numbered below what it has, and the next run sends', async () => {
    const { app, first, second } = await begun();
    // Of an older copy of the folder: nothing at all would leave room for what is not known.
    writeFileSync(state(app), readFileSync(state(app), 'utf8').replace('"sequence":3', '"sequence":1'));
    app.transfer();
    const made = await app.backup({ destinations: [slow(first), second] });
    expect(made.destinations.map(({ status, error }) => [status, error?.code])).toEqual([
      ['failed', 'destination-late'],
      ['ok', undefined],
    ]);
    expect(made.destinations[0]?.error?.message).toContain('number 3');
    // Late again: what it said is remembered.
    const next = await app.backup({ destinations: [slow(first), second], full: true });
    expect([next.sequence, next.destinations.map(({ status }) => status)]).toEqual([4, ['ok', 'ok']]);
    await newestIs(app, 4);
  }, 30_000);

  it('and a destination lists names, but does not give what they name, it gets nothing', async () => {
    const { app, first, second } = await begun();
    forget(app);
    app.transfer();
    const unread = {
      ...first,
      get: () =>
        Promise.reject(
          new FactoryError({ code: 'destination-failed', op: 'get', message: 'It is away.', hint: 'Wait.' }),
        ),
    };
    const made = await app.backup({ destinations: [unread, second] });
    expect(made.destinations.map(({ status }) => status)).toEqual(['failed', 'ok']);
    expect((await app.backup({ destinations: [first, second], full: true })).sequence).toBe(1002);
    await newestIs(app, 4);
  });
});
