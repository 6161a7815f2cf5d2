import { createHmac, timingSafeEqual } from 'node:crypto';
import { FactoryError } from '../errors.ts';

export interface Cursors {
  /** `kind` binds a cursor to its list. */
  encode(kind: string, position: unknown): string;
  /** Throws `cursor-unknown` for what this installation did not issue for this list. */
  decode(kind: string, cursor: string): unknown;
}

const TAG_BYTES = 12;

/** List positions that clients carry but cannot make. */
export function createCursors(key: Buffer): Cursors {
  const tag = (kind: string, body: Buffer) =>
    createHmac('sha256', key)
      .update(`build-factory/cursor/v1\0${kind}\0`)
      .update(body)
      .digest()
      .subarray(0, TAG_BYTES);
  return {
    encode(kind, position) {
      const body = Buffer.from(JSON.stringify(position));
      return Buffer.concat([tag(kind, body), body]).toString('base64url');
    },
    decode(kind, cursor) {
      const bytes = Buffer.from(cursor, 'base64url');
      const body = bytes.subarray(TAG_BYTES);
      const given = bytes.subarray(0, TAG_BYTES);
      if (given.length === TAG_BYTES && timingSafeEqual(given, tag(kind, body)))
        return JSON.parse(body.toString()) as unknown;
      throw new FactoryError({
        code: 'cursor-unknown',
        op: 'read list',
        target: 'cursor',
        message: 'This cursor was not issued by this list.',
        hint: 'Start without a cursor, or send `nextCursor` of the page before as it was given.',
      });
    },
  };
}
