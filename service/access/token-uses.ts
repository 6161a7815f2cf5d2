import type { Logger } from '../logger.ts';
import type { AccessDependencies } from './dependencies.ts';
import { tokenUses } from './store.ts';

/** A use is written at most this often for a token, by each process. */
const WRITE_EVERY = 60_000;

/** When tokens were last used: seen, not changed, so no event tells it. */
export function createTokenUses({
  storage,
  clock,
  projectId,
  logger,
}: Pick<AccessDependencies, 'storage' | 'clock' | 'projectId'> & { logger: Logger }) {
  const written = new Map<string, number>();

  const isWritten = (id: string, now: number): boolean => {
    const last = written.get(id);
    return last !== undefined && last <= now && now < last + WRITE_EVERY;
  };

  return {
    /** Returns at once: whoever uses a token does not wait for this, nor fail with it. */
    note(id: string): void {
      const now = clock.now();
      if (isWritten(id, now)) return;
      written.set(id, now);
      const row = { project_id: projectId, token_id: id, used_at: clock.iso() };
      storage
        .write((tx) => tx.run(tokenUses.put, row))
        .catch((error: unknown) =>
          logger.warn({ err: error, id }, 'the last use of a token could not be written'),
        );
    },
  };
}
