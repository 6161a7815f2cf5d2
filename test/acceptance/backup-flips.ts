import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runFactory } from '../../scripts/lib/program.ts';
import { attached, randomText } from '../process/attached.ts';
import { newPlace } from '../process/service.ts';
import type { Place } from '../process/service.ts';
import { APP, NAMED, openBackupLab, Sink, wrongWith } from './backup-lab.ts';
import type { BackupLab } from './backup-lab.ts';
import type { Outcome, Run } from './lab.ts';
import type { Random } from './random.ts';

/**
 * One object of a backup is damaged at random, in any of its layers, and the backup is restored: each time the damage
 * has to be found before the database has its name. A quarter of the attacks are on attachments and their lists, and one of
 * twelve on the copy of the keyring.
 */

/** What becomes of an object; null: it goes. `others`: what could be put in its place. */
const DAMAGE: Record<string, (content: Buffer, others: Buffer[], random: Random) => Buffer | null> = {
  flip: (content, _others, random) => {
    const changed = Buffer.from(content);
    const at = random.below(changed.length);
    changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
    return changed;
  },
  truncate: (content, _others, random) => content.subarray(0, random.below(content.length)),
  lengthen: (content, _others, random) =>
    Buffer.concat([content, content.subarray(0, 1 + random.below(content.length))]),
  swap: (_content, others, random) => random.pick(others),
  blank: (content, _others, random) => {
    const at = random.below(content.length);
    return Buffer.from(content).fill(0, at, Math.min(at + 64, content.length));
  },
  remove: () => null,
};

export async function backupFlips({ count, random, below, say }: Run): Promise<Outcome> {
  const attachments = await attachmentsLab(below);
  const labs = [await appLab(below), attachments, await keyringLab(attachments)];
  const failures: string[] = [];
  const figures: Record<string, number> = { attacks: 0, found: 0, attachments: 0, keyrings: 0 };
  try {
    for (let n = 0; n < count; n += 1) {
      const lab = labs[random.chance(1 / 3) ? (random.chance(1 / 4) ? 2 : 1) : 0]!;
      await attack(lab, random, { failures, figures });
      if (n % 50 === 49 || n === count - 1) {
        for (const one of labs) failures.push(...(await wholeFailures(one)));
        say(`${n + 1} attacks, ${failures.length} failures`);
      }
      if (failures.length > 10) break;
    }
    return { failures, figures };
  } finally {
    for (const { close } of labs) close();
  }
}

/** Backups of one database, and what each of them needs. */
interface Lab {
  place: Place;
  /** Beginnings of keys: of the backup first. */
  wanted: string[][];
  /** What is attacked of those. */
  part: RegExp;
  restore(backupId: string): Promise<{ exit: number; to: string }>;
  wrongWith(to: string): string | null;
  close(): void;
}

async function attack(lab: Lab, random: Random, { failures, figures }: Outcome): Promise<void> {
  const files = filesOf(lab);
  const backup = random.pick(lab.wanted);
  const path = random.pick(
    files.filter((file) => lab.part.test(file) && backup.some((stem) => file.includes(stem))),
  );
  const kind = random.pick(Object.keys(DAMAGE));
  const content = readFileSync(path);
  const others = files
    .filter((file) => file !== path)
    .map((file) => readFileSync(file))
    .filter((other) => !other.equals(content));
  const damaged = DAMAGE[kind]?.(content, others, random) ?? null;
  if (damaged?.equals(content)) return;
  if (damaged === null) rmSync(path);
  else writeFileSync(path, damaged);
  const count = (name: string): void => void (figures[name] = (figures[name] ?? 0) + 1);
  const what = [path.includes('/blobs/') && 'attachments', path.includes('/keyring/') && 'keyrings'];
  for (const name of ['attacks', kind, ...what.filter((one) => one !== false)]) count(name);
  const { exit, to } = await lab.restore(backup[0] ?? '');
  if (exit === 0 || existsSync(to)) failures.push(`${kind} of ${path} was not found: exit ${exit}`);
  else if (existsSync(`${to}.blobs`)) failures.push(`${kind} of ${path} left attachments there`);
  else count('found');
  for (const one of [to, `${to}.blobs`]) rmSync(one, { recursive: true, force: true });
  writeFileSync(path, content);
}

/** A restore that always failed would find everything: what is left whole has to restore. */
async function wholeFailures(lab: Lab): Promise<string[]> {
  const failures: string[] = [];
  for (const [stem = ''] of lab.wanted) {
    const { exit, to } = await lab.restore(stem);
    const wrong = exit === 0 ? lab.wrongWith(to) : `exit ${exit}`;
    if (wrong !== null) failures.push(`${stem}, left whole, does not restore: ${wrong}`);
    for (const one of [to, `${to}.blobs`]) rmSync(one, { recursive: true, force: true });
  }
  return failures;
}

