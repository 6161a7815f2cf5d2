import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { openArchive } from '../release/read.ts';
import type { Source } from './engine.ts';
import type { Layout } from './host/layout.ts';
import { missingFrom, storing } from './host/store.ts';

/** A release from an archive, whole or with what the host lacks. Errors: `archive-damaged`, when it is received `disk-full`. */
export async function archiveSource(
  { store, release }: Layout,
  input: Readable,
  name: string,
): Promise<Source> {
  const { manifest, receive } = await openArchive(input, name);
  return {
    manifest,
    // What is unpacked is taken into the store from there.
    missing: async () => (existsSync(release(manifest.release)) ? [] : missingFrom(store, manifest)),
    async receive() {
      makeFolder(store, 0o700);
      const counts = { files: 0, bytes: 0 };
      try {
        await receive(storing(store, counts));
      } catch (error) {
        throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? diskFull(store, error) : error;
      }
      return { manifest, ...counts };
    },
  };
}

function diskFull(target: string, cause: unknown): FactoryError {
  return new FactoryError({
    ...{ code: 'disk-full', op: 'store files', target, cause },
    message: `The disk of ${target} is full.`,
    hint: 'Make room on the host, or give it a larger disk, then deploy again: what was stored is not sent again.',
  });
}
