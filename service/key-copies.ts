import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeyCopies } from './chat/erasure/erasures.ts';
import type { Config } from './config.ts';
import { onSameDisk } from './same-disk.ts';

/** As they are named in a destination: docs/backup-format.md. */
const COPY = /\.keyring\.age$/;

/** Where copies of the keyring can lie. Those on the database's own disk protect from nothing, and can be made anew. */
export function createKeyCopies(config: Config): KeyCopies {
  const { destinations } = config.backup;
  const local = async () => {
    const near = await onSameDisk(destinations, config);
    return destinations.filter(({ url }) => near.has(url));
  };
  return {
    where: async () => ((await local()).length < destinations.length ? 'elsewhere' : 'none'),
    async dropLocal() {
      for (const destination of await local()) {
        if (destination.kind !== 'folder') continue;
        const folder = join(destination.path, 'keyring');
        const names = await readdir(folder, { recursive: true }).catch((error: unknown) => {
          if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
          throw error;
        });
        for (const name of names.filter((one) => COPY.test(one)))
          await rm(join(folder, name), { force: true });
      }
    },
  };
}
