import { join, resolve } from 'node:path';
import { CLONE } from './lib/command.ts';
import { fields } from './lib/layout.ts';
import { buildRelease } from './lib/release/build.ts';
import { bytesOf } from './lib/release/manifest.ts';
import { sizeText } from './lib/size.ts';
import type { Run } from './lib/verb.ts';

/** Where releases lie unless told otherwise; git does not see the folder. */
const OUT = join(CLONE, '.tools', 'releases');

export const release: Run = async (context, given) => {
  const out = given.text('out');
  const { manifest, path, bytes, sha256 } = await buildRelease(CLONE, {
    out: out === undefined ? OUT : resolve(context.cwd, out),
    dirty: given.flag('dirty'),
    progress: context.progress,
  });
  const { release, version, digest, schema, minReader, files } = manifest;
  const text = fields([
    ['Release', release],
    ['Digest', digest],
    ['Archive', `${path}, ${sizeText(bytes)}`],
    ['Files', `${files.length}, ${sizeText(bytesOf(files))}`],
    ['Schema', `${schema}; readable from ${minReader} on`],
    ['Deploy', `npx factory deploy --env staging --host USER@ADDRESS --release ${path}`],
  ]);
  const json = { release, version, digest, schema, minReader, archive: { path, bytes, sha256 }, files };
  return { json, text };
};
