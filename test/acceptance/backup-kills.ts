import { openAppScene } from './app-scene.ts';
import type { Attempt, Scene } from './backup-scene.ts';
import { bucketStore, folderStore } from './backup-store.ts';
import type { Store } from './backup-store.ts';
import type { Cut } from './cut.ts';
import type { Outcome, Run } from './lab.ts';
import { openOwnScene } from './own-scene.ts';
import type { Random } from './random.ts';
import type { Place } from '../process/service.ts';

/**
 * kill -9, and errors of the bucket, at points that are spread over the whole life of `backup`, `backups prune --apply`,
 * `restore`, `restore --in-place` and `restore --undo`, for several seeds. After each: all that is listed restores, a target
 * is whole or not there, a database is the old one or the new one, and the next run needs no hand.
 */

const POINTS = 50;
type Open = (run: Run) => Promise<Scene>;
const inFolder = async (place: Place): Promise<Store> => folderStore(place);

/** Another application's database is a file; the product's own is on either engine. */
const SCENES: Record<Run['engine'], Open[]> = {
  sqlite: [
    (run) => openAppScene(run, inFolder),
    (run) => openOwnScene(run, bucketStore),
    (run) => openAppScene(run, bucketStore),
    (run) => openOwnScene(run, inFolder),
  ],
  postgres: [(run) => openOwnScene(run, bucketStore), (run) => openOwnScene(run, inFolder)],
};

/** `count` points, up to fifty for each seed, the scenes in turn; two seeds at a time, for two cores. */
export async function backupKills(run: Run): Promise<Outcome> {
  const { count, random, say } = run;
  const scenes = SCENES[run.engine];
  const outcome: Outcome = { failures: [], figures: { points: 0, kills: 0, errors: 0, midway: 0 } };
  const number = Math.max(Math.ceil(count / POINTS), Math.min(scenes.length, count));
  const seeds = Array.from({ length: number }, (_, seed) => seed);
  const worker = async (): Promise<void> => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      const points = Math.floor(count / number) + (seed < count % number ? 1 : 0);
      const of = random.fork(`seed ${seed}`);
      const scene = await scenes[seed % scenes.length]!(run);
      try {
        await strikeAll({ scene, random: of, outcome, takes: new Map() }, points);
      } finally {
        await scene.close();
      }
      say(
        `seed ${seed}, ${scene.name}: ${outcome.figures.points} points, ${outcome.failures.length} failures`,
      );
    }
  };
  await Promise.all([worker(), worker()]);
  return outcome;
}

interface State {
  scene: Scene;
  random: Random;
  outcome: Outcome;
  /** Of each kind when it is left alone. */
  takes: Map<string, { ms: number; calls: number }>;
}

async function strikeAll(state: State, points: number): Promise<void> {
  const { scene, outcome } = state;
  const tell = (what: string, found: readonly string[]): void =>
    void outcome.failures.push(...found.map((failure) => `${scene.name}: ${what}: ${failure}`));
  for (const kind of scene.kinds) {
    const attempt = await scene.prepare(kind);
    const [calls, started] = [scene.store.calls(), performance.now()];
    const { exit } = await scene.spawn(attempt.args);
    state.takes.set(kind, { ms: performance.now() - started, calls: scene.store.calls() - calls });
    if (exit !== 0) tell(`${kind} that was left alone`, [`it ended with ${exit}`]);
    tell(`${kind} that was left alone`, await attempt.judge(exit));
  }
  for (let point = 0; point < points; point += 1) {
    const kind = scene.kinds[point % scene.kinds.length] ?? '';
    const attempt = await scene.prepare(kind);
    const share = (point + state.random.next()) / points;
    const { what, cut } = await strike(state, kind, attempt, share);
    scene.store.heal();
    count(outcome, kind, cut);
    tell(`${kind}, ${what}`, await attempt.judge(cut.exit));
  }
  tell('at the end', await scene.finish());
}

function count({ figures }: Outcome, kind: string, { midway }: Cut): void {
  for (const name of ['points', kind, ...(midway ? ['midway'] : [])])
    figures[name] = (figures[name] ?? 0) + 1;
}

/** At a share of the command's life. */
async function strike(
  { scene, random, outcome: { figures }, takes }: State,
  kind: string,
  { args, killedAt }: Attempt,
  share: number,
): Promise<{ what: string; cut: Cut }> {
  const { ms, calls } = takes.get(kind) ?? { ms: 0, calls: 0 };
  if (calls > 0 && random.chance(0.5)) {
    const after = Math.floor(share * calls);
    const trouble = scene.store.trouble(after, random);
    const before = scene.store.calls();
    const exit = await scene.run(args);
    figures['errors'] = (figures['errors'] ?? 0) + 1;
    const cut = { exit, midway: scene.store.calls() - before > after };
    return { what: `${trouble} after ${after} calls, exit ${exit}`, cut };
  }
  figures['kills'] = (figures['kills'] ?? 0) + 1;
  if (killedAt && random.chance(0.5)) {
    const step = random.pick(killedAt.steps);
    return { what: `killed before the step ${step}`, cut: await killedAt.run(step) };
  }
  const at = Math.round(share * ms);
  return { what: `killed after ${at} ms`, cut: await scene.spawn(args, at) };
}
