import type { Config } from '../config.ts';
import { coveredNow, OWN_NAME, readFacts, saveFacts } from '../jobs/facts.ts';
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

  /**
   * `false` once in a while, too: a destination has to be asked whether it still has everything. It is asked at once after
   * a check or a drill failed: what the next backup would rest on may be damaged.
   */
  const isCovered = (one: Known | undefined, mark: string, now: number): boolean => {
    if (!one?.covered || one.covered.mark !== mark || coveredNow(one) === null) return false;
    const looked = Date.parse(one.covered.lookedAt ?? '');
    if (!(now >= looked && now - looked < times.lookMs)) return false;
    return !one.errors.some(
      ({ of, at }) => of === 'backup' || (of !== 'prune' && !(Date.parse(at) < looked)),
    );
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
