import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { makeFolder } from '../../../service/folders.ts';
import { openArchive } from '../release/read.ts';
import type { Source } from './engine.ts';
import type { Layout } from './host/layout.ts';
import { missingFrom, storing } from './host/store.ts';

/** A release from an archive, whole or with what the host lacks. Errors: `archive-damaged`. */
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
      await receive(storing(store, counts));
      return { manifest, ...counts };
    },
  };
}
