import {
  appendFileSync,
  chownSync,
  existsSync,
  fsyncSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseEnv } from 'node:util';
import { makeFolder } from '../../../../service/folders.ts';
import { readHistory } from '../../../../service/jobs/deploy-history.ts';
import type { DatabasePlan, DeployHost, HostFacts, Installed, Migrated } from '../types.ts';
import { askSocket } from './ask.ts';
import type { Layout } from './layout.ts';
import { pointsTo, pointTo, writeBeside } from './links.ts';
import { lockFile } from './lock-file.ts';
import { manifestIn, sweep, unpackFrom } from './store.ts';
import type { Supervisor } from './supervisor.ts';

/** A host as folders, links and sockets, with slots that somebody supervises. Runs on the host itself. */

/** Copies of the database from before migrations: so many stay. */
const SNAPSHOTS = 3;

export function folderHost(layout: Layout, supervisor: Supervisor): DeployHost {
  const now = Date.now;
  const lock = lockFile(layout.lock, now);
  const liveNow = (): string | null =>
    pointsTo(layout.live)?.replace(/\.sock$/, '') ?? pointsTo(layout.current);

  return {
    now,
    sleep: async (ms) => void (await sleep(ms)),
    ...{ claim: lock.claim, renew: lock.renew, release: lock.release },
    async facts() {
      const { bavail, bsize } = await statfs(existsSync(layout.base) ? layout.base : '/');
      return {
        ...{ environment: environmentOf(layout), freeBytes: bavail * bsize, live: liveNow() },
        ...{ previous: pointsTo(layout.previous), deployer: pointsTo(layout.deployer) },
        ...{ installed: installedIn(layout), running: await supervisor.running() },
      } satisfies HostFacts;
    },
    async unpack(manifest) {
      unpackFrom(layout.store, layout.release(manifest.release), manifest);
      const path = layout.variables(manifest.release);
      if (!existsSync(path)) writeBeside(path, variablesOf(layout, manifest.release), 0o644);
    },
    database: async (release) =>
      JSON.parse(await supervisor.command(release, ['migrate', '--plan', '--json'])) as DatabasePlan,
    async migrate(release) {
      const copy = join(layout.snapshots, `${release}.db`);
      const said = await supervisor.command(release, ['migrate', '--copy', copy, '--json']);
      return JSON.parse(said) as Migrated;
    },
    start: supervisor.start,
    stop: supervisor.stop,
    ended: supervisor.ended,
    ask: (release, path, timeoutMs) =>
      askSocket(release === null ? layout.live : layout.socket(release), {
        path,
        host: 'localhost',
        timeoutMs,
      }),
    async switchTo(release, { token, previous }) {
      await lock.whileHeld(token, release, () => {
        if (previous !== null) pointTo(layout.previous, join('releases', previous));
        // From here on all new requests come to it.
        pointTo(layout.live, `${release}.sock`);
        pointTo(layout.current, join('releases', release));
        if (previous === null) rmSync(layout.previous, { force: true });
      });
      await supervisor.startsWithHost(release);
    },
    moveDeployer: async (release) => pointTo(layout.deployer, join('releases', release)),
    async remove(releases) {
      for (const release of releases) removeRelease(layout, release);
      pruneSnapshots(layout);
      return sweep(layout.store, now());
    },
    history: async () =>
      existsSync(layout.history) ? readHistory(readFileSync(layout.history, 'utf8')) : [],
    record: async (entry) => append(layout, `${JSON.stringify(entry)}\n`),
  };
}

function environmentOf({ configuration, base }: Layout): string | null {
  const path = join(configuration, 'environment');
  if (!existsSync(path) || !existsSync(base)) return null;
  return parseEnv(readFileSync(path, 'utf8'))['FACTORY_ENV'] ?? 'development';
}

function installedIn({ releases, release }: Layout): Installed[] {
  if (!existsSync(releases)) return [];
  return readdirSync(releases, { withFileTypes: true }).flatMap((entry) => {
    if (!entry.isDirectory() || /\.(partial|gone)$/.test(entry.name)) return [];
    const manifest = manifestIn(release(entry.name));
    if (manifest === null) return [];
    const { schema, minReader } = manifest;
    return [{ release: entry.name, schema, minReader, at: statSync(release(entry.name)).mtimeMs }];
  });
}

/** Written once: a later deployer's names could be unknown to an older release. */
function variablesOf(layout: Layout, release: string): string {
  return [
    `FACTORY_RELEASE=${release}`,
    `FACTORY_SOCKET=${layout.socket(release)}`,
    `FACTORY_DEPLOY_LOG=${layout.history}`,
    '',
  ].join('\n');
}

/** Renamed first: half a release never has a release's name. */
function removeRelease(layout: Layout, release: string): void {
  const gone = `${layout.release(release)}.gone`;
  rmSync(gone, { recursive: true, force: true });
  renameSync(layout.release(release), gone);
  rmSync(gone, { recursive: true, force: true });
  rmSync(layout.variables(release), { force: true });
  rmSync(layout.socket(release), { force: true });
}

function pruneSnapshots({ snapshots }: Layout): void {
  if (!existsSync(snapshots)) return;
  const all = readdirSync(snapshots).map((name) => join(snapshots, name));
  const newest = all.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const path of newest.slice(SNAPSHOTS)) rmSync(path, { force: true });
}

/** One write a line, on the disk before anything else happens; the service reads it, and belongs to the folder's group. */
function append({ history, base }: Layout, line: string): void {
  makeFolder(base);
  const isNew = !existsSync(history);
  const handle = openSync(history, 'a', 0o640);
  try {
    appendFileSync(handle, line);
    fsyncSync(handle);
    if (isNew && process.getuid?.() === 0) chownSync(history, 0, statSync(base).gid);
  } finally {
    closeSync(handle);
  }
}
