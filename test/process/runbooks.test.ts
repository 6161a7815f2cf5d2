import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { openRunbook, type Shell } from '../helpers/runbook.ts';
import { callerOf, newToken } from './client.ts';
import { factory, factoryJson, newPlace, serve, type Place } from './service.ts';

/** Every command of a runbook is run, in an installation in the state that the runbook is for. */

interface Prepared {
  place: Place;
  shell: Shell;
  url: string;
  first: string;
  second: string;
}

/** A running service with two folders as destinations, whose jobs are started by hand alone. */
async function prepare(): Promise<Prepared> {
  const place = newPlace({ files: {} });
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  const [first, second] = [join(place.dir, 'first'), join(place.dir, 'second')];
  place.env['FACTORY_BACKUP_DESTINATIONS'] = [first, second].map((one) => pathToFileURL(one).href).join(' ');
  place.env['FACTORY_JOBS'] = 'off';
  const service = await serve(place);
  onTestFinished(async () => void (await service.stop()));
  const { answer } = await factoryJson<{ token: string }>(
    place,
    ...['token', 'create', '--name', 'monitor', '--role', 'operator'],
  );
  const env = { ...place.env, HOME: place.dir, FACTORY_URL: service.url, FACTORY_TOKEN: answer.token };
  return { place, shell: { dir: place.dir, env }, url: service.url, first, second };
}

const status = async (url: string) => (await fetch(`${url}/api/health/backups`)).status;

beforeAll(() => {
  const found = readdirSync(new URL('../../runbooks', import.meta.url));
  expect(found).toEqual(expect.arrayContaining(['backup-failed.md', 'backup-stale.md', 'drill-failed.md']));
});

it('backup-stale.md, where nothing was ever backed up', async () => {
  const { shell, url } = await prepare();
  const runbook = openRunbook('runbooks/backup-stale.md');
  expect(await status(url)).toBe(503);
  await runbook.run('Is the service there', shell);
  const [age] = await runbook.run('How old is what', shell);
  expect([age?.code, age?.stdout]).toEqual([22, expect.stringContaining('"ageSeconds":null')]);
  const [jobs] = await runbook.run('What did the jobs do', shell);
  expect(jobs?.stdout).toContain('FACTORY_JOBS=off');
  await runbook.run('Is there room, and is the machine well', shell);
  await runbook.run('Make one now', shell);
  expect(await status(url)).toBe(200);
  expect(runbook.unrun()).toEqual([]);
});

it('backup-failed.md, where a destination cannot be written, and another holds a damaged backup', async () => {
  const { shell, url, first, second, place } = await prepare();
  const runbook = openRunbook('runbooks/backup-failed.md');
  writeFileSync(second, 'a file where the folder was');
  const [, tried] = await runbook.run('What failed', shell);
  expect(`${tried?.stdout}${tried?.stderr}`).toContain(pathToFileURL(second).href);
  const told = (await (await fetch(`${url}/api/health/backups`)).json()) as {
    destinations: { number: number; state: string }[];
  };
  expect(told.destinations.map(({ number, state }) => `${number} ${state}`)).toEqual([
    '1 never',
    '2 failing',
  ]);
  await runbook.run('What the words mean', shell);
  await runbook.run('Look at what is there', shell);
  damage(first);
  const [read] = await runbook.run('Read everything again', shell);
  expect(read?.code).toBe(3);
  rmSync(second);
  await runbook.run('After the repair', shell);
  expect(await status(url)).toBe(200);
  expect(runbook.unrun()).toEqual([]);
  expect(readdirSync(join(place.dir, 'second')).length).toBeGreaterThan(0);
});

it('drill-failed.md, where a drill failed because the backups of both destinations are damaged', async () => {
  const { place, shell, url, first, second } = await prepare();
  const runbook = openRunbook('runbooks/drill-failed.md');
  expect((await factory(place, 'backup', '--full')).code).toBe(0);
  for (const destination of [first, second]) damage(destination);
  shell.env['URL'] = pathToFileURL(second).href;
  expect((await factory(place, 'drill')).code).toBe(1);
  expect((await factory(place, 'drill', '--from', shell.env['URL'])).code).toBe(1);
  const drills = async () => (await fetch(`${url}/api/health/drills`)).status;
  expect(await drills()).toBe(503);
  const [found, history] = await runbook.run('What did the drill find', shell);
  expect([found?.code, history?.stdout]).toEqual([22, expect.stringContaining('"status":"fail"')]);
  const [read] = await runbook.run('Is the backup what was written', shell);
  expect(read?.code).toBe(3);
  await runbook.run('Make a new full backup', shell);
  expect(await drills()).toBe(200);
  const { answer } = await factoryJson<{ checks: unknown }>(place, 'drill');
  expect(answer).toMatchObject({ outcome: 'pass' });
  const told = (await (await fetch(`${url}/api/health/backups`)).json()) as {
    destinations: { error: unknown }[];
  };
  expect(told.destinations.map(({ error }) => error)).not.toContain('drill-fail');
  // With a whole one there, the steps in between end well too.
  await runbook.run('Restore by hand', shell);
  await runbook.run('Open what was restored', shell);
  expect(runbook.unrun()).toEqual([]);
});

it('drill-failed.md and backup-failed.md, where an attachment is damaged', async () => {
  const { place, shell, url, second } = await prepare();
  const call = callerOf(() => url, (await newToken(place, 'owner')).token);
  const { body: session } = await call.post('/api/sessions', { title: 'With a file' });
  const headers = { 'content-type': 'application/octet-stream' };
  const init = { headers, body: 'a file' };
  const { body: file } = await call.send('POST', `/api/sessions/${session.id}/attachments`, init);
  const parts = [{ type: 'attachment', attachmentId: file.id }];
  expect((await call.post(`/api/sessions/${session.id}/messages`, { role: 'user', parts })).status).toBe(201);
  expect((await factory(place, 'backup', '--full')).code).toBe(0);
  damage(second, 'blobs/factory', '.sealed');
  shell.env['URL'] = pathToFileURL(second).href;
  expect((await factory(place, 'drill', '--from', shell.env['URL'])).code).toBe(1);
  const [read] = await openRunbook('runbooks/drill-failed.md').run('Is the backup what was written', shell);
  expect([read?.code, read?.stdout]).toEqual([
    3,
    expect.stringMatching(/damaged +blobs\/factory\/\w+\.sealed in /),
  ]);
  const repair = await openRunbook('runbooks/backup-failed.md').run('After the repair', shell);
  expect(repair[0]?.stdout).toMatch(/mended .*second: blobs\/factory\/\w+\.sealed was damaged/);
  expect(repair.map(({ code }) => code)).toEqual([0, 0]);
  await openRunbook('runbooks/drill-failed.md').run('Make a new full backup', shell);
  expect((await fetch(`${url}/api/health/drills`)).status).toBe(200);
  const all = await factoryJson<{ damaged: unknown[] }>(place, 'backups', 'verify', '--all');
  expect([all.code, all.answer.damaged]).toEqual([0, []]);
});

/** One byte of the newest database in a folder, or of another object there. */
function damage(destination: string, below = 'full/factory', end = '.sqlite.zst.age'): void {
  const folder = join(destination, below);
  const name = readdirSync(folder)
    .filter((one) => one.endsWith(end))
    .sort()
    .at(-1);
  const path = join(folder, name ?? '');
  const bytes = readFileSync(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  rmSync(path);
  writeFileSync(path, bytes);
}
