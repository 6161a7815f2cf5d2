import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { APP, NAMED, openBackupLab, wrongWith } from './backup-lab.ts';
import type { BackupLab } from './backup-lab.ts';
import type { Outcome, Run } from './lab.ts';
import type { Random } from './random.ts';

/**
 * One object of a backup is damaged at random, in any of its layers, and the backup is restored: each time the damage
 * has to be found before the database has its name.
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
  const lab = openBackupLab(below);
  try {
    const wanted = await fill(lab);
    const files = filesOf(lab);
    const failures: string[] = [];
    const figures: Record<string, number> = { attacks: 0, found: 0 };
    for (let n = 0; n < count; n += 1) {
      const backup = random.pick(wanted);
      const path = random.pick(files.filter((file) => backup.some((stem) => file.includes(stem))));
      const kind = random.pick(Object.keys(DAMAGE));
      const content = readFileSync(path);
      const others = files
        .filter((file) => file !== path)
        .map((file) => readFileSync(file))
        .filter((other) => !other.equals(content));
      const damaged = DAMAGE[kind]?.(content, others, random) ?? null;
      if (damaged?.equals(content)) continue;
      if (damaged === null) rmSync(path);
      else writeFileSync(path, damaged);
      figures.attacks = (figures.attacks ?? 0) + 1;
      figures[kind] = (figures[kind] ?? 0) + 1;
      const to = lab.target();
      const { exit } = await lab.run('restore', ...NAMED, '--backup', backup[0] ?? '', '--to', to);
      if (exit === 0 || existsSync(to)) failures.push(`${kind} of ${path} was not found: exit ${exit}`);
      else figures.found = (figures.found ?? 0) + 1;
      rmSync(to, { force: true });
      writeFileSync(path, content);
      if (n % 50 === 49 || n === count - 1) {
        failures.push(...(await wholeFailures(lab, wanted)));
        say(`${n + 1} attacks, ${failures.length} failures`);
      }
      if (failures.length > 10) break;
    }
    return { failures, figures };
  } finally {
    lab.close();
  }
}

/** A restore that always failed would find everything: what is left whole has to restore. */
async function wholeFailures(lab: BackupLab, wanted: readonly string[][]): Promise<string[]> {
  const failures: string[] = [];
  for (const [stem = ''] of wanted) {
    const to = lab.target();
    const { exit } = await lab.run('restore', ...NAMED, '--backup', stem, '--to', to);
    const wrong = exit === 0 ? wrongWith(to) : `exit ${exit}`;
    if (wrong !== null) failures.push(`${stem}, left whole, does not restore: ${wrong}`);
    rmSync(to, { force: true });
  }
  return failures;
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

function filesOf({ place }: BackupLab): string[] {
  return readdirSync(join(place.data, 'backups'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
