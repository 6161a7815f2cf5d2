import type { Config } from '../config.ts';
import { OWN_NAME, readFacts, saveFacts } from '../jobs/facts.ts';
import type { Fact, Known } from '../jobs/facts.ts';
import { ownMark } from '../jobs/mark.ts';
import type { Storage } from '../storage/transaction.ts';

interface IdleDependencies {
  config: Pick<Config, 'backup'>;
  storage: Storage;
  times: { lookMs: number; writeMs: number };
}

/** Differentials that are none: nothing is claimed, no process started, and a row is written now and then only. */
export function createIdle({ config, storage, times }: IdleDependencies) {
  const coveredAt = new Map<string, string>();
  const urls = config.backup.destinations.map(({ url }) => url);

  /** `false` once in a while, too: a destination has to be asked whether it still has everything. */
  const isCovered = (one: Known | undefined, mark: string, now: number): boolean => {
    const looked = Date.parse(one?.covered?.lookedAt ?? '');
    const lately = now >= looked && now - looked < times.lookMs;
    return one?.covered?.mark === mark && lately && !one.errors.some(({ of }) => of === 'backup');
  };

  return {
    /** Up to when each destination is known to hold everything. */
    covered: (): ReadonlyMap<string, string> => coveredAt,

    /** Whether every destination's newest backup holds everything; it is covered up to now then. */
    async isIdle(now: number): Promise<boolean> {
      const mark = await ownMark(storage.read);
      const facts = await readFacts(storage.read, OWN_NAME);
      if (!urls.every((url) => isCovered(facts.get(url), mark, now))) return false;
      const at = new Date(now).toISOString();
      const moved = urls.flatMap((url): Fact[] => {
        coveredAt.set(url, at);
        const covered = facts.get(url)?.covered;
        const written = Date.parse(covered?.at ?? '');
        if (!covered || (now >= written && now - written < times.writeMs)) return [];
        return [{ url, kind: 'covered', value: { ...covered, at } }];
      });
      await saveFacts(storage, OWN_NAME, at, moved);
      return true;
    },
  };
}
