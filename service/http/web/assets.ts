import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import express from 'express';

const TYPES = {
  'look.css': 'text/css; charset=utf-8',
  'app.js': 'text/javascript; charset=utf-8',
  'palette.js': 'text/javascript; charset=utf-8',
  'htmx.js': 'text/javascript; charset=utf-8',
  'sprite.svg': 'image/svg+xml',
  'favicon.svg': 'image/svg+xml',
} as const;

export type AssetName = keyof typeof TYPES;

export interface Assets {
  /** `/assets/<hash>/<name>`; the hash is that of all files, so a page never mixes two releases. */
  url: (name: AssetName) => string;
  /** Serves them from memory, compressed once, immutable for a year. Mount it before authentication. */
  router: express.Router;
}

interface Asset {
  type: string;
  bytes: Buffer;
  encoded: Map<string, Promise<Buffer>>;
}

/** As small as can be: it costs some 0.2 s in the background once, and every first visit has less to fetch. */
const ENCODERS: Record<string, (bytes: Buffer) => Promise<Buffer>> = {
  br: (bytes) => promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }),
  gzip: (bytes) => promisify(gzip)(bytes, { level: 9 }),
};

/** One stylesheet a page, a file a subject; the later ones may correct the earlier. */
const LOOK = [
  'base',
  'frame',
  'parts',
  'forms',
  'board',
  'item',
  'lists',
  'operations',
  'sessions',
  'overlays',
  'narrow',
  'preferences',
];

function bytesOf(name: AssetName): Buffer {
  const read = (path: string) => readFileSync(new URL(`public/${path}`, import.meta.url));
  if (name === 'look.css') return Buffer.from(LOOK.map((one) => bare(read(`look/${one}.css`))).join(''));
  if (name === 'htmx.js')
    return readFileSync(fileURLToPath(import.meta.resolve('htmx.org/dist/htmx.min.js')));
  return read(name);
}

/** What is written for people stays here. */
const bare = (css: Buffer): string =>
  css
    .toString()
    .replaceAll(/\/\*[^]*?\*\//g, '')
    .replaceAll(/^\s+/gm, '');

/** Reads the styles, scripts and icons once. */
export function createAssets(): Assets {
  const files = new Map<string, Asset>();
  const hash = createHash('sha256');
  for (const name of Object.keys(TYPES) as AssetName[]) {
    const bytes = bytesOf(name);
    hash.update(name).update(bytes);
    files.set(name, { type: TYPES[name], bytes, encoded: new Map() });
  }
  const version = hash.digest('hex').slice(0, 12);
  const router = express.Router();
  router.get(`/assets/${version}/:name`, async (request, response, next) => {
    const asset = files.get(request.params.name);
    if (!asset) return next();
    response.set({ 'Cache-Control': 'public, max-age=31536000, immutable', Vary: 'Accept-Encoding' });
    response.type(asset.type);
    const encoding = request.acceptsEncodings('br') || request.acceptsEncodings('gzip') || 'identity';
    response.send(await encode(asset, encoding, (chosen) => response.set('Content-Encoding', chosen)));
  });
  return { url: (name) => `/assets/${version}/${name}`, router };
}

function encode(
  asset: Asset,
  encoding: string,
  announce: (encoding: string) => void,
): Promise<Buffer> | Buffer {
  const encoder = ENCODERS[encoding];
  if (!encoder) return asset.bytes;
  announce(encoding);
  const known = asset.encoded.get(encoding);
  if (known) return known;
  const made = encoder(asset.bytes);
  asset.encoded.set(encoding, made);
  return made;
}
