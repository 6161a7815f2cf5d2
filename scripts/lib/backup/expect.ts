import type { TransformCallback } from 'node:stream';
import { FactoryError } from '../../../service/errors.ts';
import { Tally } from './stage.ts';

/** What an object has to be, and what is said where it is not. */

export interface Expected {
  key: string;
  bytes: number;
  sha256: string;
}

/** Passes bytes through, and fails at their end where they are not the ones that were sent. */
export class Expect extends Tally {
  private readonly expected: Expected;

  constructor(expected: Expected, onBytes?: (bytes: number) => void) {
    super(onBytes);
    this.expected = expected;
  }

  override _flush(done: TransformCallback): void {
    const { key, bytes, sha256 } = this.expected;
    const same = this.bytes === bytes && this.digest() === sha256;
    done(same ? null : damaged(key, 'its bytes were changed'));
  }
}

export function damaged(target: string, why: string, cause?: unknown): FactoryError {
  return new FactoryError({
    code: 'backup-damaged',
    op: 'restore',
    target,
    message: `${target} is damaged: ${why}.`,
    hint: 'Restore an earlier backup (`backups list`), or from another destination.',
    cause,
  });
}
