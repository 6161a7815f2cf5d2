import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { rawSql } from '../storage/engine.ts';
import { factoryJson, newPlace, serve } from './service.ts';

const PATIENCE = { timeout: 60_000, interval: 250 };

it('a service goes on with the .env of its start, for its jobs as well, until it is started again', async () => {
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  delete place.env['FACTORY_JOBS'];
  const [first, second] = [join(place.dir, 'first'), join(place.dir, 'second')];
  const write = (folder: string, more = '') =>
    writeFileSync(
      join(place.dir, '.env'),
      `FACTORY_BACKUP_DESTINATIONS=${pathToFileURL(folder).href}\nFACTORY_BACKUP_DIFFERENTIAL_SECONDS=2\n${more}`,
    );
  const runs = async (job: string) =>
    (
      await rawSql(
        `sqlite:${join(place.data, 'factory.db')}`,
        `select outcome from job_runs where job = '${job}'`,
      )
    ).map(({ outcome }) => outcome);
  write(first);
  const service = await serve(place);
  onTestFinished(async () => void (await service.stop()));
  // Half written, as an editor leaves it: nothing that runs reads it.
  write(second, 'FACTORY_NO_SUCH_SETTING=1\n');
  await expect.poll(() => runs('backup'), PATIENCE).toEqual(['ok']);
  await expect.poll(() => runs('verify'), PATIENCE).toContain('ok');
  expect([existsSync(first), existsSync(second)]).toEqual([true, false]);
  await service.stop();
  write(second);
  const { answer } = await factoryJson<{ destinations: { url: string }[] }>(place, 'backup');
  expect(answer.destinations.map(({ url }) => url)).toEqual([pathToFileURL(second).href]);
});
