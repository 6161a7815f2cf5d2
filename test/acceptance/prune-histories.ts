import fc from 'fast-check';
import type { Entry } from '../../scripts/lib/backup/catalog.ts';
import { DIFFERENTIAL_HOURS, LEAST_VERIFIED, planPrune } from '../../scripts/lib/backup/prune.ts';
import type { Candidate, PrunePlan, PruneRules } from '../../scripts/lib/backup/prune.ts';
import { removePlanned } from '../../scripts/lib/backup/remove.ts';
import type { Destination } from '../../scripts/lib/destinations/destination.ts';
import type { Outcome, Run } from './lab.ts';

/**
 * Random histories of a destination, each planned and pruned, and looked at after every single object that goes: a prune
 * can be cut off there. Shares no code with the rules that it judges.
 */

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.parse('2026-05-01T00:00:00Z');
/** Servers and hosts that are set right differ by less. */
const SLACK = 10 * 60_000;
const { signal } = new AbortController();

export interface History {
  candidates: Candidate[];
  rules: PruneRules;
}

const often = (times: number) => fc.integer({ min: 1, max: times }).map((n) => n > 1);
const backup = fc.record({
  /** Hours to the one before. */
  gap: fc.integer({ min: 0, max: 30 }),
  ...{ isFull: often(3), checked: often(5), own: often(15) },
  /** Of a differential: any number, or the last full backup before it. */
  base: fc.option(fc.nat({ max: 60 }), { freq: 2 }),
  jump: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 0, 50, -50),
});

/** `late`: hours since the newest backup; below zero it is from the future. */
const histories: fc.Arbitrary<History> = fc
  .record({
    backups: fc.array(backup, { maxLength: 70, size: 'max' }),
    /** In days; or so many percent of the whole history, so that a little goes and not too much. */
    retention: fc.record({
      days: fc.integer({ min: 1, max: 60 }),
      percent: fc.option(fc.integer({ min: 50, max: 100 }), { freq: 3 }),
    }),
    /** Where few backups were verified, those that were are old. */
    areVerified: often(4),
    late: fc.integer({ min: -1, max: 60 }),
  })
  .map(({ backups, retention: { days, percent }, areVerified, late }) => {
    let hoursAgo = late + backups.reduce((sum, { gap }) => sum + gap, 0);
    const retentionDays = percent === null ? days : Math.max(1, Math.round((hoursAgo * percent) / 2400));
    let full = 0;
    const candidates = backups.map(({ gap, jump, isFull, checked, own, base }, n): Candidate => {
      hoursAgo -= gap;
      const storedAt = NOW - (hoursAgo + jump) * HOUR;
      const shared = { sequence: n + 1, storedAt, verified: checked === areVerified, own };
      if (!isFull)
        return { ...shared, backupId: `d${n + 1}`, kind: 'differential', base: `f${base ?? full}` };
      full = n + 1;
      return { ...shared, backupId: `f${full}`, kind: 'full', base: null };
    });
    return { candidates, rules: { now: NOW, retentionDays, intervalMs: DAY } };
  });

export interface Figures extends Record<string, number> {
  histories: number;
  /** In which something went. */
  pruned: number;
  /** In which a full backup went together with a differential that rested on it. */
  together: number;
  /** Points at which a prune was looked at as if it had been cut off. */
  cuts: number;
}

export const newFigures = (): Figures => ({ histories: 0, pruned: 0, together: 0, cuts: 0 });

/** Throws what is broken. */
export const promises = (figures: Figures) =>
  fc.asyncProperty(histories, async (history) => {
    const before = structuredClone(history);
    const plan = planPrune(history.candidates, history.rules);
    const broken = [
      ...brokenBy(history, plan),
      ...(JSON.stringify(before) === JSON.stringify(history) ? [] : ['the history was changed']),
      ...(await brokenMidway(history.candidates, plan, figures)),
    ];
    figures.histories += 1;
    if (plan.delete.length > 0) figures.pruned += 1;
    const bases = history.candidates.filter(({ backupId }) => plan.delete.includes(backupId));
    if (bases.some(({ base }) => base !== null && plan.delete.includes(base))) figures.together += 1;
    if (broken.length > 0) throw new Error(broken.join('; '));
  });

