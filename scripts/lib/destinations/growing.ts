/**
 * A file that is still written while it is sent. It becomes an object only when it is approved: a destination that began
 * with it keeps nothing where it is refused.
 */
export interface Growing {
  readonly path: string;
  /** Bytes that it can have at most. */
  readonly most: number;
  /** Resolves when so many bytes lie in the file, or all that it gets. Rejects where it was refused. */
  until(bytes: number): Promise<Grown>;
  /** Resolves when it is whole and may be kept. Rejects where it was refused. */
  readonly approved: Promise<void>;
}

export interface Grown {
  /** That lie in the file. */
  bytes: number;
  whole: boolean;
}

/** What its writer has in hand. */
export class GrowingFile implements Growing {
  readonly path: string;
  readonly most: number;
  readonly approved: Promise<void>;
  private grown: Grown = { bytes: 0, whole: false };
  private waiting: { bytes: number; resolve: () => void }[] = [];
  private readonly end = Promise.withResolvers<void>();

  constructor(path: string, most: number) {
    this.path = path;
    this.most = most;
    this.approved = this.end.promise;
    // Where nobody sends it, nobody hears that it was refused.
    this.approved.catch(() => undefined);
  }

  /** So many bytes lie in the file by now; a later call never names fewer. */
  note(bytes: number, whole = false): void {
    this.grown = { bytes, whole };
    const [due, later] = [this.waiting, [] as typeof this.waiting];
    this.waiting = later;
    for (const one of due)
      if (whole || one.bytes <= bytes) one.resolve();
      else later.push(one);
  }

  approve(): void {
    this.end.resolve();
  }

  refuse(error: unknown): void {
    this.end.reject(error);
  }

  async until(bytes: number): Promise<Grown> {
    if (this.grown.whole || this.grown.bytes >= bytes) return this.grown;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.waiting.push({ bytes, resolve });
    // An approved file is whole, so of the two only a refusal can be first.
    await Promise.race([promise, this.approved]);
    return this.grown;
  }
}

/** A file that is whole and in order. */
export function wholeFile(path: string, bytes: number): Growing {
  const file = new GrowingFile(path, bytes);
  file.note(bytes, true);
  file.approve();
  return file;
}
