import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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
    expect((await factory(moved, ['doctor', '--json'], after)).exit).toBe(3);
  });

  it('refuses one of other items where the folder of before is gone', async () => {
    const { first, second, env } = await twoQueues();
    const backlog = join(first, 'work-items', 'backlog');
    const text = readFileSync(join(backlog, 'wi-START-1.md'), 'utf8');
    writeFileSync(join(backlog, 'wi-A-1.md'), text.replaceAll('wi-START-1', 'wi-A-1'));
    await start(first, env);
    const moved = `${first}-moved`;
    renameSync(first, moved);
    const after = { ...env, FACTORY_DATA_DIR: join(moved, 'data') };
    // Both hold the item that every queue begins with.
    const refused = await factory(second, ['serve', '--json'], after);
    expect(refused.exit).toBe(4);
    expect(refused.stdout).toContain('which is gone, and knows no record of this one');
    expect((await factory(second, ['doctor', '--json'], after)).exit).toBe(1);
    expect(await start(moved, after)).toBe(join(first, 'work-items'));
  });

  it('takes one without records where the folder of before is gone', async () => {
    const { first, second, env } = await twoQueues();
    for (const folder of ['backlog', 'prompts'])
      rmSync(join(second, 'work-items', folder), { recursive: true });
    const after = { ...env, FACTORY_DATA_DIR: join(`${first}-moved`, 'data') };
    renameSync(first, `${first}-moved`);
    expect(await start(second, after)).toBe(join(first, 'work-items'));
  });

  it('adopts only what is a queue', async () => {
    const { first, env } = await twoQueues();
    const folder = emptyFolder();
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, 'empty'));
    for (const [name, why] of [
      ['nowhere', 'does not exist'],
      ['file', 'is no folder'],
      ['empty', 'holds neither policy.yaml'],
    ] as const) {
      const dir = join(folder, name);
      const refused = await factory(folder, ['queue', 'adopt', '--json'], {
        ...env,
        FACTORY_WORK_ITEMS_DIR: dir,
      });
      expect(refused.exit).toBe(4);
      const { error } = refused.json<{ error: { code: string; message: string } }>();
      expect(error.code).toBe('not-a-queue');
      expect(error.message).toContain(`${dir} ${why}`);
    }
    expect(await start(first, env)).toBeNull();
  });

  it('says that a service that runs has to be restarted', async () => {
    const { first, second, env } = await twoQueues();
    const loaded = loadConfig(first, env);
    if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems));
    const service = await startService(loaded.config);
    const { url } = service.listening;
    const beside = { ...env, FACTORY_PORT: new URL(url).port };
    const adopted = await factory(second, ['queue', 'adopt'], beside);
    await service.close();
    expect(adopted.exit).toBe(0);
    expect(adopted.stderr).toContain(
      `The service at ${url} goes on with the folder that it was started with: restart it with FACTORY_WORK_ITEMS_DIR=${join(second, 'work-items')}.`,
    );
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
