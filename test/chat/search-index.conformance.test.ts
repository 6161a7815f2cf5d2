import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { SearchPage } from '../../service/chat/search/search.ts';
import { manualClock } from '../../service/clock.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';

/** The index over stops and starts of the service: it is where the database is, whatever became of its file. */

let folder: string;
let databaseUrl: string | undefined;
let service: TestService;

/** Retention is by the day. */
const clock = manualClock('2026-01-10T08:00:00.000Z');

const start = (): Promise<TestService> =>
  startService({
    ...{ engine: inject('engine'), clock },
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    env: { FACTORY_DATA_DIR: join(folder, 'data') },
  });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'factory-search-'));
  databaseUrl = inject('engine') === 'postgres' ? await createDatabase() : undefined;
  service = await start();
});
afterEach(async () => {
  await service.close();
  rmSync(folder, { recursive: true, force: true });
});

const { call, begin, say } = clientOf(() => service);
const index = (): string => join(folder, 'data', 'search', 'index.db');
const kept = (): string => join(folder, 'kept.db');

const ask = async (q: string) =>
  (await call<SearchPage>('GET', `/api/search?q=${encodeURIComponent(q)}`)).body;

async function found(q: string): Promise<string[]> {
  // What was just begun is not complete at once.
  for (;;) {
    const { complete, results } = await ask(q);
    if (complete) return results.map(({ sessionId, messageId }) => messageId ?? sessionId);
  }
}

/** Stops it, has something happen to the file, starts it again. */
async function meanwhile(happens: () => void): Promise<void> {
  await service.close();
  happens();
  service = await start();
}

/** As a kill leaves it: the database has what the index has not. */
async function behind(work: () => Promise<unknown>): Promise<void> {
  await meanwhile(() => cpSync(index(), kept()));
  await work();
  await meanwhile(() => cpSync(kept(), index()));
}

