import type { Request, RequestHandler } from 'express';
import { FactoryError } from '../errors.ts';

/** A body that is read while it arrives. */

/** A sender that sends nothing for so long is gone. */
const STALL_MS = 60_000;

/** Any other body has to be there after so long. */
const WHOLE_MS = 60_000;
const deadlines = new WeakMap<Request, NodeJS.Timeout>();

/** The server's own limit would hold for streams too, which may take as long as they flow. */
export const bodyDeadline: RequestHandler = (req, _res, next) => {
  const { 'transfer-encoding': chunked, 'content-length': length = '0' } = req.headers;
  if (chunked !== undefined || Number(length) > 0) {
    endBy(req);
    for (const event of ['end', 'close']) req.once(event, () => clearTimeout(deadlines.get(req)));
  }
  next();
};

function endBy(req: Request): void {
  deadlines.set(req, setTimeout(() => req.socket.destroy(), WHOLE_MS).unref());
}

/** Chunks of the body as they come. Errors: `body-too-large`, `body-cut`, `content-type-unsupported`. */
export async function* bodyStream(req: Request, most = Infinity): AsyncGenerator<Buffer> {
  assertPlain(req);
  if (Number(req.headers['content-length'] ?? 0) > most) throw tooLarge(most);
  clearTimeout(deadlines.get(req));
  let bytes = 0;
  const { socket } = req;
  const stalled = (): void => void req.destroy(new Error('nothing came for too long'));
  socket.setTimeout(STALL_MS, stalled);
  try {
    // Whoever leaves early still answers on this connection.
    for await (const chunk of req.iterator({ destroyOnReturn: false })) {
      bytes += (chunk as Buffer).length;
      if (bytes > most) throw tooLarge(most);
      yield chunk as Buffer;
    }
    if (!req.complete) throw cut();
  } catch (error) {
    throw error instanceof FactoryError ? error : cut(error);
  } finally {
    socket.setTimeout(0);
    socket.off('timeout', stalled);
    // The rest of a body that is not taken stands before the next request of its connection.
    if (!req.readableEnded && !req.destroyed) {
      endBy(req);
      req.resume();
    }
  }
}

function assertPlain(req: Request): void {
  const encoding = req.headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity') return;
  throw new FactoryError({
    ...{ code: 'content-type-unsupported', op: 'read request' },
    message: `A body in the encoding ${encoding} is not taken here.`,
    hint: 'Send it as it is, without Content-Encoding.',
  });
}

function tooLarge(most: number): FactoryError {
  return new FactoryError({
    ...{ code: 'body-too-large', op: 'read request' },
    message: `The body is larger than ${most} bytes.`,
    hint: 'Send less in one request.',
  });
}

function cut(cause?: unknown): FactoryError {
  return new FactoryError({
    ...{ code: 'body-cut', op: 'read request', retryable: true, cause },
    message: 'The body ended before its end.',
    hint: 'Send it again.',
  });
}
