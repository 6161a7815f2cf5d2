/**
 * Calls to the file system below one folder, each with a deadline. On a mount whose server is gone a call gives no answer,
 * and nothing ends it: it keeps one of the four threads that Node has for all files and for the names of hosts. So a folder
 * gets one of them: its calls are made one after the other, and while one hangs there are no others.
 */
export class FolderCalls {
  private busy = false;
  private late = false;
  private waiting: { begin: () => void; refuse: (error: Error) => void }[] = [];

  /** A call was given up, and has not come back. */
  get hangs(): boolean {
    return this.late;
  }

  /**
   * Runs one call, or a few that belong together and take little. Errors: `ETIMEDOUT` after `ms`, or at once while an
   * earlier one hangs; `ABORT_ERR`.
   */
  async call<T>(work: () => Promise<T>, { signal, ms }: Allowed): Promise<T> {
    await this.turn();
    if (signal.aborted) {
      this.next();
      throw aborted(signal);
    }
    const working = work();
    working.then(
      () => this.next(),
      () => this.next(),
    );
    return this.inTime(working, { signal, ms });
  }

  private async turn(): Promise<void> {
    if (this.late) throw tookTooLong();
    if (this.busy) {
      await new Promise<void>((begin, refuse) => this.waiting.push({ begin, refuse }));
      return;
    }
    this.busy = true;
  }

  private next(): void {
    this.late = false;
    const one = this.waiting.shift();
    if (one) one.begin();
    else this.busy = false;
  }

  private async inTime<T>(working: Promise<T>, { signal, ms }: Allowed): Promise<T> {
    const over = Promise.withResolvers<never>();
    const giveUp = (): void => {
      this.late = true;
      for (const one of this.waiting.splice(0)) one.refuse(tookTooLong());
      over.reject(signal.aborted ? aborted(signal) : tookTooLong());
    };
    let timer = setTimeout(giveUp, ms);
    // What is well ends in a moment, and can be cleaned up after.
    const hurry = (): void => {
      clearTimeout(timer);
      timer = setTimeout(giveUp, Math.min(ms, ABORTED_MS));
    };
    signal.addEventListener('abort', hurry, { once: true });
    try {
      return await Promise.race([working, over.promise]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', hurry);
    }
  }
}

export interface Allowed {
  signal: AbortSignal;
  ms: number;
}

const ABORTED_MS = 2_000;

const tookTooLong = (): Error => Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' });
const aborted = ({ reason }: AbortSignal): Error =>
  Object.assign(new Error('aborted', { cause: reason }), { code: 'ABORT_ERR' });

/** Of this process, whose threads they take: whoever opens the folder again must not have one hang beside the first. */
const known = new Map<string, FolderCalls>();

export function callsIn(path: string): FolderCalls {
  const calls = known.get(path) ?? new FolderCalls();
  known.set(path, calls);
  return calls;
}

/** Whether a call hangs that would keep the process from ending. */
export const anyHangs = (): boolean => [...known.values()].some(({ hangs }) => hangs);
