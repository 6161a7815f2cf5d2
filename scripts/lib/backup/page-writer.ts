import type { FileHandle } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { diffReader } from './pages.ts';

/** Writes the pages of a difference to their places. */
export class PageWriter extends Writable {
  head = { pageSize: 0, pages: 0 };
  private readonly file: FileHandle;
  private waiting: { page: number; bytes: Buffer }[] = [];
  private readonly reader = diffReader(
    (head) => (this.head = head),
    (page, bytes) => this.waiting.push({ page, bytes }),
  );

  constructor(file: FileHandle) {
    super();
    this.file = file;
  }

  override _write(data: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.place(data).then(() => done(), done);
  }

  private async place(data: Buffer): Promise<void> {
    this.reader.take(data);
    for (const { page, bytes } of this.waiting.splice(0))
      await this.file.write(bytes, 0, bytes.length, page * bytes.length);
  }

  override _final(done: (error?: Error | null) => void): void {
    try {
      this.reader.end();
      done();
    } catch (error) {
      done(error as Error);
    }
  }
}
