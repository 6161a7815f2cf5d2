import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { LAUNCHER, layoutOf, NODE } from '../../../scripts/lib/deploy/host/layout.ts';
import type { Layout } from '../../../scripts/lib/deploy/host/layout.ts';
import { writeArchive } from '../../../scripts/lib/release/build.ts';
import { manifestOf } from '../../../scripts/lib/release/manifest.ts';
import type { Manifest } from '../../../scripts/lib/release/manifest.ts';

/** Releases of two small files that keep what the engine relies on: `serve` on the socket, and `migrate`. */

export type Manner =
  | 'good'
  | 'crash'
  | 'hang'
  | 'wrong-version'
  | '500'
  | 'slow'
  | 'migration-fails'
  | 'disk-full'
  /** Well until the file `bad` lies in the data folder. */
  | 'turns-bad'
  | 'turns-slow';

export interface StandIn {
  manifest: Manifest;
  archive: string;
}

/** A host in a folder, with its configuration as `factory host apply` leaves it. */
export function hostFolder(
  environment = 'staging',
  root = mkdtempSync(join(tmpdir(), 'factory-host-')),
): Layout {
  const layout = layoutOf(environment, root);
  const { releases, store, data, run, configuration, credentials } = layout;
  for (const folder of [releases, store, data, run, configuration, credentials])
    mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(configuration, 'environment'),
    `FACTORY_ENV=${environment}\nFACTORY_DATA_DIR=${data}\nFACTORY_JOBS=off\nFACTORY_WORK_ITEMS_DIR=${root}/queue\n`,
  );
  return layout;
}

/** Its version makes it another release. */
export async function standIn(
  version: string,
  manner: Manner = 'good',
  { schema = 5, minReader = 1 }: { schema?: number; minReader?: number } = {},
): Promise<StandIn> {
  const contents: Record<string, { mode: '644' | '755'; text: string }> = {
    [NODE]: { mode: '755', text: `#!/bin/sh\nexec ${process.execPath} "$@"\n` },
    [LAUNCHER]: { mode: '644', text: program({ manner, schema, minReader }) },
    'package.json': { mode: '644', text: '{"type":"module"}\n' },
  };
  const files = Object.entries(contents).map(([path, { mode, text }]) => ({
    ...{ path, mode, bytes: Buffer.byteLength(text) },
    sha256: createHash('sha256').update(text).digest('hex'),
  }));
  const manifest = manifestOf({ version, schema, minReader, files });
  const archive = join(mkdtempSync(join(tmpdir(), 'factory-stand-in-')), `${manifest.release}.tgz`);
  mkdirSync(dirname(archive), { recursive: true });
  await writeArchive(archive, manifest, (path) => Buffer.from(contents[path]?.text ?? ''));
  return { manifest, archive };
}

/** Answers as the gates ask, and every other path with its release's name. */
const program = (how: { manner: Manner; schema: number; minReader: number }): string => `
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
const { manner, schema, minReader } = ${JSON.stringify(how)};
const { FACTORY_RELEASE: release, FACTORY_SOCKET: socket, FACTORY_DATA_DIR: data } = process.env;
const database = join(data, 'factory.db');
const found = existsSync(database) ? JSON.parse(readFileSync(database, 'utf8')) : { schema: 0, minReader: 0 };
const fail = (why) => { process.stderr.write(why + '\\n'); process.exit(1); };
const [verb, ...rest] = process.argv.slice(2);

if (verb === 'migrate') {
  const to = Math.max(found.schema, schema);
  const after = found.schema < schema ? Math.max(found.minReader, minReader) : found.minReader;
  const plan = { from: found.schema, to, minReader: found.minReader, minReaderAfter: after, bytes: 100 };
  let snapshot = null;
  if (!rest.includes('--plan')) {
    if (manner === 'migration-fails') fail('no such column: nothing');
    const copy = rest[rest.indexOf('--copy') + 1];
    if (existsSync(database)) { mkdirSync(dirname(copy), { recursive: true }); copyFileSync(database, copy); snapshot = copy; }
    writeFileSync(database, JSON.stringify({ schema: to, minReader: after }));
  }
  process.stdout.write(JSON.stringify({ ...plan, snapshot }) + '\\n');
} else await serve();

async function serve() {
  if (manner === 'crash') fail('it crashed');
  if (manner === 'disk-full') fail('ENOSPC: no space left on device, write');
  if (existsSync(socket)) {
    const answered = await new Promise((resolve) => connect(socket, () => resolve(true)).on('error', () => resolve(false)));
    if (answered) fail('another process answers on ' + socket);
    rmSync(socket);
  }
  const server = createServer((request, response) => {
    const path = request.url.split('?')[0];
    if (manner === 'hang') return;
    const bad = existsSync(join(data, 'bad'));
    if (manner === 'slow' || (manner === 'turns-slow' && bad)) setTimeout(() => answer(path, response), 1200);
    else if (manner === '500' || (manner === 'turns-bad' && bad)) response.writeHead(path === '/api/health' ? 200 : 500).end(health());
    else answer(path, response);
  });
  server.listen(socket, () => chmodSync(socket, 0o660));
  process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });
}
function health() {
  return JSON.stringify({ status: 'ok', release: manner === 'wrong-version' ? 'another' : release, schema });
}
function answer(path, response) {
  const known = {
    '/api/health': [200, health()], '/api/openapi.json': [200, '{"openapi":"3.1.0"}'], '/api/docs': [200, '</html>'],
    '/login': [200, '</html>'], '/': [303, ''], '/operations': [303, ''], '/api/control-plane/items': [401, '{"code":"x"}'],
    '/api/health/backups': [503, '{"status":"failing"}'], '/api/health/drills': [200, '{"status":"ok"}'],
    '/api/badge/restore.svg': [200, '<svg></svg>'],
  };
  const [status, body] = known[path] ?? [200, release];
  response.writeHead(status).end(body);
}
`;
