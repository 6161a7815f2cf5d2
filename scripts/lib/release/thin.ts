import { createReadStream } from 'node:fs';
import { writeArchive } from './build.ts';
import { archiveDamaged } from './manifest.ts';
import { openArchive } from './read.ts';

/** Copies an archive with those of its contents only that `wanted` names by SHA-256, each once. Errors: `archive-damaged`. */
export async function thinArchive(
  archive: string,
  target: string,
  wanted: ReadonlySet<string>,
): Promise<{ bytes: number; sha256: string }> {
  const { manifest, receive } = await openArchive(createReadStream(archive), archive);
  const contents = new Map<string, Buffer>();
  const paths = new Map<string, string>();
  if (wanted.size > 0)
    await receive({
      begin({ path, sha256, mode }) {
        const place = `${sha256} ${mode}`;
        if (!wanted.has(sha256) || contents.has(place)) return null;
        const pieces: Buffer[] = [];
        return {
          write: (piece) => void pieces.push(Buffer.from(piece)),
          keep() {
            contents.set(place, Buffer.concat(pieces));
            paths.set(path, place);
          },
          drop: () => undefined,
        };
      },
    });
  const contentOf = (path: string): Buffer => {
    const content = contents.get(paths.get(path) ?? '');
    if (content === undefined) throw archiveDamaged(archive, `${path} is missing`);
    return content;
  };
  return writeArchive(target, manifest, contentOf, ({ path }) => paths.has(path));
}