describe('the search index', () => {
  it('catches up with what was written, deleted and taken away while it was behind', async () => {
    const [one, other] = [await begin(), await begin()];
    for (const text of ['ibex stays', 'ibex goes']) await say(one.id, text);
    await say(other.id, 'ibex goes as well');
    expect(await found('goes')).toHaveLength(2);
    await behind(async () => {
      await say(one.id, 'ibex comes');
      await call('DELETE', `/api/sessions/${one.id}/messages/${one.id}.2`);
      await call('DELETE', `/api/sessions/${other.id}`);
    });
    expect(readFileSync(kept()).includes('goes')).toBe(true);
    expect(await found('ibex')).toEqual([`${one.id}.3`, `${one.id}.1`]);
    await meanwhile(() => undefined);
    expect(readFileSync(index()).includes('goes')).toBe(false);
  });

  it('is made anew where it is missing, damaged, of something else or of another shape', async () => {
    const { id } = await begin();
    await say(id, 'oryx');
    for (const happens of [
      () => rmSync(join(folder, 'data', 'search'), { recursive: true }),
      () => writeFileSync(index(), 'no database at all, but some text'),
      () => writeFileSync(index(), readFileSync(index()).fill(0xa5, 100)),
      () => writeFileSync(index(), readFileSync(index()).fill(0xa5, 8192)),
      () => writeFileSync(index(), replaced(readFileSync(index()), '3 unicode', '2 unicode')),
    ]) {
      await meanwhile(happens);
      expect(await found('oryx')).toEqual([`${id}.1`]);
    }
  });

  it('is made anew where the database was put back, or is another one', async () => {
    const { id } = await begin();
    await say(id, 'addax');
    await meanwhile(() => cpSync(index(), kept()));
    const { leaf } = JSON.parse(
      /\{"seq":\d+,"leaf":"[0-9a-f]{64}"\}/.exec(readFileSync(kept()).toString('latin1'))![0],
    ) as { leaf: string };
    // What the log says at this place is something else.
    await meanwhile(() => {
      const other = replaced(readFileSync(kept()), leaf, 'f'.repeat(64));
      writeFileSync(index(), replaced(other, 'addax', 'wrong'));
    });
    expect(await found('wrong')).toEqual([]);
    expect(await found('addax')).toEqual([`${id}.1`]);
  });

  it('is made anew after a port, for the engine that the database has now', async () => {
    const { id } = await begin();
    await say(id, 'addax');
    const other = inject('engine') === 'sqlite' ? 'postgres' : 'sqlite';
    await meanwhile(() => {
      const file = new Database(index());
      expect(file.prepare("update about set value = ? where key = 'engine'").run(other).changes).toBe(1);
      for (const { shard } of file.prepare('select shard from shards').all() as { shard: number }[])
        file.exec(`drop table words_${shard}`);
      file.exec('delete from shards; delete from docs');
      file.close();
    });
    expect(await found('addax')).toEqual([`${id}.1`]);
  });

  it('takes up again a making that was stopped', async () => {
    const { id } = await begin();
    for (let n = 0; n < 30; n += 1) await say(id, `kudu ${n}`);
    for (let n = 0; n < 3; n += 1) {
      await call('POST', '/api/search/index/rebuild');
      await meanwhile(() => undefined);
    }
    expect(await found('kudu')).toHaveLength(20);
    const state = await call('GET', '/api/search/index');
    expect(state.body).toEqual({ complete: true, indexed: 30, messages: 30 });
  });

  it('says in the health that it cannot be kept, and is there again by itself', async () => {
    const { id } = await begin();
    await say(id, 'nilgai');
    const health = async () =>
      (await call<{ status: string; checks: Record<string, { status: string }> }>('GET', '/api/health')).body;
    await meanwhile(() => {
      rmSync(join(folder, 'data', 'search'), { recursive: true });
      writeFileSync(join(folder, 'data', 'search'), 'no folder');
    });
    const verdict = async () => (await health()).checks.search!.status;
    await expect.poll(verdict, { timeout: 15_000 }).toBe('degraded');
    rmSync(join(folder, 'data', 'search'));
    await expect.poll(verdict, { timeout: 15_000 }).toBe('ok');
    expect(await found('nilgai')).toEqual([`${id}.1`]);
  });

  it('takes in what another process wrote', async () => {
    const { id } = await begin();
    await say(id, 'saiga');
    const second = await start();
    try {
      const other = clientOf(() => second);
      await other.say(id, 'saiga from elsewhere', undefined, service.owner);
    } finally {
      await second.close();
    }
    expect(await found('saiga')).toEqual([`${id}.2`, `${id}.1`]);
  });

  it('forgets what is in the bin, and has it again when it is taken back', async () => {
    const { id } = await begin({ class: 'short' });
    const output = { type: 'tool-result', toolCallId: 'c', name: 'run', output: 'gazelle in the output' };
    await say(id, 'gazelle in the text');
    await call('POST', `/api/sessions/${id}/messages`, { role: 'tool', parts: [output] });
    const { body } = await call<{ general: object; classes: { general: { retention: object } } }>(
      'GET',
      '/api/governance/policies',
    );
    const { general } = body.classes;
    const retention = { ...general.retention, toolOutput: { days: 1, binDays: 14 } };
    const classes = { general, short: { ...general, retention } };
    expect((await call('PUT', '/api/governance/policies', { general: body.general, classes })).status).toBe(
      200,
    );
    clock.advance(2 * 86_400_000);
    const plan = (await call<{ id: string; digest: string }>('POST', '/api/governance/retention-plans')).body;
    const of = `/api/governance/retention-plans/${plan.id}`;
    expect((await call('POST', `${of}/apply`, { digest: plan.digest })).status).toBeLessThan(300);
    expect(await found('gazelle')).toEqual([`${id}.1`]);
    expect((await call('POST', `${of}/undo`)).status).toBeLessThan(300);
    expect(await found('gazelle')).toEqual([`${id}.2`, `${id}.1`]);
  });
});

/** Every place; of the same length. */
function replaced(bytes: Buffer, from: string, to: string): Buffer {
  const copy = Buffer.from(bytes);
  for (let at = copy.indexOf(from); at >= 0; at = copy.indexOf(from, at + 1)) copy.write(to, at);
  return copy;
}