async function appLab(below: string | undefined): Promise<Lab> {
  const lab = openBackupLab(below);
  return {
    ...{ place: lab.place, wanted: await fill(lab), part: /./, wrongWith, close: () => lab.close() },
    async restore(backupId) {
      const to = lab.target();
      const { exit } = await lab.run('restore', ...NAMED, '--backup', backupId, '--to', to);
      return { exit, to };
    },
  };
}

/** Two full backups of the product's own database: both have one attachment, the second another one as well. */
async function attachmentsLab(below = tmpdir()): Promise<Lab> {
  const place = newPlace({ below: mkdtempSync(join(below, 'factory-backups-')) });
  const run = async <T>(...argv: string[]): Promise<{ exit: number; answer: T }> => {
    const stdout = new Sink();
    const surroundings = { cwd: place.dir, env: place.env, stdout, stderr: new Sink() };
    const exit = await runFactory([...argv, '--json'], surroundings);
    return { exit, answer: JSON.parse(stdout.text) as T };
  };
  const wanted: string[][] = [];
  const files = new Map<string, number>();
  for (let n = 1; n <= 2; n += 1) {
    await attached(place, ({ add }) => add(randomText()));
    const { backupId } = (await run<{ backupId: string }>('backup', '--full')).answer;
    const manifest = JSON.parse(
      readFileSync(join(place.data, 'backups', `${backupId}.manifest.json`), 'utf8'),
    ) as { blobs: { list: { key: string } } };
    const { key } = manifest.blobs.list;
    const digests =
      readFileSync(join(place.data, 'backups', key), 'utf8').match(/[0-9a-f]{64}(?= \d+$)/gm) ?? [];
    wanted.push([backupId, key, ...digests.map((digest) => `${digest}.sealed`)]);
    files.set(backupId, n);
  }
  let targets = 0;
  const asked = new Map<string, string>();
  return {
    ...{ place, wanted, part: /\/blobs\// },
    async restore(backupId) {
      const to = join(place.dir, `restored-${(targets += 1)}.db`);
      asked.set(to, backupId);
      return { exit: (await run('restore', '--backup', backupId, '--to', to)).exit, to };
    },
    wrongWith(to) {
      const found = readdirSync(`${to}.blobs`, { recursive: true }).filter((name) =>
        /\w{64}$/.test(String(name)),
      );
      return found.length === files.get(asked.get(to) ?? '') ? null : `${found.length} attachments`;
    },
    close: () => rmSync(join(place.dir, '..'), { recursive: true, force: true }),
  };
}

/** The copy of the keyring of that installation, as a bare machine reads it. */
async function keyringLab({ place }: Lab): Promise<Lab> {
  const url = `file://${join(place.data, 'backups')}`;
  const identity = join(place.data, 'keyring', 'backup-recovery.key');
  const copies = readdirSync(join(place.data, 'backups', 'keyring', 'factory'));
  if (copies.length !== 1) throw new Error(`there are ${copies.length} copies of the keyring`);
  let targets = 0;
  return {
    ...{ place, wanted: [copies], part: /\/keyring\// },
    async restore() {
      const to = join(place.dir, `keyring-${(targets += 1)}`);
      const env = { FACTORY_DATA_DIR: join(place.dir, 'bare'), FACTORY_KEYRING_DIR: to };
      const surroundings = { cwd: place.dir, env, stdout: new Sink(), stderr: new Sink() };
      const argv = ['keys', 'restore', '--from', url, '--identity', identity, '--json'];
      return { exit: await runFactory(argv, surroundings), to };
    },
    wrongWith(to) {
      const names = readdirSync(to);
      const other = names.find(
        (name) => !readFileSync(join(to, name)).equals(readFileSync(join(place.data, 'keyring', name))),
      );
      return names.length > 0 && other === undefined ? null : `${other ?? 'nothing'} is there`;
    },
    close: () => undefined,
  };
}

/** Two full backups and a differential on each: the stems that each of them needs, its own first. */
async function fill(lab: BackupLab): Promise<string[][]> {
  const wanted: string[][] = [];
  for (let n = 0; n < 2; n += 1) {
    const full = await lab.run<{ backupId: string }>('backup', '--full', ...APP);
    lab.change();
    const difference = await lab.run<{ backupId: string; kind: string }>('backup', ...APP);
    if (difference.answer.kind !== 'differential') throw new Error('no differential was made');
    wanted.push([full.answer.backupId], [difference.answer.backupId, full.answer.backupId]);
    lab.change();
  }
  return wanted;
}

function filesOf({ place }: Pick<Lab, 'place'>): string[] {
  return readdirSync(join(place.data, 'backups'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