/** What the plan as a whole must not do. */
function brokenBy({ candidates, rules }: History, plan: PrunePlan): string[] {
  const { now, retentionDays, intervalMs } = rules;
  const gone = new Set(plan.delete);
  const own = candidates.filter((one) => one.own);
  const left = own.filter(({ backupId }) => !gone.has(backupId));
  const fulls = (some: readonly Candidate[]) => some.filter(({ kind }) => kind === 'full');
  const broken = (is: boolean, what: string): string[] => (is ? [what] : []);
  const all = plan.keep.length + plan.delete.length !== candidates.length || gone.size !== plan.delete.length;
  if (gone.size === 0) return broken(all, 'something is neither kept nor deleted, or both');
  const newest = Math.max(...own.map(({ storedAt }) => storedAt));
  const goneFulls = fulls(own).filter(({ backupId }) => gone.has(backupId)).length;
  return [
    ...broken(all, 'something is neither kept nor deleted, or both'),
    ...broken(gone.has(own.findLast(({ verified }) => verified)?.backupId ?? ''), 'the newest verified goes'),
    ...candidates
      .filter(({ backupId }) => gone.has(backupId))
      .flatMap((one) => {
        const least = one.kind === 'full' ? retentionDays * DAY : DIFFERENTIAL_HOURS * HOUR;
        return [
          ...broken(!one.own, `${one.backupId} is of somebody else`),
          ...broken(now - one.storedAt <= least, `${one.backupId} is too young to go`),
        ];
      }),
    ...broken(
      fulls(left).filter(({ verified }) => verified).length < LEAST_VERIFIED,
      `fewer than ${LEAST_VERIFIED} verified full backups stay`,
    ),
    ...broken(goneFulls > Math.max(1, fulls(own).length / 5), `${goneFulls} full backups go at once`),
    ...broken(now - newest > 2 * intervalMs, 'something goes although the newest backup is late'),
    ...broken(newest > now + SLACK, 'something goes although a clock is wrong'),
  ];
}

const PARTS = ['sqlite.zst.age', 'key.age', 'pages.age'];

/** Carries the plan out on a place that keeps keys alone, and looks at what is there after each that goes. */
async function brokenMidway(
  candidates: readonly Candidate[],
  plan: PrunePlan,
  figures: Figures,
): Promise<string[]> {
  const partsOf = ({ backupId }: Candidate): string[] => PARTS.map((part) => `${backupId}.${part}`);
  const manifestOf = ({ backupId }: Pick<Candidate, 'backupId'>): string => `${backupId}.manifest.json`;
  const there = new Set(candidates.flatMap((one) => [manifestOf(one), ...partsOf(one)]));
  const rested = candidates.filter(
    ({ own, base }) => own && base !== null && there.has(`${base}.manifest.json`),
  );
  const broken = new Set<string>();
  const look = (): void => {
    figures.cuts += 1;
    for (const one of candidates)
      if (there.has(manifestOf(one)) && !partsOf(one).every((key) => there.has(key)))
        broken.add(`cut off, ${one.backupId} is listed and lacks an object`);
    for (const one of rested)
      if (there.has(manifestOf(one)) && !there.has(`${one.base}.manifest.json`))
        broken.add(`cut off, ${one.backupId} is there without ${one.base}`);
  };
  const remove = async (key: string): Promise<void> => {
    if (!there.delete(key)) broken.add(`${key} is deleted and was not there`);
    look();
  };
  const destination = { url: 'memory', delete: remove } as Partial<Destination> as Destination;
  const entries = candidates.map((one) => entryOf(one, manifestOf(one), partsOf(one)));
  await removePlanned(destination, entries, plan, { signal, progress: () => undefined });
  const stay = candidates.filter(({ backupId }) => !plan.delete.includes(backupId));
  const wanted = stay.flatMap((one) => [manifestOf(one), ...partsOf(one)]);
  if (wanted.join() !== [...there].join()) broken.add('something else is there than was to stay');
  return [...broken];
}

/** As much of a catalog's entry as a removal looks at. */
function entryOf({ backupId }: Candidate, key: string, parts: readonly string[]): Entry {
  const [data, identity, pages] = parts.map((each) => ({ key: each }));
  return { key, manifest: { backupId, objects: { data, key: identity, pages } } } as unknown as Entry;
}

/** `count` histories. A planner that never lets anything go would keep every promise: a tenth has to lose something. */
export async function pruneHistories({ seed, count, say }: Run): Promise<Outcome> {
  const figures = newFigures();
  const found = await fc.check(promises(figures), { seed, numRuns: count });
  say(`${figures.pruned} of ${figures.histories} histories lost something, ${figures.cuts} points looked at`);
  const failures = found.failed ? [fc.defaultReportMessage(found) ?? 'a promise is broken'] : [];
  if (figures.pruned < figures.histories / 10)
    failures.push(`only ${figures.pruned} of ${figures.histories} histories lost something`);
  return { failures, figures };
}
