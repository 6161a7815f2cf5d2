import { existsSync } from 'node:fs';
import { APP, NAMED, openBackupLab, wrongWith } from './backup-lab.ts';
import type { BackupLab, Listed } from './backup-lab.ts';
import type { Attempt, Scene } from './backup-scene.ts';
import type { Store } from './backup-store.ts';
import { spawned } from './cut.ts';
import type { Run } from './lab.ts';
import type { Place } from '../process/service.ts';

/** Backups of another application's database, their prunes, and restores into new files. */

const OLD_MS = 40 * 86_400_000;
/** So many verified full backups have to stay. */
const KEPT = 4;

interface State {
  lab: BackupLab;
  store: Store;
  /** Backups that were restored once: objects are never changed. */
  restored: Set<string>;
  /** What went wrong while no command was cut off. */
  between: string[];
}

export async function openAppScene(
  { below }: Run,
  storeAt: (place: Place) => Promise<Store>,
): Promise<Scene> {
  const lab = openBackupLab(below);
  const store = await storeAt(lab.place);
  const state: State = { lab, store, restored: new Set(), between: [] };
  return {
    ...{ name: `app in a ${store.name}`, store, kinds: ['backup', 'prune', 'restore'] },
    prepare: (kind) => attemptOf(state, kind),
    spawn: (args, ms) => spawned(lab.place, args, ms),
    run: async (args) => (await lab.run(...args)).exit,
    finish: () => finish(state),
    async close() {
      lab.close();
      await store.close();
    },
  };
}

async function attemptOf(state: State, kind: string): Promise<Attempt> {
  const { lab } = state;
  if (kind === 'backup') return { args: ['backup', '--full', ...APP], judge: () => judgeBackup(state) };
  await fillUp(state);
  if (kind === 'prune') {
    const args = ['backups', 'prune', ...NAMED, '--apply', await digestOfPlan(state)];
    return { args, judge: async () => [...taken(state), ...(await restoreNew(state)), ...change(lab)] };
  }
  const to = lab.target();
  const judge = async (exit: number | null): Promise<string[]> => {
    const found = [...taken(state), ...(await restoreNew(state)), ...change(lab)];
    if (exit === 0 && !existsSync(to)) found.push('it ended well, and nothing is there');
    const wrong = existsSync(to) ? wrongWith(to) : null;
    return wrong === null ? found : [...found, `a torn target: ${wrong}`];
  };
  return { args: ['restore', ...NAMED, '--to', to], judge };
}

const taken = ({ between }: State): string[] => between.splice(0);
function change(lab: BackupLab): string[] {
  lab.change();
  return [];
}

async function judgeBackup(state: State): Promise<string[]> {
  const { lab } = state;
  const found = [...taken(state), ...(await restoreNew(state))];
  lab.change();
  const { exit } = await lab.run('backup', ...APP);
  lab.change();
  return exit === 0 ? found : [...found, `the next backup ended with ${exit}`];
}

async function listed({ lab }: State): Promise<Listed> {
  return (await lab.run<Listed>('backups', 'list', ...NAMED)).answer;
}

/** Enough verified backups that one of them may go. */
async function fillUp(state: State): Promise<void> {
  const { lab, between } = state;
  const fulls = async (): Promise<number> =>
    (await listed(state)).backups.filter(({ kind }) => kind === 'full').length;
  while ((await fulls()) < KEPT) {
    lab.change();
    const { exit } = await lab.run('backup', '--full', ...APP);
    if (exit !== 0) between.push(`a backup in between ended with ${exit}`);
  }
  const { exit } = await lab.run('backups', 'verify', '--all', ...NAMED);
  if (exit !== 0) between.push(`verify in between ended with ${exit}`);
}

/** Makes the oldest backup old, and plans. */
async function digestOfPlan(state: State): Promise<string> {
  const { lab, store, between } = state;
  const { backups } = await listed(state);
  const oldest = backups.find(({ kind }) => kind === 'full');
  // A young differential would keep what it rests on.
  const differentials = backups.filter(({ kind }) => kind === 'differential');
  for (const { backupId } of [...differentials, ...(oldest ? [oldest] : [])])
    store.date(backupId, Date.now() - OLD_MS);
  const { answer } = await lab.run<{ plan: { delete: string[]; digest: string } }>(
    ...['backups', 'prune', ...NAMED],
  );
  if (answer.plan.delete.length === 0) between.push('nothing was planned to go');
  return answer.plan.digest;
}

/** All that is listed and was not restored yet. */
async function restoreNew(state: State): Promise<string[]> {
  const { lab, restored } = state;
  const { backups, problems } = await listed(state);
  const found = problems.map(({ message }) => `the catalog has a problem: ${message}`);
  for (const { backupId } of backups.filter((one) => !restored.has(one.backupId))) {
    restored.add(backupId);
    const to = lab.target();
    const { exit } = await lab.run('restore', ...NAMED, '--backup', backupId, '--to', to);
    const wrong = exit === 0 ? wrongWith(to) : `exit ${exit}`;
    if (wrong !== null) found.push(`${backupId} is listed and does not restore: ${wrong}`);
  }
  return found;
}

/** What was pruned halfway goes with the next plan, and all that is listed at last still restores. */
async function finish(state: State): Promise<string[]> {
  const { lab, store, restored } = state;
  await fillUp(state);
  const { exit } = await lab.run('backups', 'prune', ...NAMED, '--apply', await digestOfPlan(state));
  const found = exit === 0 ? taken(state) : [...taken(state), `the last prune ended with ${exit}`];
  restored.clear();
  found.push(...(await restoreNew(state)));
  const stems = (await listed(state)).backups.map(({ backupId }) => backupId);
  const then = Date.now() - OLD_MS / 2;
  for (const [key, at] of store.objects())
    if (key.startsWith('full/') && at < then && !stems.includes(key.split('.')[0] ?? ''))
      found.push(`${key} of a pruned backup stays for ever`);
  return found;
}
