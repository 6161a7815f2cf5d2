import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { newPlace } from './service.ts';
import {
  factory,
  factoryJson,
  temporary,
  invite,
  names,
  installation,
  startOnce,
  inPlace,
} from './in-place.ts';
import type { Failed } from './in-place.ts';

/** A host whose database was put back on another machine, and that comes back. */

describe('a machine that was replaced', () => {
  it('refuses to send and to start, and what it sent counts nowhere', async () => {
    const shared = temporary(newPlace());
    const url = pathToFileURL(join(shared.dir, 'bucket')).href;
    const old = await installation({ FACTORY_BACKUP_DESTINATIONS: url });
    // The new machine has the keyring and takes over from the bucket.
    const next = temporary(newPlace({ env: { FACTORY_BACKUP_DESTINATIONS: url } }));
    mkdirSync(next.data, { recursive: true });
    cpSync(join(old.data, 'keyring'), join(next.data, 'keyring'), { recursive: true });
    expect((await inPlace(next)).answer).toMatchObject({ epoch: 1, before: null });
    expect(await names(next)).toEqual(['A']);
    // As if the bucket had been away then. Before anybody knows, the old one sends once more; then the new one does.
    const folder = join(shared.dir, 'bucket/full/factory');
    const marks = readdirSync(folder).filter((name) => name.startsWith('epoch-000001-'));
    expect(marks).toHaveLength(1);
    rmSync(join(folder, marks[0] ?? ''));
    expect((await factory(old, 'backup', '--full')).code).toBe(0);
    await invite(next, 'C');
    expect((await factory(next, 'backup')).code).toBe(0);
    const listed = await factoryJson<{ backups: { sequence: number }[]; problems: { code: string }[] }>(
      next,
      'backups',
      'list',
    );
    expect(listed.answer.problems.map(({ code }) => code)).toEqual(['backup-fenced']);
    expect(listed.answer.backups).toHaveLength(2);

    const refused = await factoryJson<Failed>(old, 'backup', '--full');
    expect([refused.code, refused.answer.error.code]).toEqual([4, 'epoch-fenced']);
    await expect(startOnce(old)).rejects.toMatchObject({ code: 'epoch-fenced' });
    // It may become the one that counts again, from what the other one made.
    expect((await inPlace(old)).answer.epoch).toBe(2);
    expect(await names(old)).toEqual(['A', 'C']);
    expect((await startOnce(old)).status).toBe('degraded');
  });
});

describe('a machine that was replaced while it was off', () => {
  it.each(['on', 'off'])('does not start when it comes back, with jobs %s', async (jobs) => {
    const shared = temporary(newPlace());
    const env = { FACTORY_BACKUP_DESTINATIONS: pathToFileURL(join(shared.dir, 'bucket')).href };
    const old = await installation(env);
    old.env['FACTORY_JOBS'] = jobs;
    const next = temporary(newPlace({ env }));
    mkdirSync(next.data, { recursive: true });
    cpSync(join(old.data, 'keyring'), join(next.data, 'keyring'), { recursive: true });
    expect((await inPlace(next)).answer).toMatchObject({ epoch: 1 });
    // It has made no backup since, and the new one none at all.
    const started = await factory(old, 'serve');
    expect([started.code, started.stderr]).toEqual([4, expect.stringContaining('bucket')]);
    expect(started.stderr).toContain('restore --in-place --plan');
    expect((await factory(old, 'doctor')).stdout).toMatch(/fail +epoch +Another machine took over/);
    expect((await startOnce(next)).status).toBe('degraded');
  });
});
