import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { archiveDamaged, MANIFEST_PATH, parseManifest } from './manifest.ts';
import type { Manifest, ReleaseFile } from './manifest.ts';
import { BLOCK, paxPath, parseHeader } from './tar.ts';

const MANIFEST_LIMIT = 64 * 1024 * 1024;

/** Where the contents of an archive go. A content is handed on in pieces; `keep` only after its digest was right. */
export interface Sink {
  /** Null: it is not wanted, and passed over. */
  begin(file: ReleaseFile): { write(piece: Buffer): void; keep(): void; drop(): void } | null;
}

/** An archive that is being read: what it is, and then its contents as they come. */
export interface Archive {
  manifest: Manifest;
  /**
   * Every file is one that the manifest names, with the bytes that it names; whether all are there is not asked.
   * Errors: `archive-damaged`.
   */
  receive(sink: Sink): Promise<void>;
}

/** Reads the beginning of an archive. `target` names it for people. Errors: `archive-damaged`. */
export async function openArchive(input: Readable, target: string): Promise<Archive> {
  const blocks = new Blocks(input, target);
  const manifest = parseManifest((await blocks.first()).toString('utf8'), target);
  return { manifest, receive: (sink) => readContents(blocks, manifest, { sink, target }) };
}

async function readContents(
  blocks: Blocks,
  manifest: Manifest,
  { sink, target }: { sink: Sink; target: string },
): Promise<void> {
  const files = new Map(manifest.files.map((file) => [file.path, file]));
  for (let entry = await blocks.next(); entry !== null; entry = await blocks.next()) {
    const file = files.get(entry.path);
    if (file === undefined || file.bytes !== entry.bytes)
      throw archiveDamaged(target, `${entry.path} is not as its manifest names it`);
    files.delete(entry.path);
    await readFile(blocks, file, { sink, target });
  }
}

async function readFile(
  blocks: Blocks,
  file: ReleaseFile,
  { sink, target }: { sink: Sink; target: string },
): Promise<void> {
  const place = sink.begin(file);
  const hash = createHash('sha256');
  try {
    for await (const piece of blocks.content(file.bytes)) {
      hash.update(piece);
      place?.write(piece);
    }
    if (hash.digest('hex') !== file.sha256) throw archiveDamaged(target, `${file.path} has other bytes`);
    place?.keep();
  } catch (error) {
    place?.drop();
    throw error;
  }
}

/** The stream of an archive in the pieces that its format has. */
class Blocks {
  private readonly source: AsyncIterator<Buffer, undefined>;
  private readonly target: string;
  private rest = Buffer.alloc(0);

  constructor(input: Readable, target: string) {
    const plain = createGunzip();
    input.on('error', (error) => plain.destroy(error));
    this.source = input.pipe(plain)[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
    this.target = target;
  }

  async first(): Promise<Buffer> {
    const entry = await this.next();
    if (entry?.path !== MANIFEST_PATH || entry.bytes > MANIFEST_LIMIT)
      throw archiveDamaged(this.target, 'it does not begin with a manifest');
    const pieces: Buffer[] = [];
    for await (const piece of this.content(entry.bytes)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** The next file; null: the archive ends here. */
  async next(): Promise<{ path: string; bytes: number } | null> {
    let path: string | null = null;
    for (;;) {
      const header = parseHeader(await this.take(BLOCK));
      if (header === null) throw archiveDamaged(this.target, 'a header is wrong');
      if (header.kind === 'end') return null;
      if (header.kind === 'file') return { path: path ?? header.name, bytes: header.bytes };
      if (header.bytes > 8192) throw archiveDamaged(this.target, 'a header is too long');
      path = paxPath((await this.take(header.bytes + pad(header.bytes))).subarray(0, header.bytes));
    }
  }

  async *content(bytes: number): AsyncGenerator<Buffer> {
    for (let left = bytes; left > 0;) {
      if (this.rest.length === 0) await this.more();
      const piece = this.rest.subarray(0, left);
      this.rest = this.rest.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
    await this.take(pad(bytes));
  }

  private async take(bytes: number): Promise<Buffer> {
    while (this.rest.length < bytes) await this.more();
    const taken = this.rest.subarray(0, bytes);
    this.rest = this.rest.subarray(bytes);
    return taken;
  }

  private async more(): Promise<void> {
    const { done, value } = await this.source.next().catch((cause: unknown) => {
      throw archiveDamaged(this.target, 'it is cut off, or no gzip', cause);
    });
    if (done === true) throw archiveDamaged(this.target, 'it is cut off');
    this.rest = this.rest.length === 0 ? Buffer.from(value) : Buffer.concat([this.rest, value]);
  }
}

const pad = (bytes: number): number => (BLOCK - (bytes % BLOCK)) % BLOCK;
