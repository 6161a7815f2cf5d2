import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../service/config-load.ts';
import { startService } from '../../service/main.ts';
import { emptyFolder, factory } from './cli.ts';

const QUIET = { FACTORY_PORT: '0', FACTORY_LOG_LEVEL: 'silent' };

/** Starts the service until it has read its folder; how many items it then has, and which folder it left. */
async function start(cwd: string, env: Record<string, string>) {
  const loaded = loadConfig(cwd, { ...QUIET, ...env });
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems));
  const service = await startService(loaded.config);
  await service.queueRead;
  const { movedFrom } = service;
  await service.close();
  return movedFrom;
}

/** Two repositories with a queue each; the first one's database. */
async function twoQueues() {
  const folder = emptyFolder();
  const [first, second] = [join(folder, 'first'), join(folder, 'second')];
  for (const repository of [first, second]) {
    mkdirSync(repository);
    await factory(repository, ['init']);
  }
  const env = { ...QUIET, FACTORY_DATA_DIR: join(first, 'data') };
  expect(await start(first, env)).toBeNull();
  return { first, second, env };
}

describe('a database that was filled from another queue folder', () => {
  it('is not started on, until somebody says that it is the same queue', async () => {
    const { first, second, env } = await twoQueues();
    const refused = await factory(second, ['serve', '--json'], env);
    expect(refused.exit).toBe(4);
    const { error } = refused.json<{ error: { code: string; message: string; hint: string } }>();
    expect(error.code).toBe('queue-foreign');
    for (const dir of [first, second]) expect(error.message).toContain(join(dir, 'work-items'));
    expect(error.hint).toContain(`FACTORY_DATA_DIR=${join(second, 'data')}`);
    expect(error.hint).toContain('queue adopt');

    const { checks } = (await factory(second, ['doctor', '--json'], env)).json<{
      checks: { name: string }[];
    }>();
    expect(checks.find(({ name }) => name === 'work items')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining(join(first, 'work-items')),
      hint: error.hint,
    });
    expect(await start(first, env)).toBeNull();

    const adopted = await factory(second, ['queue', 'adopt', '--json'], env);
    expect(adopted.json()).toEqual({
      dir: join(second, 'work-items'),
      before: join(first, 'work-items'),
    });
    expect(await start(second, env)).toBeNull();
    expect((await factory(first, ['serve', '--json'], env)).exit).toBe(4);
    expect((await factory(second, ['verify-audit'], env)).exit).toBe(0);
    const log = await factory(second, ['audit', 'export'], env);
    expect(log.exit).toBe(0);
  });

  it('follows it where the folder of before is gone, and says so', async () => {
    const { first, env } = await twoQueues();
    const moved = `${first}-moved`;
    renameSync(first, moved);
    const after = { ...env, FACTORY_DATA_DIR: join(moved, 'data') };
    expect(await start(moved, after)).toBe(join(first, 'work-items'));
    expect(await start(moved, after)).toBeNull();
    expect((await factory(moved, ['doctor', '--json'], after)).exit).toBe(0);
  });

  it('is anybody’s before it was filled', async () => {
    const folder = emptyFolder();
    const env = { FACTORY_DATA_DIR: join(folder, 'data') };
    await factory(folder, ['login-link'], env);
    expect(await start(folder, env)).toBeNull();
    const other = emptyFolder();
    await factory(other, ['init']);
    expect(await start(other, env)).toBeNull();
  });
});
