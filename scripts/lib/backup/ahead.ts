import { GrowingFile } from '../destinations/growing.ts';
import { asFactoryError } from '../../../service/errors.ts';
import type { FactoryError } from '../../../service/errors.ts';
import type { Destination } from '../destinations/destination.ts';
import type { Engine, Kind } from './format.ts';
import type { Found } from './send.ts';

type KeyFor = (kind: Kind, engine: Engine) => Promise<string>;

interface Beginning {
  kind: Kind;
  engine: Engine;
  path: string;
  /** Bytes that it can have at most. */
  most: number;
}

/**
 * Data that is sent while it is staged and checked, to those destinations that keep nothing of it before it is approved.
 * The others get it afterwards.
 */
export class Ahead {
  private readonly found: readonly Found[];
  private readonly signal: AbortSignal;
  /** The key that the data will have. */
  private readonly keyFor: KeyFor;
  private file: GrowingFile | null = null;
  private readonly sent = new Map<Destination, Promise<FactoryError | null>>();

  constructor(found: readonly Found[], { signal, keyFor }: { signal: AbortSignal; keyFor: KeyFor }) {
    this.found = found;
    this.signal = signal;
    this.keyFor = keyFor;
  }

  /** Begins with a file that is about to be written; its writer tells it how far it is. */
  begin({ kind, engine, path, most }: Beginning): GrowingFile {
    const file = new GrowingFile(path, most);
    const key = this.keyFor(kind, engine);
    // Where no destination waits for it, whoever asks next hears that it failed.
    key.catch(() => undefined);
    for (const { destination, error } of this.found)
      if (error === null && destination.putGrowing)
        this.sent.set(destination, this.send(destination, key, file));
    this.file = file;
    return file;
  }

  private async send(
    destination: Destination,
    key: Promise<string>,
    file: GrowingFile,
  ): Promise<FactoryError | null> {
    try {
      await file.until(1);
      await destination.putGrowing?.(await key, file, { signal: this.signal });
      return null;
    } catch (error) {
      return asFactoryError(error, 'send backup');
    }
  }

  /** What was staged is in order, and may be kept. */
  approve(): void {
    this.file?.approve();
  }

  /** Nothing of it may be kept; resolves when every destination has been told. */
  async refuse(error: unknown): Promise<void> {
    this.file?.refuse(error);
    await Promise.all(this.sent.values());
  }

  /** Whether a destination has the data by now; false: it was not begun there. Errors: why it does not have it. */
  async has(destination: Destination): Promise<boolean> {
    const sent = this.sent.get(destination);
    if (sent === undefined) return false;
    const error = await sent;
    if (error !== null) throw error;
    return true;
  }
}
