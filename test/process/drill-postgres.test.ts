import { cpSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Evidence } from '../../service/jobs/evidence.ts';
import { databaseName, overSocket } from '../../service/storage/postgres-databases.ts';
import { findPostgres, startPostgres } from '../helpers/postgres-server.ts';
import { createDatabase, scratches, scratchesThatStay, serverUrl } from '../helpers/postgres.ts';
import { eventually } from './client.ts';
import { factory, factoryJson, launch, newPlace, serve } from './service.ts';
import { itemFiles } from './queue.ts';
import type { Place } from './service.ts';

/** Drills of Postgres backups, as they are typed; one installation serves all. */

interface Drill {
  outcome: string;
  rpoSeconds: number | null;
  rtoSeconds: number | null;
  checks: { name: string; status: string; detail: string }[];
  canary: { name: string; caught: boolean }[] | null;
  evidence: Evidence;
}

let place: Place;
beforeAll(async () => {
  place = newPlace({
    databaseUrl: await createDatabase(),
    files: { ...itemFiles('wi-D-1', 'ready'), ...itemFiles('wi-D-2', 'backlog') },
  });
  const service = await serve(place);
  await service.stop();
  expect((await factory(place, 'backup')).code).toBe(0);
});
afterAll(() => rmSync(place.dir, { recursive: true, force: true }));

const drill = (at: Place, ...args: string[]) => factoryJson<Drill>(at, 'drill', ...args);
const failed = ({ checks }: Drill) =>
  checks.filter(({ status }) => status === 'fail').map(({ name }) => name);
const boot = ({ checks }: Drill) => checks.find(({ name }) => name === 'boot')?.detail;
const from = (at: Place): string => pathToFileURL(join(at.data, 'backups')).href;

function processesIn(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
      } catch {
        // It is gone, or another user's.
        return false;
      }
    });
}

/** A drill host: the key and the backups, and no database. */
function host(): Place {
  const other = newPlace();
  cpSync(join(place.data, 'backups'), join(other.data, 'backups'), { recursive: true });
  const identity = join(other.dir, 'drill.key');
  cpSync(join(place.data, 'keyring', 'backup-drill.key'), identity);
  return { ...other, env: { ...other.env, FACTORY_BACKUP_IDENTITY_FILE: identity } };
}

describe('a drill of a Postgres backup', () => {
  it('passes with no other configuration, finds what is wrong on purpose, and leaves nothing', async () => {
    const { code, answer } = await drill(place);
    expect(failed(answer), JSON.stringify(answer.checks, null, 1)).toEqual([]);
    expect({ code, outcome: answer.outcome }).toEqual({ code: 0, outcome: 'pass' });
    const details = new Map(answer.checks.map(({ name, detail }) => [name, detail]));
    expect([...details.keys()].filter((name) => name.startsWith('read: '))).toHaveLength(11);
    expect(details.get('read: items')).toBe('2 of 2 items.');
    expect(details.get('fresh')).toContain('93600 s may be');
    expect(answer.canary).toEqual(
      ['corrupt', 'stale', 'empty', 'newer schema'].map((name) =>
        expect.objectContaining({ name, caught: true }),
      ),
    );
    expect(await scratchesThatStay()).toEqual([]);
    expect(readdirSync(join(place.data, 'drills')).filter((name) => name.startsWith('work-'))).toEqual([]);
    expect((await factory(place, 'verify-audit')).code).toBe(0);
  });

  it('reaches its database over the socket of the server where it has no network', async () => {
    const url = await createDatabase();
    const way = (await overSocket(url)) ?? '';
    expect(way).toMatch(/^postgres:\/\/postgres@%2F/);
    expect(await overSocket(way)).toBe(way);
    expect(databaseName(way)).toBe(databaseName(url));
    const { answer } = await drill(place);
    // This server has a socket; whether the system gives a network of its own is the system's affair.
    if (answer.evidence.network === 'enforced') expect(boot(answer)).toContain('no network but its own');
    else expect(boot(answer)).toContain('this system gives no network of its own');
  });

  it('passes on a server that only the network leads to, and says that nothing enforces the rest', async () => {
    const server = await startPostgres(findPostgres() ?? '', { socket: false });
    onTestFinished(() => server.stop());
    expect(await overSocket(server.url)).toBeNull();
    const { code, answer } = await drill(place, '--server', server.url);
    expect(failed(answer), JSON.stringify(answer.checks, null, 1)).toEqual([]);
    expect([code, answer.outcome, answer.evidence.network]).toEqual([0, 'pass', 'configured']);
    expect(boot(answer)).toContain('configured, not enforced: its database is reached by the network.');
  });

  it('passes where the system gives no network of its own, and says so', async () => {
    const programs = join(place.dir, 'programs');
    mkdirSync(programs);
    writeFileSync(join(programs, 'unshare'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    const env = { ...place.env, PATH: `${programs}:${process.env['PATH']}` };
    const { code, answer } = await drill({ ...place, env });
    expect([code, answer.outcome, answer.evidence.network]).toEqual([0, 'pass', 'configured']);
    expect(boot(answer)).toContain('configured, not enforced: this system gives no network of its own.');
  });

  it('fails where the data is damaged, before the server sees it', async () => {
    const copy = host();
    const folder = join(copy.data, 'backups', 'full', 'factory');
    const path = join(folder, readdirSync(folder).find((name) => name.endsWith('.pgdump.zst.age')) ?? '');
    const bytes = readFileSync(path);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const { code, answer } = await drill(copy, '--from', from(copy), '--server', await serverUrl());
    expect({ code, failed: failed(answer) }).toEqual({ code: 1, failed: ['restore'] });
    rmSync(copy.dir, { recursive: true, force: true });
  });

  it('says nothing of the backup where no server takes it', async () => {
    const copy = host();
    for (const [args, why] of [
      [[], 'drill-server-missing'],
      [['--server', 'postgres://nobody@127.0.0.1:9/postgres'], 'database-unreachable'],
    ] as const) {
      const { code, answer } = await drill(copy, '--from', from(copy), ...args);
      expect({ code, outcome: answer.outcome }).toEqual({ code: 3, outcome: 'inconclusive' });
      expect(answer.checks.findLast(({ name }) => name === 'restore')?.detail).toContain(why);
    }
    rmSync(copy.dir, { recursive: true, force: true });
  });

  it('killed in the middle leaves no process, and the next one drops its database', async () => {
    const before = await scratches();
    const child = launch(place, ['drill', '--json']);
    const ended = new Promise((resolve) => child.once('close', resolve));
    const made = async () => (await scratches()).filter((name) => !before.includes(name));
    await eventually(
      async () => [(await made()).length, processesIn(place.dir).length] as const,
      // The drill, and what it has started on its copy.
      ([databases, processes]) => databases > 0 && processes > 1,
      40_000,
    );
    const left = await made();
    child.kill('SIGKILL');
    await ended;
    await eventually(
      async () => processesIn(place.dir),
      (running) => running.length === 0,
    );
    expect((await drill(place)).answer.outcome).toBe('pass');
    expect(await scratchesThatStay(left)).toEqual([]);
    expect(readdirSync(join(place.data, 'drills')).filter((one) => one.startsWith('work-'))).toEqual([]);
  });
});
