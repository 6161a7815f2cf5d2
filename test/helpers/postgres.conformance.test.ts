import { expect, it } from 'vitest';
import { openStorage } from '../../service/storage/open.ts';
import { createEngineDatabase, engine } from './postgres.ts';

it('gives each caller a new database on the engine of its project', async () => {
  const [one, two] = await Promise.all([createEngineDatabase(), createEngineDatabase()]);
  expect(one).not.toBe(two);
  expect(one).toMatch(engine() === 'sqlite' ? /^sqlite:/ : /^postgres:/);
  const storage = await openStorage(one);
  await storage.close();
});
